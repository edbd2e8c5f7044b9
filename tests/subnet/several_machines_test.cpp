// One miner on two machines, as deploy/several-machines.cfg has it: a real HAProxy, two processes of `brainlock miner` with one hotkey, and askers at several
// addresses (127.0.0.0/8 is all ours). Skipped, with the reason, where there is no HAProxy.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "brainlock/chain/wallet.hpp"
#include "brainlock/net/client.hpp"
#include "brainlock/net/proxy_header.hpp"
#include "brainlock/protocol/tls_proof.hpp"
#include "command.hpp"
#include "node_process.hpp"

namespace brainlock::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

/// A socket of an address, connected or -1.
int connect_from(const std::string& from, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{}, to{};
  own.sin_family = to.sin_family = AF_INET;
  ::inet_pton(AF_INET, from.c_str(), &own.sin_addr);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
  ::close(fd);
  return -1;
}

/// A listening socket at a free port of this machine.
std::pair<int, std::uint16_t> listen_somewhere() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&own), size), 0);
  EXPECT_EQ(::listen(fd, 16), 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
  return {fd, ntohs(own.sin_port)};
}
std::uint16_t free_port() {
  const auto [fd, port] = listen_somewhere();
  ::close(fd);
  return port;
}

bool eventually(const std::function<bool()>& condition, milliseconds time = milliseconds(30'000)) {
  for (const auto until = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(milliseconds(50))) {
    if (condition()) return true;
  }
  return condition();
}

/// An asker's network: what connects to its port is passed on from another address of this machine. Programs that choose no address of their own go through it.
class Elsewhere {
 public:
  Elsewhere(std::string from, std::uint16_t to) : from_(std::move(from)), to_(to) {
    std::tie(listener_, port) = listen_somewhere();
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  ~Elsewhere() {
    thread_.request_stop();
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port = 0;

 private:
  static bool ready(int fd, int ms) {
    pollfd wait{fd, POLLIN, 0};
    return ::poll(&wait, 1, ms) > 0;
  }
  void serve(const std::stop_token& stop) {
    std::vector<std::jthread> connections;
    while (!stop.stop_requested()) {
      if (!ready(listener_, 20)) continue;
      const int near = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), far = connect_from(from_, to_);
      connections.emplace_back([near, far](const std::stop_token& end) {
        pollfd both[]{{near, POLLIN, 0}, {far, POLLIN, 0}};
        bool open = near >= 0 && far >= 0;
        while (open && !end.stop_requested()) {
          if (::poll(both, 2, 50) <= 0) continue;
          for (int i = 0; i < 2 && open; ++i) open = both[i].revents == 0 || pass(both[i].fd, both[1 - i].fd);
        }
        ::close(near);
        ::close(far);
      });
    }
  }
  static bool pass(int from, int to) {
    char buffer[65536];
    const ssize_t got = ::recv(from, buffer, sizeof buffer, 0);
    for (ssize_t sent = 0; sent < got;) {
      const ssize_t more = ::send(to, buffer + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
      if (more <= 0) return false;
      sent += more;
    }
    return got > 0;
  }

  const std::string from_;
  const std::uint16_t to_;
  int listener_ = -1;
  std::jthread thread_;
};

/// HAProxy and the libraries that were unpacked with it; empty where there is none.
std::pair<std::string, std::string> haproxy() {
  const fs::path unpacked = fs::path(BRAINLOCK_SOURCE_DIR) / "build/tools/haproxy/usr";
  for (const fs::path& place : {fs::path("/usr"), unpacked}) {
    if (!fs::exists(place / "sbin/haproxy")) continue;
    std::string libraries;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(place / "lib", error)) {
      if (place != "/usr" && entry.is_directory()) libraries += (libraries.empty() ? "" : ":") + entry.path().string();
    }
    return {(place / "sbin/haproxy").string(), libraries};
  }
  return {};
}

/// A program that is no command of ours.
class Balancer {
 public:
  Balancer(const std::string& program, const std::string& libraries, const fs::path& settings, const fs::path& said) {
    const std::string log = said.string(), file = settings.string();
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!libraries.empty()) ::setenv("LD_LIBRARY_PATH", libraries.c_str(), 1);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execl(program.c_str(), program.c_str(), "-db", "-f", file.c_str(), nullptr);
    ::_exit(127);
  }
  Balancer(const Balancer&) = delete;
  ~Balancer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
};

constexpr int kMachines = 2;

struct SeveralMachines : testing::Test {
  const TemporaryFolder folder;
  std::unique_ptr<ledger::EmbeddedLedger> ledger;
  std::unique_ptr<Command> machines[kMachines];
  std::uint16_t ports[kMachines]{}, metrics_ports[kMachines]{}, port = 0;
  std::unique_ptr<Balancer> balancer;
  int runs = 0;
  json clear;

  [[nodiscard]] std::string place(const std::string& name) const { return (folder.path / name).string(); }

  std::vector<std::string> options_of(int machine) {
    const std::string name = std::to_string(machine);
    std::vector<std::string> out{"--ledger", place("ledger.sqlite"), "--wallet.path", place("wallets"), "--wallet.name", "test", "--wallet.hotkey", "miner", "--package", place("package"),
                                 "--state", place("state-" + name), "--listen", "127.0.0.1", "--port", std::to_string(ports[machine]), "--metrics-port", std::to_string(metrics_ports[machine]),
                                 "--threads", "1", "--drain", "5", "--open", "--proxy-from", "127.0.0.1"};
    // One announces, for both, where the balancer is.
    if (machine == 0) out.insert(out.end(), {"--external-ip", "127.0.0.1", "--external-port", std::to_string(port)});
    return out;
  }
  void start(int machine) {
    auto arguments = options_of(machine);
    arguments.insert(arguments.begin(), "miner");
    machines[machine] = std::make_unique<Command>(arguments, place("machine" + std::to_string(machine) + "." + std::to_string(runs++)));
  }
  void kill(int machine) { machines[machine].reset(); }
  /// How often a machine has said an event, in this run of it.
  [[nodiscard]] int said(int machine, const std::string& event) const {
    const std::string log = machines[machine]->err();
    int out = 0;
    for (std::size_t at = 0; (at = log.find(event, at)) != std::string::npos; ++at) ++out;
    return out;
  }

  /// A word to the balancer and its answer (HAProxy's runtime interface).
  [[nodiscard]] std::string tell(const std::string& command) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    place("admin.sock").copy(to.sun_path, sizeof to.sun_path - 1);
    std::string out;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) {
      const std::string line = command + "\n";
      ::send(fd, line.data(), line.size(), MSG_NOSIGNAL);
      char buffer[4096];
      for (ssize_t got; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(fd);
    return out;
  }
  /// Whether the balancer's checks find that machine well.
  [[nodiscard]] bool is_up(int machine) const {
    const std::string stat = tell("show stat"), line = "machines," + std::string(machine == 0 ? "one" : "two") + ",";
    const std::size_t at = stat.find(line);
    return at != std::string::npos && stat.substr(at, stat.find('\n', at) - at).find(",UP,") != std::string::npos;
  }

  /// The key of the certificate that somebody there is shown; empty if nobody answers. Every machine has one of its own.
  static std::string key_at(std::uint16_t at, const std::string& beginning = {}) {
    std::string seen;
    const protocol::AccountId hotkey = person("miner").account();
    net::Client client("127.0.0.1", at, [&](const net::TlsKeyHash& key, std::span<const std::uint8_t> proof) {
      seen.assign(key.begin(), key.end());
      return protocol::check_tls_proof(hotkey, key, proof);
    });
    client.begin_with(beginning);
    const auto answer = client.send({"GET", "/v1/status", {}, {}}, {});
    return answer.ok() && answer->status == 200 ? seen : std::string();
  }
  /// Which machine an asker is led to; -1: none.
  int machine_of(const std::string& asker) {
    const Elsewhere network(asker, port);
    const std::string key = key_at(network.port);
    for (int i = 0; i < kMachines; ++i) {
      if (!key.empty() && machines[i] && key == key_at(ports[i], net::own_proxy_header())) return i;
    }
    return -1;
  }
  /// `brainlock query` of somebody there, with keys and a name of their own: answered, and rightly.
  void expect_answer(const std::string& asker, const std::string& why) {
    const Elsewhere network(asker, port);
    Command query({"query", "--miner", "127.0.0.1:" + std::to_string(network.port), "--miner-hotkey", crypto::ss58_encode(person("miner").account()), "--package", place("package"), "--home",
                   place("home-" + asker), "--synthetic", "3", "--json"},
                  place("query" + std::to_string(runs++)));
    ASSERT_EQ(query.wait(), 0) << why << ": " << query.err();
    EXPECT_EQ(json::parse(query.out())["class"], clear["class"]) << why;
  }

  void SetUp() override {
    const auto [program, libraries] = haproxy();
    if (program.empty()) GTEST_SKIP() << "skipped: there is no haproxy (`cmake/unpack-debian build/tools/haproxy $(dpkg --print-architecture) haproxy` gets it without installing it)";
    Command compile({"compile", std::string(BRAINLOCK_SOURCE_DIR) + "/models/test/mlp.onnx", "-o", place("package"), "--profile", "fast"}, place("compile"));
    ASSERT_EQ(compile.wait(), 0) << compile.err();
    Command infer({"infer", place("package"), "--synthetic", "3", "--threads", "1", "--json"}, place("infer"));
    ASSERT_EQ(infer.wait(), 0) << infer.err();
    clear = json::parse(infer.out());
    ledger = make_ledger(folder.path, {"miner"}, {"validator"});
    for (const std::string name : {"miner", "validator"}) {
      const auto key = chain::WalletKey::from_uri("//" + name);
      ASSERT_TRUE(key.ok());
      ASSERT_TRUE(chain::WalletStore(place("wallets")).write_hotkey("test", name, *key, std::nullopt, false).ok());
    }
    port = free_port();
    for (int i = 0; i < kMachines; ++i) {
      ports[i] = free_port();
      metrics_ports[i] = free_port();
    }
    // What its comments tell a reader to change, and what only root may.
    std::string settings = text_of(fs::path(BRAINLOCK_SOURCE_DIR) / "deploy/several-machines.cfg");
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"bind :::5000 v4v6", "bind 127.0.0.1:" + std::to_string(port)},
                                                                                   {"server one 10.0.0.11:5000", "server one 127.0.0.1:" + std::to_string(ports[0])},
                                                                                   {"server two 10.0.0.12:5000", "server two 127.0.0.1:" + std::to_string(ports[1])},
                                                                                   {"/run/haproxy/admin.sock", place("admin.sock")},
                                                                                   {"  user haproxy\n", ""},
                                                                                   {"  group haproxy\n", ""}}) {
      const std::size_t at = settings.find(from);
      ASSERT_NE(at, std::string::npos) << from;
      settings.replace(at, from.size(), to);
    }
    std::ofstream(place("haproxy.cfg")) << settings;
    for (int i = 0; i < kMachines; ++i) start(i);
    for (int i = 0; i < kMachines; ++i) ASSERT_TRUE(eventually([&] { return said(i, " listening ") == 1; })) << machines[i]->err();
    balancer = std::make_unique<Balancer>(program, libraries, place("haproxy.cfg"), place("haproxy.log"));
    ASSERT_TRUE(eventually([&] { return is_up(0) && is_up(1); })) << text_of(place("haproxy.log"));
  }
};

