// Who asks.
#include "brainlock/client/identity.hpp"

#include <string>

#include "brainlock/chain/wallet.hpp"
#include "objects.hpp"

namespace brainlock::client_c {

Registry<brainlock_identity, IdentityObject>& identities() {
  static auto& registry = *new Registry<brainlock_identity, IdentityObject>;
  return registry;
}

namespace {

brainlock_identity* add(crypto::Sr25519KeyPair pair) {
  return identities().add(std::make_shared<IdentityObject>(IdentityObject{protocol::make_signer(std::move(pair))}));
}

/// A new handle in `*identity` of what `make` gives.
template <typename Make>
brainlock_status make_identity(brainlock_identity** identity, const Make& make) {
  return guarded(Act::kIdentity, [&]() -> Outcome {
    if (identity == nullptr) return is_null("identity");
    *identity = nullptr;
    return make();
  });
}

}  // namespace
}  // namespace brainlock::client_c

using namespace brainlock;
using namespace brainlock::client_c;

extern "C" {

brainlock_status brainlock_identity_generate(brainlock_identity** identity) {
  return make_identity(identity, [&]() -> Outcome {
    const auto secret = crypto::generate_mini_secret();
    BRAINLOCK_ASSIGN(auto pair, crypto::Sr25519KeyPair::from_mini_secret(secret.view()));
    *identity = add(std::move(pair));
    return {};
  });
}

brainlock_status brainlock_identity_from_secret(const uint8_t* secret, size_t size, brainlock_identity** identity) {
  return make_identity(identity, [&]() -> Outcome {
    if (secret == nullptr) return is_null("secret");
    BRAINLOCK_ASSIGN(auto pair, crypto::Sr25519KeyPair::from_mini_secret({secret, size}));
    *identity = add(std::move(pair));
    return {};
  });
}

brainlock_status brainlock_identity_open(const char* file, brainlock_identity** identity) {
  return make_identity(identity, [&]() -> Outcome {
    if (file == nullptr) return is_null("file");
    if (*file == '\0') return {BRAINLOCK_INVALID_ARGUMENT, "file is empty"};
    BRAINLOCK_ASSIGN(auto pair, client::user_key(file));
    *identity = add(std::move(pair));
    return {};
  });
}

brainlock_status brainlock_identity_from_hotkey(const char* file, const char* password, brainlock_identity** identity) {
  return make_identity(identity, [&]() -> Outcome {
    if (file == nullptr) return is_null("file");
    chain::PasswordSource source;
    if (password != nullptr)
      source = [password](const std::filesystem::path&) { return Result<std::string>(std::string(password)); };
    BRAINLOCK_ASSIGN(const auto key, chain::load_key_file(file, source));
    BRAINLOCK_ASSIGN(const auto* pair, key.pair());
    *identity = add(pair->clone());
    return {};
  });
}

brainlock_status brainlock_identity_address(brainlock_identity* identity, char* buffer, size_t size) {
  return guarded(Act::kLook, [&]() -> Outcome {
    const auto object = identities().find(identity);
    if (object == nullptr) return bad_handle(identity, "identity");
    if (buffer == nullptr) return is_null("buffer");
    const std::string address = crypto::ss58_encode(object->signer.account);
    if (size <= address.size())
      return {BRAINLOCK_TOO_LARGE, "the address takes " + std::to_string(address.size() + 1) +
                                       " bytes, the buffer has " + std::to_string(size)};
    copy_text(address, {buffer, address.size() + 1});
    return {};
  });
}

brainlock_status brainlock_identity_close(brainlock_identity* identity) {
  return close_handle(identities(), identity, "identity");
}
}
