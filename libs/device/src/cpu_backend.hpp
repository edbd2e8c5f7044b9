// The CPU backend's class, shared by its source files (one per family of operations).
#pragma once

#include <algorithm>
#include <cstdint>

#include "brainlock/device/conversion.hpp"
#include "brainlock/device/cpu_backend.hpp"
#include "memory_pool.hpp"
#include "unit_order.hpp"

namespace brainlock::device {

// Digits and keys are kept in *units* of 64 words, in the order in which a linear layer walks through them (see
// unit_order.hpp), with everything that one step of an inner product reads side by side:
//   digits: [limb][rank of the unit][digit 0, 1, ..., c0][64]
//   keys:   [limb][rank of the unit][digit][b, a][64], Montgomery form; a Galois key under its automorphism, so that
//           an inner product reads it in the order of its outputs
//   full weights: [limb][rank of the unit][vector][64], so that a step reads all of them from one stream of memory

class CpuBackend final : public Backend {
 public:
  CpuBackend(Ring ring, std::shared_ptr<ThreadPool> pool);

  const Ring& ring() const override { return ring_; }
  std::size_t limb_stride() const override { return stride_; }
  std::size_t digit_words(std::uint32_t limbs) const override {
    return std::size_t{limbs + ring_.p_count} * (ring_.digits(limbs) + 1) * degree_;
  }
  std::size_t key_words(std::uint32_t limbs) const override {
    return std::size_t{limbs + ring_.p_count} * ring_.digits(limbs) * 2 * degree_;
  }
  unsigned threads() const override { return pool_->threads(); }
  std::string name() const override { return "cpu"; }
  Result<Buffer> allocate(std::size_t words) override { return memory_->allocate(words); }
  void touch(std::size_t words) override;
  void trim() override { memory_->trim(); }

  void upload(const Stream&, std::span<const LimbTransfer>) override;
  Status upload_keys(const Stream&, std::span<const KeyTransfer>) override;
  void upload_full_weights(const Stream&, std::span<const WeightTransfer>) override;
  Status download(const Stream&, std::span<const LimbDownload>) override;
  void upload_words(const Stream&, Word* device, std::span<const Word> host) override;
  Status decompose(const Stream&, std::uint32_t limbs, std::span<const Decompose>) override;
  void switch_keys(const Stream&, std::uint32_t limbs, std::span<const SwitchKey>) override;
  Status switch_once(const Stream&, std::uint32_t limbs, std::span<const SwitchOnce>) override;
  Status mod_down(const Stream&, std::uint32_t limbs, std::uint32_t drop, std::span<const ModDown>) override;
  Status raise(const Stream&, std::uint32_t limbs, std::span<const Raise>) override;
  void lift(const Stream&, std::uint32_t limbs, std::span<const Lift>) override;
  void add(const Stream&, std::uint32_t limbs, bool lifted, std::span<const Add>) override;
  void multiply(const Stream&, std::uint32_t limbs, bool lifted, std::span<const Multiply>) override;
  void split_parts(const Stream&, std::uint32_t limbs, std::span<const SplitParts>) override;
  void tensor_square(const Stream&, std::uint32_t limbs, std::span<const TensorSquare>) override;
  Status linear_core(const Stream&, const LinearCore&) override;
  Status finish(const Stream&) override { return {}; }

 private:
  using Scratch = math::AlignedVector<Word>;