/// An asker of each machine.
std::map<int, std::string> askers_of(SeveralMachines& test) {
  std::map<int, std::string> out;
  for (int i = 1; i < 60 && out.size() < kMachines; ++i) {
    const std::string asker = "127.0.1." + std::to_string(i);
    out.emplace(test.machine_of(asker), asker);
  }
  return out;
}

TEST_F(SeveralMachines, AnAskerStaysWithItsMachineAndGoesOnWithTheOtherWhenThatIsLost) {
  const auto askers = askers_of(*this);
  ASSERT_EQ(askers.count(0) + askers.count(1), 2u) << "some askers are led to each machine";
  for (int machine = 0; machine < kMachines; ++machine) {
    const std::string& asker = askers.at(machine);
    for (int i = 0; i < 2; ++i) expect_answer(asker, "both machines are well");
    EXPECT_EQ(machine_of(asker), machine);
    EXPECT_EQ(said(machine, " key_complete "), 1) << "sent once, to this one: " << machines[machine]->err();
    EXPECT_EQ(said(machine, " answered "), 2);
  }
  EXPECT_EQ(said(0, " address_announced "), 1);
  EXPECT_EQ(said(1, " address_announced "), 0);

  // One is lost: its asker is answered by the other one, at once, to which the keys are sent anew.
  kill(0);
  expect_answer(askers.at(0), "its machine was killed a moment ago");
  EXPECT_EQ(said(1, " key_complete "), 2) << machines[1]->err();
  EXPECT_EQ(said(1, " answered "), 3);
  expect_answer(askers.at(1), "its machine is another one");
  ASSERT_TRUE(eventually([&] { return !is_up(0); }));

  // It comes back: so does its asker, whose keys are still there.
  start(0);
  ASSERT_TRUE(eventually([&] { return is_up(0); })) << machines[0]->err();
  EXPECT_EQ(machine_of(askers.at(0)), 0);
  expect_answer(askers.at(0), "its machine is back");
  EXPECT_EQ(said(0, " key_complete "), 0) << "kept from before: " << machines[0]->err();
  EXPECT_EQ(said(0, " answered "), 1);

  // It is to be stopped: nobody new is led there, and then it may go.
  (void)tell("set server machines/one state drain");
  EXPECT_EQ(machine_of(askers.at(0)), 1);
  expect_answer(askers.at(0), "its machine takes nobody new");
  (void)tell("set server machines/one state ready");
  EXPECT_EQ(machine_of(askers.at(0)), 0);

  for (int machine = 0; machine < kMachines; ++machine) {
    EXPECT_EQ(said(machine, " proxy_header "), 0) << "the balancer's checks break no rule: " << machines[machine]->err();
    // Of a machine that takes this one for a proxy, too, the doctor sees whether it is well.
    auto arguments = options_of(machine);
    arguments.insert(arguments.begin(), {"doctor", "miner"});
    Command doctor(arguments, place("doctor" + std::to_string(machine)));
    (void)doctor.wait();
    for (const std::string check : {"port", "certificate"}) EXPECT_NE(doctor.out().find("ok    " + check), std::string::npos) << doctor.out();
    EXPECT_NE(doctor.out().find(machine == 0 ? "ok    reach" : "one machine behind the proxy does it for all"), std::string::npos) << doctor.out();
    EXPECT_EQ(machines[machine]->stop(), 0);
  }
}

