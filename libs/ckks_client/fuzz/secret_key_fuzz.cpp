#include <algorithm>
#include <cstdlib>
#include <vector>

#include "brainlock/crypto/blake2b.hpp"
#include "secret_key_impl.hpp"

using namespace brainlock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto parameters =
      *ckks::Parameters::create_insecure_for_tests({8, {268435361, 536870849}, {1073741441}, 1});
  (void)ckks_client::SecretKey::parse({data, size}, parameters);
  // Sealed and bound to the parameters, so that the coefficients are reached.
  if (size < 32 + 40) return 0;
  std::vector<std::uint8_t> sealed(data, data + size);
  std::copy(parameters->id().begin(), parameters->id().end(), sealed.begin() + 8);
  crypto::Blake2b256 hash;
  hash.update({sealed.data(), size - 32});
  const auto digest = hash.finish();
  std::copy(digest.begin(), digest.end(), sealed.end() - 32);
  (void)ckks_client::SecretKey::parse(sealed, parameters);
  return 0;
}
