#include "lowering.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <complex>
#include <map>
#include <optional>

#include "dense_terms.hpp"
#include "input_windows.hpp"
#include "linear_builder.hpp"
#include "value_table.hpp"

namespace brainlock::compiler {
namespace {

using plan::Register;

Error unsupported(std::string message) { return Error{ErrorCode::kUnsupported, std::move(message)}; }

class Lowering {
 public:
  Lowering(const StagePlan& plan, std::uint32_t slots, const LayoutChoice& choice, bool structure_only)
      : plan_(plan), slots_(slots), choice_(choice), structure_only_(structure_only) {}

  Result<Lowered> run() {
    find_borders();
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
    stage_ = &stage;
    counts_ = borders_[i] ? read_[i] : Extent{stage.out.height, stage.out.width};
    if (i == 0) BRAINLOCK_TRY(make_input(stage));
    BRAINLOCK_ASSIGN(current_, values_.read(stage));
    BRAINLOCK_TRY(!stage.diagonal.empty() && current_.vector ? diagonal(stage)
                  : i == 0 && !stage.is_dense                ? first_conv(stage, borders_[i])
                  : stage.is_dense                           ? dense(stage)
                                                             : conv(stage, borders_[i]));
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

  /// What a stage reads of a map: pools leave out the last rows and columns where their size does not divide the map's.
  struct Extent {
    int height = 0, width = 0;
    friend bool operator==(const Extent&, const Extent&) = default;
  };
  static Extent extent_read(const Stage& stage) {
    Extent e{stage.pooled.height, stage.pooled.width};
    for (const PoolParams& p : stage.pools) e = {e.height * p.kernel_h, e.width * p.kernel_w};
    return e;
  }

  /// Where a value is read by padded convolutions, zeros lie around it, and around what of it is read.
  void find_borders() {
    borders_.assign(plan_.stages.size(), false);
    read_.assign(plan_.stages.size(), {});
    for (std::size_t i = plan_.stages.size(); i-- > 0;) {
      const Stage& stage = plan_.stages[i];
      if (stage.addend >= 0) {
        borders_[static_cast<std::size_t>(stage.addend)] = borders_[i];
        read_[static_cast<std::size_t>(stage.addend)] = read_[i];
      }
      const Extent extent = extent_read(stage);
      for (const int read : stage.reads) {
        Extent& all = read_[static_cast<std::size_t>(read)];
        all = {std::max(all.height, extent.height), std::max(all.width, extent.width)};
        if (stage.needs_zero_border()) borders_[static_cast<std::size_t>(read)] = true;
      }
    }
  }
  Status check_extent(const Stage& stage) const {
    for (const int read : stage.reads)
      if (read_[static_cast<std::size_t>(read)] != extent_read(stage))
        return unsupported("a padded convolution reads a pool that leaves out rows or columns which another layer reads: let the pool's size divide the map's");
    return {};
  }

  // --- pools -----------------------------------------------------------------------------------------------------

  Status pool(const PoolParams& p) {
    if (!current_.grid) return unsupported("a pool needs a feature map");
    BRAINLOCK_TRY(pool_axis(p.kernel_h, /*rows=*/true));
    BRAINLOCK_TRY(pool_axis(p.kernel_w, /*rows=*/false));
    GridLayout& grid = *current_.grid;
    grid.shape.height /= p.kernel_h;
    grid.shape.width /= p.kernel_w;
    for (double& f : current_.factor) f *= p.kernel_h * p.kernel_w;   // sums, not means
    return {};
  }

  // Sums k neighbours along one axis: whole ciphertexts where the phases allow it, rotations otherwise.
  Status pool_axis(int k, bool rows) {
    if (k == 1) return {};
    GridLayout& grid = *current_.grid;
    int& phases = rows ? grid.fy : grid.fx;
    std::int64_t& stride = rows ? grid.sy : grid.sx;
    GridLayout next = grid;
    const bool by_phase = phases % k == 0;
    if (!by_phase && phases != 1) return unsupported("pool size does not divide the phases of this layout");
    if (by_phase) (rows ? next.fy : next.fx) = phases / k;
    else (rows ? next.sy : next.sx) = stride * k;

    std::vector<Register> registers(static_cast<std::size_t>(next.ciphertexts() * next.parts));
    for (int block = 0; block < next.blocks(); ++block)
      for (int a = 0; a < next.fy; ++a)
        for (int b = 0; b < next.fx; ++b)
          for (int part = 0; part < next.parts; ++part) {
            plan::Combine combine;
            for (int i = 0; i < k; ++i) {
              const int aa = by_phase && rows ? a * k + i : a;
              const int bb = by_phase && !rows ? b * k + i : b;
              combine.terms.push_back({current_.reg(grid.ciphertext(block, aa, bb), part),
                                       by_phase ? 0 : static_cast<std::int32_t>(i * stride)});
            }
            combine.out = fresh();
            registers[static_cast<std::size_t>(next.ciphertext(block, a, b) * next.parts + part)] = combine.out;
            emit(std::move(combine));
          }
    current_.registers = std::move(registers);
    grid = next;
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
    for (int a = 0; a < out.fy; ++a)
      for (int b = 0; b < out.fx; ++b)
        for (int ky = 0; ky < c.kernel_h; ++ky)
          for (int kx = 0; kx < c.kernel_w; ++kx)
            for (int ic = 0; ic < c.in_channels; ++ic) {
              const auto from = in.channel(window_.channel(a * c.stride_h + ky, b * c.stride_w + kx, ic, c.in_channels));
              const std::uint32_t input = builder.input(current_.reg(in.ciphertext(from.block, 0, 0), from.part));
              add_channels(builder, stage, out, a, b, ky, kx, ic, input, from.offset, current_.factor[from.part], zero_fill);
            }
    finish_grid(stage, builder, out, zero_fill, masked);
    return {};
  }

  // `zero_border`: zeros wherever no value of the map is.
  Status conv(const Stage& stage, bool zero_border) {
    const std::int64_t row = current_.grid ? current_.grid->sy : 0;   // before pools, of what has zeros around it
    for (const PoolParams& p : stage.pools) BRAINLOCK_TRY(pool(p));
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
      BRAINLOCK_TRY(check_extent(stage));
    }
    const std::int64_t turn = turn_to_addend(stage, c, in, out);
    out.base -= turn;
    // Weights with zeros between the positions, or ones that repeat, and a mask.
    const bool masked = zero_border && takes_masks(stage, out), zero_fill = (zero_border && !masked) || !out.repeats();
    if (zero_fill) BRAINLOCK_TRY(check_phases(out));

    LinearBuilder builder(slots_, zero_fill ? slots_ : out.sx, choice_.baby_steps, out.ciphertexts());
    for (int a = 0; a < fy; ++a)
      for (int b = 0; b < fx; ++b)
        for_each_tap(c, in, a, b, [&](const Tap& tap) {
          const auto from = in.channel(tap.channel);
          const Register source = rotated(current_.reg(in.ciphertext(from.block, tap.a, tap.b), from.part), wrapped(tap.row_shift + turn, turn));
          add_channels(builder, stage, out, a, b, tap.ky, tap.kx, tap.channel, builder.input(source), tap.column_shift + from.offset,
                       current_.factor[from.part], zero_fill);
        });
    finish_grid(stage, builder, out, zero_fill, masked);
    return {};
  }

