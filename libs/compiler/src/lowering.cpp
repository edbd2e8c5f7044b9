#include "lowering.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <optional>

#include "biases_and_masks.hpp"
#include "conv_terms.hpp"
#include "dense_terms.hpp"
#include "input_windows.hpp"
#include "linear_builder.hpp"
#include "pooling.hpp"
#include "value_table.hpp"
#include "zero_borders.hpp"

namespace brainlock::compiler {
namespace {

using plan::Register;

Error unsupported(std::string message) { return Error{ErrorCode::kUnsupported, std::move(message)}; }

class Lowering {
 public:
  Lowering(const StagePlan& plan, std::uint32_t slots, const LayoutChoice& choice, bool structure_only, unsigned threads)
      : plan_(plan), slots_(slots), choice_(choice), structure_only_(structure_only), threads_(threads) {}

  Result<Lowered> run() {
    out_.plain_ranks = plan_.plain_ranks;
    for (std::size_t i = 0; i < plan_.stages.size(); ++i)
      if (Status status = lower_stage(i); !status.ok()) return status.error().in(plan_.stages[i].name);
    write_output_map(plan_.stages.back());
    out_.program.register_count = emitter_.next;
    out_.program.parameters.ring_degree = static_cast<std::uint32_t>(2 * slots_);
    return std::move(out_);
  }

 private:
  Register fresh() { return emitter_.fresh(); }
  template <typename Op>
  void emit(Op op) {
    emitter_.emit(std::move(op));
  }

  Status lower_stage(std::size_t i) {
    const Stage& stage = plan_.stages[i];
    LoweredStage lowered;
    lowered.rank = static_cast<std::size_t>(stage.rank);
    lowered.carried = stage.carried;
    lowered.first = out_.program.instructions.size();
    emitter_.layer = stage.name;
    counts_ = borders_.counts(i);
    if (i == 0) BRAINLOCK_TRY(make_input(stage));
    BRAINLOCK_ASSIGN(current_, values_.read(stage));
    BRAINLOCK_TRY(!stage.diagonal.empty() && current_.vector ? diagonal(stage)
                  : i == 0 && !stage.is_dense                ? first_conv(stage, borders_.around(i))
                  : stage.is_dense                           ? dense(stage)
                                                             : conv(stage, borders_.around(i)));
    lowered.linear = out_.program.instructions.size() - 1;
    if (!structure_only_) lowered.places = places_of(stage);
    if (stage.addend >= 0) {
      BRAINLOCK_ASSIGN(value_, values_.sum(values_[stage.addend], value_));
    }
    lowered.last = out_.program.instructions.size() - 1;
    if (!plan_.is_addend(i)) lowered.value = value_.registers;
    out_.stages.push_back(std::move(lowered));
    values_.push(value_);
    return {};
  }

  // --- input -----------------------------------------------------------------------------------------------------

  Status make_input(const Stage& stage) {
    plan::TensorMap& map = out_.program.input;
    map.channels = static_cast<std::uint32_t>(plan_.input.channels);
    map.height = static_cast<std::uint32_t>(plan_.input.height);
    map.width = static_cast<std::uint32_t>(plan_.input.width);
    PackedTensor image;
    if (stage.is_dense) {
      VectorLayout v;
      v.size = static_cast<int>(plan_.input.size());
      v.parts = next_power_of_two(v.size) <= slots_ ? 1 : 2;
      v.half = (v.size + v.parts - 1) / v.parts;
      v.period = next_power_of_two(v.half);
      if (v.period > slots_) return unsupported("the input has more values than one ciphertext holds");
      map.ciphertexts = 1;
      map.parts = static_cast<std::uint32_t>(v.parts);
      for (int e = 0; e < v.size; ++e)
        for (std::int64_t copy = 0; copy < slots_; copy += v.period)
          map.places.push_back({static_cast<std::uint32_t>(e), 0, static_cast<std::uint32_t>(v.where(e).slot + copy),
                                static_cast<std::uint32_t>(v.where(e).part)});
      image.vector = v;
    } else {
      window_ = make_window_input(stage.conv, stage.out, plan_.input, choice_, map);
      image.grid = window_.grid;
    }
    while (emitter_.next < map.ciphertexts) image.registers.push_back(fresh());
    values_.set_image(std::move(image));
    return {};
  }

