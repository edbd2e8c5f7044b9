// A subnet in one process: a ledger in memory, a task and an engine that compute in the clear, everything else real.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>

#include "brainlock/miner/service.hpp"
#include "brainlock/validator/validator.hpp"

namespace brainlock::test {

namespace fs = std::filesystem;
using miner::Bytes;

inline constexpr std::size_t kInputs = 12, kOutputs = 4;
inline constexpr protocol::ContentId kPackage{7};
inline constexpr std::size_t kKeyFileBytes = 200'000;
/// Bytes of a fake question and answer: key id, nonce, numbers.
inline constexpr std::size_t kQuestionBytes = 32 + 32 + kInputs * sizeof(float);
inline constexpr std::size_t kAnswerBytes = 32 + 32 + kOutputs * sizeof(double);

/// The model: a fixed linear map; `variant` 0 is the right one.
std::vector<double> fake_model(std::span<const float> input, int variant = 0);
/// Numbers of an answer, for adversaries that change them.
std::vector<double> answer_numbers(const Bytes& answer);
Bytes with_numbers(Bytes answer, const std::vector<double>& numbers);

struct TemporaryFolder {
  fs::path path;
  TemporaryFolder();
  ~TemporaryFolder();
};

struct Person {
  protocol::Signer signer;
  std::shared_ptr<ledger::Signer> ledger_signer;
  [[nodiscard]] const protocol::AccountId& account() const { return signer.account; }
};
/// The development key "//name".
Person person(const std::string& name);

class FakeTaskClient final : public client::TaskClient {
 public:
  explicit FakeTaskClient(const fs::path& folder);
  const protocol::ContentId& package() const override { return package_; }
  const protocol::ContentId& key_id() const override { return key_id_; }
  const fs::path& key_file() const override { return file_; }
  std::uint64_t max_answer_bytes() const override { return kAnswerBytes; }
  Shape input_shape() const override { return {1, 3, 4}; }
  Result<std::vector<std::uint8_t>> encrypt(std::span<const float> tensor) const override;
  Result<std::vector<double>> decrypt(std::span<const std::uint8_t> answer) const override;

 private:
  protocol::ContentId package_ = kPackage, key_id_{};
  fs::path file_;
};

/// What an adversary makes of a question and the honest answer to it; `call` counts from 0.
using Twist = std::function<Result<Bytes>(std::span<const std::uint8_t> question, Bytes answer, int call)>;

class FakeEngine final : public miner::Engine {
 public:
  Twist twist;
  std::function<void(const miner::JobControl&)> before;   ///< called before each answer
  std::function<Status()> loading;                        ///< called before keys are loaded
  std::shared_ptr<std::atomic<int>> calls = std::make_shared<std::atomic<int>>(0);

  std::vector<protocol::TaskOffer> offers() const override { return {{kPackage, "fake", kKeyFileBytes, kQuestionBytes}}; }
  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId& package, const fs::path& file) override;
  Result<Bytes> infer(const protocol::ContentId& package, const Keys& keys, std::span<const std::uint8_t> question,
                      const miner::JobControl& control) override;
};

/// A metagraph in memory; votes land at once.
class FakeLedger final : public ledger::Ledger {
 public:
  ledger::Metagraph state;
  std::atomic<bool> away{false};
  std::int64_t block_interval_ms = 12'000;
  std::optional<std::int64_t> made_ms;   ///< of the newest block; none: the ledger has no clock

  FakeLedger();
  ledger::Uid add(const protocol::AccountId& hotkey, bool permit, std::uint64_t stake_tao);
  void serve(ledger::Uid uid, std::uint16_t port);
  /// Changes the state while miners and validators may be reading it.
  void change(const std::function<void(ledger::Metagraph&)>& how);

  std::string describe() const override { return "in memory"; }
  std::uint16_t netuid() const override { return 54; }
  Result<ledger::BlockTime> block_time() override;
  Result<ledger::Metagraph> metagraph(bool) override;
  Result<std::vector<ledger::Weight>> weights(ledger::Uid uid) override;
  Result<ledger::Outcome> register_neuron(const ledger::Signer&, const ledger::AccountId&) override { return ledger::Outcome{}; }
  Result<ledger::Outcome> serve_axon(const ledger::Signer&, const ledger::Axon&) override { return ledger::Outcome{}; }
  Result<ledger::Outcome> set_weights(const ledger::Signer& hotkey, std::span<const ledger::Weight> weights, std::uint64_t) override;

 private:
  std::mutex mutex_;
};

/// A miner with its server.
struct FakeMiner {
  Person self;
  std::shared_ptr<miner::Service> service;
  std::unique_ptr<net::Server> server;
};
miner::ServiceOptions fast_options();
/// What a test may want otherwise.
struct MinerExtras {
  net::ServerOptions server{.address = "127.0.0.1", .max_connections_per_address = 512};
  miner::AccessOptions access;
  fs::path fence;   ///< file of the replay fence; empty: none
  net::EventLog log;
  bool tls = true;
};
FakeMiner start_miner(const std::string& name, std::shared_ptr<ledger::Ledger> ledger, std::unique_ptr<miner::Engine> engine, const fs::path& folder,
                      const miner::ServiceOptions& options = fast_options(), const MinerExtras& extras = {});

/// A validator on a SQLite store in the folder; its keys are made there once.
std::unique_ptr<validator::Validator> make_validator(const Person& self, std::shared_ptr<ledger::Ledger> ledger, const fs::path& folder,
                                                     validator::ValidatorOptions options = {}, net::EventLog log = {});

}  // namespace brainlock::test