  /// One weight position of a convolution for one phase of its output.
  struct Tap {
    int ky, kx, channel;
    int a, b;                                // phase of the input
    std::int64_t row_shift, column_shift;
  };
  template <typename Visit>
  static void for_each_tap(const ConvParams& c, const GridLayout& in, int a, int b, Visit&& visit) {
    for (int ky = 0; ky < c.kernel_h; ++ky)
      for (int kx = 0; kx < c.kernel_w; ++kx) {
        const std::int64_t y = a * c.stride_h + ky - c.pad_top, x = b * c.stride_w + kx - c.pad_left;
        for (int ic = 0; ic < c.in_channels; ++ic)
          visit(Tap{ky, kx, ic, static_cast<int>(floor_mod(y, in.fy)), static_cast<int>(floor_mod(x, in.fx)),
                    floor_div(y, in.fy) * in.sy, floor_div(x, in.fx) * in.sx});
      }
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

  // Adds the taps of one input channel to every output channel. `offset` is where the tap lies relative to the
  // position's first slot.
  void add_channels(LinearBuilder& builder, const Stage& stage, const GridLayout& out, int a, int b, int ky, int kx, int ic,
                    std::uint32_t input, std::int64_t offset, double factor, bool zero_fill) const {
    if (!stage.diagonal.empty()) {
      const auto to = out.channel(ic);
      const int output = out.ciphertext(to.block, a, b);
      if (structure_only_) {
        builder.expect(output, input, offset - to.offset, offset - to.offset);
      } else {
        add_weight(builder, out, a, b, to, output, input, offset, static_cast<double>(stage.diagonal[static_cast<std::size_t>(ic)]) / factor, zero_fill);
      }
      return;
    }
    const ConvParams& c = stage.conv;
    if (structure_only_) {   // the channels of a block lie side by side
      for (int block = 0; block < out.blocks(); ++block) {
        const int channels = std::min(out.channels_per_block, c.out_channels - block * out.channels_per_block * out.parts);
        builder.expect(out.ciphertext(block, a, b), input, offset - channels + 1, offset);
      }
      return;
    }
    for (int oc = 0; oc < c.out_channels; ++oc) {
      const auto to = out.channel(oc);
      const double w = static_cast<double>(
          c.weights[static_cast<std::size_t>(((oc * c.in_channels + ic) * c.kernel_h + ky) * c.kernel_w + kx)]) / factor;
      add_weight(builder, out, a, b, to, out.ciphertext(to.block, a, b), input, offset, w, zero_fill);
    }
  }

  /// One weight, at every position of its phase.
  void add_weight(LinearBuilder& builder, const GridLayout& out, int a, int b, const GridLayout::Channel& to, int output,
                  std::uint32_t input, std::int64_t offset, double w, bool zero_fill) const {
    const std::complex<double> value = turned(to.part == 0 ? std::complex<double>(w, 0) : std::complex<double>(0, w));
    const std::int64_t shift = offset - to.offset;
    if (!zero_fill) {
      builder.add(output, input, shift, out.base + to.offset, value);
      return;
    }
    for (int y = a; y < counts_.height; y += out.fy)
      for (int x = b; x < counts_.width; x += out.fx)
        builder.add(output, input, shift, out.base + (y / out.fy) * out.sy + (x / out.fx) * out.sx + to.offset, value);
  }

  /// A value of this stage as it is kept: times i if its square is to count as negative.
  [[nodiscard]] std::complex<double> turned(std::complex<double> value) const {
    return stage_->negated ? std::complex<double>(-value.imag(), value.real()) : value;
  }

  void finish_grid(const Stage& stage, const LinearBuilder& builder, GridLayout out, bool zero_fill, bool masked) {
    value_.registers.clear();
    for (int j = 0; j < out.ciphertexts(); ++j) value_.registers.push_back(fresh());
    plan::Linear linear = builder.build(value_.registers);
    linear.name = stage.name;
    out.base = floor_mod(out.base + builder.lowest_giant() * choice_.baby_steps, slots_);
    set_grid_bias(stage, out, zero_fill || masked, linear);
    if (masked) set_masks(out, linear);
    value_.grid = out;
    value_.vector.reset();
    emit(std::move(linear));
  }

  void set_grid_bias(const Stage& stage, const GridLayout& out, bool zero_fill, plan::Linear& linear) const {
    const auto plane = static_cast<std::size_t>(stage.out.height * stage.out.width);
    bool uniform = !zero_fill;
    for (std::size_t e = 0; e < stage.bias.size() && uniform; ++e)
      uniform = std::fabs(stage.bias[e] - stage.bias[e / plane * plane]) <= 1e-9 * (1 + std::fabs(stage.bias[e]));
    std::vector<std::map<std::int64_t, std::complex<double>>> values(linear.outputs.size());
    const std::int64_t period = uniform ? out.sx : slots_;
    for (int c = 0; c < stage.out.channels; ++c)
      for (int y = 0; y < (uniform ? std::min(out.fy, stage.out.height) : counts_.height); ++y)
        for (int x = 0; x < (uniform ? std::min(out.fx, stage.out.width) : counts_.width); ++x) {
          const Where w = out.where(c, y, x);
          const double bias = stage.bias[static_cast<std::size_t>(c) * plane + static_cast<std::size_t>(y * stage.out.width + x)];
          values[static_cast<std::size_t>(w.ciphertext)][floor_mod(w.slot, period)] +=
              turned(w.part == 0 ? std::complex<double>(bias, 0) : std::complex<double>(0, bias));
        }
    for (std::size_t j = 0; j < values.size(); ++j) linear.outputs[j].bias = to_vector(values[j], period);
  }

  /// Ones where values of the map lie.
  void set_masks(const GridLayout& out, plan::Linear& linear) const {
    linear.mask_scale = 1;   // until levels are chosen
    if (structure_only_) {
      linear.masks.assign(linear.outputs.size(), plan::SlotVector{static_cast<std::uint32_t>(slots_), {0}, {1.0F}, {}});
      return;
    }
    std::vector<std::map<std::int64_t, std::complex<double>>> ones(linear.outputs.size());
    for (int c = 0; c < out.shape.channels; ++c)
      for (int y = 0; y < counts_.height; ++y)
        for (int x = 0; x < counts_.width; ++x) {
          const Where w = out.where(c, y, x);
          ones[static_cast<std::size_t>(w.ciphertext)][floor_mod(w.slot, slots_)] = 1.0;
        }
    for (const auto& values : ones) linear.masks.push_back(to_vector(values, slots_));
  }

  [[nodiscard]] plan::SlotVector to_vector(const std::map<std::int64_t, std::complex<double>>& values, std::int64_t period) const {
    plan::SlotVector out;
    out.period = static_cast<std::uint32_t>(period);
    const auto narrow = [](std::complex<double> v) { return std::complex<float>(static_cast<float>(v.real()), static_cast<float>(v.imag())); };
    if (period == slots_) {
      for (const auto& [slot, v] : values) {
        out.slots.push_back(static_cast<std::uint32_t>(slot));
        out.values.push_back(narrow(v));
      }
    } else {
      out.values.resize(static_cast<std::size_t>(period));
      for (const auto& [slot, v] : values) out.values[static_cast<std::size_t>(slot)] = narrow(v);
    }
    return out;
  }

  // --- dense layers ----------------------------------------------------------------------------------------------

  Status dense(const Stage& stage) {
    for (const PoolParams& p : stage.pools) BRAINLOCK_TRY(pool(p));
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
    plan::Linear linear = builder.build(value_.registers);
    linear.name = stage.name;
    linear.rotate_sums = std::move(sums);
    std::map<std::int64_t, std::complex<double>> bias;
    for (int e = 0; e < out.size; ++e) {
      const Where w = out.where(e);
      const double b = stage.bias[static_cast<std::size_t>(e)];
      bias[w.slot] += turned(w.part == 0 ? std::complex<double>(b, 0) : std::complex<double>(0, b));
    }
    linear.outputs[0].bias = to_vector(bias, out.period);
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
        builder.add(0, input, 0, s, turned(part == 0 ? std::complex<double>(w, 0) : std::complex<double>(0, w)));
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
  Lowered out_;
  Emitter emitter_{out_.program, {}, 0};
  ValueTable values_{plan_, emitter_};
  const Stage* stage_ = nullptr;    // the one being lowered
  LiftedTensor current_;            // what it reads
  PackedTensor value_;              // what it made
  std::vector<bool> borders_;       // per stage: zeros around its value
  std::vector<Extent> read_;        // per stage: of its value
  Extent counts_;                   // of the value being lowered: beyond it there may be zeros
  std::map<std::pair<Register, std::int64_t>, Register> rotated_;
  WindowInput window_;              // of a first layer that is a convolution
};

}  // namespace

Result<Lowered> lower(const StagePlan& plan, std::uint32_t slots, const LayoutChoice& choice, LowerDepth depth) {
  return Lowering(plan, slots, choice, depth == LowerDepth::kStructure).run();
}

}  // namespace brainlock::compiler
