// The CUDA backend's class, shared by its source files (one per family of operations).
#pragma once

#include <functional>

#include "brainlock/device/recorder.hpp"
#include "choose_variants.hpp"
#include "device_lists.hpp"
#include "device_pool.hpp"
#include "meter.hpp"
#include "ring_tables.hpp"

namespace brainlock::device_cuda {

using device::Stream;
using device::Word;

// Limbs lie N words apart. Forms of its own:
//   digits: [limb][digit 0, 1, ..., c0][N]
//   keys:   [limb][digit][b, a][N], Montgomery form; a Galois key under its automorphism, so that an inner product reads it in the order
//           of its outputs
//
// One queue of the device, in the order of the calls. Jobs travel as kernel arguments, kMaxJobs to a launch; only the lists of a linear
// layer are copied to the device. A lane (recorder.hpp) is two more of these on a queue and memory of its own, one of which notes.
class CudaBackend final : public device::Backend {
 public:
  /// Errors of check_ring(); kUnsupported for a ring degree outside [2^10, 2^17]; kResource without memory; kUnavailable where the device is
  /// lost, as it may be by what is tried on it.
  static Result<std::shared_ptr<device::Backend>> make(device::Ring ring, std::shared_ptr<Driver> driver,
                                                       const TrialOptions& trials = trial_options_from_environment());
  /// The same ring and constants with another queue, or one that only notes, and memory and counters of its own.
  std::unique_ptr<CudaBackend> on(std::shared_ptr<Driver> driver, std::shared_ptr<DevicePool> pool, std::shared_ptr<Meter> meter) const;

  /// From here on a linear layer's lists are copied to memory that is kept, from `pool`: launches that are noted read them much later.
  void keep_lists(std::shared_ptr<DevicePool> pool) { lists_pool_ = std::move(pool); }
  std::vector<device::Buffer> take_kept_lists() { return std::exchange(kept_lists_, {}); }

  const device::Ring& ring() const override { return ring_; }
  std::size_t limb_stride() const override { return degree_; }
  std::size_t digit_words(std::uint32_t limbs) const override { return std::size_t{limbs + ring_.p_count} * (ring_.digits(limbs) + 1) * degree_; }
  std::size_t key_words(std::uint32_t limbs) const override { return std::size_t{limbs + ring_.p_count} * ring_.digits(limbs) * 2 * degree_; }
  unsigned threads() const override { return 1; }   // of the host
  std::string name() const override { return driver_->name(); }
  std::optional<device::MemoryBudget> memory_budget() const override;
  Result<device::Buffer> allocate(std::size_t words) override { return pool_->allocate(words); }
  void trim() override { pool_->trim(); }

  void upload(const Stream&, std::span<const device::LimbTransfer>) override;
  Status download(const Stream&, std::span<const device::LimbDownload>) override;
  Status upload_keys(const Stream&, std::span<const device::KeyTransfer>) override;
  void upload_full_weights(const Stream&, std::span<const device::WeightTransfer>) override;
  void upload_words(const Stream&, Word* device, std::span<const Word> host) override;
  Status decompose(const Stream&, std::uint32_t limbs, std::span<const device::Decompose>) override;
  void switch_keys(const Stream&, std::uint32_t limbs, std::span<const device::SwitchKey>) override;
  Status switch_once(const Stream&, std::uint32_t limbs, std::span<const device::SwitchOnce>) override;
  Status mod_down(const Stream&, std::uint32_t limbs, std::uint32_t drop, std::span<const device::ModDown>) override;
  Status raise(const Stream&, std::uint32_t limbs, std::span<const device::Raise>) override;
  void lift(const Stream&, std::uint32_t limbs, std::span<const device::Lift>) override;
  void add(const Stream&, std::uint32_t limbs, bool lifted, std::span<const device::Add>) override;
  void multiply(const Stream&, std::uint32_t limbs, bool lifted, std::span<const device::Multiply>) override;
  void split_parts(const Stream&, std::uint32_t limbs, std::span<const device::SplitParts>) override;
  void tensor_square(const Stream&, std::uint32_t limbs, std::span<const device::TensorSquare>) override;
  Status linear_core(const Stream&, const device::LinearCore&) override;
  Status finish(const Stream&) override;
  void count(bool on) override { meter_->count(on); }
  std::optional<device::Counters> counters() const override { return meter_->counters(); }
  std::optional<device::Peaks> peaks() const override;
  Result<std::shared_ptr<device::Recorder>> make_recorder() override;
  const Variants& variants() const { return *variants_; }

