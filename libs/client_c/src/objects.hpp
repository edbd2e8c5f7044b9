// What is behind the handles.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>

#include "brainlock/client/inquiry.hpp"
#include "brainlock/keyholder/cipher.hpp"
#include "brainlock/keyholder/judgement.hpp"
#include "brainlock/package/simulator.hpp"
#include "brainlock/package/value_range.hpp"
#include "handles.hpp"

namespace brainlock::client_c {

/// A package or its client's half alone, and what it takes to run a whole one in the clear, made when it is first
/// needed. Safe from many threads.
class PackageObject {
 public:
  explicit PackageObject(std::shared_ptr<const package::Package> package)
      : client_(package), package_(std::move(package)) {}
  explicit PackageObject(std::shared_ptr<const package::ClientHalf> client) : client_(std::move(client)) {}

  [[nodiscard]] const std::shared_ptr<const package::ClientHalf>& client() const { return client_; }
  [[nodiscard]] bool is_whole() const { return package_ != nullptr; }
  [[nodiscard]] std::size_t input_count() const { return keyholder::size_of(client_->input()); }
  [[nodiscard]] std::size_t output_count() const { return keyholder::size_of(client_->output()); }

  struct Clear {
    std::shared_ptr<const package::Simulator> simulator;
    std::shared_ptr<const package::RangeChecker> checker;
  };
  /// Of a whole package. Cost: the first time, all weights are rounded.
  Result<Clear> clear();

 private:
  std::shared_ptr<const package::ClientHalf> client_;
  std::shared_ptr<const package::Package> package_;  ///< the same, whole; null: there is the half alone
  std::mutex mutex_;
  Clear clear_;
};

/// A key pair. Safe from many threads.
class KeysObject {
 public:
  KeysObject(std::shared_ptr<PackageObject> package, std::shared_ptr<const keyholder::Cipher> cipher,
             std::filesystem::path evaluation_keys)
      : package_(std::move(package)), cipher_(std::move(cipher)), evaluation_keys_(std::move(evaluation_keys)) {}

  [[nodiscard]] PackageObject& package() const { return *package_; }
  [[nodiscard]] const keyholder::Cipher& cipher() const { return *cipher_; }
  /// For the network. Cost: the first time, the evaluation keys are read for their name.
  Result<std::shared_ptr<const client::TaskClient>> task();

 private:
  std::shared_ptr<PackageObject> package_;
  std::shared_ptr<const keyholder::Cipher> cipher_;
  std::filesystem::path evaluation_keys_;
  std::mutex mutex_;
  std::shared_ptr<const client::TaskClient> task_;
};

struct IdentityObject {
  protocol::Signer signer;
};

/// A miner, and which keys it was seen to have. Whoever uses either has a Turn.
struct MinerObject {
  MinerObject(protocol::Signer self, client::MinerAddress address) : connection(std::move(self), std::move(address)) {}
  client::MinerConnection connection;
  std::set<protocol::ContentId> delivered;

  std::mutex mutex;
  std::condition_variable_any left;
  bool taken = false;
};

/// One caller's turn with a miner, which ends with it. Without `taken()` where it was cancelled before its turn came.
class Turn {
 public:
  Turn(MinerObject& miner, const std::stop_token& stop) : miner_(miner) {
    std::unique_lock lock(miner_.mutex);
    taken_ = miner_.left.wait(lock, stop, [&] { return !miner_.taken; });
    if (taken_) miner_.taken = true;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (!taken_) return;
    const std::lock_guard lock(miner_.mutex);
    miner_.taken = false;
    miner_.left.notify_one();
  }
  [[nodiscard]] bool taken() const { return taken_; }

 private:
  MinerObject& miner_;
  bool taken_ = false;
};

Registry<brainlock_package, PackageObject>& packages();
Registry<brainlock_keys, KeysObject>& key_pairs();
Registry<brainlock_identity, IdentityObject>& identities();
Registry<brainlock_miner, MinerObject>& miners();

/// An input that was looked at, or not.
struct Judged {
  bool checked = false;
  bool inside_bound = true;   ///< the package's bound of inputs
  package::ValueRange range;  ///< if it was checked
  [[nodiscard]] bool inside() const { return inside_bound && range.inside(); }
};

/// Judges checked values by one of BRAINLOCK_RANGE_... OUT_OF_RANGE: refused, with `judged` filled as far as it was
/// looked at.
Outcome judge(PackageObject& package, std::span<const float> values, std::uint32_t policy, Judged& judged);
/// UNSUPPORTED: there is the client's half alone, which cannot be run in the clear.
Outcome check_whole(const PackageObject& package);
brainlock_range range_report(const Judged& judged, double error_bound);

/// What a function that takes its time tells: a phase, and how much of it is done.
using Report = std::function<void(std::int32_t phase, std::uint64_t done, std::uint64_t total)>;
/// Runs `work`. With a callback in a thread of its own, while this one calls it; CANCELLED where it said so and `work`
/// did not end well before.
Outcome with_progress(brainlock_progress progress, void* user,
                      const std::function<Outcome(const Report&, const std::stop_token&)>& work);

}  // namespace brainlock::client_c
