// What decryption leaves behind: memory that is given back holds neither the plaintext nor the slots, and the secret key's pages stay out of core dumps and swap.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>

#include "brainlock/math/kernels.hpp"
#include "client_parameters.hpp"
#include "secret_key_impl.hpp"

namespace brainlock::ckks_client {
namespace {

constexpr std::size_t kSampleBytes = 64;

/// Whether the heap, with what was given back to it, holds bytes from the middle of `block` (its ends may serve the allocator after it was given back).
/// The block itself lies elsewhere.
bool heap_holds(const void* block, std::size_t block_bytes) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (!line.ends_with("[heap]")) continue;
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream(line) >> std::hex >> begin >> dash >> end;
    return ::memmem(reinterpret_cast<const void*>(begin), end - begin, static_cast<const char*>(block) + block_bytes / 2, kSampleBytes) != nullptr;
  }
  return false;
}
template <typename T>
bool heap_holds(const crypto::Secret<T>& block) {
  return heap_holds(block.data(), block.size() * sizeof(T));
}

struct LeftBehind : ::testing::Test {
  std::shared_ptr<const ckks::Parameters> parameters = testing::make_toy(1024, 3, 1, 1);
  SecretKey secret = std::move(SecretKey::generate(parameters)).value();
  ckks::Encoder encoder{parameters};
  ckks::Ciphertext ciphertext = std::move(encrypt(secret, encoder, std::vector<std::complex<double>>(512, 0.5), ckks::Scale::from_log2(30), 3)).value();

  void SetUp() override {
    crypto::Secret<std::uint32_t> numbers(3 * 1024);
    std::iota(numbers.values().begin(), numbers.values().end(), 0xABCD0000);
    { const ckks::Words copy(numbers.data(), numbers.data() + numbers.size()); }
    if (!heap_holds(numbers)) GTEST_SKIP() << "this allocator keeps what is given back where the test does not look";
  }
};

TEST_F(LeftBehind, NothingOfThePlaintext) {
  auto plaintext = detail::plaintext_of(secret.impl(), ciphertext, 3);
  for (std::uint32_t limb = 0; limb < 3; ++limb) math::kernels().ntt_inverse(parameters->ntt(limb), plaintext.data() + limb * 1024);
  ASSERT_TRUE(decrypt(secret, encoder, ciphertext).ok());
  EXPECT_FALSE(heap_holds(plaintext));
}

TEST_F(LeftBehind, NothingOfTheSlots) {
  crypto::Secret<std::complex<double>> kept(512);
  {
    DecryptedSlots decrypted;
    for (int i = 0; i < 3; ++i) decrypted.add(std::move(decrypt(secret, encoder, ciphertext)).value());
    std::copy(decrypted.slots()[1].begin(), decrypted.slots()[1].end(), kept.data());
    EXPECT_TRUE(heap_holds(kept));
  }
  EXPECT_FALSE(heap_holds(kept));
}

/// VmFlags of the mapping that holds an address.
std::string mapping_flags(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream range(line);
    if (range >> std::hex >> begin >> dash >> end && dash == '-') here = begin <= at && at < end;
    if (here && line.starts_with("VmFlags:")) return line + " ";
  }
  return {};
}

TEST_F(LeftBehind, SecretPagesAreLockedAndNotDumped) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &limit), 0);
  for (const void* secret_bytes : {static_cast<const void*>(secret.impl().coefficients.data()), static_cast<const void*>(secret.impl().evaluation.data())}) {
    const std::string flags = mapping_flags(secret_bytes);
    if (flags.empty()) GTEST_SKIP() << "this system does not say";
    EXPECT_NE(flags.find(" dd "), std::string::npos) << "kept out of core dumps: " << flags;
    if (limit.rlim_cur >= 1u << 20) {
      EXPECT_NE(flags.find(" lo "), std::string::npos) << "locked: " << flags;
    }
  }
}

}  // namespace
}  // namespace brainlock::ckks_client
