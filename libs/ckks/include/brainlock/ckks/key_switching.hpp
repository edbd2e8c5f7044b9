// Ciphertexts on a device and the steps of key switching over them, in batches.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "brainlock/ckks/loaded_keys.hpp"
#include "brainlock/ckks/objects.hpp"
#include "brainlock/device/backend.hpp"

namespace brainlock::ckks {

/// A ciphertext in device memory. Packed: (c0, c1) over q[0..limbs). Lifted: P (c0, c1) over q[0..limbs) and p, what
/// an inner product with an evaluation key yields; rotations and weights need no division by P in between.
struct DeviceCiphertext {
  device::Buffer words;
  std::uint32_t limbs = 0;
  bool lifted = false;

  [[nodiscard]] device::Word* c0() { return words.data(); }
  [[nodiscard]] device::Word* c1() { return words.data() + words.words() / 2; }
  [[nodiscard]] const device::Word* c0() const { return words.data(); }
  [[nodiscard]] const device::Word* c1() const { return words.data() + words.words() / 2; }
};
using CiphertextRefs = std::span<const DeviceCiphertext* const>;

/// Key-switching steps for one request. Cheap to make; holds no state of its own. All inputs of a batch are at one
/// limb count. Every function returns kCancelled once a stop was requested, kResource when memory runs out.
class KeySwitcher {
 public:
  KeySwitcher(device::Backend& backend, const device::Stream& stream) : backend_(backend), stream_(stream) {}

  [[nodiscard]] device::Backend& backend() const { return backend_; }
  [[nodiscard]] const device::Stream& stream() const { return stream_; }
  Status check_stop() const;

  Result<DeviceCiphertext> allocate(std::uint32_t limbs, bool lifted) const;
  Result<DeviceCiphertext> upload(const Ciphertext& in) const;
  Result<Ciphertext> download(const DeviceCiphertext& in, Scale scale) const;

  /// Gadget digits of c1 of each input, with its c0 (see device::Decompose). Cost for each: limbs (+ K if lifted) inverse NTTs and
  /// digits * (limbs + K) forward ones (packed: limbs fewer).
  Result<std::vector<device::Buffer>> digits(CiphertextRefs in) const;

  /// Lifted result of the automorphism of `key` applied to each input (packed or lifted), whose digits are used once.
  /// base[i] (lifted, may be null, base may be empty): added to the result.
  Result<std::vector<DeviceCiphertext>> rotate(CiphertextRefs in, const device::SwitchingKey& key, CiphertextRefs base) const;
  /// The same, added in place: onto[i] += automorphism of in[i].
  Status rotate_onto(std::span<DeviceCiphertext* const> onto, CiphertextRefs in, const device::SwitchingKey& key) const;

  /// Packed: each lifted input divided by P and its last `drop` primes; addend[i] (packed c0 at limbs - drop, may be
  /// null, addend may be empty) is added to c0. Cost for each: 2 (K + drop) inverse and 2 (limbs - drop) forward NTTs.
  Result<std::vector<DeviceCiphertext>> rescale(CiphertextRefs in, std::uint32_t drop,
                                                std::span<const device::Word* const> addend) const;

 private:
  device::Backend& backend_;
  const device::Stream& stream_;
};

/// Views of owned ciphertexts, for batches.
std::vector<const DeviceCiphertext*> refs(const std::vector<DeviceCiphertext>& ciphertexts);
std::vector<const device::Buffer*> refs(const std::vector<device::Buffer>& buffers);

}  // namespace brainlock::ckks