  // --- convolutions ----------------------------------------------------------------------------------------------

  // A register rotated by `rotation`, made once.
  Register rotated(Register r, std::int64_t rotation) {
    if (rotation == 0) return r;
    const auto [it, is_new] = rotated_.try_emplace({r, rotation}, 0);
    if (is_new) {
      it->second = fresh();
      plan::Combine combine;
      combine.terms.push_back({r, static_cast<std::int32_t>(rotation)});
      combine.out = it->second;
      emit(std::move(combine));
    }
    return it->second;
  }

  Result<GridLayout> output_grid(const Stage& stage, const GridLayout& in, int fy, int fx, std::int64_t sy, std::int64_t sx) const {
    GridLayout out;
    out.shape = stage.out;
    out.fy = fy;
    out.fx = fx;
    out.sy = sy;
    out.sx = sx;
    out.base = in.base;
    out.parts = stage.out.channels > 1 ? choice_.parts : 1;
    // A run of channels ends before the next column and the next row.
    const std::int64_t room = out.rows() > 1 ? std::min(sx, sy - (out.columns() - 1) * sx) : sx;
    out.channels_per_block = static_cast<int>(std::min<std::int64_t>((stage.out.channels + out.parts - 1) / out.parts, room));
    if (room < 1 || out.extent() > slots_) return unsupported("a feature map does not fit its ciphertexts in this layout");
    return out;
  }

  /// Whether zeros around the value of a stage are made by masks. A diagonal has so few weights that they may hold the zeros, and a
  /// phase beyond the map would have nothing but zeros.
  [[nodiscard]] bool takes_masks(const Stage& stage, const GridLayout& out) const {
    return choice_.masks && stage.diagonal.empty() && out.repeats() && out.fy <= counts_.height && out.fx <= counts_.width;
  }

  /// Weights of their own for each position: a phase beyond the map would have none.
  [[nodiscard]] Status check_phases(const GridLayout& out) const {
    if (out.fy <= counts_.height && out.fx <= counts_.width) return {};
    return unsupported("a feature map has fewer rows or columns than this layout has phases");
  }

  Status first_conv(const Stage& stage, bool zero_border) {
    const GridLayout in = *current_.grid;
    BRAINLOCK_ASSIGN(GridLayout out, output_grid(stage, in, choice_.fy, choice_.fx, in.sy, in.sx));
    const bool masked = zero_border && takes_masks(stage, out), zero_fill = zero_border && !masked;
    if (zero_fill) BRAINLOCK_TRY(check_phases(out));
    const ConvParams& c = stage.conv;
    LinearBuilder builder(slots_, zero_fill ? slots_ : out.sx, choice_.baby_steps, out.ciphertexts());
    ConvTerms terms = conv_terms(stage, out, zero_fill, builder);
    for (int a = 0; a < out.fy; ++a)
      for (int b = 0; b < out.fx; ++b) {
        terms.begin_phase(a, b);
        for (int ky = 0; ky < c.kernel_h; ++ky)
          for (int kx = 0; kx < c.kernel_w; ++kx)
            for (int ic = 0; ic < c.in_channels; ++ic) {
              const auto from = in.channel(window_.channel(a * c.stride_h + ky, b * c.stride_w + kx, ic, c.in_channels));
              const std::uint32_t input = builder.input(current_.reg(in.ciphertext(from.block, 0, 0), from.part));
              terms.add(ky, kx, ic, input, from.offset, current_.factor[from.part]);
            }
      }
    finish_grid(stage, builder, out, zero_fill, masked);
    return {};
  }