  /// Scratch of one worker, at least `words` long, contents undefined.
  Word* scratch(unsigned worker, std::size_t words) {
    Scratch& s = scratch_[worker];
    if (s.size() < words) s = Scratch(words);
    return s.data();
  }
  const math::NttTables& table(std::uint32_t index) const { return *ring_.tables[index]; }
  const math::Modulus& modulus(std::uint32_t index) const { return ring_.modulus(index); }
  /// The unit of rank r of limb l of a key at limb count `limbs`: 2 * digits pieces.
  const Word* key_unit(const SwitchingKey& key, std::uint32_t limbs, std::uint32_t l, std::size_t rank) const {
    const std::size_t slot = l < limbs ? l : key.limbs + (l - limbs);
    return key.words.data() + (slot * order_.units() + rank) * key.digits * 2 * kUnitWords;
  }
  /// The unit of rank r of limb l of digits: `digits + 1` pieces.
  const Word* digit_unit(const Word* digits, std::uint32_t digit_count, std::uint32_t l, std::size_t rank) const {
    return digits + (l * order_.units() + rank) * (digit_count + 1) * kUnitWords;
  }
  /// The unit of rank r of limb l of full weights: a piece for each vector.
  const Word* weight_unit(const FullWeights& weights, std::uint32_t l, std::size_t rank) const {
    return weights.words.data() + (l * order_.units() + rank) * weights.vectors * (kUnitWords / weights.run);
  }
  /// Writes a limb (N / run words) as piece `piece` of every unit of the limb that starts at `limb`.
  void scatter(Word* limb, std::uint32_t pieces, std::uint32_t piece, const Word* in, std::uint32_t run = 1) const;
  /// Coefficients of every limb of the inputs, [job][L + K], scaled to be sources of the conversions of their digits
  /// (lifted inputs: after the division by P). `inputs` gives c1 and lifted of job j.
  struct Source {
    const Word* c1;
    bool lifted;
  };
  Result<Buffer> conversion_sources(const Stream&, std::uint32_t limbs, std::span<const Source> inputs);
  /// Inner product of one unit: digits at a distance of digit_stride (limbs where there is an automorphism, else the unit's own words),
  /// key in unit form; base (null: none) added.
  void switch_unit(const Word* digits, std::size_t digit_stride, std::uint32_t digit_count, const Word* key, const Word* addend,
                   const math::AutomorphismTable* automorphism, std::size_t begin, const math::Modulus& m,
                   const Word* base0, const Word* base1, Word* out0, Word* out1) const;
  /// Key switches of one limb and job that are cut up, the last ones of a batch: their digits are tasks of their own, and then `pieces` of their units.
  struct Spread {
    std::size_t tasks = 0, pieces = 1;
  };
  /// Of so many tasks: those left after rounds in which every thread has one, if that is quicker than a round of them.
  Spread spread_switches(std::size_t tasks, std::uint32_t digits) const;
  // The parts of one limb's task of a switch, `temporary` being its digits and then P c0, rows_y the job's conversion_sources().
  void make_digit(const SwitchOnce& job, std::uint32_t limbs, std::uint32_t l, std::uint32_t d, const Word* rows_y, Word* temporary) const;
  void lift_addend(const SwitchOnce& job, std::uint32_t limbs, std::uint32_t l, Word* temporary) const;
  /// Inner products of the units of ranks [first, last).
  void switch_units(const SwitchOnce& job, std::uint32_t limbs, std::uint32_t l, const Word* temporary, std::size_t first, std::size_t last) const;
  /// parallel_for() of pieces that take a few microseconds each. Claims of tasks come one after the other, some 100 ns apart where threads are many: so
  /// many pieces make a task that claims keep up, but not so many that threads are left without one. Up to 16 threads: one.
  template <typename Piece>
  void for_pieces(std::size_t count, const Stream& stream, const Piece& piece) {
    const std::size_t most = (threads() + 15) / 16, even = (count + threads() - 1) / threads();
    const std::size_t each = std::max<std::size_t>(1, std::min(most, even));
    pool_->parallel_for((count + each - 1) / each, stream.stop, [&](std::size_t task, unsigned worker) {
      for (std::size_t i = task * each, end = std::min(i + each, count); i < end; ++i) piece(i, worker);
    });
  }
  /// Limbs that one task of a decomposition of `limbs` in all takes together.
  std::uint32_t limbs_per_group(std::size_t limbs) const;
  class LinearWalk;

  Ring ring_;
  std::shared_ptr<ThreadPool> pool_;
  const math::Kernels& k_;
  RingConstants constants_;
  std::size_t degree_;
  std::size_t stride_;
  UnitOrder order_;
  std::shared_ptr<MemoryPool> memory_;
  std::vector<Scratch> scratch_;
};

/// Where a limb would begin whose word `index` is *unit: the gathering kernels take such a pointer and never read before
/// the unit. As an integer, because the address may lie before the array.
inline const Word* limb_of(const Word* unit, std::size_t index) {
  return reinterpret_cast<const Word*>(reinterpret_cast<std::uintptr_t>(unit) - index * sizeof(Word));
}

}  // namespace brainlock::device
