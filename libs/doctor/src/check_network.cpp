// address, port, certificate, reach, metrics_port (a miner's), page (a validator's).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "brainlock/crypto/ss58.hpp"
#include "brainlock/net/client.hpp"
#include "brainlock/net/proxy_header.hpp"
#include "brainlock/protocol/messages.hpp"
#include "brainlock/protocol/tls_proof.hpp"
#include "patient.hpp"

namespace brainlock::doctor {
namespace {

constexpr net::SendLimits kPatience{3'000, 4'000, 4 << 20};

std::string where(const std::string& ip, std::uint16_t port) { return (ip.find(':') == std::string::npos ? ip : "[" + ip + "]") + ":" + std::to_string(port); }

/// Where this machine itself reaches what listens on an address.
std::string from_here(const std::string& listen) { return listen == "0.0.0.0" ? "127.0.0.1" : listen == "::" ? "::1" : listen; }

/// What would keep a server from listening there, as errno; 0 if nothing does. Binds as a server does and lets go at once: nobody can connect in between.
int bind_obstacle(const std::string& ip, std::uint16_t port) {
  sockaddr_storage address{};
  socklen_t size = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (::inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    size = sizeof *v6;
  } else {
    return EINVAL;
  }
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  const int reason = errno;
  ::close(fd);
  return bound ? 0 : reason;
}

/// The words of whoever answers a GET over plain HTTP; empty if nobody does.
std::string ask(const std::string& ip, std::uint16_t port, const std::string& target, const std::string& beginning = {}) {
  net::Client client(ip, port);
  client.begin_with(beginning);
  const auto answer = client.send({"GET", target, {}, {}}, kPatience);
  return answer.ok() ? std::string(answer->body.begin(), answer->body.end()) : std::string();
}

std::string find_program(std::uint16_t port) { return "`ss -ltnp 'sport = :" + std::to_string(port) + "'` names the program"; }

/// Free, or not to be had at all; nothing where somebody listens there.
std::optional<Finding> free_port(const std::string& listen, std::uint16_t port, const std::string& option) {
  const int why = bind_obstacle(listen, port);
  if (why == EADDRINUSE) return std::nullopt;
  if (why == 0) return ok(where(listen, port) + " is free");
  const std::string next = why == EADDRNOTAVAIL ? "an address of this machine (`ip addr`), or 0.0.0.0 for all" : "another " + option + (port < 1024 ? ", above 1023" : "");
  return failure("cannot listen on " + where(listen, port) + ": " + std::strerror(why), next);
}

/// What the miner wants to hear first from this machine itself, if it takes it for a proxy: who connects to one of his own addresses comes from that one.
std::string beginning_for(const Setup::Miner& miner, const std::string& own_ip) { return miner.proxies.contains(own_ip) ? net::own_proxy_header() : std::string(); }

Finding port_of(const PatientPtr& shared) {
  const auto& miner = shared->setup.miner;
  if (!ledger::canonical_ip(miner.listen).ok()) return failure("--listen " + miner.listen + " is not an IP address", "--listen 0.0.0.0, ::, or an address of this machine");
  if (miner.port == 0) return warning("--port 0 takes another port at each start", "--port 5000, so that routers and firewalls can let it through");
  if (const auto free = free_port(miner.listen, miner.port, "--port")) return *free;
  const std::string here = from_here(miner.listen), beginning = beginning_for(miner, here);
  const auto status = protocol::parse_status(ask(here, miner.port, "/v1/status", beginning));
  if (!status.ok() && !beginning.empty() && protocol::parse_status(ask(here, miner.port, "/v1/status")).ok()) {
    return failure("the miner on port " + std::to_string(miner.port) + " runs without --proxy-from " + here, "start the miner anew: `systemctl restart brainlock-miner`");
  }
  if (!status.ok()) return failure("port " + std::to_string(miner.port) + " is taken by a program that is no miner", "another --port, or end that program; " + find_program(miner.port));
  if (!shared->account) return skipped("a miner answers on port " + std::to_string(miner.port) + "; without the hotkey nobody can tell whether it is this one");
  const auto account = crypto::ss58_decode(status->hotkey);
  if (!account.ok() || *account != shared->account) return failure("port " + std::to_string(miner.port) + " is taken by the miner of another hotkey, " + status->hotkey.substr(0, 48), "another --port for one of them; " + find_program(miner.port));
  const std::string found = "this miner serves on port " + std::to_string(miner.port) + ", version " + status->version.substr(0, 32) + ", " + std::to_string(status->tasks.size()) + " package(s), " + std::to_string(status->running) + " running, " + std::to_string(status->queued) + " waiting";
  Finding finding = ok(found);
  const auto packages = shared->loaded();
  const auto serves = [&](const auto& package) { return std::any_of(status->tasks.begin(), status->tasks.end(), [&](const auto& task) { return task.package == package->hash(); }); };
  if (status->version != shared->setup.version) finding = warning(found + "; this program is " + shared->setup.version, "start the miner anew: `systemctl restart brainlock-miner`");
  else if (!std::all_of(packages.begin(), packages.end(), serves)) finding = warning(found + "; not the packages of this set-up", "start the miner anew: `systemctl restart brainlock-miner`");
  finding.learn = [shared] { shared->running = true; };
  return finding;
}

net::TlsPeerCheck bound_to(const ledger::AccountId& account) {
  return [account](const net::TlsKeyHash& key, std::span<const std::uint8_t> proof) { return protocol::check_tls_proof(account, key, proof); };
}

Finding certificate_of(const PatientPtr& shared) {
  const Patient& patient = *shared;
  if (!patient.running) return skipped("the miner does not run; it makes its certificate when it starts");
  const auto& miner = patient.setup.miner;
  const std::string here = from_here(miner.listen);
  net::Client client(here, miner.port, bound_to(*patient.account));
  client.begin_with(beginning_for(miner, here));
  const Status connected = client.connect(kPatience.connect_timeout_ms);
  if (connected.ok()) {
    Finding finding = ok("bound to this hotkey");
    finding.learn = [shared] { shared->bound = true; };
    return finding;
  }
  if (connected.error().code == ErrorCode::kDenied) return failure("the certificate on port " + std::to_string(miner.port) + " is not bound to this hotkey: validators turn away", "nothing may end TLS in front of the miner; start the miner anew");
  return failure("no TLS on port " + std::to_string(miner.port) + ": " + connected.error().message, "nothing but the miner may answer on that port; start the miner anew");
}

/// How many questions the miner has answered since it was started, as its metrics have it: the one proof that others reach it. Empty where they are not served.
std::string answered_so_far(const Setup::Miner& miner) {
  if (miner.metrics_port == 0) return {};
  constexpr std::string_view kLine = "brainlock_miner_requests_total{route=\"infer\",outcome=\"ok\"} ";
  const std::string metrics = ask("127.0.0.1", miner.metrics_port, "/metrics");
  const auto at = metrics.find(kLine);
  if (at == std::string::npos) return metrics.find("brainlock_miner_") == std::string::npos ? "" : "; it has answered no question since its start";
  return "; it has answered " + std::to_string(std::strtoull(metrics.c_str() + at + kLine.size(), nullptr, 10)) + " questions since its start";
}

Finding reach_of(const Patient& patient) {
  const auto& miner = patient.setup.miner;
  if (miner.external_ip.empty()) return skipped("no address is announced");
  const auto ip = ledger::canonical_ip(miner.external_ip);
  const std::uint16_t port = miner.external_port != 0 ? miner.external_port : miner.port;
  const std::string address = where(*ip, port), probe = "from another machine: `brainlock doctor reach " + address + "`, or `curl -m 5 http://" + address + "/v1/status`";
  if (!patient.running) return skipped("the miner does not run; " + probe);
  if (!patient.bound) return skipped("not looked at: 'certificate' comes first");
  const auto& own = patient.machine.addresses;
  const bool is_own = ip->starts_with("127.") || *ip == "::1" || std::find(own.begin(), own.end(), *ip) != own.end();
  net::Client client(*ip, port, bound_to(*patient.account));
  // Elsewhere, and at another port, it is the proxy that is asked, and that says the header.
  if (is_own && port == miner.port) client.begin_with(beginning_for(miner, *ip));
  const Status connected = client.connect(kPatience.connect_timeout_ms);
  if (connected.ok()) {
    const std::string answered = answered_so_far(miner);
    if (ledger::is_non_public_ip(*ip)) return ok(address + " answers" + answered);
    if (is_own) return ok(address + " answers; asked from this machine, whose own address it is, that says nothing of firewalls: " + probe + answered);
    return ok(address + " answers, by the way through the router; asked from this machine, that says nothing of rules for strangers: " + probe + answered);
  }
  if (connected.error().code == ErrorCode::kDenied) {
    // Somebody. A miner says who it is; what is none may be the router itself, or a proxy on the way out, and others may get through all the same.
    const auto status = protocol::parse_status(ask(*ip, port, "/v1/status"));
    if (!status.ok()) return warning(address + " is answered by something that is no miner when this machine asks: the router itself, or a proxy on the way out", probe + "; if no miner answers there either, correct --external-ip and where the router passes that port");
    const auto account = crypto::ss58_decode(status->hotkey);
    if (account.ok() && *account == *patient.account) return failure(address + " leads to this miner, but something on the way ends TLS: validators turn away", "pass the port on as it is (TCP), without TLS of its own");
    return failure(address + " is answered by the miner of another hotkey, " + status->hotkey.substr(0, 48), "correct --external-ip and --external-port, or where the router passes that port");
  }
  return warning(address + " does not answer this machine itself (" + connected.error().message + "); many routers pass nothing back to where it came from", probe + "; if that fails too, let port " + std::to_string(port) + " through firewall and router");
}

Finding metrics_of(const Patient& patient) {
  const std::uint16_t port = patient.setup.miner.metrics_port;
  if (port == patient.setup.miner.port) return failure("--metrics-port and --port are both " + std::to_string(port), "another --metrics-port");
  if (const auto free = free_port("127.0.0.1", port, "--metrics-port")) return *free;
  if (patient.running && ask("127.0.0.1", port, "/metrics").find("brainlock_miner_") != std::string::npos) return ok("http://127.0.0.1:" + std::to_string(port) + "/metrics answers");
  return failure("port " + std::to_string(port) + " is taken by another program", "another --metrics-port; " + find_program(port));
}

Finding page_of(const PatientPtr& shared) {
  const auto& validator = shared->setup.validator;
  if (validator.page_port < 0) return skipped("--page-port -1 asks for none");
  const auto port = static_cast<std::uint16_t>(validator.page_port);
  if (!ledger::canonical_ip(validator.listen).ok()) return failure("--listen " + validator.listen + " is not an IP address", "--listen 127.0.0.1, or an address of this machine");
  if (port == 0) return ok("--page-port 0 takes another port at each start");
  Finding finding;
  if (const auto free = free_port(validator.listen, port, "--page-port")) {
    if (free->level == Level::kFailure) return *free;
    finding = *free;
  } else if (ask(from_here(validator.listen), port, "/metrics").find("brainlock_validator_") == std::string::npos) {
    return failure("port " + std::to_string(port) + " is taken by another program", "another --page-port, or -1 for none; " + find_program(port));
  } else {
    finding = ok("a validator runs and serves its page at http://" + where(from_here(validator.listen), port) + "/");
    finding.learn = [shared] { shared->running = true; };
  }
  if (!validator.listen.starts_with("127.") && validator.listen != "::1") {
    finding.level = Level::kWarning;
    finding.found += "; --listen " + validator.listen + " shows it to others, without TLS";
    finding.next = "--listen 127.0.0.1, and a web server that adds TLS in front";
  }
  return finding;
}

}  // namespace

void add_network_checks(std::vector<Check>& checks, const PatientPtr& patient) {
  const auto limit = std::chrono::seconds(15);
  const Finding late = failure("the network does not answer", "look at `ip addr` and `ip route`");
  const auto packages = package_check_names(patient->setup);
  if (patient->setup.role == Role::kValidator) {
    checks.push_back({"page", [patient] { return page_of(patient); }, {}, {}, limit, late});
    return;
  }
  checks.push_back({"address", [patient] { return judge_address(patient->setup, patient->machine.addresses); }});
  std::vector<std::string> before = packages;   // to tell this miner and its packages from others
  before.emplace_back("hotkey");
  checks.push_back({"port", [patient] { return port_of(patient); }, {}, before, limit, late});
  checks.push_back({"certificate", [patient] { return certificate_of(patient); }, {"port"}, {}, limit, late});
  Check reach{"reach", [patient] { return reach_of(*patient); }, {"address", "port"}, {"certificate"}, limit, late};
  checks.push_back(std::move(reach));
  if (patient->setup.miner.metrics_port != 0) checks.push_back({"metrics_port", [patient] { return metrics_of(*patient); }, {}, {"port"}, limit, late});
}

}  // namespace brainlock::doctor
