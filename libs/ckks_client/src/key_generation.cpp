#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "brainlock/base/parallel.hpp"
#include "brainlock/ckks/uniform.hpp"
#include "brainlock/math/kernels.hpp"
#include "sampling.hpp"
#include "secret_key_impl.hpp"

namespace brainlock::ckks_client {
namespace {

using ckks::EvaluationKey;
using ckks::KeyRequest;
using ckks::Parameters;

Status check(const Parameters& parameters, std::span<const KeyRequest> requests) {
  std::set<std::uint32_t> seen;
  for (const auto& request : requests) {
    const std::string where = "key request for element " + std::to_string(request.galois_element);
    if (request.limbs == 0 || request.limbs > parameters.q_count()) {
      return {ErrorCode::kInvalidArgument, where + ": " + std::to_string(request.limbs) + " limbs, expected 1 to " +
                                               std::to_string(parameters.q_count())};
    }
    if (request.galois_element != 0 &&
        (request.galois_element % 2 == 0 || request.galois_element >= 2 * parameters.ring_degree())) {
      return {ErrorCode::kInvalidArgument,
              where + ": expected 0 or an odd number below " + std::to_string(2 * parameters.ring_degree())};
    }
    if (!seen.insert(request.galois_element).second) return {ErrorCode::kInvalidArgument, where + ": asked for twice"};
  }
  return {};
}

/// g^-1 modulo a power of two, by Newton's iteration (the valid bits double each step, from three).
std::uint32_t inverse_element(std::uint32_t g, std::uint32_t ring_degree) {
  std::uint32_t x = g;
  for (int i = 0; i < 4; ++i) x *= 2 - g * x;
  return x & (2 * ring_degree - 1);
}

/// The parts of one key that all its digits share.
struct Job {
  EvaluationKey key;
  std::shared_ptr<const math::AutomorphismTable> table;  // of the inverse element; null for relinearisation
};

Job start(const Parameters& parameters, const KeyRequest& request) {
  Job job;
  job.key.galois_element = request.galois_element;
  job.key.limbs = request.limbs;
  job.key.seed.emplace();
  crypto::random_bytes(*job.key.seed);
  job.key.b.resize(std::size_t{parameters.digits(request.limbs)} * (request.limbs + parameters.p_count()) *
                   parameters.ring_degree());
  if (request.galois_element != 0) {
    job.table = math::make_automorphism_table(parameters.ring_degree(),
                                              inverse_element(request.galois_element, parameters.ring_degree()));
  }
  return job;
}

/// Scratch of one thread. Everything in it derives from secrets.
struct Workspace {
  explicit Workspace(std::size_t n) : error(n), to(n), product(n), uniform(n) {}
  crypto::SecureRandom random;
  crypto::Secret<std::int8_t> error;
  crypto::Secret<std::uint32_t> to, product;
  ckks::Words uniform;
};

/// b[d] = e - a[d] * to + P * g_d * from, limb by limb.
void make_digit(const SecretKey::Impl& secret, Job& job, std::uint32_t d, Workspace& work) {
  const Parameters& parameters = *secret.parameters;
  const auto& kernels = math::kernels();
  const std::size_t n = parameters.ring_degree();
  const std::uint32_t limbs = job.key.limbs, row = limbs + parameters.p_count();
  sample_gaussian(work.random, work.error.values());
  for (std::uint32_t l = 0; l < row; ++l) {
    const std::uint32_t index = l < limbs ? l : parameters.q_count() + (l - limbs);
    const auto& tables = parameters.ntt(index);
    const auto& modulus = tables.modulus;
    const std::uint64_t stream = std::uint64_t{d} * row + l;
    std::uint32_t* b = job.key.b.data() + stream * n;
    const std::uint32_t* own = secret.limb(index).data();

    for (std::size_t i = 0; i < n; ++i) b[i] = small_residue(work.error.data()[i], modulus.q);
    kernels.ntt_forward(tables, b);

    const std::uint32_t* to = own;
    if (job.table != nullptr) {
      kernels.permute(work.to.data(), own, *job.table, n);
      to = work.to.data();
    }
    ckks::uniform_limb(*job.key.seed, stream, modulus.q, work.uniform.data(), n);
    kernels.mul(work.product.data(), work.uniform.data(), to, modulus, n);
    kernels.sub(b, b, work.product.data(), modulus, n);

    if (l < limbs && l / parameters.digit_limbs() == d) {
      std::uint32_t special = 1;
      for (const std::uint32_t p : parameters.spec().p) special = math::mul_mod(special, math::reduce_u64(p, modulus), modulus);
      const auto special_shoup = static_cast<std::uint32_t>((std::uint64_t{special} << 32) / modulus.q);
      kernels.mul_scalar(work.product.data(), own, special, special_shoup, modulus, n);
      if (job.table == nullptr) kernels.mul(work.product.data(), work.product.data(), own, modulus, n);
      kernels.add(b, b, work.product.data(), modulus, n);
    }
  }
}

/// Makes `jobs`, in parallel over their digits; `finished` is called with a job's index once its last digit is done.
template <typename Finished>
void make_keys(const SecretKey::Impl& secret, std::span<Job> jobs, unsigned threads, const Finished& finished) {
  struct Item {
    std::size_t job;
    std::uint32_t digit;
  };
  std::vector<Item> items;
  std::vector<std::atomic<std::uint32_t>> left(jobs.size());
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    left[j] = secret.parameters->digits(jobs[j].key.limbs);
    for (std::uint32_t d = 0; d < left[j]; ++d) items.push_back({j, d});
  }
  const auto workspace = [&] { return Workspace(secret.parameters->ring_degree()); };
  parallel_for(items.size(), threads, workspace, [&](std::size_t i, Workspace& work) {
    make_digit(secret, jobs[items[i].job], items[i].digit, work);
    if (--left[items[i].job] == 0) finished(items[i].job);
  });
}

}  // namespace