TEST_F(SeveralMachines, EachAskerHasLimitsOfItsOwn) {
  const auto askers = askers_of(*this);
  ASSERT_TRUE(askers.contains(0));
  const std::string& flooding = askers.at(0);
  // Another one of the same machine, in another network of 256.
  std::string other;
  for (int i = 1; i < 60 && other.empty(); ++i) {
    const std::string asker = "127.0.2." + std::to_string(i);
    if (machine_of(asker) == 0) other = asker;
  }
  ASSERT_FALSE(other.empty());
  const auto metric = [&](const std::string& name) {
    net::Client client("127.0.0.1", metrics_ports[0]);
    const auto answer = client.send({"GET", "/metrics", {}, {}}, {});
    const std::string text = answer.ok() ? std::string(answer->body.begin(), answer->body.end()) : "";
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? 0 : std::stoi(text.substr(at + name.size() + 2));
  };
  const auto ask = [](int fd) {
    const std::string request = "GET /v1/status HTTP/1.1\r\n\r\n";
    ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char buffer[4096];
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    return got <= 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(got)).substr(9, 3);
  };
  // More connections than one address may have: 64. They come from this machine as the miner sees it, whose own have no rate; theirs have.
  std::vector<int> open;
  int answered = 0;
  for (int i = 0; i < 90; ++i) {
    open.push_back(connect_from(flooding, port));
    answered += ask(open.back()) == "200" ? 1 : 0;
  }
  EXPECT_LE(answered, 64);
  EXPECT_GE(answered, 55) << "some of its connections were made before";
  EXPECT_EQ(metric("brainlock_http_refused_connections_total"), 90 - answered);
  // Nobody else is concerned, though they come through the same proxy.
  const int honest = connect_from(other, port);
  EXPECT_EQ(ask(honest), "200");
  // More requests than one address may have: 100 a second, 200 at once.
  std::map<std::string, int> statuses;
  for (int i = 0; i < 400; ++i) ++statuses[ask(open[static_cast<std::size_t>(i % 40)])];
  EXPECT_GE(statuses["429"], 1);
  EXPECT_GE(metric("brainlock_miner_requests_total{route=\"any\",outcome=\"rate_limited\"}"), statuses["429"]);
  EXPECT_EQ(ask(honest), "200");
  for (const int fd : open) ::close(fd);
  ::close(honest);
  EXPECT_TRUE(is_up(0)) << "and the balancer's checks are answered all the while";
  expect_answer(other, "somebody else floods");
}

