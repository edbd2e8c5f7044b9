// Evaluation keys as a backend wants them: expanded, Montgomery form, no more limbs than are used.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "brainlock/ckks/objects.hpp"
#include "brainlock/device/backend.hpp"
#include "brainlock/device/thread_pool.hpp"

namespace brainlock::ckks {

/// The ring of checked parameters as a backend takes it. Points into `parameters`, which must outlive the backend.
device::Ring make_ring(const Parameters& parameters);

/// Immutable after KeyLoader::finish(); share between requests and threads.
class LoadedKeys {
 public:
  /// The key for a Galois element (0: relinearisation), or null.
  const device::SwitchingKey* find(std::uint32_t galois_element) const;
  std::size_t size() const { return keys_.size(); }
  /// Device memory held.
  std::size_t bytes() const { return bytes_; }
  const std::vector<std::uint8_t>& parameters_id() const { return parameters_id_; }
  /// Of this set in this process, never given twice: what was prepared for one set is not taken for another that came to lie in its place.
  std::uint64_t serial() const { return serial_; }

 private:
  friend class KeyLoader;
  std::uint64_t serial_ = 0;
  std::map<std::uint32_t, device::SwitchingKey> keys_;
  std::size_t bytes_ = 0;
  std::vector<std::uint8_t> parameters_id_;
};

/// Takes keys one by one, so that an upload needs no second copy in memory. Not thread safe; uses the pool.
class KeyLoader {
 public:
  /// `requests`: what the program needs (any order, no duplicates).
  KeyLoader(std::shared_ptr<device::Backend> backend, std::shared_ptr<device::ThreadPool> pool,
            std::shared_ptr<const Parameters> parameters, std::span<const KeyRequest> requests);

  /// Loads one key; one that was not requested is ignored. kMismatch: fewer limbs than requested; kMalformed: sizes
  /// or words out of range; kInvalidArgument: a second key for one element; kResource: no memory.
  Status add(const EvaluationKey& key);
  /// All keys. kNotFound names the first that is missing.
  Result<std::shared_ptr<const LoadedKeys>> finish();

 private:
  std::shared_ptr<device::Backend> backend_;
  std::shared_ptr<device::ThreadPool> pool_;
  std::shared_ptr<const Parameters> parameters_;
  std::vector<KeyRequest> requests_;
  std::shared_ptr<LoadedKeys> loaded_;
};

/// KeyLoader over a whole set, each key freed once loaded.
Result<std::shared_ptr<const LoadedKeys>> load_keys(std::shared_ptr<device::Backend> backend,
                                                    std::shared_ptr<device::ThreadPool> pool,
                                                    std::shared_ptr<const Parameters> parameters,
                                                    std::span<const KeyRequest> requests, EvaluationKeySet keys);

}  // namespace brainlock::ckks
