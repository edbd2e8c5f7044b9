// The chain in memory behind a real socket: WebSocket and HTTP POST on one port of the loop-back address. The command
// line and the tests against a node run on it. The wire side is written with sockets alone, so that the client's own is
// checked by another hand: large answers come in fragments, and a transaction's inclusion is told before the answer and
// before "ready", as the test peer of the chain does.
// --bare makes it a development chain at its beginning: a block comes a moment after a transaction and not otherwise,
// nothing is ever finalised, many methods are missing, errors have neither codes nor data, votes are judged in their
// block, the subnet has nobody's owner and commit-reveal on. //Alice has sudo there, unless --nobody is given too.
// --clock SECONDS has blocks say the time at which the process began, and so many seconds more.
// --frozen lets rules change in part of each epoch only, and an owner's now and then.
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "../fake_chain.hpp"
#include "brainlock/chain/subnet.hpp"
#include "brainlock/ledger/key_signer.hpp"

namespace {

using namespace brainlock;
using namespace brainlock::chain;
using nlohmann::json;

constexpr std::uint16_t kNetuid = 1;
constexpr const char* kPallet = "SubtensorModule";

bool read_exactly(int fd, std::string& out, std::size_t size) {
  out.resize(size);
  for (std::size_t have = 0; have < size;) {
    const auto got = ::recv(fd, out.data() + have, size - have, 0);
    if (got <= 0) return false;
    have += static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool send_frame(int fd, int opcode, bool last, std::string_view payload) {
  std::string head(1, static_cast<char>((last ? 0x80 : 0) | opcode));
  if (payload.size() < 126) {
    head.push_back(static_cast<char>(payload.size()));
  } else {
    const bool wide = payload.size() > 65535;
    head.push_back(static_cast<char>(wide ? 127 : 126));
    for (int shift = wide ? 56 : 8; shift >= 0; shift -= 8) head.push_back(static_cast<char>(payload.size() >> shift));
  }
  return write_all(fd, head + std::string(payload));
}

bool send_text(int fd, const std::string& text) {
  if (text.size() < 1000) return send_frame(fd, 1, true, text);
  const std::size_t half = text.size() / 2;
  return send_frame(fd, 1, false, std::string_view(text).substr(0, half)) && send_frame(fd, 9, true, "ping") &&
         send_frame(fd, 0, true, std::string_view(text).substr(half));
}

// The next text message of the client; pongs are dropped.
bool receive_text(int fd, std::string& out) {
  out.clear();
  for (;;) {
    std::string head, extra, mask, payload;
    if (!read_exactly(fd, head, 2)) return false;
    const int opcode = head[0] & 15;
    std::size_t size = static_cast<std::uint8_t>(head[1]) & 127;
    if (size >= 126) {
      if (!read_exactly(fd, extra, size == 126 ? 2 : 8)) return false;
      size = 0;
      for (char c : extra) size = size << 8 | static_cast<std::uint8_t>(c);
    }
    if (!read_exactly(fd, mask, 4) || size > (1u << 24) || !read_exactly(fd, payload, size)) return false;
    for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(payload[i] ^ mask[i % 4]);
    if (opcode == 8) return false;
    if (opcode > 8) continue;
    out += payload;
    if ((head[0] & 0x80) != 0) return true;
  }
}

bool bare = false;

json error_of(const RpcError& error) {
  json out{{"message", error.message}};
  if (error.code && !bare) out["code"] = *error.code;
  if (!error.data.empty() && !bare) out["data"] = error.data;
  return out;
}

std::string reply_of(FakeChain& chain, const json& request) {
  const auto reply = chain.request(request["method"].get<std::string>(), request["params"].dump(), Milliseconds{0});
  json out{{"jsonrpc", "2.0"}, {"id", request["id"]}};
  if (reply->error) {
    out["error"] = error_of(*reply->error);
  } else {
    out["result"] = json::parse(reply->result);
  }
  return out.dump();
}

void serve_websocket(FakeChain& chain, int fd) {
  static std::atomic<int> subscriptions{0};
  std::string text;
  while (receive_text(fd, text)) {
    const json request = json::parse(text);
    const auto method = request["method"].get<std::string>();
    if (method == "author_unwatchExtrinsic") {
      if (!send_text(fd, json{{"jsonrpc", "2.0"}, {"id", request["id"]}, {"result", nullptr}}.dump())) return;
      continue;
    }
    if (method != "author_submitAndWatchExtrinsic") {
      if (!send_text(fd, reply_of(chain, request))) return;
      continue;
    }
    auto reply = chain.subscribe(method, request["params"].dump(), "", Milliseconds{0});
    if (reply->error) {
      const json answer{{"jsonrpc", "2.0"}, {"id", request["id"]}, {"error", error_of(*reply->error)}};
      if (!send_text(fd, answer.dump())) return;
      continue;
    }
    const std::string id = "subscription " + std::to_string(++subscriptions);
    std::vector<std::string> messages;
    for (auto told = reply->subscription->next(Milliseconds{0}); told.ok();
         told = reply->subscription->next(Milliseconds{0})) {
      const json note{{"jsonrpc", "2.0"},
                      {"method", "author_extrinsicUpdate"},
                      {"params", {{"subscription", id}, {"result", json::parse(*told)}}}};
      const bool included = told->find("inBlock") != std::string::npos;
      messages.insert(included ? messages.begin() : messages.end(), note.dump());
    }
    messages.insert(messages.begin() + 1, json{{"jsonrpc", "2.0"}, {"id", request["id"]}, {"result", id}}.dump());
    for (const auto& message : messages) {
      if (!send_text(fd, message)) return;
    }
  }
}

void serve(FakeChain& chain, int fd) {
  std::string head;
  for (std::string c; head.size() < 65536 && !head.ends_with("\r\n\r\n"); head += c) {
    if (!read_exactly(fd, c, 1)) break;
  }
  std::string lower(head);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto header = [&](const std::string& name) -> std::string {
    const auto at = lower.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  };
  if (const auto host = header("host");
      host.empty() || (std::count(host.begin(), host.end(), ':') > 1 && !host.starts_with('['))) {
    write_all(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  } else if (const auto key = header("sec-websocket-key"); !key.empty()) {
    const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<std::uint8_t, 20> digest{};
    SHA1(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), digest.data());
    std::array<std::uint8_t, 32> base64{};
    EVP_EncodeBlock(base64.data(), digest.data(), digest.size());
    write_all(
        fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                std::string(reinterpret_cast<const char*>(base64.data())) + "\r\n\r\n");
    serve_websocket(chain, fd);
  } else if (const auto length = header("content-length"); !length.empty()) {
    std::string body;
    if (read_exactly(fd, body, std::stoul(length))) {
      json request = json::parse(body);
      // Here blocks come with transactions alone, and nothing is changed but by them.
      if (request["method"].get<std::string>().starts_with("dev_")) request["method"] = "none";
      const auto answer = reply_of(chain, request);
      write_all(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                        std::to_string(answer.size()) + "\r\nConnection: close\r\n\r\n" + answer);
    }
  }
  ::close(fd);
}

// Subnet 1: neurons that do nothing, and //Bob with a permit. //Alice has funds and is the owner.
void arrange(const std::shared_ptr<FakeChain>& chain, std::size_t neurons, bool anybody) {
  const ledger::KeySigner alice(crypto::Sr25519KeyPair::from_uri("//Alice").value()),
      bob(crypto::Sr25519KeyPair::from_uri("//Bob").value());
  chain->add_subnet(kNetuid, neurons);
  chain->put("System", "Account", {Value::bytes(alice.account())},
             Value::record({{"nonce", Value::number(0)},
                            {"consumers", Value::number(0)},
                            {"providers", Value::number(1)},
                            {"sufficients", Value::number(0)},
                            {"data", Value::record({{"free", Value::number(1'000'000'000'000'000)},
                                                    {"reserved", Value::number(0)},
                                                    {"frozen", Value::number(0)},
                                                    {"flags", Value::number(0)}})}}));
  if (bare) {
    chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
    if (anybody) chain->put("Sudo", "Key", {}, Value::bytes(alice.account()));
    chain->never_finalizes = true;
    chain->block_delay = Milliseconds{100};
    chain->checks_late = true;
    chain->missing_methods = {"author_submitAndWatchExtrinsic", "chain_getFinalizedHead", "state_queryStorageAt",
                              "system_accountNextIndex",        "dev_newBlock",           "dev_setStorage"};
    chain->missing_words = "Method not found: it";
    return;
  }
  chain->put(kPallet, "SubnetOwner", {Value::number(kNetuid)}, Value::bytes(alice.account()));
  ChainClient client(chain);
  chain->mine(3);
  (void)register_neuron(client, alice, kNetuid, bob.account());
  std::vector<Value> permits(neurons, Value::boolean(false));
  permits.push_back(Value::boolean(true));
  chain->put(kPallet, "ValidatorPermit", {Value::number(kNetuid)}, Value::list(permits));
}

int listen_on(bool ipv6, std::uint16_t& port) {
  const int listener = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_storage address{};
  socklen_t size = ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (ipv6) {
    v6->sin6_family = AF_INET6;
    v6->sin6_addr = in6addr_loopback;
  } else {
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, any, size) != 0 || ::listen(listener, 16) != 0 || ::getsockname(listener, any, &size) != 0)
    return -1;
  port = ntohs(ipv6 ? v6->sin6_port : v4->sin_port);
  return listener;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto given = [&](const char* flag) {
    return std::find(arguments.begin(), arguments.end(), flag) != arguments.end();
  };
  if (arguments.empty()) {
    std::cerr << "usage: chain_fake_node METADATA [NEURONS] [--bare] [--nobody] [--frozen] [--clock SECONDS] [--ipv6]; prints its port\n";
    return 2;
  }
  std::ifstream in(arguments[0], std::ios::binary);
  const crypto::Bytes blob{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  auto metadata = Metadata::decode(blob);
  if (!metadata.ok()) {
    std::cerr << metadata.error().to_string() << "\n";
    return 1;
  }
  bare = given("--bare");
  const auto chain = std::make_shared<FakeChain>(std::make_shared<const Metadata>(std::move(*metadata)), blob);
  chain->silent_errors = true;
  arrange(chain, arguments.size() > 1 && !arguments[1].starts_with("--") ? std::stoul(arguments[1]) : 4,
          !given("--nobody"));
  if (given("--frozen")) {
    chain->frozen_blocks = 18;  // of 21
    chain->owner_interval = 60;
  }
  if (const auto flag = std::find(arguments.begin(), arguments.end(), "--clock"); flag != arguments.end() && flag + 1 != arguments.end()) {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    chain->put("Timestamp", "Now", {}, Value::number(static_cast<std::uint64_t>((now + std::stol(*(flag + 1))) * 1000)));
  }
  std::uint16_t port = 0;
  const int listener = listen_on(given("--ipv6"), port);
  if (listener < 0) {
    std::cout << "no socket" << std::endl;
    return 1;
  }
  std::cout << port << std::endl;
  for (;;) {
    const int fd = ::accept(listener, nullptr, nullptr);
    if (fd >= 0) std::thread([&chain, fd] { serve(*chain, fd); }).detach();
  }
}
