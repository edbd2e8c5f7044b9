// Secret keys and their form in bytes, which is that of their files.
//
// Version 1 (integers little-endian):
//   "BRSK"  u32 version = 1  parameters id (32)  u32 N  N/4 bytes: coefficients + 1 in two bits, lowest first
//   BLAKE2b-256 of everything before (32)
#include <algorithm>
#include <array>
#include <bit>

#include "brainlock/crypto/blake2b.hpp"
#include "brainlock/math/kernels.hpp"
#include "sampling.hpp"
#include "secret_key_impl.hpp"

namespace brainlock::ckks_client {
namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'B', 'R', 'S', 'K'};
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 4 + 4 + 32 + 4;
constexpr std::size_t kDigestBytes = 32;

constexpr std::uint32_t kMinRingDegree = 8, kMaxRingDegree = 1u << 17;

constexpr std::size_t size_of(std::uint32_t ring_degree) { return kHeaderBytes + ring_degree / 4 + kDigestBytes; }

void put_u32(std::uint8_t* out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * i));
}
std::uint32_t get_u32(const std::uint8_t* in) {
  return std::uint32_t{in[0]} | std::uint32_t{in[1]} << 8 | std::uint32_t{in[2]} << 16 | std::uint32_t{in[3]} << 24;
}

crypto::Digest256 digest_of(std::span<const std::uint8_t> bytes) {
  crypto::Blake2b256 hash;
  hash.update(bytes);
  return hash.finish();
}

}  // namespace

static_assert(SecretKey::kMaxBytes == size_of(kMaxRingDegree));

SecretKey::Impl::Impl(std::shared_ptr<const ckks::Parameters> checked)
    : parameters(std::move(checked)),
      coefficients(parameters->ring_degree()),
      evaluation(std::size_t{parameters->modulus_count()} * parameters->ring_degree()) {}

void SecretKey::Impl::transform() {
  const std::size_t n = parameters->ring_degree();
  for (std::uint32_t m = 0; m < parameters->modulus_count(); ++m) {
    std::uint32_t* limb_words = evaluation.data() + m * n;
    const std::uint32_t q = parameters->modulus(m).q;
    for (std::size_t i = 0; i < n; ++i) limb_words[i] = small_residue(coefficients.data()[i], q);
    math::kernels().ntt_forward(parameters->ntt(m), limb_words);
  }
}

SecretKey::SecretKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SecretKey::SecretKey(SecretKey&&) noexcept = default;
SecretKey& SecretKey::operator=(SecretKey&&) noexcept = default;
SecretKey::~SecretKey() = default;
const ckks::Parameters& SecretKey::parameters() const { return *impl_->parameters; }

Result<SecretKey> SecretKey::generate(std::shared_ptr<const ckks::Parameters> parameters) {
  auto impl = std::make_unique<Impl>(std::move(parameters));
  crypto::SecureRandom random;
  sample_ternary(random, impl->coefficients.values());
  impl->transform();
  return SecretKey(std::move(impl));
}

crypto::SecretBuffer SecretKey::serialize() const {
  const std::uint32_t n = impl_->parameters->ring_degree();
  crypto::SecretBuffer buffer(size_of(n));
  std::uint8_t* out = buffer.data();
  std::copy(kMagic.begin(), kMagic.end(), out);
  put_u32(out + 4, kVersion);
  const auto& id = impl_->parameters->id();
  std::copy(id.begin(), id.end(), out + 8);
  put_u32(out + 40, n);
  for (std::uint32_t i = 0; i < n; i += 4) {
    std::uint32_t byte = 0;
    for (std::uint32_t k = 0; k < 4; ++k) byte |= static_cast<std::uint32_t>(impl_->coefficients.data()[i + k] + 1) << (2 * k);
    out[kHeaderBytes + i / 4] = static_cast<std::uint8_t>(byte);
  }
  const auto digest = digest_of(buffer.bytes().first(buffer.size() - kDigestBytes));
  std::copy(digest.begin(), digest.end(), out + buffer.size() - kDigestBytes);
  return buffer;
}

Result<SecretKey> SecretKey::parse(std::span<const std::uint8_t> bytes, std::shared_ptr<const ckks::Parameters> parameters) {
  const std::uint8_t* in = bytes.data();
  if (bytes.size() < size_of(kMinRingDegree)) {
    return {ErrorCode::kTruncated, std::to_string(bytes.size()) + " bytes, expected at least " +
                                       std::to_string(size_of(kMinRingDegree))};
  }
  if (!std::equal(kMagic.begin(), kMagic.end(), in)) return {ErrorCode::kMalformed, "not a secret key file"};
  if (get_u32(in + 4) != kVersion) {
    return {ErrorCode::kUnsupported, "version " + std::to_string(get_u32(in + 4)) + ", expected 1"};
  }
  const std::uint32_t degree = get_u32(in + 40);
  if (!std::has_single_bit(degree) || degree < kMinRingDegree || degree > kMaxRingDegree) {
    return {ErrorCode::kMalformed, "ring degree " + std::to_string(degree) + ", expected a power of two"};
  }
  if (bytes.size() != size_of(degree)) {
    return {bytes.size() < size_of(degree) ? ErrorCode::kTruncated : ErrorCode::kMalformed,
            std::to_string(bytes.size()) + " bytes, expected " + std::to_string(size_of(degree))};
  }
  const auto digest = digest_of(bytes.first(bytes.size() - kDigestBytes));
  if (!std::equal(digest.begin(), digest.end(), in + bytes.size() - kDigestBytes)) {
    return {ErrorCode::kCorrupted, "checksum does not match"};
  }
  if (!std::equal(parameters->id().begin(), parameters->id().end(), in + 8) || degree != parameters->ring_degree()) {
    return {ErrorCode::kMismatch, "belongs to other parameters"};
  }
  auto impl = std::make_unique<Impl>(std::move(parameters));
  std::uint32_t bad = 0;
  for (std::uint32_t i = 0; i < degree; ++i) {
    const std::uint32_t code = (in[kHeaderBytes + i / 4] >> (2 * (i % 4))) & 3;
    bad |= (code & (code >> 1));  // 3 stands for nothing
    impl->coefficients.data()[i] = static_cast<std::int8_t>(static_cast<int>(code) - 1);
  }
  if (bad != 0) return {ErrorCode::kMalformed, "a coefficient is not -1, 0 or 1"};
  impl->transform();
  return SecretKey(std::move(impl));
}

}  // namespace brainlock::ckks_client