Result<ckks::EvaluationKeySet> generate_keys(const SecretKey& key, std::span<const KeyRequest> requests,
                                             unsigned threads, const Progress& progress) {
  BRAINLOCK_TRY(check(key.parameters(), requests));
  std::vector<Job> jobs;
  jobs.reserve(requests.size());
  for (const auto& request : requests) jobs.push_back(start(key.parameters(), request));
  std::mutex mutex;
  std::size_t done = 0;
  make_keys(key.impl(), jobs, threads, [&](std::size_t) {
    const std::lock_guard lock(mutex);
    ++done;
    if (progress) progress(done, requests.size());
  });
  ckks::EvaluationKeySet set;
  set.keys.reserve(jobs.size());
  for (auto& job : jobs) set.keys.push_back(std::move(job.key));
  return set;
}

Status generate_keys_into(const SecretKey& key, std::span<const KeyRequest> requests, unsigned threads,
                          const KeySink& sink) {
  BRAINLOCK_TRY(check(key.parameters(), requests));
  const std::size_t at_once = std::max(1u, threads);
  for (std::size_t begin = 0; begin < requests.size(); begin += at_once) {
    std::vector<Job> jobs;
    for (const auto& request : requests.subspan(begin, std::min(at_once, requests.size() - begin))) {
      jobs.push_back(start(key.parameters(), request));
    }
    make_keys(key.impl(), jobs, threads, [](std::size_t) {});
    for (auto& job : jobs) BRAINLOCK_TRY(sink(std::move(job.key)));
  }
  return {};
}

Result<ckks::PublicKey> generate_public_key(const SecretKey& key) {
  const auto& secret = key.impl();
  const Parameters& parameters = *secret.parameters;
  const auto& kernels = math::kernels();
  const std::size_t n = parameters.ring_degree();
  ckks::PublicKey out;
  out.seed.emplace();
  crypto::random_bytes(*out.seed);
  ckks::expand(out, parameters);
  out.b.resize(out.a.size());
  Workspace work(n);
  sample_gaussian(work.random, work.error.values());
  for (std::uint32_t l = 0; l < parameters.q_count(); ++l) {
    const auto& tables = parameters.ntt(l);
    std::uint32_t* b = out.b.data() + l * n;
    for (std::size_t i = 0; i < n; ++i) b[i] = small_residue(work.error.data()[i], tables.modulus.q);
    kernels.ntt_forward(tables, b);
    kernels.mul(work.product.data(), out.a.data() + l * n, secret.limb(l).data(), tables.modulus, n);
    kernels.sub(b, b, work.product.data(), tables.modulus, n);
  }
  return out;
}

}  // namespace brainlock::ckks_client
