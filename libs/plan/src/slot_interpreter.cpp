#include "brainlock/plan/slot_interpreter.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <random>

#include "brainlock/base/parallel.hpp"
#include "brainlock/base/vector_clones.hpp"
#include "brainlock/plan/slot_coefficients.hpp"

namespace brainlock::plan {
namespace {

using Complex = std::complex<double>;
using Slots = std::vector<Complex>;   // a packed register
using Reals = std::vector<double>;

/// A lifted register. The imaginary part holds errors, and is empty where there are none.
struct Lifted {
  Reals re, im;
};

// Inner loops run over at least this many neighbouring weights: shorter periods are written out several times.
constexpr std::uint32_t kShortestTile = 64;
// So many slots of a sum are finished before the next ones are begun: both parts stay in the first cache.
constexpr std::uint32_t kBlock = 1024;
constexpr std::uint64_t kMultiplesSeed = 1;

// A weight vector with its real and imaginary parts apart, so that loops over slots are plain vector loops.
struct Weights {
  std::vector<std::uint32_t> slots;   // sparse: see SlotVector
  std::vector<float> re, im;
  std::vector<float> rest_re, rest_im;   // empty: see SlotVector::rest
};

// (re, im)[t] += w[t mod tile] * x[t - begin] for t in [begin, end).
BRAINLOCK_VECTOR_CLONES void multiply_add(double* __restrict re, double* __restrict im, const float* __restrict w_re, const float* __restrict w_im,
                                          const double* __restrict x, std::size_t tile, std::size_t begin, std::size_t end) {
  while (begin < end) {
    const std::size_t from = begin & (tile - 1), count = std::min(tile - from, end - begin);
    for (std::size_t j = 0; j < count; ++j) {
      re[begin + j] += static_cast<double>(w_re[from + j]) * x[j];
      im[begin + j] += static_cast<double>(w_im[from + j]) * x[j];
    }
    begin += count;
    x += count;
  }
}

// The same for x + i y.
BRAINLOCK_VECTOR_CLONES void multiply_add(double* __restrict re, double* __restrict im, const float* __restrict w_re, const float* __restrict w_im,
                                          const double* __restrict x, const double* __restrict y, std::size_t tile, std::size_t begin, std::size_t end) {
  while (begin < end) {
    const std::size_t from = begin & (tile - 1), count = std::min(tile - from, end - begin);
    for (std::size_t j = 0; j < count; ++j) {
      const auto a = static_cast<double>(w_re[from + j]), b = static_cast<double>(w_im[from + j]);
      re[begin + j] += a * x[j] - b * y[j];
      im[begin + j] += b * x[j] + a * y[j];
    }
    begin += count;
    x += count;
    y += count;
  }
}

template <typename T>
void add_rotated(std::vector<T>& out, const std::vector<T>& in, std::uint32_t shift) {
  const std::size_t n = out.size(), head = n - shift;
  for (std::size_t t = 0; t < head; ++t) out[t] += in[t + shift];
  for (std::size_t t = head; t < n; ++t) out[t] += in[t - head];
}

}  // namespace

struct SlotInterpreter::Impl {
  explicit Impl(const Program& p) : program(p), n(p.parameters.ring_degree / 2), tiles(p.instructions.size(), 0), weights(p.instructions.size()) {
    for (std::size_t i = 0; i < p.instructions.size(); ++i) {
      const auto* linear = std::get_if<Linear>(&p.instructions[i].op);
      if (linear == nullptr) continue;
      tiles[i] = std::min(n, std::max(linear->period, kShortestTile));
      for (const SlotVector& vector : linear->vectors) weights[i].push_back(spread(vector, tiles[i]));
    }
    find_last_uses();
  }

