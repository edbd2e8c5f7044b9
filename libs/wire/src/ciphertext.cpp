#include "brainlock/wire/ciphertext.hpp"

#include <cmath>

#include "brainlock/ckks/uniform.hpp"
#include "codec.hpp"

namespace brainlock::wire {
namespace {

constexpr std::uint32_t kFull = 0, kSeeded = 1;
constexpr std::size_t kRecordHead = 4 + 4 + 8;  // limbs, form, scale

std::uint64_t record_bytes(const ckks::Parameters& parameters, std::uint32_t limbs, bool seeded) {
  const std::uint64_t polynomial = polynomial_bytes(parameters, 0, limbs);
  return kRecordHead + (seeded ? 32 + polynomial : 2 * polynomial);
}

double log2_modulus(const ckks::Parameters& parameters, std::uint32_t limbs) {
  double bits = 0;
  for (std::uint32_t l = 0; l < limbs; ++l) bits += std::log2(parameters.modulus(l).q);
  return bits;
}

/// The conditions that both directions hold a ciphertext to.
Status check_limbs(const ckks::Parameters& parameters, std::uint32_t limbs, ErrorCode code) {
  if (limbs >= 1 && limbs <= parameters.q_count()) return {};
  return {code, std::to_string(limbs) + " limbs, expected 1 to " + std::to_string(parameters.q_count())};
}
Status check_scale(const ckks::Parameters& parameters, std::uint32_t limbs, double scale, ErrorCode code) {
  // Comparisons that NaN fails.
  if (scale >= 1 && std::log2(scale) < log2_modulus(parameters, limbs)) return {};
  return {code, "scale " + std::to_string(scale) + ", expected 1 to 2^" + std::to_string(log2_modulus(parameters, limbs))};
}

Status write_record(Writer& out, const ckks::Ciphertext& ciphertext, const ckks::Parameters& parameters) {
  const std::size_t n = parameters.ring_degree();
  const auto invalid = ErrorCode::kInvalidArgument;
  BRAINLOCK_TRY(check_limbs(parameters, ciphertext.limbs, invalid));
  BRAINLOCK_TRY(check_scale(parameters, ciphertext.limbs, ciphertext.scale.value(), invalid));
  const bool seeded = ciphertext.seed.has_value();
  const std::size_t words = ciphertext.limbs * n;
  if (ciphertext.c0.size() != words || (!seeded && ciphertext.c1.size() != words)) {
    return {invalid, std::to_string(ciphertext.c0.size()) + " and " + std::to_string(ciphertext.c1.size()) +
                         " words, expected " + std::to_string(words)};
  }
  out.u32(ciphertext.limbs);
  out.u32(seeded ? kSeeded : kFull);
  out.f64(ciphertext.scale.value());
  if (seeded) out.bytes(*ciphertext.seed);
  for (const auto* polynomial : {&ciphertext.c0, &ciphertext.c1}) {
    if (seeded && polynomial == &ciphertext.c1) break;
    for (std::uint32_t l = 0; l < ciphertext.limbs; ++l) {
      if (!out.limb({polynomial->data() + l * n, n}, parameters.modulus(l).q)) {
        return {invalid, "limb " + std::to_string(l) + " is not reduced"};
      }
    }
  }
  return {};
}

Result<ckks::Words> read_polynomial(Reader& in, const ckks::Parameters& parameters, std::uint32_t limbs, const char* name) {
  const std::size_t n = parameters.ring_degree();
  ckks::Words words(limbs * n);
  for (std::uint32_t l = 0; l < limbs; ++l) {
    const std::uint32_t q = parameters.modulus(l).q;
    if (!unpack_words(in.take(packed_bytes(n, residue_bits(q))), q, {words.data() + l * n, n})) {
      return {ErrorCode::kMalformed, std::string(name) + " limb " + std::to_string(l) + ": a word is not below its prime " +
                                         std::to_string(q)};
    }
  }
  return words;
}

Result<ckks::Ciphertext> read_record(Reader& in, const ckks::Parameters& parameters) {
  if (in.left() < kRecordHead) {
    return {ErrorCode::kMalformed, std::to_string(in.left()) + " bytes left, expected at least " + std::to_string(kRecordHead)};
  }
  ckks::Ciphertext out;
  out.limbs = in.u32();
  const std::uint32_t form = in.u32();
  const double scale = in.f64();
  BRAINLOCK_TRY(check_limbs(parameters, out.limbs, ErrorCode::kMalformed));
  if (form > kSeeded) return {ErrorCode::kMalformed, "form " + std::to_string(form) + ", expected 0 or 1"};
  BRAINLOCK_TRY(check_scale(parameters, out.limbs, scale, ErrorCode::kMalformed));
  out.scale = ckks::Scale::from_value(scale);
  const bool seeded = form == kSeeded;
  // Before any allocation: the words that were promised must be there.
  const std::uint64_t expected = record_bytes(parameters, out.limbs, seeded) - kRecordHead;
  if (in.left() < expected) {
    return {ErrorCode::kMalformed, std::to_string(in.left()) + " bytes left, expected at least " + std::to_string(expected)};
  }
  if (seeded) out.seed = in.id();
  BRAINLOCK_ASSIGN(out.c0, read_polynomial(in, parameters, out.limbs, "c0"));
  if (!seeded) {
    BRAINLOCK_ASSIGN(out.c1, read_polynomial(in, parameters, out.limbs, "c1"));
  } else {
    ckks::expand(out, parameters);
  }
  return out;
}

}  // namespace

std::uint64_t ciphertexts_bytes(const ckks::Parameters& parameters, std::uint32_t count, std::uint32_t limbs, bool seeded) {
  return kHeaderBytes + 4 + count * record_bytes(parameters, limbs, seeded);
}

Result<Bytes> serialize_ciphertexts(std::span<const ckks::Ciphertext> ciphertexts, const ckks::Parameters& parameters) {
  if (ciphertexts.empty() || ciphertexts.size() > kMaxCiphertexts) {
    return {ErrorCode::kInvalidArgument,
            std::to_string(ciphertexts.size()) + " ciphertexts, expected 1 to " + std::to_string(kMaxCiphertexts)};
  }
  Bytes body;
  Writer out(body);
  out.u32(static_cast<std::uint32_t>(ciphertexts.size()));
  for (std::size_t i = 0; i < ciphertexts.size(); ++i) {
    const auto written = write_record(out, ciphertexts[i], parameters);
    if (!written.ok()) return written.error().in("ciphertext " + std::to_string(i));
  }
  Bytes bytes = make_header(Kind::kCiphertexts, id_of(parameters), body.size(), body);
  Writer(bytes).bytes(body);
  return bytes;
}

Result<Bytes> serialize_ciphertext(const ckks::Ciphertext& ciphertext, const ckks::Parameters& parameters) {
  return serialize_ciphertexts({&ciphertext, 1}, parameters);
}

Result<std::vector<ckks::Ciphertext>> parse_ciphertexts(ByteView bytes, const ckks::Parameters& parameters,
                                                        std::uint32_t max_count) {
  max_count = std::min(max_count, kMaxCiphertexts);
  const std::uint64_t max_bytes = ciphertexts_bytes(parameters, max_count, parameters.q_count(), false);
  Header header;
  const auto body = open_body(bytes, Kind::kCiphertexts, &parameters, max_bytes, header);
  if (!body.ok()) return body.error().in("ciphertexts");
  Reader in(*body);
  const std::uint32_t count = in.u32();
  if (in.ran_dry() || count == 0) return {ErrorCode::kMalformed, "ciphertexts: none, expected at least 1"};
  if (count > max_count) {
    return {ErrorCode::kTooLarge, "ciphertexts: " + std::to_string(count) + ", expected at most " + std::to_string(max_count)};
  }
  std::vector<ckks::Ciphertext> out;
  out.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto record = read_record(in, parameters);
    if (!record.ok()) return record.error().in("ciphertext " + std::to_string(i));
    out.push_back(std::move(record).value());
  }
  if (in.left() != 0) {
    return {ErrorCode::kMalformed, "ciphertexts: " + std::to_string(in.left()) + " bytes after the last, expected none"};
  }
  return out;
}

Result<ckks::Ciphertext> parse_ciphertext(ByteView bytes, const ckks::Parameters& parameters) {
  BRAINLOCK_ASSIGN(auto list, parse_ciphertexts(bytes, parameters, 1));
  return std::move(list[0]);
}

}  // namespace brainlock::wire
