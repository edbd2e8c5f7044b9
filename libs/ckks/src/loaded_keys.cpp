#include "brainlock/ckks/loaded_keys.hpp"

#include <algorithm>
#include <atomic>
#include <string>

#include "brainlock/ckks/uniform.hpp"

namespace brainlock::ckks {

device::Ring make_ring(const Parameters& parameters) {
  device::Ring ring;
  for (std::uint32_t i = 0; i < parameters.modulus_count(); ++i) ring.tables.push_back(&parameters.ntt(i));
  ring.q_count = parameters.q_count();
  ring.p_count = parameters.p_count();
  ring.digit_limbs = parameters.digit_limbs();
  return ring;
}

const device::SwitchingKey* LoadedKeys::find(std::uint32_t galois_element) const {
  const auto it = keys_.find(galois_element);
  return it == keys_.end() ? nullptr : &it->second;
}

KeyLoader::KeyLoader(std::shared_ptr<device::Backend> backend, std::shared_ptr<device::ThreadPool> pool,
                     std::shared_ptr<const Parameters> parameters, std::span<const KeyRequest> requests)
    : backend_(std::move(backend)), pool_(std::move(pool)), parameters_(std::move(parameters)),
      requests_(requests.begin(), requests.end()), loaded_(std::make_shared<LoadedKeys>()) {
  static std::atomic<std::uint64_t> sets{0};
  loaded_->parameters_id_ = parameters_->id();
  loaded_->serial_ = ++sets;
}

Status KeyLoader::add(const EvaluationKey& key) {
  const auto request = std::find_if(requests_.begin(), requests_.end(),
                                    [&](const KeyRequest& r) { return r.galois_element == key.galois_element; });
  if (request == requests_.end()) return {};
  const std::string name = "key of Galois element " + std::to_string(key.galois_element);
  if (loaded_->find(key.galois_element) != nullptr) return {ErrorCode::kInvalidArgument, name + ": came twice"};
  const std::uint32_t q_count = parameters_->q_count(), special = parameters_->p_count();
  if (key.limbs < request->limbs || key.limbs > q_count) {
    return {ErrorCode::kMismatch, name + ": " + std::to_string(key.limbs) + " limbs, expected " +
                                      std::to_string(request->limbs) + " to " + std::to_string(q_count)};
  }
  const std::size_t n = parameters_->ring_degree();
  const std::size_t key_rows = key.limbs + special;
  const std::size_t words = parameters_->digits(key.limbs) * key_rows * n;
  const bool seeded = key.a.empty() && key.seed.has_value();
  if (key.b.size() != words || (!seeded && key.a.size() != words)) {
    return {ErrorCode::kMalformed, name + ": " + std::to_string(key.b.size()) + " and " + std::to_string(key.a.size()) +
                                       " words, expected " + std::to_string(words)};
  }

  device::SwitchingKey out;
  out.limbs = request->limbs;
  out.digits = parameters_->digits(out.limbs);
  out.galois_element = key.galois_element;
  if (key.galois_element != 0) {
    out.automorphism = math::make_automorphism_table(parameters_->ring_degree(), key.galois_element);
  }
  const std::uint32_t rows = out.limbs + special;
  BRAINLOCK_ASSIGN(out.words, backend_->allocate(backend_->key_words(out.limbs)));
  const auto source_row = [&](std::uint32_t d, std::uint32_t l) {
    return d * key_rows + (l < out.limbs ? l : key.limbs + (l - out.limbs));
  };
  const auto index = [&](std::uint32_t l) { return l < out.limbs ? l : q_count + (l - out.limbs); };

  // Digit by digit, so that the expanded half of a seeded key needs little memory.
  Words expanded(seeded ? rows * n : 0);
  std::atomic<bool> in_range{true};
  std::vector<device::KeyTransfer> transfers;
  const device::Stream stream;
  for (std::uint32_t d = 0; d < out.digits; ++d) {
    pool_->parallel_for(rows, stream.stop, [&](std::size_t task, unsigned) {
      const auto l = static_cast<std::uint32_t>(task);
      const std::uint32_t q = parameters_->modulus(index(l)).q;
      const std::size_t row = source_row(d, l);
      if (seeded) uniform_limb(*key.seed, row, q, expanded.data() + l * n, n);
      std::uint32_t largest = 0;
      for (std::size_t t = 0; t < n; ++t) largest = std::max(largest, key.b[row * n + t]);
      if (!seeded) {
        for (std::size_t t = 0; t < n; ++t) largest = std::max(largest, key.a[row * n + t]);
      }
      if (largest >= q) in_range = false;
    });
    if (!in_range) return {ErrorCode::kMalformed, name + ": a word is not below its modulus"};
    transfers.clear();
    for (std::uint32_t l = 0; l < rows; ++l) {
      const std::size_t row = source_row(d, l);
      transfers.push_back({&out, key.b.data() + row * n, l, d, 0});
      transfers.push_back({&out, seeded ? expanded.data() + l * n : key.a.data() + row * n, l, d, 1});
    }
    BRAINLOCK_TRY(backend_->upload_keys(stream, transfers));
  }
  loaded_->bytes_ += out.words.words() * sizeof(device::Word);
  loaded_->keys_.emplace(key.galois_element, std::move(out));
  return {};
}

Result<std::shared_ptr<const LoadedKeys>> KeyLoader::finish() {
  for (const KeyRequest& request : requests_) {
    if (loaded_->find(request.galois_element) == nullptr) {
      return {ErrorCode::kNotFound, "evaluation keys: none for Galois element " + std::to_string(request.galois_element) +
                                        " (0 is relinearisation)"};
    }
  }
  BRAINLOCK_TRY(backend_->finish({}));
  return std::shared_ptr<const LoadedKeys>(std::move(loaded_));
}

Result<std::shared_ptr<const LoadedKeys>> load_keys(std::shared_ptr<device::Backend> backend,
                                                    std::shared_ptr<device::ThreadPool> pool,
                                                    std::shared_ptr<const Parameters> parameters,
                                                    std::span<const KeyRequest> requests, EvaluationKeySet keys) {
  KeyLoader loader(std::move(backend), std::move(pool), std::move(parameters), requests);
  for (EvaluationKey& key : keys.keys) {
    BRAINLOCK_TRY(loader.add(key));
    key = EvaluationKey{};
  }
  return loader.finish();
}

}  // namespace brainlock::ckks