  static Weights spread(const SlotVector& vector, std::uint32_t tile) {
    Weights out;
    out.slots = vector.slots;
    const std::size_t count = vector.dense() ? tile : vector.values.size();
    const auto take_apart = [&](const std::vector<std::complex<float>>& values, std::vector<float>& re, std::vector<float>& im) {
      re.resize(count);
      im.resize(count);
      for (std::size_t t = 0; t < count; ++t) {
        const auto value = values[vector.dense() ? t & (vector.period - 1) : t];
        re[t] = value.real();
        im[t] = value.imag();
      }
    };
    take_apart(vector.values, out.re, out.im);
    if (!vector.rest.empty()) take_apart(vector.rest, out.rest_re, out.rest_im);
    return out;
  }

  void find_last_uses() {
    std::vector<std::size_t> last(program.register_count, 0);
    const auto touch = [&](Register r, std::size_t i) { last[r] = i; };
    for (std::size_t i = 0; i < program.instructions.size(); ++i) {
      const auto& op = program.instructions[i].op;
      if (const auto* s = std::get_if<Split>(&op)) touch(s->in, i);
      if (const auto* s = std::get_if<Square>(&op)) touch(s->in, i);
      if (const auto* c = std::get_if<Combine>(&op))
        for (const auto& term : c->terms) touch(term.in, i);
      if (const auto* l = std::get_if<Linear>(&op))
        for (Register r : l->inputs) touch(r, i);
      if (const auto* d = std::get_if<Drop>(&op)) touch(d->in, i);
      if (const auto* r = std::get_if<Raise>(&op)) touch(r->in, i);
      if (const auto* a = std::get_if<Add>(&op))
        for (Register r : a->terms) touch(r, i);
    }
    dead_after.assign(program.instructions.size(), {});
    std::vector<bool> kept(program.register_count, false);
    for (Register r : program.output_registers) kept[r] = true;
    for (Register r = 0; r < program.register_count; ++r)
      if (!kept[r] && !dead_after.empty()) dead_after[last[r]].push_back(r);
  }

  [[nodiscard]] bool raises() const {
    return std::any_of(program.instructions.begin(), program.instructions.end(), [](const Instruction& i) { return std::holds_alternative<Raise>(i.op); });
  }

  const Program& program;
  std::uint32_t n;
  std::vector<std::uint32_t> tiles;             // of each Linear
  std::vector<std::vector<Weights>> weights;    // of each Linear
  std::vector<std::vector<Register>> dead_after;
};

namespace {

class Run {
 public:
  Run(const Program& program, std::uint32_t n, bool raises, SlotTrace* trace, const Noise* noise, unsigned threads)
      : program_(program), trace_(trace), noise_(noise), threads_(threads), n_(n), complex_(raises || (noise != nullptr && noise->lifted)),
        packed_(program.register_count), lifted_(program.register_count) {
    if (trace_ == nullptr) return;
    trace_->largest.assign(program.register_count, 0);
    trace_->mean_square.assign(program.register_count, 0);
    trace_->largest_coefficient.assign(program.register_count, 0);
  }

  void input(std::span<const float> tensor) {
    auto packed = pack(program_.input, n_, tensor);
    for (std::size_t i = 0; i < packed.size(); ++i) {
      if (noise_ != nullptr && noise_->input) noise_->input(packed[i]);
      put(static_cast<Register>(i), std::move(packed[i]));
    }
  }

  void step(const Instruction& instruction, const Split& op) {
    if (op.out.size() == 1) {
      put_lifted(instruction, op.out[0], both_parts(packed_[op.in]));
      return;
    }
    auto [u, v] = parts(instruction, packed_[op.in]);
    put_lifted(instruction, op.out[0], std::move(u));
    put_lifted(instruction, op.out[1], std::move(v));
  }

  void step(const Instruction& instruction, const Square& op) {
    if (!op.conjugates()) {
      Slots z = packed_[op.in];
      for (auto& slot : z) slot *= slot;
      put_lifted(instruction, op.out[0], both_parts(z));
      return;
    }
    auto [u, v] = parts(instruction, packed_[op.in]);
    square(u, 1);
    put_lifted(instruction, op.out[0], std::move(u));
    if (op.real_part) return;
    square(v, -1);
    put_lifted(instruction, op.out[1], std::move(v));
  }