  // `zero_border`: zeros wherever no value of the map is.
  Status conv(const Stage& stage, bool zero_border) {
    const std::int64_t row = current_.grid ? current_.grid->sy : 0;   // before pools, of what has zeros around it
    for (const PoolParams& p : stage.pools) BRAINLOCK_TRY(lower_pool(p, current_, emitter_));
    if (!current_.grid) return unsupported("a convolution after a dense layer is not covered");
    const GridLayout in = *current_.grid;
    ConvParams one;   // of a diagonal stage
    one.out_channels = one.in_channels = stage.out.channels;
    const ConvParams& c = stage.diagonal.empty() ? stage.conv : one;
    int fy = 0, fx = 0;
    std::int64_t sy = 0, sx = 0;
    if (!stride_axis(in.fy, in.sy, c.stride_h, fy, sy) || !stride_axis(in.fx, in.sx, c.stride_w, fx, sx))
      return unsupported("the stride does not divide the phases of this layout");
    BRAINLOCK_ASSIGN(GridLayout out, output_grid(stage, in, fy, fx, sy, sx));
    if (stage.needs_zero_border()) {
      BRAINLOCK_TRY(check_border(in, c, row));
      BRAINLOCK_TRY(borders_.check(stage));
    }
    const std::int64_t turn = turn_to_addend(stage, c, in, out);
    out.base -= turn;
    // Weights with zeros between the positions, or ones that repeat, and a mask.
    const bool masked = zero_border && takes_masks(stage, out), zero_fill = (zero_border && !masked) || !out.repeats();
    if (zero_fill) BRAINLOCK_TRY(check_phases(out));

    LinearBuilder builder(slots_, zero_fill ? slots_ : out.sx, choice_.baby_steps, out.ciphertexts());
    ConvTerms terms = conv_terms(stage, out, zero_fill, builder);
    for (int a = 0; a < fy; ++a)
      for (int b = 0; b < fx; ++b) {
        terms.begin_phase(a, b);
        for_each_tap(c, in, a, b, [&](const Tap& tap) {
          const auto from = in.channel(tap.channel);
          const Register source = rotated(current_.reg(in.ciphertext(from.block, tap.a, tap.b), from.part), wrapped(tap.row_shift + turn, turn));
          terms.add(tap.ky, tap.kx, tap.channel, builder.input(source), tap.column_shift + from.offset, current_.factor[from.part]);
        });
      }
    finish_grid(stage, builder, out, zero_fill, masked);
    return {};
  }

  /// How far the inputs of a stage have to be turned so that its output comes to where its addend lies.
  [[nodiscard]] std::int64_t turn_to_addend(const Stage& stage, const ConvParams& c, const GridLayout& in, const GridLayout& out) const {
    if (stage.addend < 0 || !values_[stage.addend].grid) return 0;
    // The builder moves its result down by the lowest giant step, which follows from the lowest shift.
    std::int64_t lowest = 0;
    bool first = true;
    const auto see = [&](std::int64_t shift) {
      lowest = first ? shift : std::min(lowest, shift);
      first = false;
    };
    std::int64_t highest_offset = 0;
    for (int oc = 0; oc < stage.out.channels; ++oc) highest_offset = std::max<std::int64_t>(highest_offset, out.channel(oc).offset);
    for (int a = 0; a < out.fy; ++a)
      for (int b = 0; b < out.fx; ++b)
        for_each_tap(c, in, a, b, [&](const Tap& tap) {
          const std::int64_t to = stage.diagonal.empty() ? highest_offset : out.channel(tap.channel).offset;
          see(tap.column_shift + in.channel(tap.channel).offset - to);
        });
    const std::int64_t base = out.base + floor_div(lowest, choice_.baby_steps) * choice_.baby_steps;
    return floor_mod(base - values_[stage.addend].grid->base, slots_);
  }

