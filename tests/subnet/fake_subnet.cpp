#include "fake_subnet.hpp"

#include <cmath>
#include <cstring>
#include <fstream>

#include "brainlock/crypto/random.hpp"

namespace brainlock::test {
namespace {

class PairSigner final : public ledger::Signer {
 public:
  explicit PairSigner(protocol::Signer signer) : signer_(std::move(signer)) {}
  ledger::AccountId account() const override { return signer_.account; }
  Result<std::array<std::uint8_t, 64>> sign(std::span<const std::uint8_t> message) const override { return signer_.sign(message); }

 private:
  protocol::Signer signer_;
};

struct FakeKeys final : miner::Engine::Keys {
  protocol::ContentId id{};
  std::uint64_t memory_bytes() const override { return 1000; }
};

template <typename T>
Bytes pack(const protocol::ContentId& key, std::span<const T> numbers) {
  Bytes out(64 + numbers.size_bytes());
  std::copy(key.begin(), key.end(), out.begin());
  crypto::random_bytes(std::span(out).subspan(32, 32));
  std::memcpy(out.data() + 64, numbers.data(), numbers.size_bytes());
  return out;
}

template <typename T>
std::vector<T> unpack(std::span<const std::uint8_t> bytes) {
  std::vector<T> out((bytes.size() - 64) / sizeof(T));
  std::memcpy(out.data(), bytes.data() + 64, out.size() * sizeof(T));
  return out;
}

std::atomic<int> folder_count{0};

}  // namespace

std::vector<double> fake_model(std::span<const float> input, int variant) {
  std::vector<double> out(kOutputs);
  for (std::size_t j = 0; j < kOutputs; ++j) {
    for (std::size_t i = 0; i < input.size(); ++i) {
      out[j] += static_cast<double>(input[i]) * std::cos(static_cast<double>((i + 1) * (j + 3)) + variant);
    }
  }
  return out;
}

std::vector<double> answer_numbers(const Bytes& answer) { return unpack<double>(answer); }
Bytes with_numbers(Bytes answer, const std::vector<double>& numbers) {
  std::memcpy(answer.data() + 64, numbers.data(), numbers.size() * sizeof(double));
  return answer;
}

TemporaryFolder::TemporaryFolder() {
  path = fs::temp_directory_path() / ("brainlock-subnet-" + std::to_string(::getpid()) + "-" + std::to_string(folder_count++));
  fs::create_directories(path);
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

Person person(const std::string& name) {
  Person out;
  out.signer = protocol::make_signer(crypto::Sr25519KeyPair::from_uri("//" + name).value().clone());
  out.ledger_signer = std::make_shared<PairSigner>(out.signer);
  return out;
}

FakeTaskClient::FakeTaskClient(const fs::path& folder) : file_(folder / "fake.keys") {
  fs::create_directories(folder);
  if (!fs::exists(file_)) {
    Bytes bytes(kKeyFileBytes);
    crypto::random_bytes(bytes);
    const fs::path whole = file_.string() + ".new";
    std::ofstream(whole, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), kKeyFileBytes);
    fs::rename(whole, file_);
  }
  key_id_ = client::content_id_of_file(file_).value();
}

Result<std::vector<std::uint8_t>> FakeTaskClient::encrypt(std::span<const float> tensor) const { return pack(key_id_, tensor); }

Result<std::vector<double>> FakeTaskClient::decrypt(std::span<const std::uint8_t> answer) const {
  if (answer.size() != kAnswerBytes) return {ErrorCode::kMalformed, "not an answer"};
  if (!std::equal(key_id_.begin(), key_id_.end(), answer.begin())) return {ErrorCode::kMismatch, "under another key"};
  if (std::all_of(answer.begin() + 32, answer.begin() + 64, [](auto b) { return b == 0; })) return {ErrorCode::kInsecure, "not encrypted"};
  return unpack<double>(answer);
}

Result<std::shared_ptr<const miner::Engine::Keys>> FakeEngine::load_keys(const protocol::ContentId&, const fs::path& file) {
  if (loading) BRAINLOCK_TRY(loading());
  BRAINLOCK_ASSIGN(const auto id, client::content_id_of_file(file));
  auto keys = std::make_shared<FakeKeys>();
  keys->id = id;
  return std::shared_ptr<const Keys>(std::move(keys));
}

Result<Bytes> FakeEngine::infer(const protocol::ContentId&, const Keys& keys, std::span<const std::uint8_t> question, const miner::JobControl& control) {
  const auto& own = dynamic_cast<const FakeKeys&>(keys);
  if (question.size() != kQuestionBytes) return {ErrorCode::kMalformed, "not a question"};
  if (!std::equal(own.id.begin(), own.id.end(), question.begin())) return {ErrorCode::kMismatch, "under another key"};
  const int call = calls->fetch_add(1);
  if (before) before(control);
  if (control.stop.stop_requested()) return {ErrorCode::kCancelled, "stopped"};
  const auto outputs = fake_model(unpack<float>(question));
  Bytes answer = pack(own.id, std::span<const double>(outputs));
  return twist ? twist(question, std::move(answer), call) : Result<Bytes>(std::move(answer));
}

FakeLedger::FakeLedger() {
  state.netuid = 54;
  state.block = 1000;
  state.parameters.weights_rate_limit = 0;
}

ledger::Uid FakeLedger::add(const protocol::AccountId& hotkey, bool permit, std::uint64_t stake_tao) {
  const std::lock_guard lock(mutex_);
  ledger::Neuron neuron;
  neuron.uid = static_cast<ledger::Uid>(state.neurons.size());
  neuron.hotkey = hotkey;
  neuron.validator_permit = permit;
  neuron.active = true;
  neuron.stake_rao = stake_tao * ledger::kRaoPerTao;
  state.neurons.push_back(neuron);
  return neuron.uid;
}

void FakeLedger::serve(ledger::Uid uid, std::uint16_t port) {
  change([&](ledger::Metagraph& m) { m.neurons.at(uid).axon = ledger::Axon{.ip = "127.0.0.1", .port = port}; });
}

void FakeLedger::change(const std::function<void(ledger::Metagraph&)>& how) {
  const std::lock_guard lock(mutex_);
  how(state);
}

Result<std::vector<ledger::Weight>> FakeLedger::weights(ledger::Uid uid) {
  const std::lock_guard lock(mutex_);
  return state.neurons.at(uid).weights;
}

Result<ledger::BlockTime> FakeLedger::block_time() {
  const std::lock_guard lock(mutex_);
  if (away) return {ErrorCode::kUnavailable, "the ledger is away"};
  return ledger::BlockTime{state.block, block_interval_ms, 0, made_ms};
}

Result<ledger::Metagraph> FakeLedger::metagraph(bool) {
  const std::lock_guard lock(mutex_);
  if (away) return {ErrorCode::kUnavailable, "the ledger is away"};
  return state;
}

Result<ledger::Outcome> FakeLedger::set_weights(const ledger::Signer& hotkey, std::span<const ledger::Weight> weights, std::uint64_t) {
  const std::lock_guard lock(mutex_);
  for (auto& neuron : state.neurons) {
    if (neuron.hotkey != hotkey.account()) continue;
    neuron.weights.assign(weights.begin(), weights.end());
    ledger::Outcome outcome;
    outcome.block = state.block;
    return outcome;
  }
  return ledger::Outcome{.refusal = ledger::Refusal::kNotRegistered, .message = "", .block = 0, .blocks_to_wait = 0, .uid = {}, .revealed_at_block = {}};
}

miner::ServiceOptions fast_options() {
  miner::ServiceOptions options;
  options.version = "test";
  options.key_part_bytes = 64 * 1024;
  options.requests_per_s_per_address = 1e6;
  return options;
}

FakeMiner start_miner(const std::string& name, std::shared_ptr<ledger::Ledger> ledger, std::unique_ptr<miner::Engine> engine, const fs::path& folder,
                      const miner::ServiceOptions& options, const MinerExtras& extras) {
  FakeMiner out;
  out.self = person(name);
  auto clock = client::system_wall_clock();
  miner::ServiceParts parts;
  parts.self = out.self.signer;
  parts.engine = std::move(engine);
  parts.wall_clock_ms = clock;
  parts.keys = std::move(miner::KeyRegistry::open(folder / name, {}, clock())).value();
  parts.access = miner::make_metagraph_access(std::move(ledger), extras.access);
  if (!extras.fence.empty()) parts.fence = miner::ReplayFence::open(extras.fence, clock(), {.window_ms = options.window_ms}, extras.log);
  parts.log = extras.log;
  out.service = miner::Service::make(std::move(parts), options);
  auto server = extras.server;
  if (extras.tls) server.tls = miner::make_server_tls(out.self.signer).value();
  out.server = std::move(net::Server::start(server, out.service)).value();
  return out;
}

std::unique_ptr<validator::Validator> make_validator(const Person& self, std::shared_ptr<ledger::Ledger> ledger, const fs::path& folder,
                                                     validator::ValidatorOptions options, net::EventLog log) {
  validator::ValidatorParts parts;
  parts.log = std::move(log);
  parts.self = self.signer;
  parts.ledger_signer = self.ledger_signer;
  parts.ledger = std::move(ledger);
  parts.store = std::move(store::Store::open(std::move(store::open_sqlite(folder / "validator.sqlite")).value())).value();
  validator::Task task;
  task.name = "fake";
  task.client = std::make_shared<FakeTaskClient>(folder / "validator");
  task.package = task.client->package();
  task.baseline = [](std::span<const float> input) { return Result<std::vector<double>>(fake_model(input)); };
  task.error_bound = 1e-3;
  parts.tasks.push_back(std::move(task));
  parts.draw = [](const validator::Task&, std::uint64_t seed) -> Result<sampler::Sample> {
    sampler::Sample sample;
    sample.image = *sampler::make_image(1, 3, 4);
    for (std::size_t i = 0; i < kInputs; ++i) sample.image.pixels[i] = static_cast<float>((seed >> (i * 5)) & 31) / 31.0F;
    sample.kind = "synthetic";
    sample.seed = seed;
    return sample;
  };
  options.allow_private_addresses = true;
  return std::move(validator::Validator::make(std::move(parts), options)).value();
}

}  // namespace brainlock::test