  void step(const Instruction& instruction, const Combine& op) {
    Lifted out{Reals(n_), Reals(complex_ ? n_ : 0)};
    for (const auto& term : op.terms) {
      add_rotated(out.re, lifted_[term.in].re, wrap(term.rotation));
      if (complex_) add_rotated(out.im, lifted_[term.in].im, wrap(term.rotation));
    }
    put_lifted(instruction, op.out, std::move(out));
  }

  // Forgetting limbs changes no message and adds no error.
  void step(const Drop& op) {
    Lifted copy = lifted_[op.in];
    if (trace_ != nullptr) {
      trace_->largest[op.out] = trace_->largest[op.in];
      trace_->mean_square[op.out] = trace_->mean_square[op.in];
      if (trace_->lifted) trace_->lifted(op.out, copy.re);
    }
    lifted_[op.out] = std::move(copy);
  }

  // The message in other units, and what comes beside it: in truth the key's own, here multiples like those.
  void step(const Instruction& instruction, const Raise& op) {
    Slots value = packed_[op.in];
    if (trace_ != nullptr) {
      const std::vector<Complex> coefficients = slot_coefficients(value);
      trace_->largest_coefficient[op.in] = largest_part(coefficients);
    }
    for (Complex& slot : value) slot *= instruction.scale_in / instruction.scale_out;
    const std::uint64_t seed = noise_ == nullptr ? kMultiplesSeed : noise_->multiples_seed;
    // Of each Raise its own, and none of what a caller draws for itself from the same seed.
    std::seed_seq own{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32), op.out};
    std::mt19937_64 random(own);
    add_multiples(value, random, program_.parameters.q.front() / instruction.scale_out);
    put(op.out, std::move(value));
  }

  void step(const Add& op) {
    Slots sum = packed_[op.terms.front()];
    for (std::size_t k = 1; k < op.terms.size(); ++k) {
      const Slots& term = packed_[op.terms[k]];
      for (std::uint32_t t = 0; t < n_; ++t) sum[t] += term[t];
    }
    put(op.out, std::move(sum));
  }

  void step(const Instruction& instruction, const Linear& op, const std::vector<Weights>& weights, std::uint32_t tile) {
    std::vector<Slots> sums(op.outputs.size());
    parallel_for(
        sums.size(), threads_, [this] { return LinearScratch(n_); },
        [&](std::size_t o, LinearScratch& scratch) { sums[o] = weighted_sum(op, op.outputs[o], weights, tile, scratch); });
    for (std::size_t o = 0; o < sums.size(); ++o) {
      const auto& output = op.outputs[o];
      Slots& out = sums[o];
      if (const SlotVector* mask = op.mask(o)) {
        if (trace_ != nullptr) trace_->largest[output.out] = largest_part(out);
        apply(*mask, out);
      }
      if (noise_ != nullptr && noise_->after_linear) noise_->after_linear(instruction, output, out);
      const SlotVector& bias = output.bias;
      const auto constant = [&](std::size_t i) { return Complex(bias.values[i]) + (bias.rest.empty() ? Complex() : Complex(bias.rest[i])); };
      if (bias.dense() && !bias.values.empty()) {
        for (std::uint32_t t = 0; t < n_; ++t) out[t] += constant(t & (bias.period - 1));
      } else {
        for (std::size_t i = 0; i < bias.slots.size(); ++i) out[bias.slots[i]] += constant(i);
      }
      put(output.out, std::move(out));
    }
  }

  void drop(Register r) {
    packed_[r] = Slots();
    lifted_[r] = Lifted();
  }

