#include "lowering.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <complex>
#include <map>
#include <optional>

#include "linear_builder.hpp"

namespace brainlock::compiler {
namespace {

using plan::Register;

Error unsupported(std::string message) { return Error{ErrorCode::kUnsupported, std::move(message)}; }

// A tensor in lifted registers: register of (ciphertext, part) and the factor its values carry
// (Split yields 2u, 2v; Square yields 4u^2, -4v^2).
struct LiftedTensor {
  std::optional<GridLayout> grid;
  std::optional<VectorLayout> vector;
  std::vector<Register> registers;   // [ciphertext * parts + part]
  double factor[2] = {1, 1};         // a slot holds value * factor[part]
  [[nodiscard]] int parts() const { return grid ? grid->parts : vector->parts; }
  [[nodiscard]] Register reg(int ciphertext, int part) const {
    return registers[static_cast<std::size_t>(ciphertext * parts() + part)];
  }
};

// What a stage holds: packed registers, one a ciphertext.
struct PackedTensor {
  std::optional<GridLayout> grid;
  std::optional<VectorLayout> vector;
  std::vector<Register> registers;
  [[nodiscard]] int parts() const { return grid ? grid->parts : vector->parts; }
};

class Lowering {
 public:
  Lowering(const StagePlan& plan, std::uint32_t slots, const LayoutChoice& choice, bool structure_only)
      : plan_(plan), slots_(slots), choice_(choice), structure_only_(structure_only) {}

  Result<Lowered> run() {
    find_borders();
    out_.plain_ranks = plan_.plain_ranks;
    for (std::size_t i = 0; i < plan_.stages.size(); ++i) {
      const Stage& stage = plan_.stages[i];
      LoweredStage lowered;
      lowered.rank = static_cast<std::size_t>(stage.rank);
      lowered.carried = stage.carried;
      lowered.first = out_.program.instructions.size();
      layer_ = stage.name;
      stage_ = &stage;
      if (i == 0) BRAINLOCK_TRY(make_input(stage));
      BRAINLOCK_TRY(read(stage));
      Status status = !stage.diagonal.empty() && current_.vector ? diagonal(stage)
                      : i == 0 && !stage.is_dense                ? first_conv(stage, borders_[i])
                      : stage.is_dense                           ? dense(stage)
                                                                 : conv(stage, borders_[i]);
      if (!status.ok()) return status.error().in(stage.name);
      lowered.linear = out_.program.instructions.size() - 1;
      if (!structure_only_) lowered.places = places_of(stage);
      if (stage.addend >= 0)
        if (Status added = add_to(packed_[static_cast<std::size_t>(stage.addend)]); !added.ok()) return added.error().in(stage.name);
      lowered.last = out_.program.instructions.size() - 1;
      out_.stages.push_back(std::move(lowered));
      packed_.push_back(value_);
      if (plan_.is_addend(i)) continue;
      if (plan_.is_read(i, /*as_square=*/true)) square(static_cast<int>(i));
      if (plan_.is_read(i, /*as_square=*/false)) split(static_cast<int>(i));
    }
    write_output_map(plan_.stages.back());
    out_.program.register_count = next_register_;
    out_.program.parameters.ring_degree = static_cast<std::uint32_t>(2 * slots_);
    return std::move(out_);
  }

 private:
  Register fresh() { return next_register_++; }

  template <typename Op>
  void emit(Op op) {
    plan::Instruction instruction;
    instruction.op = std::move(op);
    instruction.layer = layer_;
    out_.program.instructions.push_back(std::move(instruction));
  }

  // --- input -----------------------------------------------------------------------------------------------------

  Status make_input(const Stage& stage) {
    plan::TensorMap& map = out_.program.input;
    map.channels = static_cast<std::uint32_t>(plan_.input.channels);
    map.height = static_cast<std::uint32_t>(plan_.input.height);
    map.width = static_cast<std::uint32_t>(plan_.input.width);
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
      image_.vector = v;
    } else {
      make_window_input(stage);
    }
    next_register_ = map.ciphertexts;
    split_inputs(map);
    return {};
  }

