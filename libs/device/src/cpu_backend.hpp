// The CPU backend's class, shared by its source files (one per family of operations).
#pragma once

#include <algorithm>

#include "brainlock/device/cpu_backend.hpp"
#include "conversion.hpp"
#include "memory_pool.hpp"

namespace brainlock::device {

class CpuBackend final : public Backend {
 public:
  CpuBackend(Ring ring, std::shared_ptr<ThreadPool> pool);

  const Ring& ring() const override { return ring_; }
  std::size_t limb_stride() const override { return stride_; }
  unsigned threads() const override { return pool_->threads(); }
  Result<Buffer> allocate(std::size_t words) override { return memory_->allocate(words); }
  void trim() override { memory_->trim(); }

  void upload(const Stream&, std::span<const LimbTransfer>) override;
  void download(const Stream&, std::span<const LimbDownload>) override;
  void upload_words(const Stream&, Word* device, std::span<const Word> host) override;
  Status decompose(const Stream&, std::uint32_t limbs, std::span<const Decompose>) override;
  void switch_keys(const Stream&, std::uint32_t limbs, std::span<const SwitchKey>) override;
  Status mod_down(const Stream&, std::uint32_t limbs, std::uint32_t drop, std::span<const ModDown>) override;
  void lift(const Stream&, std::uint32_t limbs, std::span<const Lift>) override;
  void add(const Stream&, std::uint32_t limbs, bool lifted, std::span<const Add>) override;
  void split_parts(const Stream&, std::uint32_t limbs, std::span<const SplitParts>) override;
  void tensor_square(const Stream&, std::uint32_t limbs, std::span<const TensorSquare>) override;
  void linear_core(const Stream&, const LinearCore&) override;

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
  /// Words of one key: digit d, polynomial b (0: b, 1: a) of limb l at limb count `limbs`.
  const Word* key_limb(const SwitchingKey& key, std::uint32_t limbs, std::uint32_t l, std::uint32_t d, std::uint32_t b) const {
    const std::size_t slot = l < limbs ? l : key.limbs + (l - limbs);
    return key.words.data() + ((slot * key.digits + d) * 2 + b) * stride_;
  }
  class LinearWalk;

  Ring ring_;
  std::shared_ptr<ThreadPool> pool_;
  const math::Kernels& k_;
  RingConstants constants_;
  std::size_t degree_;
  std::size_t stride_;
  std::shared_ptr<MemoryPool> memory_;
  std::vector<Scratch> scratch_;
};

constexpr std::uint32_t kMaxLimbs = 96;   ///< q and p together: bounds of the arrays on the stack
constexpr std::uint32_t kMaxDigits = 32;  ///< the inner-product kernel's limit

}  // namespace brainlock::device