  std::vector<double> output() {
    std::vector<Slots> out;
    for (Register r : program_.output_registers) out.push_back(packed_[r]);
    return unpack(program_.output, out);
  }

 private:
  Lifted both_parts(const Slots& z) const {
    Lifted out{Reals(n_), Reals(complex_ ? n_ : 0)};
    for (std::uint32_t i = 0; i < n_; ++i) out.re[i] = z[i].real();
    if (complex_) {
      for (std::uint32_t i = 0; i < n_; ++i) out.im[i] = z[i].imag();
    }
    return out;
  }

  // z + c and -i (z - c) with c the conjugate of z: 2 Re z and 2 Im z.
  std::pair<Lifted, Lifted> parts(const Instruction& instruction, const Slots& z) const {
    const Reals none(complex_ ? n_ : 0);
    Lifted u{Reals(n_), none}, v{Reals(n_), none};
    if (noise_ == nullptr || !noise_->conjugate) {
      for (std::uint32_t i = 0; i < n_; ++i) u.re[i] = 2 * z[i].real(), v.re[i] = 2 * z[i].imag();
      return {std::move(u), std::move(v)};
    }
    Slots c(n_);
    for (std::uint32_t i = 0; i < n_; ++i) c[i] = std::conj(z[i]);
    noise_->conjugate(instruction, c);
    for (std::uint32_t i = 0; i < n_; ++i) u.re[i] = z[i].real() + c[i].real(), v.re[i] = z[i].imag() - c[i].imag();
    if (complex_) {
      for (std::uint32_t i = 0; i < n_; ++i) u.im[i] = z[i].imag() + c[i].imag(), v.im[i] = c[i].real() - z[i].real();
    }
    return {std::move(u), std::move(v)};
  }

  // x = sign * x^2
  void square(Lifted& x, double sign) const {
    if (!complex_) {
      for (double& value : x.re) value *= sign * value;
      return;
    }
    for (std::uint32_t i = 0; i < n_; ++i) {
      const double re = x.re[i], im = x.im[i];
      x.re[i] = sign * (re * re - im * im);
      x.im[i] = sign * 2 * re * im;
    }
  }

  // Slots of a polynomial of random integers times `unit`.
  static void add_multiples(Slots& value, std::mt19937_64& random, double unit) {
    std::normal_distribution<double> normal(0, std::sqrt((1 + 4.0 * static_cast<double>(value.size()) / 3) / 12));
    Slots multiples(value.size());
    for (Complex& c : multiples) {
      const double first = std::round(normal(random));
      c = unit * Complex(first, std::round(normal(random)));
    }
    const Slots slots = coefficient_slots(multiples);
    for (std::size_t t = 0; t < value.size(); ++t) value[t] += slots[t];
  }

  static double largest_part(const Slots& value) {
    double largest = 0;
    for (const auto& v : value) largest = std::max({largest, std::fabs(v.real()), std::fabs(v.imag())});
    return largest;
  }

  void apply(const SlotVector& mask, Slots& out) const {
    const std::vector<Complex> factors = mask.expanded();
    for (std::uint32_t t = 0; t < n_; ++t) out[t] *= factors[t & (mask.period - 1)];
  }

  void put(Register r, Slots value) {
    if (trace_ != nullptr) {
      double sum = 0;
      for (const auto& v : value) sum += std::norm(v);
      trace_->largest[r] = std::max(trace_->largest[r], largest_part(value));
      trace_->mean_square[r] = sum / n_;
      if (trace_->packed) trace_->packed(r, value);
    }
    packed_[r] = std::move(value);
  }

  void put_lifted(const Instruction& instruction, Register r, Lifted value) {
    if (noise_ != nullptr && noise_->lifted) noise_->lifted(instruction, value.re, value.im);
    if (trace_ != nullptr) {
      double largest = 0, sum = 0;
      for (const Reals* part : {&value.re, &value.im}) {
        for (const double v : *part) {
          largest = std::max(largest, std::fabs(v));
          sum += v * v;
        }
      }
      trace_->largest[r] = largest;
      trace_->mean_square[r] = sum / n_;
      if (trace_->lifted) trace_->lifted(r, value.re);
    }
    lifted_[r] = std::move(value);
  }

