// Helper of the JavaScript peer test: makes and checks what the other side checks and makes.
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "brainlock/chain/extrinsic.hpp"
#include "brainlock/chain/runtime.hpp"
#include "brainlock/crypto/random.hpp"
#include "brainlock/crypto/ss58.hpp"
#include "brainlock/ledger/key_signer.hpp"

namespace {

using namespace brainlock;
using namespace brainlock::chain;
using nlohmann::json;

std::mt19937_64 generator{20240917};

crypto::Bytes some_bytes(std::size_t size) {
  crypto::Bytes out(size);
  for (auto& b : out) b = static_cast<std::uint8_t>(generator());
  return out;
}

int sign(int count) {
  for (int i = 0; i < count; ++i) {
    const auto seed = some_bytes(32);
    const auto message = some_bytes(generator() % 700);
    const auto pair = crypto::Sr25519KeyPair::from_mini_secret(seed);
    const auto signature = pair->sign(message);
    std::cout << json{{"seed", crypto::hex_encode_0x(seed)},
                      {"pub", crypto::hex_encode_0x(pair->public_key())},
                      {"ss58", crypto::ss58_encode(pair->public_key())},
                      {"message", crypto::hex_encode_0x(message)},
                      {"signature", crypto::hex_encode_0x(*signature)}}
                     .dump()
              << "\n";
  }
  return 0;
}

int verify() {
  int good = 0, all = 0;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream in(line);
    std::string key, message, signature;
    in >> key >> message >> signature;
    ++all;
    if (crypto::sr25519_verify(*crypto::hex_decode(key), *crypto::hex_decode(message), *crypto::hex_decode(signature))) ++good;
  }
  std::cout << good << " of " << all << " verified\n";
  return 0;
}

// A value and what the other side should read it as.
struct Argument {
  std::string name;
  Value value;
  json expected;
};

Argument number(const char* name, std::uint64_t limit) {
  const std::uint64_t value = generator() % 4 == 0 ? limit : generator() % (limit == ~0ull ? limit : limit + 1);
  return {name, Value::number(value), std::to_string(value)};
}

Argument bytes(const char* name, std::size_t size) {
  const auto value = some_bytes(size);
  return {name, Value::bytes(value), crypto::hex_encode_0x(value)};
}

Argument numbers(const char* name, std::size_t count) {
  Argument out{name, {}, json::array()};
  std::vector<std::uint16_t> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(static_cast<std::uint16_t>(generator()));
    out.expected.push_back(std::to_string(values.back()));
  }
  out.value = Value::numbers(values);
  return out;
}

struct Call {
  const char* pallet;
  const char* name;
  std::vector<Argument> arguments;
};

Call random_call() {
  constexpr const char* kModule = "SubtensorModule";
  const std::size_t many = generator() % 90;
  switch (generator() % 8) {
    case 0: return {"System", "remark", {bytes("remark", generator() % 400)}};
    case 1: return {kModule, "burned_register", {number("netuid", 65535), bytes("hotkey", 32)}};
    case 2: {
      const auto ip = (U128{generator()} << 64) | generator();
      return {kModule,
              "serve_axon",
              {number("netuid", 65535), number("version", 0xffffffff),
               Argument{"ip", Value::number(ip), to_decimal(ip)}, number("port", 65535), number("ip_type", 255),
               number("protocol", 255), number("placeholder1", 255), number("placeholder2", 255)}};
    }
    case 3:
      return {kModule, "set_weights",
              {number("netuid", 65535), numbers("dests", many), numbers("weights", many), number("version_key", ~0ull)}};
    case 4: return {kModule, "commit_weights", {number("netuid", 65535), bytes("commit_hash", 32)}};
    case 5:
      return {kModule, "reveal_weights",
              {number("netuid", 65535), numbers("uids", many), numbers("values", many), numbers("salt", 8),
               number("version_key", ~0ull)}};
    case 6:
      return {kModule, "commit_crv3_weights",
              {number("netuid", 65535), bytes("commit", many * 40), number("reveal_round", ~0ull)}};
    default:
      return {kModule, "add_stake", {bytes("hotkey", 32), number("netuid", 65535), number("amount_staked", ~0ull)}};
  }
}

int calls(const char* file, int count) {
  std::ifstream in(file, std::ios::binary);
  const crypto::Bytes blob{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto metadata = Metadata::decode(blob);
  if (!metadata.ok()) {
    std::cerr << metadata.error().to_string() << "\n";
    return 1;
  }
  const ledger::KeySigner alice(crypto::Sr25519KeyPair::from_uri("//Alice").value());
  for (int i = 0; i < count; ++i) {
    const Call call = random_call();
    Arguments arguments;
    json expected = json::object();
    for (const auto& argument : call.arguments) {
      arguments.emplace_back(argument.name, argument.value);
      expected[argument.name] = argument.expected;
    }
    const auto encoded = encode_call(*metadata, call.pallet, call.name, arguments);
    SigningContext context;
    context.spec_version = 224;
    context.transaction_version = 1;
    context.genesis.fill(0x45);
    context.mortality.fill(0xab);
    context.era = Era::mortal(4u << generator() % 10, generator() % 1'000'000);
    context.nonce = static_cast<std::uint32_t>(generator() % 100'000);
    context.tip = generator() % 3 == 0 ? 0 : generator() % 1'000'000'000'000;
    const auto extrinsic = encoded.ok() ? sign_extrinsic(*metadata, *encoded, context, alice) : Result<crypto::Bytes>(encoded.error());
    if (!extrinsic.ok()) {
      std::cerr << extrinsic.error().to_string() << "\n";
      return 1;
    }
    std::cout << json{{"pallet", call.pallet},
                      {"call", call.name},
                      {"args", expected},
                      {"bytes", crypto::hex_encode_0x(*encoded)},
                      {"extrinsic", crypto::hex_encode_0x(*extrinsic)},
                      {"signer", crypto::hex_encode_0x(alice.account())},
                      {"nonce", context.nonce},
                      {"tip", std::to_string(context.tip)}}
                     .dump()
              << "\n";
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string act = argc > 1 ? argv[1] : "";
  if (act == "sign" && argc == 3) return sign(std::stoi(argv[2]));
  if (act == "verify") return verify();
  if (act == "calls" && argc == 4) return calls(argv[2], std::stoi(argv[3]));
  std::cerr << "usage: chain_peer_tool sign N | verify | calls METADATA N\n";
  return 2;
}