  // The client sends, at every output position, all the pixels that the first convolution reads there ("im2col"):
  // the first layer then needs no spatial rotation.
  void make_window_input(const Stage& stage) {
    const ConvParams& c = stage.conv;
    GridLayout grid;
    window_rows_ = (choice_.fy - 1) * c.stride_h + c.kernel_h;
    window_columns_ = (choice_.fx - 1) * c.stride_w + c.kernel_w;
    grid.shape = {window_rows_ * window_columns_ * c.in_channels, (stage.out.height + choice_.fy - 1) / choice_.fy,
                  (stage.out.width + choice_.fx - 1) / choice_.fx};
    grid.sx = choice_.channel_stride;
    grid.sy = choice_.channel_stride * choice_.grid_width;
    grid.parts = grid.shape.channels <= grid.sx || choice_.real_input ? 1 : 2;
    grid.channels_per_block = static_cast<int>(std::min<std::int64_t>((grid.shape.channels + grid.parts - 1) / grid.parts, grid.sx));
    if (grid.blocks() > 1) {   // spread evenly, so that no block is nearly empty
      const int share = grid.blocks() * grid.parts;
      grid.channels_per_block = (grid.shape.channels + share - 1) / share;
    }

    plan::TensorMap& map = out_.program.input;
    map.ciphertexts = static_cast<std::uint32_t>(grid.ciphertexts());
    map.parts = static_cast<std::uint32_t>(grid.parts);
    for (int Y = 0; Y < grid.shape.height; ++Y)
      for (int X = 0; X < grid.shape.width; ++X)
        for (int ry = 0; ry < window_rows_; ++ry)
          for (int rx = 0; rx < window_columns_; ++rx)
            for (int ic = 0; ic < c.in_channels; ++ic) {
              const int y = choice_.fy * c.stride_h * Y + ry - c.pad_top;
              const int x = choice_.fx * c.stride_w * X + rx - c.pad_left;
              if (y < 0 || x < 0 || y >= plan_.input.height || x >= plan_.input.width) continue;
              const Where w = grid.where(window_channel(ry, rx, ic, c.in_channels), Y, X);
              map.places.push_back({static_cast<std::uint32_t>((ic * plan_.input.height + y) * plan_.input.width + x),
                                    static_cast<std::uint32_t>(w.ciphertext), static_cast<std::uint32_t>(w.slot),
                                    static_cast<std::uint32_t>(w.part)});
            }
    image_.grid = grid;
  }

  [[nodiscard]] int window_channel(int ry, int rx, int ic, int in_channels) const {
    return (ry * window_columns_ + rx) * in_channels + ic;
  }

  void split_inputs(const plan::TensorMap& map) {
    for (std::uint32_t i = 0; i < map.ciphertexts; ++i) {
      plan::Split split;
      split.in = i;
      for (std::uint32_t part = 0; part < map.parts; ++part) split.out.push_back(fresh());
      image_.registers.insert(image_.registers.end(), split.out.begin(), split.out.end());
      emit(std::move(split));
    }
    const double factor = map.parts == 2 ? 2.0 : 1.0;
    image_.factor[0] = image_.factor[1] = factor;
  }

  // --- values and what is read of them ---------------------------------------------------------------------------

  /// The squares of stage i's value.
  void square(int i) {
    LiftedTensor& next = squares_[{i}];
    lift<plan::Square>(packed_[static_cast<std::size_t>(i)], next);
    next.factor[0] = next.parts() == 2 ? 4.0 : 1.0;
    next.factor[1] = -4.0;
  }

  /// The value itself.
  void split(int i) {
    LiftedTensor& next = plain_[i];
    lift<plan::Split>(packed_[static_cast<std::size_t>(i)], next);
    next.factor[0] = next.factor[1] = next.parts() == 2 ? 2.0 : 1.0;
  }

  template <typename Op>
  void lift(const PackedTensor& value, LiftedTensor& out) {
    out.grid = value.grid;
    out.vector = value.vector;
    for (Register r : value.registers) {
      Op op;
      op.in = r;
      for (int part = 0; part < value.parts(); ++part) op.out.push_back(fresh());
      out.registers.insert(out.registers.end(), op.out.begin(), op.out.end());
      emit(std::move(op));
    }
  }

  static bool same_place(const LiftedTensor& a, const LiftedTensor& b) {
    if (a.grid.has_value() != b.grid.has_value()) return false;
    return a.grid ? *a.grid == *b.grid : a.vector->size == b.vector->size;
  }

  /// The sum of signed squares. A negated value is kept as i (u + iv) = -v + iu, whose parts give 4 v^2 and -4 u^2: added to
  /// the other part of a square they are subtracted from it.
  Status sum_squares(const std::vector<int>& reads) {
    if (squares_.contains(reads)) return {};
    LiftedTensor sum = squares_.at({reads.front()});
    const int parts = sum.parts();
    for (std::size_t at = 0; at < sum.registers.size(); ++at) {
      plan::Combine combine;
      for (const int read : reads) {
        const LiftedTensor& term = squares_.at({read});
        if (!same_place(sum, term)) return unsupported("the squares of a polynomial lie in different places");
        const bool turned = plan_.stages[static_cast<std::size_t>(read)].negated && parts == 2;
        combine.terms.push_back({term.registers[turned ? at ^ 1 : at], 0});
      }
      combine.out = sum.registers[at] = fresh();
      emit(std::move(combine));
    }
    squares_[reads] = std::move(sum);
    return {};
  }