  [[nodiscard]] std::uint32_t wrap(std::int64_t rotation) const {
    return static_cast<std::uint32_t>(((rotation % n_) + n_) % n_);
  }

  // Weights times an input rotated by `shift`: slot t takes x[t + shift] + i y[t + shift].
  struct Term {
    const std::vector<std::uint32_t>* slots;   // sparse: of each weight
    const float* w_re;
    const float* w_im;
    const double* x;
    const double* y;   // null: zeros
    std::uint32_t shift;
  };

  // Of one thread.
  struct LinearScratch {
    explicit LinearScratch(std::uint32_t n) : re(n), im(n), part_re(n), part_im(n) {}
    Reals re, im, part_re, part_im;
    std::vector<Term> terms;
  };

  // One output without its bias.
  Slots weighted_sum(const Linear& op, const Linear::Output& output, const std::vector<Weights>& weights, std::uint32_t tile,
                     LinearScratch& scratch) const {
    auto& [re, im, part_re, part_im, terms] = scratch;
    std::fill(re.begin(), re.end(), 0.0);
    std::fill(im.begin(), im.end(), 0.0);
    for (std::uint32_t g = 0; g < output.giants; ++g) {
      std::fill(part_re.begin(), part_re.end(), 0.0);
      std::fill(part_im.begin(), part_im.end(), 0.0);
      terms.clear();
      bool any = false;
      for (std::size_t k = 0; k < output.columns.size(); ++k) {
        const std::int32_t w = output.weights[k * output.giants + g];
        if (w < 0) continue;
        any = true;
        const auto& column = op.columns[output.columns[k]];
        const Lifted& input = lifted_[op.inputs[column.input]];
        const Weights& own = weights[static_cast<std::size_t>(w)];
        for (const bool rest : {false, true}) {
          const std::vector<float>&w_re = rest ? own.rest_re : own.re, &w_im = rest ? own.rest_im : own.im;
          if (w_re.empty()) continue;
          const Term term{&own.slots, w_re.data(), w_im.data(), input.re.data(), complex_ ? input.im.data() : nullptr, wrap(column.rotation)};
          if (own.slots.empty()) terms.push_back(term);
          else add_sparse(part_re, part_im, term);
        }
      }
      if (!any) continue;
      add_dense(part_re, part_im, terms, tile);
      const std::uint32_t shift = wrap(static_cast<std::int64_t>(g) * op.giant_step);
      add_rotated(re, part_re, shift);
      add_rotated(im, part_im, shift);
    }
    for (std::int32_t rotation : op.rotate_sums) {
      part_re = re, part_im = im;
      add_rotated(re, part_re, wrap(rotation));
      add_rotated(im, part_im, wrap(rotation));
    }
    Slots out(n_);
    for (std::uint32_t t = 0; t < n_; ++t) out[t] = {re[t], im[t]};
    return out;
  }

  void add_sparse(Reals& re, Reals& im, const Term& term) const {
    for (std::size_t i = 0; i < term.slots->size(); ++i) {
      const std::uint32_t t = (*term.slots)[i];
      const std::uint32_t from = (t + term.shift) & (n_ - 1);
      const double value = term.x[from];
      re[t] += static_cast<double>(term.w_re[i]) * value;
      im[t] += static_cast<double>(term.w_im[i]) * value;
      if (term.y == nullptr) continue;
      re[t] -= static_cast<double>(term.w_im[i]) * term.y[from];
      im[t] += static_cast<double>(term.w_re[i]) * term.y[from];
    }
  }