  /// A rotation as it is, or once something was turned the shortest way round.
  [[nodiscard]] std::int64_t wrapped(std::int64_t rotation, std::int64_t turn) const {
    if (turn == 0) return rotation;
    const std::int64_t r = floor_mod(rotation, slots_);
    return r > slots_ / 2 ? r - slots_ : r;
  }

  static bool stride_axis(int phases, std::int64_t stride, int step, int& out_phases, std::int64_t& out_stride) {
    if (phases % step == 0) {
      out_phases = phases / step;
      out_stride = stride;
      return true;
    }
    out_phases = 1;
    out_stride = stride * step;
    return phases == 1;
  }

  // Padding reads positions outside the map: the layout must have empty positions there. `row`: slots from one row to the next before
  // pools, which add up neighbours beyond the map, too.
  Status check_border(const GridLayout& in, const ConvParams& c, std::int64_t row) const {
    const int pad_x = std::max(c.pad_left, c.pad_right), pad_y = std::max(c.pad_top, c.pad_bottom);
    const std::int64_t need_x = (in.columns() + (pad_x + in.fx - 1) / in.fx) * in.sx;
    const std::int64_t need_y = (in.rows() + (pad_y + in.fy - 1) / in.fy) * in.sy;
    if (need_x > std::min(row, in.sy) || need_y > slots_) return unsupported("no room for the zero border of a padded convolution in this layout");
    return {};
  }

  [[nodiscard]] ConvTerms conv_terms(const Stage& stage, const GridLayout& out, bool zero_fill, LinearBuilder& builder) const {
    return {stage, out, zero_fill ? std::optional(counts_) : std::nullopt, structure_only_, builder};
  }

  void finish_grid(const Stage& stage, const LinearBuilder& builder, GridLayout out, bool zero_fill, bool masked) {
    value_.registers.clear();
    for (int j = 0; j < out.ciphertexts(); ++j) value_.registers.push_back(fresh());
    plan::Linear linear = builder.build(value_.registers, threads_);
    linear.name = stage.name;
    out.base = floor_mod(out.base + builder.lowest_giant() * choice_.baby_steps, slots_);
    if (masked) linear.mask_scale = 1;   // until levels are chosen
    if (structure_only_) {
      if (masked) linear.masks.assign(linear.outputs.size(), plan::SlotVector{static_cast<std::uint32_t>(slots_), {0}, {1.0F}, {}});
    } else {
      std::vector<plan::SlotVector> biases = grid_biases(stage, out, counts_, zero_fill || masked, slots_);
      for (std::size_t j = 0; j < biases.size(); ++j) linear.outputs[j].bias = std::move(biases[j]);
      if (masked) linear.masks = grid_masks(out, counts_, slots_);
    }
    value_.grid = out;
    value_.vector.reset();
    emit(std::move(linear));
  }

  // --- dense layers ----------------------------------------------------------------------------------------------

  Status dense(const Stage& stage) {
    for (const PoolParams& p : stage.pools) BRAINLOCK_TRY(lower_pool(p, current_, emitter_));
    VectorLayout out;
    out.size = stage.dense.out_features;
    out.parts = out.size > 1 ? 2 : 1;
    out.half = (out.size + out.parts - 1) / out.parts;
    out.period = next_power_of_two(out.half);
    if (out.period > slots_) return unsupported("a dense layer has more outputs than one ciphertext holds");
    const std::int64_t period = current_.vector ? std::max(out.period, current_.vector->period) : slots_;
    LinearBuilder builder(slots_, period, choice_.baby_steps, 1);
    const DenseTerms terms{stage.dense, out, stage.negated, structure_only_,
                           [&](int ciphertext, int part) { return builder.input(current_.reg(ciphertext, part)); },
                           {current_.factor[0], current_.factor[1]}};
    if (current_.vector) {
      terms.add_vector(*current_.vector, builder);
    } else {
      terms.add_grid(*current_.grid, builder);
    }
    std::vector<std::int32_t> sums;   // of all slots of one class modulo the outputs' period
    for (std::int64_t step = out.period; step < (current_.vector ? current_.vector->period : slots_); step *= 2) sums.push_back(static_cast<std::int32_t>(step));
    finish_dense(stage, builder, out, std::move(sums));
    return {};
  }

