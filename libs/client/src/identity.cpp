#include "brainlock/client/identity.hpp"

#include "brainlock/chain/wallet.hpp"

namespace brainlock::client {

Result<crypto::Sr25519KeyPair> user_key(const std::filesystem::path& seed_file) {
  auto seed = chain::read_secret_file(seed_file, 32);
  if (seed.ok()) return crypto::Sr25519KeyPair::from_mini_secret(seed->bytes());
  if (seed.error().code != ErrorCode::kNotFound) return seed.error();
  const auto fresh = crypto::generate_mini_secret();
  BRAINLOCK_TRY(chain::write_private_file(seed_file, fresh.view(), false));
  return crypto::Sr25519KeyPair::from_mini_secret(fresh.view());
}

}  // namespace brainlock::client