TEST_F(SeveralMachines, AValidatorGoesOnWhenItsMachineIsLost) {
  Command validator({"validator", "--ledger", place("ledger.sqlite"), "--wallet.path", place("wallets"), "--wallet.name", "test", "--wallet.hotkey", "validator", "--package", place("package"),
                     "--state", place("validator"), "--slot-blocks", "0", "--allow-private-addresses", "--pause", "0.2", "--page-port=-1", "--threads", "1", "--parallel", "1",
                     "--approve", json::parse(text_of(place("package") + "/manifest.json"))["hash"]},
                    place("validator-run"));
  const auto right_answers = [&] {
    const std::string log = validator.err();
    int out = 0;
    for (std::size_t at = 0; (at = log.find(" measured ", at)) != std::string::npos; ++at) out += log.substr(at, log.find('\n', at) - at).find(" reason=ok") != std::string::npos ? 1 : 0;
    return out;
  };
  ASSERT_TRUE(eventually([&] { return right_answers() >= 2; })) << validator.err();
  const int its = said(0, " key_complete ") == 1 ? 0 : 1;
  EXPECT_EQ(said(its, " key_complete "), 1);
  EXPECT_EQ(said(1 - its, " key_complete "), 0);
  kill(its);
  const int before = right_answers();
  ASSERT_TRUE(eventually([&] { return right_answers() >= before + 3; })) << validator.err();
  EXPECT_EQ(said(1 - its, " key_complete "), 1) << "the keys were sent to the other one";
  EXPECT_EQ(validator.stop(), 0);
}

// What docs/operation.md says of it: machines do not tell each other which requests they took.
TEST_F(SeveralMachines, ACapturedRequestIsGoodOnceAtEachMachine) {
  const std::string target = "/v1/packages/" + json::parse(text_of(place("package") + "/manifest.json"))["hash"].get<std::string>() + "/keys/" + std::string(64, '7');
  const std::int64_t now_ms = client::system_wall_clock()();
  const auto captured = protocol::sign_request(person("somebody").signer, person("miner").account(), "GET", target, protocol::BodyHasher().finish(), now_ms);
  ASSERT_TRUE(captured.ok()) << captured.error().to_string();
  for (int machine = 0; machine < kMachines; ++machine) {
    for (const int status : {200, 401}) {
      net::Client client("127.0.0.1", ports[machine]);
      client.begin_with(net::own_proxy_header());
      const auto answer = client.send({"GET", target, captured->headers, {}}, {});
      ASSERT_TRUE(answer.ok()) << answer.error().to_string();
      EXPECT_EQ(answer->status, status) << machine;
    }
  }
}

}  // namespace
}  // namespace brainlock::test