  void finish_dense(const Stage& stage, const LinearBuilder& builder, const VectorLayout& out, std::vector<std::int32_t> sums) {
    value_.registers = {fresh()};
    plan::Linear linear = builder.build(value_.registers, threads_);
    linear.name = stage.name;
    linear.rotate_sums = std::move(sums);
    if (!structure_only_) linear.outputs[0].bias = vector_bias(stage, out, slots_);
    value_.vector = out;
    value_.grid.reset();
    emit(std::move(linear));
  }

  /// A factor for each channel of a vector.
  Status diagonal(const Stage& stage) {
    const VectorLayout v = *current_.vector;
    const int plane = v.size / static_cast<int>(stage.diagonal.size());
    LinearBuilder builder(slots_, v.period, choice_.baby_steps, 1);
    for (int part = 0; part < v.parts; ++part) {
      const std::uint32_t input = builder.input(current_.reg(0, part));
      if (structure_only_) {
        builder.expect(0, input, 0, 0);
        continue;
      }
      for (int s = 0; s < v.half && part * v.half + s < v.size; ++s) {
        const double w = static_cast<double>(stage.diagonal[static_cast<std::size_t>((part * v.half + s) / plane)]) / current_.factor[part];
        builder.add(0, input, 0, s, turned(stage, part == 0 ? std::complex<double>(w, 0) : std::complex<double>(0, w)));
      }
    }
    finish_dense(stage, builder, v, {});
    return {};
  }

  // --- output ----------------------------------------------------------------------------------------------------

  // Of the packed tensor that a stage has just made.
  [[nodiscard]] std::vector<plan::Place> places_of(const Stage& stage) const {
    std::vector<plan::Place> places;
    std::uint32_t index = 0;
    for (int c = 0; c < stage.out.channels; ++c)
      for (int y = 0; y < stage.out.height; ++y)
        for (int x = 0; x < stage.out.width; ++x, ++index) {
          const Where w = value_.grid ? value_.grid->where(c, y, x) : value_.vector->where(static_cast<int>(index));
          places.push_back({index, static_cast<std::uint32_t>(w.ciphertext), static_cast<std::uint32_t>(floor_mod(w.slot, slots_)),
                            static_cast<std::uint32_t>(stage.negated ? 1 - w.part : w.part)});
        }
    return places;
  }

  void write_output_map(const Stage& stage) {
    plan::TensorMap& map = out_.program.output;
    map.channels = static_cast<std::uint32_t>(stage.out.channels);
    map.height = static_cast<std::uint32_t>(stage.out.height);
    map.width = static_cast<std::uint32_t>(stage.out.width);
    map.ciphertexts = static_cast<std::uint32_t>(value_.registers.size());
    map.parts = static_cast<std::uint32_t>(value_.parts());
    map.places = places_of(stage);
    out_.program.output_registers = value_.registers;
  }

  const StagePlan& plan_;
  std::int64_t slots_;
  LayoutChoice choice_;
  bool structure_only_;
  unsigned threads_;
  Lowered out_;
  Emitter emitter_{out_.program, {}, 0};
  ValueTable values_{plan_, emitter_};
  LiftedTensor current_;            // what it reads
  PackedTensor value_;              // what it made
  ZeroBorders borders_{plan_};
  Extent counts_;                   // of the value being lowered: beyond it there may be zeros
  std::map<std::pair<Register, std::int64_t>, Register> rotated_;
  WindowInput window_;              // of a first layer that is a convolution
};

}  // namespace

Result<Lowered> lower(const StagePlan& plan, std::uint32_t slots, const LayoutChoice& choice, LowerDepth depth, unsigned threads) {
  return Lowering(plan, slots, choice, depth == LowerDepth::kStructure, threads).run();
}

}  // namespace brainlock::compiler
