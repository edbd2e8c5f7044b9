// An operator's folder on a real disk, with everything outside of it made up: programs, services, time, and power that
// goes when told to.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/update/signatures.hpp"
#include "brainlock/update/updater.hpp"
#include "samples.hpp"

namespace brainlock::update {

struct PowerGone {};

/// A program is a text: its version, and what goes wrong with it.
struct Program {
  std::string version;
  int schema = 3;
  std::string fault = "";   ///< "", "crashes" (never starts), "falls" (starts, and ends after 3 s), "silent" (never
                            ///< answers), "sick" (a failing check of doctor), "old" (does not know `update about`)
  std::string called = "";  ///< the version that it says it is; empty: its own
  [[nodiscard]] std::string text() const {
    return nlohmann::json{{"version", version}, {"schema", schema}, {"fault", fault}, {"called", called}}.dump();
  }
};

class World {
 public:
  TemporaryFolder folder;
  const std::filesystem::path home = folder.path / "home", site = folder.path / "site";
  Installation installation{home};
  Settings settings;
  std::int64_t now_s = kNow;
  std::chrono::steady_clock::time_point steady{};
  std::optional<nlohmann::json> running;  ///< the service's program
  std::chrono::steady_clock::time_point started{};
  int store = 0;  ///< schema of the validator's store
  int restarts = 0;
  std::string role = "miner";
  bool restart_fails = false;
  std::function<void()> on_restart;
  int power_goes_at = -1;  ///< at this event, counted from 0
  int events = 0;
  std::vector<std::string> said;

  World() {
    settings.source = site.string();
    settings.keys = {key(1).public_key(), key(2).public_key(), key(3).public_key()};
    settings.threshold = 2;
    add_service("miner");
    put(installation.program(), Program{"0.1.0"}.text(), true);
    put(home / "bin" / "brainlock-pairing", "pairing of 0.1.0", true);
    boot();
  }
  static crypto::Ed25519KeyPair key(std::uint8_t number) {
    return crypto::Ed25519KeyPair::from_seed(crypto::Bytes(32, number)).value();
  }
  void add_service(const std::string& kind) {
    role = kind;
    settings.services = {{kind, (home / (kind + ".env")).string(), {"restart-it"}, "http://127.0.0.1:1/v1/status"}};
  }

  /// Puts a release where the operator looks; `change` before it is signed.
  Release publish(const Program& program, const std::function<void(Release&)>& change = {},
                  std::vector<std::uint8_t> signers = {1, 3}) {
    Release release = sample_release();
    release.version = parse_version(program.version).value();
    release.store = {1, program.schema};
    release.files.clear();
    const std::vector<std::tuple<std::string, std::string, bool>> files = {
        {"bin/brainlock", program.text(), true},
        {"bin/brainlock-pairing", "pairing of " + program.version, true},
        {"share/page", "a page", false}};
    for (const auto& [path, text, executable] : files) {
      const auto hash = crypto::sha256(crypto::as_bytes(text));
      release.files["x86_64"].push_back({path, text.size(), hash, executable});
      put(site / "files" / crypto::hex_encode(hash), text);
    }
    if (change) change(release);
    const std::string manifest = release_json(release);
    std::string lines;
    for (const auto signer : signers) lines += signature_line(sign_manifest(key(signer), manifest));
    for (const auto& place : {site, site / "releases" / release.version.text()}) {
      put(place / "release.json", manifest);
      put(place / "release.json.sig", lines);
    }
    return release;
  }

  /// Power comes back: the service is started from what its script calls.
  void boot() { start(); }
  [[nodiscard]] std::string running_version() const {
    return running && (*running)["fault"] == "" ? (*running)["version"].get<std::string>() : "";
  }
  [[nodiscard]] State state() const { return load_state(installation.state_file()).value(); }

  Updater updater() { return {installation, settings, outside()}; }
  Result<Report> apply(const ApplyOptions& options = {}) { return updater().apply(options); }

  Outside outside() {
    Outside out = real_outside();
    out.architecture = "x86_64";
    out.glibc = {2, 36};
    out.now_s = [this] { return now_s; };
    out.steady = [this] { return steady; };
    out.wait = [this](std::chrono::milliseconds time) { steady += time; };
    out.say = [this](const std::string& step) {
      event();
      said.push_back(step);
    };
    out.store_schema = [this](const Service&) { return Result<int>(store); };
    out.run = [this](const std::vector<std::string>& words, std::chrono::milliseconds, Output) { return run(words); };
    out.ask = [this](const std::string&) { return ask(); };
    return out;
  }

 private:
  void event() {
    if (events++ == power_goes_at) throw PowerGone{};
  }
  static Result<nlohmann::json> program_at(const std::string& path) {
    auto read = nlohmann::json::parse(get(path), nullptr, false);
    if (read.is_discarded()) return Error{ErrorCode::kNotFound, path + ": cannot be run"};
    return read;
  }
  void start() {
    running.reset();
    if (auto program = program_at(installation.program().string()); program.ok()) {
      running = program.value();
      started = steady;
      const std::string fault = (*running)["fault"];
      // A validator brings its store up to date as soon as it starts.
      if (role == "validator" && fault != "crashes") store = std::max(store, (*running)["schema"].get<int>());
    }
  }
  Result<Finished> run(const std::vector<std::string>& words) {
    event();
    if (words == std::vector<std::string>{"restart-it"}) {
      ++restarts;
      if (on_restart) on_restart();
      start();
      event();  // power may go before its end is known, too
      return Finished{restart_fails ? 1 : 0, ""};
    }
    BRAINLOCK_ASSIGN(const auto program, program_at(words.at(0)));
    const std::string fault = program["fault"],
                      version = program["called"] == "" ? program["version"] : program["called"];
    if (fault == "crashes") return Finished{139, "Segmentation fault"};
    if (words.at(1) == "--version") return Finished{0, version + "\n"};
    if (words.at(1) == "update") {
      if (fault == "old") return Finished{2, "unknown command"};
      return Finished{0, nlohmann::json{{"store_schema", program["schema"]}}.dump()};
    }
    if (words.at(1) == "doctor") {
      const bool sick = fault == "sick";
      nlohmann::json checks = {{{"name", "chain"}, {"level", chain_down ? "fail" : "ok"}},
                               {{"name", "package"}, {"level", sick ? "fail" : "ok"}}};
      return Finished{sick || chain_down ? 1 : 0, nlohmann::json{{"checks", checks}}.dump()};
    }
    return Error{ErrorCode::kNotFound, words.at(0)};
  }
  Result<std::string> ask() {
    event();
    if (late_answers > 0) {
      --late_answers;
      return Error{ErrorCode::kTimeout, "not in time"};
    }
    if (!running) return Error{ErrorCode::kUnavailable, "connection refused"};
    const std::string fault = (*running)["fault"];
    const auto age = steady - started;
    if (fault == "silent" || age < std::chrono::seconds(2) || (fault == "falls" && age > std::chrono::seconds(5)))
      return Error{ErrorCode::kUnavailable, "connection refused"};
    return nlohmann::json{{"version", (*running)["version"]}}.dump();
  }

 public:
  bool chain_down = false;  ///< a fault that every program's doctor finds
  int late_answers = 0;     ///< so many questions go without an answer in time
};

}  // namespace brainlock::update