  void add_dense(Reals& re, Reals& im, std::span<const Term> terms, std::uint32_t tile) const {
    for (std::uint32_t begin = 0; begin < n_; begin += kBlock) {
      const std::uint32_t end = std::min(n_, begin + kBlock);
      for (const Term& term : terms) {
        const float* w_re = term.w_re;
        const float* w_im = term.w_im;
        const std::uint32_t wraps = std::clamp(n_ - term.shift, begin, end);   // from here on x is read from its beginning
        const std::uint32_t from = (begin + term.shift) & (n_ - 1), again = (wraps + term.shift) & (n_ - 1);
        if (term.y == nullptr) {
          multiply_add(re.data(), im.data(), w_re, w_im, term.x + from, tile, begin, wraps);
          multiply_add(re.data(), im.data(), w_re, w_im, term.x + again, tile, wraps, end);
        } else {
          multiply_add(re.data(), im.data(), w_re, w_im, term.x + from, term.y + from, tile, begin, wraps);
          multiply_add(re.data(), im.data(), w_re, w_im, term.x + again, term.y + again, tile, wraps, end);
        }
      }
    }
  }

  const Program& program_;
  SlotTrace* trace_;
  const Noise* noise_;
  unsigned threads_;
  std::uint32_t n_;
  bool complex_;   // lifted registers have imaginary parts
  std::vector<Slots> packed_;
  std::vector<Lifted> lifted_;
};

}  // namespace

SlotInterpreter::SlotInterpreter(const Program& program) : impl_(std::make_unique<const Impl>(program)) {}
SlotInterpreter::~SlotInterpreter() = default;
SlotInterpreter::SlotInterpreter(SlotInterpreter&&) noexcept = default;
SlotInterpreter& SlotInterpreter::operator=(SlotInterpreter&&) noexcept = default;

std::vector<double> SlotInterpreter::run(std::span<const float> input, SlotTrace* trace, const Noise* noise, unsigned threads) const {
  const Program& program = impl_->program;
  Run run(program, impl_->n, impl_->raises(), trace, noise, threads);
  run.input(input);
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    if (const auto* linear = std::get_if<Linear>(&instruction.op)) run.step(instruction, *linear, impl_->weights[i], impl_->tiles[i]);
    else if (const auto* split = std::get_if<Split>(&instruction.op)) run.step(instruction, *split);
    else if (const auto* square = std::get_if<Square>(&instruction.op)) run.step(instruction, *square);
    else if (const auto* combine = std::get_if<Combine>(&instruction.op)) run.step(instruction, *combine);
    else if (const auto* drop = std::get_if<Drop>(&instruction.op)) run.step(*drop);
    else if (const auto* raise = std::get_if<Raise>(&instruction.op)) run.step(instruction, *raise);
    else run.step(std::get<Add>(instruction.op));
    for (Register r : impl_->dead_after[i]) run.drop(r);
  }
  return run.output();
}

std::vector<double> run_slots(const Program& program, std::span<const float> input, SlotTrace* trace, const Noise* noise) {
  return SlotInterpreter(program).run(input, trace, noise);
}

std::vector<std::vector<std::complex<double>>> pack(const TensorMap& map, std::uint32_t slots, std::span<const float> tensor) {
  std::vector<Slots> out(map.ciphertexts, Slots(slots));
  for (const Place& place : map.places) {
    assert(place.index < tensor.size());
    auto& slot = out[place.ciphertext][place.slot];
    if (place.part == 0) slot.real(tensor[place.index]);
    else slot.imag(tensor[place.index]);
  }
  return out;
}

std::vector<double> unpack(const TensorMap& map, const std::vector<std::vector<std::complex<double>>>& slots) {
  std::vector<double> out(1ULL * map.channels * map.height * map.width);
  for (const Place& place : map.places) {
    const auto& value = slots[place.ciphertext][place.slot];
    out[place.index] = place.part == 0 ? value.real() : value.imag();
  }
  return out;
}

}  // namespace brainlock::plan
