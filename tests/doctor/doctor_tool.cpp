// What a script needs to make faults of: servers that are not what they should be, packages, databases and ledgers in a bad state.
//
//   doctor_tool miner SS58 [URI [MS]]   serves as the miner of SS58, with a certificate of the development key URI; its clock was so far ahead when it began; prints its port
//   doctor_tool silent                  listens and says nothing; prints its port
//   doctor_tool page                    answers every GET with a few words; prints its port
//   doctor_tool weak-package FROM TO    writes a package whose parameters are below 128 bits
//   doctor_tool ledger FILE SS58...     an embedded ledger with these hotkeys registered; the first alone has stake, and a permit
//   doctor_tool address FILE URI IP PORT  has a hotkey announce an address there
//   doctor_tool store FILE [SCHEMA]     a validator's database, of another schema if given
//   doctor_tool vote FILE REASON        notes a refused vote in it
//   doctor_tool lock FILE               begins to write into it and never ends; prints "locked"
//   doctor_tool fill FILE               fills the disk on which FILE lies
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "brainlock/base/file.hpp"
#include "brainlock/ledger/embedded_ledger.hpp"
#include "brainlock/ledger/key_signer.hpp"
#include "brainlock/math/ntt.hpp"
#include "brainlock/miner/service.hpp"
#include "brainlock/net/server.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/program_codec.hpp"
#include "brainlock/protocol/messages.hpp"
#include "brainlock/store/store.hpp"

namespace {

using namespace brainlock;
namespace fs = std::filesystem;

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().to_string());
  return std::move(result).value();
}
void must(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error().to_string());
}

crypto::Sr25519KeyPair pair_of(const std::string& uri) { return must(crypto::Sr25519KeyPair::from_uri(uri)); }

class Words : public net::Application {
 public:
  explicit Words(std::string text) : text_(std::move(text)) {}
  std::variant<net::Response, std::unique_ptr<net::Exchange>> begin(const net::RequestHead&) override { return net::Response{200, "text/plain", {}, net::text_bytes(text_)}; }

 private:
  std::string text_;
};

[[noreturn]] void serve(const std::string& text, std::optional<net::TlsIdentity> tls) {
  const auto server = must(net::Server::start({.address = "127.0.0.1", .port = 0, .threads = 1, .tls = std::move(tls)}, std::make_shared<Words>(text)));
  std::cout << server->port() << std::endl;
  for (;;) ::pause();
}

[[noreturn]] void listen_silently() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, any, size) != 0 || ::listen(listener, 16) != 0 || ::getsockname(listener, any, &size) != 0) throw std::runtime_error("no socket");
  std::cout << ntohs(address.sin_port) << std::endl;
  for (;;) ::pause();
}

void write_weak(const fs::path& from, const fs::path& to) {
  const auto package = must(package::Package::load(from));
  plan::Program program = package->program();
  auto& parameters = program.parameters;
  std::vector<std::uint32_t> taken = parameters.p;
  taken.insert(taken.end(), parameters.q.begin(), parameters.q.end());
  for (const auto prime : math::ntt_primes(28, 12, parameters.ring_degree, taken)) parameters.q.push_back(prime);
  fs::create_directories(to);
  must(write_file(to / "plan.bin", package::encode_program(program)));
  must(write_file(to / "model.onnx", package->model()));
  const std::string manifest = package->manifest();
  must(write_file(to / "manifest.json", std::vector<std::uint8_t>(manifest.begin(), manifest.end())));
}

void make_ledger(const fs::path& file, const std::vector<std::string>& hotkeys) {
  ledger::Genesis genesis;
  genesis.parameters.tempo = 5;
  genesis.parameters.serving_rate_limit = 0;
  genesis.parameters.max_allowed_validators = 1;
  genesis.parameters.activity_cutoff = 1'000'000;
  // An hour old: epochs have passed since the stake came, and are worked out by whoever looks.
  const auto past = [clock = ledger::system_wall_clock()] { return clock() - 3'600'000; };
  const auto made = must(ledger::EmbeddedLedger::create(file, genesis, past));
  const ledger::KeySigner coldkey(pair_of("//Cold"));
  for (std::size_t i = 0; i < hotkeys.size(); ++i) {
    const auto account = must(crypto::ss58_decode(hotkeys[i]));
    const auto registered = must(made->register_neuron(coldkey, account));
    if (!registered.accepted()) throw std::runtime_error(registered.message);
    if (i == 0) must(made->set_stake(account, 1'000 * ledger::kRaoPerTao));
  }
}

void announce(const fs::path& file, const std::string& uri, const std::string& ip, const std::string& port) {
  const auto opened = must(ledger::EmbeddedLedger::open(file));
  ledger::Axon axon;
  axon.ip = ip;
  axon.port = static_cast<std::uint16_t>(std::stoul(port));
  const auto served = must(opened->serve_axon(ledger::KeySigner(pair_of(uri)), axon));
  if (!served.accepted()) throw std::runtime_error(served.message);
}

void make_store(const fs::path& file, const std::string& schema) {
  { (void)must(store::open_store(store::StoreAddress(file))); }
  if (schema.empty()) return;
  auto database = must(store::open_sqlite(file));
  (void)must(database->execute("UPDATE schema_versions SET version = ? WHERE name = 'store'", {store::Value(std::int64_t{std::stoll(schema)})}));
}

void note_vote(const fs::path& file, const std::string& reason) {
  const auto opened = must(store::open_store(store::StoreAddress(file)));
  store::VoteRow vote;
  vote.id = "1";
  vote.block = 7;
  vote.reason = reason;
  vote.detail = "next allowed in 37 blocks";
  (void)must(opened->record_vote(vote));
}

[[noreturn]] void lock(const fs::path& file) {
  const auto database = must(store::open_sqlite(file));
  must(database->begin());
  (void)must(database->execute("CREATE TABLE IF NOT EXISTS other (a INTEGER)"));
  std::cout << "locked" << std::endl;
  for (;;) ::pause();
}

void fill(const fs::path& file) {
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::vector<char> bytes(1 << 16);
  while (::write(out, bytes.data(), bytes.size()) > 0) {
  }
  ::close(out);
}

int run(const std::vector<std::string>& words) {
  const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string(); };
  const std::string& act = words[0];
  if (act == "miner") {
    protocol::MinerStatus status;
    status.version = "0.1.0";
    status.hotkey = word(1);
    status.time_ms = ledger::system_wall_clock()() + (words.size() > 3 ? std::stoll(word(3)) : 0);
    std::optional<net::TlsIdentity> tls;
    if (words.size() > 2) tls = must(miner::make_server_tls(protocol::make_signer(pair_of(word(2)))));
    serve(protocol::status_json(status), std::move(tls));
  }
  if (act == "silent") listen_silently();
  if (act == "page") serve("<html>welcome</html>", {});
  if (act == "weak-package") write_weak(word(1), word(2));
  else if (act == "ledger") make_ledger(word(1), {words.begin() + 2, words.end()});
  else if (act == "address") announce(word(1), word(2), word(3), word(4));
  else if (act == "store") make_store(word(1), word(2));
  else if (act == "vote") note_vote(word(1), word(2));
  else if (act == "lock") lock(word(1));
  else if (act == "fill") fill(word(1));
  else throw std::runtime_error("unknown act " + act);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return argc < 2 ? 2 : run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