  /// Sets current_ to what the stage reads.
  Status read(const Stage& stage) {
    if (stage.reads.empty()) {
      current_ = image_;
    } else if (!stage.reads_squares) {
      current_ = plain_.at(stage.reads.front());
    } else {
      BRAINLOCK_TRY(sum_squares(stage.reads));
      current_ = squares_.at(stage.reads);
    }
    if (!stage.carried) return {};
    for (Register& r : current_.registers) {
      plan::Drop drop{r, fresh()};
      r = drop.out;
      emit(drop);
    }
    return {};
  }

  /// value_ becomes the sum of what the stage made and `other`.
  Status add_to(const PackedTensor& other) {
    const bool same = value_.grid && other.grid ? *value_.grid == *other.grid : value_.vector && other.vector;
    if (!same || value_.registers.size() != other.registers.size())
      return unsupported("the branches of a sum come to different places in this layout; give both the same strides and pools");
    for (std::size_t j = 0; j < value_.registers.size(); ++j) {
      plan::Add add{{other.registers[j], value_.registers[j]}, fresh()};
      value_.registers[j] = add.out;
      emit(std::move(add));
    }
    return {};
  }

  /// Where a value is read by padded convolutions, zeros lie around it.
  void find_borders() {
    borders_.assign(plan_.stages.size(), false);
    for (std::size_t i = plan_.stages.size(); i-- > 0;) {
      const Stage& stage = plan_.stages[i];
      if (stage.addend >= 0 && borders_[i]) borders_[static_cast<std::size_t>(stage.addend)] = true;
      if (!stage.needs_zero_border()) continue;
      for (const int read : stage.reads) borders_[static_cast<std::size_t>(read)] = true;
    }
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
    out.parts = stage.out.channels > 1 ? 2 : 1;
    out.channels_per_block = static_cast<int>(std::min<std::int64_t>((stage.out.channels + out.parts - 1) / out.parts, sx));
    if (out.extent() > slots_) return unsupported("a feature map does not fit its ciphertexts in this layout");
    return out;
  }

  Status first_conv(const Stage& stage, bool zero_fill) {
    const GridLayout in = *current_.grid;
    BRAINLOCK_ASSIGN(GridLayout out, output_grid(stage, in, choice_.fy, choice_.fx, in.sy, in.sx));
    const ConvParams& c = stage.conv;
    LinearBuilder builder(slots_, zero_fill ? slots_ : out.sx, choice_.baby_steps, out.ciphertexts());
    for (int a = 0; a < out.fy; ++a)
      for (int b = 0; b < out.fx; ++b)
        for (int ky = 0; ky < c.kernel_h; ++ky)
          for (int kx = 0; kx < c.kernel_w; ++kx)
            for (int ic = 0; ic < c.in_channels; ++ic) {
              const auto from = in.channel(window_channel(a * c.stride_h + ky, b * c.stride_w + kx, ic, c.in_channels));
              const std::uint32_t input = builder.input(current_.reg(in.ciphertext(from.block, 0, 0), from.part));
              add_channels(builder, stage, out, a, b, ky, kx, ic, input, from.offset, current_.factor[from.part], zero_fill);
            }
    finish_grid(stage, builder, out, zero_fill);
    return {};
  }

