// What it takes to judge the head of a request: signatures, access, replay. And the fence by itself.
#include "brainlock/miner/service.hpp"

#include <benchmark/benchmark.h>

#include <stdlib.h>

#include <chrono>
#include <filesystem>

namespace brainlock::miner {
namespace {

namespace fs = std::filesystem;

constexpr int kSenders = 64;
constexpr std::size_t kSigned = 500;   // at a time, before the clock runs

std::int64_t clock_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

struct Folder {
  fs::path path;
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "brainlock-judgement-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

class NoEngine final : public Engine {
 public:
  std::vector<protocol::TaskOffer> offers() const override { return {{{7}, "none", 1000, 1000}}; }
  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId&, const fs::path&) override { return {ErrorCode::kUnsupported, "no engine"}; }
  Result<Bytes> infer(const protocol::ContentId&, const Keys&, std::span<const std::uint8_t>, const JobControl&) override { return {ErrorCode::kUnsupported, "no engine"}; }
};

class Everybody final : public Access {
 public:
  Admission admit(const ledger::AccountId&) const override { return {.refusal = protocol::Refusal::kNone, .validator = true, .slot = {}}; }
};

protocol::Signer signer(const std::string& name) { return protocol::make_signer(crypto::Sr25519KeyPair::from_uri("//" + name).value().clone()); }

/// Argument: whether there is a fence. On one thread, by the real clock.
void BM_JudgeHead(benchmark::State& state) {
  const Folder folder;
  const protocol::Signer self = signer("miner");
  std::vector<protocol::Signer> senders;
  for (int i = 0; i < kSenders; ++i) senders.push_back(signer("sender" + std::to_string(i)));
  ServiceParts parts;
  parts.self = self;
  parts.engine = std::make_unique<NoEngine>();
  parts.keys = std::move(KeyRegistry::open(folder.path / "keys", {}, 0)).value();
  parts.access = std::make_unique<Everybody>();
  parts.wall_clock_ms = clock_ms;
  if (state.range(0) != 0) parts.fence = ReplayFence::open(folder.path / "replay.fence", clock_ms());
  ServiceOptions options;
  options.requests_per_s_per_address = 1e9;
  const auto service = Service::make(std::move(parts), options);
  protocol::Route route;
  route.kind = protocol::RouteKind::kKeyState;
  route.package = {7};

  std::vector<net::RequestHead> heads;
  std::size_t accepted = 0;
  for (auto _ : state) {
    if (heads.empty()) {
      state.PauseTiming();
      for (std::size_t i = 0; i < kSigned; ++i) {
        net::RequestHead head;
        head.method = protocol::route_method(route.kind);
        head.target = protocol::route_target(route);
        head.peer_ip = "192.0.2.9";
        head.headers = protocol::sign_request(senders[i % kSenders], self.account, head.method, head.target, protocol::BodyHasher().finish(), clock_ms()).value().headers;
        heads.push_back(std::move(head));
      }
      state.ResumeTiming();
    }
    accepted += std::holds_alternative<std::unique_ptr<net::Exchange>>(service->begin(heads.back())) ? 1 : 0;
    heads.pop_back();
  }
  if (accepted != static_cast<std::size_t>(state.iterations())) state.SkipWithError("a request was refused");
  state.counters["accepted/s"] = benchmark::Counter(static_cast<double>(accepted), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_JudgeHead)->ArgName("fence")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMicrosecond);

/// A request that the file covers.
void BM_Covered(benchmark::State& state) {
  const Folder folder;
  const auto fence = ReplayFence::open(folder.path / "replay.fence", 1'000);
  (void)fence->cover({}, 1'000, 1'000);
  for (auto _ : state) benchmark::DoNotOptimize(fence->cover({}, 1'000, 1'000).ok());
}
BENCHMARK(BM_Covered);

/// One that has the file written.
void BM_Write(benchmark::State& state) {
  const Folder folder;
  ReplayFenceOptions options;
  options.lead_ms = 0;
  const auto fence = ReplayFence::open(folder.path / "replay.fence", 0, options);
  std::int64_t at = 0;
  for (auto _ : state) {
    ++at;
    benchmark::DoNotOptimize(fence->cover({}, at, at).ok());
  }
}
BENCHMARK(BM_Write)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace brainlock::miner
