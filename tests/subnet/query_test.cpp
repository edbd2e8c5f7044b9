// The programs themselves: `brainlock miner`, `brainlock query` and `brainlock validator` as processes, over TLS, with the real engine.
// Whoever stands in between reads nothing and is not believed; logs hold no secrets.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <tuple>

#include "brainlock/chain/wallet.hpp"
#include "brainlock/client/miner_connection.hpp"
#include "command.hpp"
#include "node_process.hpp"

namespace brainlock::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

/// Somebody on the way: passes connections on to a port and keeps what goes by.
class Eavesdropper {
 public:
  explicit Eavesdropper(std::uint16_t target) : target_(target), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = local(0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  ~Eavesdropper() {
    thread_.request_stop();
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Everything heard, both ways. After the connections are over.
  [[nodiscard]] std::string heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  static sockaddr_in local(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  static bool ready(int socket) {
    pollfd wait{socket, POLLIN, 0};
    return ::poll(&wait, 1, 20) > 0;
  }
  void serve(const std::stop_token& stop) {
    std::vector<std::jthread> connections;
    while (!stop.stop_requested()) {
      if (!ready(listener_)) continue;
      const int near = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = local(target_);
      if (near < 0 || ::connect(far, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) continue;
      connections.emplace_back([this, near, far](const std::stop_token& end) {
        bool open = true;
        while (open && !end.stop_requested()) open = pass(near, far) && pass(far, near);
        ::close(near);
        ::close(far);
      });
    }
  }
  bool pass(int from, int to) {
    if (!ready(from)) return true;
    char buffer[65536];
    const ssize_t got = ::recv(from, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    {
      const std::lock_guard lock(mutex_);
      heard_.append(buffer, static_cast<std::size_t>(got));
    }
    for (ssize_t sent = 0; sent < got;) {
      const ssize_t more = ::send(to, buffer + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
      if (more <= 0) return false;
      sent += more;
    }
    return true;
  }

  const std::uint16_t target_;
  const int listener_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::string heard_;
  std::jthread thread_;
};

/// One miner process for all tests: open to ordinary users, logging everything.
struct Programs : testing::Test {
  static inline std::unique_ptr<TemporaryFolder> folder;
  static inline std::unique_ptr<ledger::EmbeddedLedger> ledger;
  static inline std::unique_ptr<Command> miner;
  static inline std::string package_hash;
  static inline std::uint16_t port = 0;
  static inline int runs = 0;

  static fs::path place(const std::string& name) { return folder->path / name; }
  static std::vector<std::string> node(const std::string& role) {
    return {role, "--ledger", place("ledger.sqlite"), "--wallet.path", place("wallets"), "--wallet.name", "test", "--wallet.hotkey", role, "--package", place("package"),
            "--state", place(role), "--log-level", "debug"};
  }
  static int run(const std::vector<std::string>& arguments, std::string* out = nullptr, std::string* err = nullptr) {
    Command command(arguments, place("run" + std::to_string(runs++)));
    const int code = command.wait();
    if (out != nullptr) *out = command.out();
    if (err != nullptr) *err = command.err();
    return code;
  }

  static void SetUpTestSuite() {
    folder = std::make_unique<TemporaryFolder>();
    std::string out;
    ASSERT_EQ(run({"compile", std::string(BRAINLOCK_SOURCE_DIR) + "/models/tiny-cnn/tiny.onnx", "-o", place("package"), "--profile", "fast", "--json"}, &out), 0);
    package_hash = json::parse(out)["hash"];
    ledger = make_ledger(folder->path, {"miner"}, {"validator"});
    const chain::WalletStore wallets(place("wallets"));
    for (const std::string name : {"miner", "validator"}) {
      const auto key = chain::WalletKey::from_uri("//" + name);
      ASSERT_TRUE(key.ok());
      ASSERT_TRUE(wallets.write_hotkey("test", name, *key, std::nullopt, false).ok());
    }
    std::tie(miner, port) = start_miner(node("miner"), {"--drain", "5", "--log-json", "--log-file", place("miner.log")}, *ledger);
    ASSERT_NE(port, 0) << miner->err();
  }
  /// A miner that serves everybody, and the port that it announces on its ledger.
  static std::pair<std::unique_ptr<Command>, std::uint16_t> start_miner(std::vector<std::string> arguments, const std::vector<std::string>& options, ledger::EmbeddedLedger& ledger) {
    for (const char* word : {"--listen", "127.0.0.1", "--port", "0", "--external-ip", "127.0.0.1", "--open", "--threads", "2", "--access-refresh-ms", "250"}) arguments.emplace_back(word);
    arguments.insert(arguments.end(), options.begin(), options.end());
    auto command = std::make_unique<Command>(arguments, place("process" + std::to_string(runs++)));
    std::uint16_t at = 0;
    for (int i = 0; i < 600 && at == 0; ++i) {
      const auto metagraph = ledger.metagraph(false);
      for (const auto& neuron : metagraph->neurons) at = neuron.axon ? neuron.axon->port : at;
      if (at == 0) std::this_thread::sleep_for(milliseconds(50));
    }
    return {std::move(command), at};
  }
  static void TearDownTestSuite() {
    miner.reset();
    ledger.reset();
    folder.reset();
  }

  static std::vector<std::string> query(std::uint16_t at, const protocol::AccountId& hotkey) {
    return {"query", "--miner", "127.0.0.1:" + std::to_string(at), "--miner-hotkey", crypto::ss58_encode(hotkey), "--package", place("package"),
            "--home", place("home"), "--synthetic", "3", "--json"};
  }
  static json clear_answer() {
    std::string out;
    EXPECT_EQ(run({"infer", place("package"), "--synthetic", "3", "--threads", "2", "--json"}, &out), 0);
    return json::parse(out);
  }
};

TEST_F(Programs, QueryIsAnsweredAndNobodyInBetweenReadsIt) {
  Eavesdropper listening(port);
  std::string out, err;
  ASSERT_EQ(run(query(listening.port(), person("miner").account()), &out, &err), 0) << err;
  const json answer = json::parse(out);
  EXPECT_EQ(answer["class"], clear_answer()["class"]) << out;
  EXPECT_EQ(answer["logits"].size(), 10U);
  EXPECT_TRUE(answer["range"]["inside"].get<bool>());
  EXPECT_GT(answer["response_s"].get<double>(), 0);
  EXPECT_EQ(answer["clear_class"], answer["class"]);
  EXPECT_LE(answer["max_abs_error"].get<double>(), answer["range"]["error_bound"].get<double>());

  const std::string heard = listening.heard();
  EXPECT_GT(heard.size(), 10'000'000U) << "the evaluation keys went this way";
  EXPECT_EQ(heard[0], '\x16') << "a TLS greeting";
  for (const char* word : {"/v1/", "Epistula", "HTTP/1.1", "application/json"}) EXPECT_EQ(heard.find(word), std::string::npos) << word;

  // The user's secrets are the user's alone.
  std::size_t secrets = 0;
  for (const auto& entry : fs::recursive_directory_iterator(place("home"))) {
    if (!entry.is_regular_file()) continue;
    ++secrets;
    EXPECT_EQ(entry.status().permissions() & (fs::perms::group_all | fs::perms::others_all), fs::perms::none) << entry.path();
  }
  EXPECT_EQ(secrets, 3U) << "user.seed, secret.key, evaluation.keys";

  // Asked again, the key is not sent again.
  Eavesdropper again(port);
  ASSERT_EQ(run(query(again.port(), person("miner").account()), &out, &err), 0) << err;
  EXPECT_LT(again.heard().size(), 3'000'000U);
}

// It is signed, of the right package, level and scale, under the user's own key: the answer to the question before.
TEST_F(Programs, AnOldAnswerIsNotTakenForThisOne) {
  const TemporaryFolder other;
  const auto liars = make_ledger(other.path, {"liar"}, {"validator"});
  const auto key = chain::WalletKey::from_uri("//liar");
  ASSERT_TRUE(chain::WalletStore(place("wallets")).write_hotkey("test", "liar", *key, std::nullopt, false).ok());
  auto arguments = node("liar");
  arguments.front() = "miner";
  std::replace(arguments.begin(), arguments.end(), place("ledger.sqlite").string(), (other.path / "ledger.sqlite").string());
  const auto [liar, at] = start_miner(arguments, {"--misbehave", "replay"}, *liars);
  ASSERT_NE(at, 0) << liar->err();
  auto question = query(at, person("liar").account());
  std::string out, err;
  EXPECT_EQ(run(question, &out, &err), 1) << "it keeps the first answer for later";
  std::replace(question.begin(), question.end(), std::string("3"), std::string("4"));
  EXPECT_EQ(run(question, &out, &err), 1) << out;
  EXPECT_NE(err.find("the answer is not the model's"), std::string::npos) << err;
  EXPECT_NE(err.find("ask another miner"), std::string::npos) << err;
  EXPECT_TRUE(out.empty()) << out;
}

TEST_F(Programs, InterruptedWhileKeysAreMadeNothingHalfIsLeft) {
  const auto half_file = [](const fs::path& home) {
    std::error_code ignored;
    for (auto entry = fs::recursive_directory_iterator(home, ignored); entry != fs::recursive_directory_iterator(); entry.increment(ignored)) {
      if (entry->path().filename().string().find(".tmp.") != std::string::npos) return true;
    }
    return false;
  };
  for (const std::string what : {"query", "page"}) {
    auto arguments = query(port, person("miner").account());
    const fs::path home = place("interrupted-" + what);
    arguments.front() = what;
    std::replace(arguments.begin(), arguments.end(), place("home").string(), home.string());
    if (what == "page") {   // which takes its pictures from the browser
      arguments.resize(arguments.size() - 3);
      arguments.insert(arguments.end(), {"--port", "0"});
    }
    arguments.insert(arguments.end(), {"--threads", "1"});
    Command command(arguments, place("run" + std::to_string(runs++)));
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!half_file(home) && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(std::chrono::microseconds(200));
    ASSERT_TRUE(half_file(home)) << what << ": " << command.err();
    EXPECT_EQ(command.stop(), what == "query" ? 130 : 0) << command.err();
    EXPECT_FALSE(half_file(home)) << what;
    EXPECT_FALSE(fs::exists(home / "keys" / package_hash.substr(0, 16) / "evaluation.keys")) << what << ": it stopped, and did not make all keys first";
  }
}

TEST_F(Programs, WhatCannotBeWaitedForIsRefused) {
  for (const std::string seconds : {"0", "-1", "nan", "inf", "1e300", "soon"}) {
    auto arguments = query(port, person("miner").account());
    arguments.push_back("--timeout=" + seconds);
    std::string err;
    EXPECT_EQ(run(arguments, nullptr, &err), 2) << seconds << ": " << err;
    EXPECT_NE(err.find("--timeout"), std::string::npos) << err;
  }
}

TEST_F(Programs, MinerIsFoundOnTheLedger) {
  std::string out, err;
  const auto uid = ledger->metagraph(false)->find(person("miner").account())->uid;
  ASSERT_EQ(run({"query", "--ledger", place("ledger.sqlite"), "--uid", std::to_string(uid), "--package", place("package"), "--home", place("home"), "--synthetic", "3", "--json"},
                &out, &err), 0) << err;
  EXPECT_EQ(json::parse(out)["miner"], crypto::ss58_encode(person("miner").account()));
}

TEST_F(Programs, AnotherHotkeyThanTheExpectedOneIsRefused) {
  std::string out, err;
  EXPECT_EQ(run(query(port, person("somebody else").account()), &out, &err), 1);
  EXPECT_NE(err.find("is not bound to the expected key"), std::string::npos) << err;
  EXPECT_TRUE(out.empty()) << out;
  // In plain HTTP no certificate is looked at; the miner says that it is not meant.
  auto plain = query(port, person("somebody else").account());
  plain.push_back("--plain");
  EXPECT_EQ(run(plain, &out, &err), 1);
  EXPECT_TRUE(out.empty()) << out;
}

/// Refuses everything and counts.
class Silent final : public net::Application {
 public:
  std::atomic<int> asked{0};
  std::variant<net::Response, std::unique_ptr<net::Exchange>> begin(const net::RequestHead&) override {
    ++asked;
    return net::Response{503, "text/plain", {}, {}};
  }
};

TEST_F(Programs, WrongCertificatesAreRefusedBeforeAnythingIsSaid) {
  // The miner's own proof, as anybody can collect it.
  std::vector<std::uint8_t> stolen;
  net::Client collector("127.0.0.1", port, [&](const net::TlsKeyHash&, std::span<const std::uint8_t> proof) {
    stolen.assign(proof.begin(), proof.end());
    return true;
  });
  ASSERT_TRUE(collector.connect(5'000).ok());
  ASSERT_FALSE(stolen.empty());

  const Person other = person("in between");
  const std::map<std::string, net::TlsIdentity> identities{
      {"signed by another hotkey", net::make_tls_identity([&](const net::TlsKeyHash& key) { return protocol::make_tls_proof(other.signer, key); }).value()},
      {"the miner's proof under another key", net::make_tls_identity([&](const net::TlsKeyHash&) { return Result<std::vector<std::uint8_t>>(stolen); }).value()},
      {"a proof of nothing", net::make_tls_identity([&](const net::TlsKeyHash&) { return Result<std::vector<std::uint8_t>>(std::vector<std::uint8_t>(64, 7)); }).value()},
  };
  for (const auto& [name, identity] : identities) {
    const auto application = std::make_shared<Silent>();
    const auto server = net::Server::start({.address = "127.0.0.1", .tls = identity}, application).value();
    std::string out, err;
    EXPECT_EQ(run(query(server->port(), person("miner").account()), &out, &err), 1) << name;
    EXPECT_NE(err.find("is not bound to the expected key"), std::string::npos) << name << ": " << err;
    EXPECT_EQ(application->asked, 0) << name;
    EXPECT_TRUE(out.empty()) << name;
  }
  // And one that speaks no TLS at all.
  const auto application = std::make_shared<Silent>();
  const auto server = net::Server::start({.address = "127.0.0.1"}, application).value();
  std::string err;
  EXPECT_EQ(run(query(server->port(), person("miner").account()), nullptr, &err), 1);
  EXPECT_EQ(application->asked, 0);
}

TEST_F(Programs, PageInABrowser) {
  Command page({"page", "--miner", "127.0.0.1:" + std::to_string(port), "--miner-hotkey", crypto::ss58_encode(person("miner").account()), "--package", place("package"),
                "--home", place("home"), "--port", "0"}, place("page"));
  std::string url;
  for (int i = 0; i < 600 && url.find('\n') == std::string::npos; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    url = page.out();
  }
  ASSERT_EQ(url.rfind("open http://127.0.0.1:", 0), 0U) << url << page.err();
  url = url.substr(5, url.find('\n') - 5);
  std::string out;
  ASSERT_EQ(run({"infer", place("package"), "--synthetic", "1", "--threads", "2", "--json"}, &out), 0);
  const std::string command = std::string("'") + BRAINLOCK_SOURCE_DIR + "/web/tests/run.sh' client_test.mjs '" + url + "' '" + BRAINLOCK_SCREENSHOTS + "' '" +
                              json::parse(out)["class_name"].get<std::string>() + "' > '" + place("browser.log").string() + "' 2>&1";
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << text_of(place("browser.log"));
  EXPECT_EQ(status, 0) << text_of(place("browser.log")) << page.err();
  EXPECT_EQ(page.stop(), 0) << page.err();
  for (const std::size_t at : {1, 33}) EXPECT_EQ(page.err().find(url.substr(url.find('#') + at, 32)), std::string::npos) << "the token is on standard output alone";
}

/// Everything of the key file that must stay in it.
std::vector<std::string> secrets_of(const std::string& name) {
  std::vector<std::string> out;
  const auto text = chain::WalletKey::from_uri("//" + name)->private_json().value();
  const json key = json::parse(std::string(reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size()));
  for (const char* field : {"privateKey", "secretSeed", "secretPhrase"}) {
    if (key.contains(field) && key[field].is_string() && key[field].get<std::string>().size() > 20) out.push_back(key[field]);
  }
  return out;
}

std::string hex_of(std::string_view bytes) { return crypto::hex_encode(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())); }

// Runs last: it ends the miner.
TEST_F(Programs, ZLogsTellWhatHappenedAndNoSecret) {
  auto arguments = node("validator");
  const std::vector<std::string> more{"--approve", package_hash, "--rounds", "2", "--pause", "0.1", "--slot-blocks", "0", "--page-port=-1", "--allow-private-addresses", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::string board, validator_log;
  ASSERT_EQ(run(arguments, &board, &validator_log), 0) << validator_log;
  const json miners = json::parse(board)["miners"];
  ASSERT_EQ(miners.size(), 1U);
  EXPECT_EQ(miners[0]["requests"], 2);
  EXPECT_EQ(miners[0]["failures"], 0) << validator_log;
  EXPECT_EQ(miner->stop(), 0) << miner->err();

  // The miner's: JSON, one object a line. The validator's: name=value.
  const std::string miner_log = text_of(place("miner.log"));
  std::map<std::string, int> events;
  std::istringstream lines(miner_log);
  for (std::string line; std::getline(lines, line);) {
    const json event = json::parse(line, nullptr, false);
    ASSERT_FALSE(event.is_discarded()) << line;
    ASSERT_TRUE(event.contains("time") && event.contains("level") && event["service"] == "miner") << line;
    ++events[event["event"]];
  }
  for (const char* event : {"listening", "key_complete", "answered", "stopping", "stopped"}) EXPECT_GT(events[event], 0) << event;
  EXPECT_EQ(events["key_complete"], 2) << "the user's and the validator's";
  int measured = 0;
  for (std::size_t at = 0; (at = validator_log.find(" info validator measured uuid=", at)) != std::string::npos; ++at) ++measured;
  EXPECT_EQ(measured, 2) << "one a round\n" << validator_log;
  EXPECT_TRUE(miner->err().empty()) << miner->err();

  // What must be nowhere: hotkeys, FHE secret keys, the user's seed; as text, as bytes, in hexadecimal.
  std::vector<std::string> secrets;
  for (const char* name : {"miner", "validator"}) {
    for (const auto& text : secrets_of(name)) secrets.push_back(text.starts_with("0x") ? text.substr(2) : text);
  }
  EXPECT_GE(secrets.size(), 2U);
  for (const auto& where : {place("home"), place("validator")}) {
    for (const auto& entry : fs::recursive_directory_iterator(where)) {
      if (entry.path().filename() != "secret.key" && entry.path().filename() != "user.seed") continue;
      const std::string bytes = text_of(entry.path());
      // Pieces from all over the file; the first bytes are a header.
      for (std::size_t at = bytes.size() > 256 ? 64 : 0; at + 16 <= bytes.size(); at += std::max<std::size_t>(16, bytes.size() / 50)) secrets.push_back(bytes.substr(at, 16));
    }
  }
  EXPECT_GT(secrets.size(), 50U);
  const std::map<std::string, std::string> logs{{"miner", miner_log}, {"validator", validator_log}};
  for (const auto& [name, log] : logs) {
    for (const auto& secret : secrets) {
      EXPECT_EQ(log.find(secret), std::string::npos) << "in the log of the " << name;
      EXPECT_EQ(log.find(hex_of(secret)), std::string::npos) << "in the log of the " << name;
    }
  }
}

}  // namespace
}  // namespace brainlock::test
