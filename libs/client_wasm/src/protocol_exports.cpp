// Requests to a miner: signed here, sent by the page, and their answers judged here.
#include <nlohmann/json.hpp>

#include "brainlock/protocol/epistula.hpp"
#include "exports.hpp"

namespace brainlock::client_wasm {
namespace {

/// Who asks.
struct Identity {
  protocol::Signer signer;
  crypto::MiniSecret secret;
};

struct Request {
  protocol::SignedRequest request;
  protocol::AccountId asker{};
};

std::string_view text(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

protocol::BodyHash hash_of(std::span<const std::uint8_t> body) {
  protocol::BodyHasher hasher;
  hasher.update(body);
  return hasher.finish();
}

std::uint32_t add_identity(crypto::MiniSecret secret) {
  auto pair = crypto::Sr25519KeyPair::from_mini_secret(secret.view());
  if (!pair.ok()) return reply().fail(pair.error());
  auto identity = std::make_shared<Identity>();
  identity->signer = protocol::make_signer(std::move(*pair));
  identity->secret = std::move(secret);
  return registry<Identity>().add(std::move(identity));
}

}  // namespace
}  // namespace brainlock::client_wasm

using namespace brainlock;
using namespace brainlock::client_wasm;

BRAINLOCK_EXPORT(brainlock_identity_make) std::uint32_t brainlock_identity_make() {
  return add_identity(crypto::generate_mini_secret());
}

BRAINLOCK_EXPORT(brainlock_identity_open)
std::uint32_t brainlock_identity_open(const std::uint8_t* secret, std::size_t size) {
  if (size != 32)
    return reply().fail("invalid_argument", "an identity's secret has 32 bytes, got " + std::to_string(size));
  return add_identity(crypto::MiniSecret(std::span<const std::uint8_t, 32>(secret, 32)));
}

BRAINLOCK_EXPORT(brainlock_identity_close) void brainlock_identity_close(std::uint32_t identity) {
  registry<Identity>().remove(identity);
}

BRAINLOCK_EXPORT(brainlock_identity_address) std::uint32_t brainlock_identity_address(std::uint32_t identity) {
  const auto object = registry<Identity>().find(identity);
  return object == nullptr ? closed("identity") : reply().give_text(crypto::ss58_encode(object->signer.account));
}

BRAINLOCK_EXPORT(brainlock_identity_secret) std::uint32_t brainlock_identity_secret(std::uint32_t identity) {
  const auto object = registry<Identity>().find(identity);
  return object == nullptr ? closed("identity") : reply().give(object->secret.view());
}

/// Whether a text is an account's address; the error says why not.
BRAINLOCK_EXPORT(brainlock_address_check)
std::uint32_t brainlock_address_check(const std::uint8_t* address, std::size_t size) {
  const auto account = crypto::ss58_decode(text(address, size));
  return account.ok() ? 1 : reply().fail(account.error());
}

/// Signs a request at the time `now_ms` and gives its number; the reply has its headers, [[name, value], ...], behind
/// its uuid and a line's end.
BRAINLOCK_EXPORT(brainlock_request_sign)
std::uint32_t brainlock_request_sign(std::uint32_t identity, const std::uint8_t* receiver, std::size_t receiver_size,
                                     const std::uint8_t* method, std::size_t method_size, const std::uint8_t* target,
                                     std::size_t target_size, const std::uint8_t* body, std::size_t body_size,
                                     double now_ms) {
  const auto object = registry<Identity>().find(identity);
  if (object == nullptr) return closed("identity");
  const auto account = crypto::ss58_decode(text(receiver, receiver_size));
  if (!account.ok()) return reply().fail(account.error().in("the miner's hotkey"));
  auto request = protocol::sign_request(object->signer, *account, text(method, method_size), text(target, target_size),
                                        hash_of({body, body_size}), static_cast<std::int64_t>(now_ms));
  if (!request.ok()) return reply().fail(request.error());
  nlohmann::json headers = nlohmann::json::array();
  for (const auto& [name, value] : request->headers) headers.push_back({name, value});
  const std::string said = request->uuid + "\n" + headers.dump();
  const std::uint32_t handle =
      registry<Request>().add(std::make_shared<Request>(Request{std::move(*request), object->signer.account}));
  reply().give_text(said);
  return handle;
}

BRAINLOCK_EXPORT(brainlock_request_close) void brainlock_request_close(std::uint32_t request) {
  registry<Request>().remove(request);
}

/// OK where the answer is the receiver's, to this request: `headers` as above.
BRAINLOCK_EXPORT(brainlock_request_check)
std::uint32_t brainlock_request_check(std::uint32_t request, const std::uint8_t* headers, std::size_t headers_size,
                                      const std::uint8_t* body, std::size_t body_size, std::uint32_t status,
                                      double now_ms) {
  const auto object = registry<Request>().find(request);
  if (object == nullptr) return closed("request");
  const auto json = nlohmann::json::parse(text(headers, headers_size), nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return reply().fail("malformed", "headers are no list");
  protocol::Headers given;
  for (const auto& pair : json) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
      return reply().fail("malformed", "a header is no pair of texts");
    }
    given.emplace_back(pair[0].get<std::string>(), pair[1].get<std::string>());
  }
  const Status proof = protocol::check_answer(object->request, object->asker, static_cast<int>(status), given,
                                              hash_of({body, body_size}), static_cast<std::int64_t>(now_ms));
  return proof.ok() ? 1 : reply().fail(proof.error());
}
