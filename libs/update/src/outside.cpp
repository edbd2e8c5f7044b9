#include "brainlock/update/outside.hpp"

#include <thread>

namespace brainlock::update {
namespace {

constexpr std::uint64_t kMaxAnswer = 256 * 1024;

Result<std::string> ask(const std::string& address) {
  BRAINLOCK_ASSIGN(const auto url, net::parse_url(address));
  std::string out;
  BRAINLOCK_TRY(net::download(
      url, {.max_bytes = kMaxAnswer, .connect_timeout_ms = 2'000, .idle_timeout_ms = 5'000, .total_timeout_ms = 5'000},
      [&](std::span<const std::uint8_t> piece) {
        out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        return Status();
      }));
  return out;
}

}  // namespace

Outside real_outside() {
  Outside out;
  out.now_s = [] {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  out.steady = [] { return std::chrono::steady_clock::now(); };
  out.wait = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
  out.open_source = open_source;
  out.run = run_program;
  out.ask = ask;
  out.store_schema = [](const Service&) { return Result<int>(0); };
  out.say = [](const std::string&) {};
  out.architecture = running_architecture();
  out.glibc = running_glibc();
  return out;
}

}  // namespace brainlock::update