  Status conv(const Stage& stage, bool zero_fill) {
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
    if (stage.needs_zero_border()) BRAINLOCK_TRY(check_border(in, c));
    const std::int64_t turn = turn_to_addend(stage, c, in, out);
    out.base -= turn;

    LinearBuilder builder(slots_, zero_fill ? slots_ : out.sx, choice_.baby_steps, out.ciphertexts());
    for (int a = 0; a < fy; ++a)
      for (int b = 0; b < fx; ++b)
        for_each_tap(c, in, a, b, [&](const Tap& tap) {
          const auto from = in.channel(tap.channel);
          const Register source = rotated(current_.reg(in.ciphertext(from.block, tap.a, tap.b), from.part), wrapped(tap.row_shift + turn, turn));
          add_channels(builder, stage, out, a, b, tap.ky, tap.kx, tap.channel, builder.input(source), tap.column_shift + from.offset,
                       current_.factor[from.part], zero_fill);
        });
    finish_grid(stage, builder, out, zero_fill);
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
    if (stage.addend < 0 || !packed_[static_cast<std::size_t>(stage.addend)].grid) return 0;
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
    return floor_mod(base - packed_[static_cast<std::size_t>(stage.addend)].grid->base, slots_);
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

  // Padding reads positions outside the map: the layout must have empty positions there.
  Status check_border(const GridLayout& in, const ConvParams& c) const {
    const int pad_x = std::max(c.pad_left, c.pad_right), pad_y = std::max(c.pad_top, c.pad_bottom);
    const std::int64_t need_x = (in.columns() + (pad_x + in.fx - 1) / in.fx) * in.sx;
    const std::int64_t need_y = (in.rows() + (pad_y + in.fy - 1) / in.fy) * in.sy;
    if (need_x > in.sy || need_y > slots_) return unsupported("no room for the zero border of a padded convolution in this layout");
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
    for (int y = a; y < out.shape.height; y += out.fy)
      for (int x = b; x < out.shape.width; x += out.fx)
        builder.add(output, input, shift, out.base + (y / out.fy) * out.sy + (x / out.fx) * out.sx + to.offset, value);
  }

  /// A value of this stage as it is kept: times i if its square is to count as negative.
  [[nodiscard]] std::complex<double> turned(std::complex<double> value) const {
    return stage_->negated ? std::complex<double>(-value.imag(), value.real()) : value;
  }

  void finish_grid(const Stage& stage, const LinearBuilder& builder, GridLayout out, bool zero_fill) {
    value_.registers.clear();
    for (int j = 0; j < out.ciphertexts(); ++j) value_.registers.push_back(fresh());
    plan::Linear linear = builder.build(value_.registers);
    linear.name = stage.name;
    out.base = floor_mod(out.base + builder.lowest_giant() * choice_.baby_steps, slots_);
    set_grid_bias(stage, out, zero_fill, linear);
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
      for (int y = 0; y < (uniform ? std::min(out.fy, stage.out.height) : stage.out.height); ++y)
        for (int x = 0; x < (uniform ? std::min(out.fx, stage.out.width) : stage.out.width); ++x) {
          const Where w = out.where(c, y, x);
          const double bias = stage.bias[static_cast<std::size_t>(c) * plane + static_cast<std::size_t>(y * stage.out.width + x)];
          values[static_cast<std::size_t>(w.ciphertext)][floor_mod(w.slot, period)] +=
              turned(w.part == 0 ? std::complex<double>(bias, 0) : std::complex<double>(0, bias));
        }
    for (std::size_t j = 0; j < values.size(); ++j) linear.outputs[j].bias = to_vector(values[j], period);
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
    return current_.vector ? dense_from_vector(stage, out) : dense_from_grid(stage, out);
  }

  [[nodiscard]] std::complex<double> weight_of(const Stage& stage, const VectorLayout& out, std::int64_t o, int e, double factor) const {
    const auto in = static_cast<std::size_t>(stage.dense.in_features);
    const auto value = [&](std::int64_t row) {
      return row < out.size ? static_cast<double>(stage.dense.weights[static_cast<std::size_t>(row) * in + static_cast<std::size_t>(e)]) / factor : 0.0;
    };
    return turned(out.parts == 2 ? std::complex<double>(value(o), value(o + out.half)) : std::complex<double>(value(o), 0));
  }

  // Replicated input of period p: slot t computes output t mod M from inputs t + r, r < min(M, p). With M >= p that is
  // all of them and the result repeats by itself; otherwise p / M partial sums are added up.
  Status dense_from_vector(const Stage& stage, const VectorLayout& out) {
    const VectorLayout in = *current_.vector;
    const std::int64_t m = out.period, period = std::max(m, in.period), shifts = std::min(m, in.period);
    LinearBuilder builder(slots_, period, choice_.baby_steps, 1);
    for (int part = 0; part < in.parts; ++part) {
      const std::uint32_t input = builder.input(current_.reg(0, part));
      if (structure_only_) {
        builder.expect(0, input, 0, shifts - 1);
        continue;
      }
      for (std::int64_t r = 0; r < shifts; ++r)
        for (std::int64_t t = 0; t < period; ++t) {
          const std::int64_t s = floor_mod(t + r, in.period), o = t % m;
          const std::int64_t e = part * in.half + s;
          if (s >= in.half || e >= in.size || o >= out.half) continue;
          builder.add(0, input, r, t, weight_of(stage, out, o, static_cast<int>(e), current_.factor[part]));
        }
    }
    std::vector<std::int32_t> sums;
    for (std::int64_t step = m; step < in.period; step *= 2) sums.push_back(static_cast<std::int32_t>(step));
    finish_dense(stage, builder, out, std::move(sums));
    return {};
  }

  // Scattered input: input slot s meets output o at slot t = s - r with r = (s - o) mod M; every other weight is zero,
  // which also kills the garbage between the valid slots. Summing all slots of one class modulo M gives the outputs,
  // repeated with period M.
  Status dense_from_grid(const Stage& stage, const VectorLayout& out) {
    const GridLayout in = *current_.grid;
    const std::int64_t m = out.period;
    LinearBuilder builder(slots_, slots_, choice_.baby_steps, 1);
    int e = 0;
    for (int c = 0; c < in.shape.channels; ++c)
      for (int y = 0; y < in.shape.height; ++y)
        for (int x = 0; x < in.shape.width; ++x, ++e) {
          const Where w = in.where(c, y, x);
          const std::uint32_t input = builder.input(current_.reg(w.ciphertext, w.part));
          for (std::int64_t o = 0; o < out.half; ++o) {
            const std::int64_t r = floor_mod(w.slot - o, m);
            if (structure_only_) {
              builder.expect(0, input, r, r);
              continue;
            }
            builder.add(0, input, r, w.slot - r, weight_of(stage, out, o, e, current_.factor[w.part]));
          }
        }
    std::vector<std::int32_t> sums;
    for (std::int64_t step = m; step < slots_; step *= 2) sums.push_back(static_cast<std::int32_t>(step));
    if (builder.lowest_giant() != 0) return unsupported("a dense layer of so few inputs does not fit this layout");
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

  /// A factor for each element of a vector.
  Status diagonal(const Stage& stage) {
    const VectorLayout v = *current_.vector;
    LinearBuilder builder(slots_, v.period, choice_.baby_steps, 1);
    for (int part = 0; part < v.parts; ++part) {
      const std::uint32_t input = builder.input(current_.reg(0, part));
      if (structure_only_) {
        builder.expect(0, input, 0, 0);
        continue;
      }
      for (int s = 0; s < v.half && part * v.half + s < v.size; ++s) {
        const double w = static_cast<double>(stage.diagonal[static_cast<std::size_t>(part * v.half + s)]) / current_.factor[part];
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
          const Where w = value_.grid ? value_.grid->where(c, y, x) : value_.vector->where(c);
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
  std::string layer_;
  Register next_register_ = 0;
  const Stage* stage_ = nullptr;                       // the one being lowered
  LiftedTensor image_;
  LiftedTensor current_;                               // what it reads
  PackedTensor value_;                                 // what it made
  std::vector<PackedTensor> packed_;                   // what stages before it hold
  std::map<std::vector<int>, LiftedTensor> squares_;   // sums of squares, by the stages
  std::map<int, LiftedTensor> plain_;
  std::vector<bool> borders_;                          // per stage: zeros around its value
  std::map<std::pair<Register, std::int64_t>, Register> rotated_;
  int window_rows_ = 0, window_columns_ = 0;
};

}  // namespace

std::string LayoutChoice::describe() const {
  return "stride " + std::to_string(channel_stride) + ", width " + std::to_string(grid_width) + ", phases " +
         std::to_string(fy) + "x" + std::to_string(fx) + ", babies " + std::to_string(baby_steps) +
         (real_input ? ", real input" : "");
}

Result<Lowered> lower(const StagePlan& plan, std::uint32_t slots, const LayoutChoice& choice, LowerDepth depth) {
  return Lowering(plan, slots, choice, depth == LowerDepth::kStructure).run();
}

std::vector<LayoutChoice> enumerate_choices(const StagePlan& plan, std::uint32_t slots) {
  std::vector<LayoutChoice> choices;
  const Stage& first = plan.stages.front();
  constexpr int babies = 16;
  if (first.is_dense) {
    choices.push_back({0, 0, 1, 1, babies, false});
  } else {
    for (int fx : {1, 2})
      for (int fy : {1, 2, 4, 8}) {
        const std::int64_t columns = (first.out.width + fx - 1) / fx, rows = (first.out.height + fy - 1) / fy;
        for (std::int64_t width = next_power_of_two(columns); width <= 2 * next_power_of_two(columns); width *= 2)
          for (std::int64_t stride = 4; stride <= 512; stride *= 2) {
            // The map must fit, and filling less than a quarter of the slots is never worth it when denser ones exist.
            const std::int64_t used = rows * width * stride;
            if (used > slots || 8 * used < slots) continue;
            const std::int64_t wanted = next_power_of_two((first.out.channels + 1) / 2);
            if (stride > wanted * 4) continue;
            choices.push_back({stride, width, fy, fx, babies, false});
          }
      }
  }
  return choices;
}

}  // namespace brainlock::compiler