 private:
  struct Grid {
    unsigned x = 1, y = 1, z = 1;
  };
  /// A polynomial that is to become digits.
  struct Source {
    const Word* c1;
    Word* digits;
  };

  CudaBackend(device::Ring ring, std::shared_ptr<Driver> driver, std::shared_ptr<DevicePool> pool, std::shared_ptr<const RingTables> tables,
              std::shared_ptr<const Variants> variants, std::shared_ptr<Meter> meter);

  template <typename Arguments>
  void launch(gpu::Kernel kernel, unsigned variant, Grid grid, unsigned threads, std::size_t shared_bytes, const Arguments& arguments,
              const gpu::LinearWork& linear = {});
  /// One thread a word, `rows` limbs, for each job.
  template <typename Arguments>
  void launch_words(gpu::Kernel kernel, unsigned rows, std::size_t jobs, const Arguments& arguments, unsigned variant = 0,
                    const gpu::LinearWork& linear = {});
  /// The same in the order that switch_keys wants.
  void launch_switch(unsigned rows, std::size_t jobs, const gpu::SwitchArguments& arguments);
  void transform(bool forward, const gpu::NttArguments& arguments, unsigned rows, std::size_t jobs);
  gpu::NttArguments ntt_arguments(const gpu::RowMap& rows, const gpu::Factor* scalars) const;

  /// Digits of at most kMaxJobs polynomials, all packed or all lifted, but for a packed digit's own limbs; `pieces` limbs of digits
  /// to each limb.
  Status make_digits(std::uint32_t limbs, bool lifted, std::uint32_t pieces, std::span<const Source> sources);
  Status periodic_linear_core(const device::LinearCore& core);
  Status full_linear_core(const Stream& stream, const device::LinearCore& core);
  /// Puts lists into device memory: link() sets what points into them, with the address that they get. The memory is to be held until all that reads
  /// it is launched, and then handed to lists_launched().
  Result<device::Buffer> upload_lists(DeviceLists& lists, const std::function<void(const char* base)>& link);
  void lists_launched(device::Buffer memory) {
    if (lists_pool_ != nullptr) kept_lists_.push_back(std::move(memory));
  }
  /// Jobs that may share one launch: at most kMaxJobs, and as many as `words` each leaves room for in the scratch memory.
  std::size_t jobs_at_once(std::size_t words) const;
  std::size_t scratch_words() const;

  device::Ring ring_;
  std::shared_ptr<Driver> driver_;
  std::shared_ptr<DevicePool> pool_;
  std::shared_ptr<const RingTables> shared_tables_;
  const RingTables& tables_;
  std::shared_ptr<const Variants> variants_;
  std::shared_ptr<Meter> meter_;
  std::size_t degree_;
  std::shared_ptr<DevicePool> lists_pool_;       ///< null: lists are done with when the call returns
  std::vector<device::Buffer> kept_lists_;
};

template <typename Arguments>
void CudaBackend::launch(gpu::Kernel kernel, unsigned variant, Grid grid, unsigned threads, std::size_t shared_bytes,
                         const Arguments& arguments, const gpu::LinearWork& linear) {
  static_assert(sizeof(Arguments) <= 4096 && std::is_trivially_copyable_v<Arguments>, "kernel arguments are limited");
  meter_->launch(*driver_, {kernel, variant, {grid.x, grid.y, grid.z}, threads, shared_bytes, &arguments, sizeof(Arguments), linear});
}

template <typename Arguments>
void CudaBackend::launch_words(gpu::Kernel kernel, unsigned rows, std::size_t jobs, const Arguments& arguments, unsigned variant,
                               const gpu::LinearWork& linear) {
  launch(kernel, variant, {static_cast<unsigned>(degree_ / gpu::kPointThreads), rows, static_cast<unsigned>(jobs)}, gpu::kPointThreads, 0,
         arguments, linear);
}

/// Calls work(first, count) for pieces of a batch.
template <typename Work>
void in_pieces(std::size_t total, std::size_t most, const Work& work) {
  for (std::size_t first = 0; first < total; first += most) work(first, std::min(most, total - first));
}

}  // namespace brainlock::device_cuda
