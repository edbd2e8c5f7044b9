#include "brainlock/wire/header.hpp"

#include "brainlock/crypto/blake2b.hpp"
#include "codec.hpp"

namespace brainlock::wire {
namespace {
constexpr std::size_t kChecksumAt = kHeaderBytes - 32;
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kParameters: return "parameters";
    case Kind::kCiphertexts: return "ciphertexts";
    case Kind::kPublicKey: return "public key";
    case Kind::kEvaluationKeys: return "evaluation keys";
  }
  return "unknown";
}

std::string hex_prefix(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const auto byte : bytes.first(std::min<std::size_t>(8, bytes.size()))) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

Result<Header> parse_header(ByteView bytes) {
  if (bytes.size() < kHeaderBytes) {
    return {ErrorCode::kTruncated,
            "header: " + std::to_string(bytes.size()) + " bytes, expected at least " + std::to_string(kHeaderBytes)};
  }
  Reader in(bytes);
  const auto magic = in.take(kMagic.size());
  if (!std::equal(magic.begin(), magic.end(), kMagic.begin())) {
    return {ErrorCode::kMalformed, "header: begins with " + hex_prefix(magic) + ", expected 42524c4b (BRLK)"};
  }
  const std::uint16_t kind = in.u16(), version = in.u16();
  if (kind < 1 || kind > static_cast<std::uint16_t>(Kind::kEvaluationKeys)) {
    return {ErrorCode::kUnsupported, "header: kind " + std::to_string(kind) + ", expected 1 to 4"};
  }
  if (version != kVersion) {
    return {ErrorCode::kUnsupported, "header: version " + std::to_string(version) + ", expected " + std::to_string(kVersion)};
  }
  Header header;
  header.kind = static_cast<Kind>(kind);
  header.parameters_id = in.id();
  header.body_bytes = in.u64();
  header.checksum = in.id();
  return header;
}

Id header_checksum(ByteView header, ByteView covered) {
  crypto::Blake2b256 hash;
  hash.update(header.first(kChecksumAt));
  hash.update(covered);
  return hash.finish();
}

Bytes make_header(Kind kind, const Id& parameters_id, std::uint64_t body_bytes, ByteView covered, Id* checksum) {
  Bytes out;
  Writer writer(out);
  writer.bytes(kMagic);
  writer.u16(static_cast<std::uint16_t>(kind));
  writer.u16(kVersion);
  writer.bytes(parameters_id);
  writer.u64(body_bytes);
  const Id digest = header_checksum(out, covered);
  writer.bytes(digest);
  if (checksum != nullptr) *checksum = digest;
  return out;
}

Status check_kind(const Header& header, Kind kind) {
  if (header.kind == kind) return {};
  return {ErrorCode::kMalformed,
          "holds " + std::string(kind_name(header.kind)) + ", expected " + std::string(kind_name(kind))};
}

Status check_parameters_id(const Header& header, const ckks::Parameters& parameters) {
  if (header.parameters_id == id_of(parameters)) return {};
  return {ErrorCode::kMismatch, "made for parameters " + hex_prefix(header.parameters_id) + ", expected " +
                                    hex_prefix(parameters.id())};
}

Result<ByteView> open_body(ByteView bytes, Kind kind, const ckks::Parameters* parameters, std::uint64_t max_bytes,
                           Header& header) {
  BRAINLOCK_ASSIGN(header, parse_header(bytes));
  BRAINLOCK_TRY(check_kind(header, kind));
  if (parameters != nullptr) BRAINLOCK_TRY(check_parameters_id(header, *parameters));
  const std::uint64_t came = bytes.size() - kHeaderBytes, most = max_bytes - kHeaderBytes;
  if (came > most || header.body_bytes > most) {
    return {ErrorCode::kTooLarge, "body of " + std::to_string(std::max(came, header.body_bytes)) +
                                      " bytes, expected at most " + std::to_string(most)};
  }
  if (came != header.body_bytes) {
    return {came < header.body_bytes ? ErrorCode::kTruncated : ErrorCode::kMalformed,
            "body of " + std::to_string(came) + " bytes, expected " + std::to_string(header.body_bytes)};
  }
  const ByteView body = bytes.subspan(kHeaderBytes);
  if (header_checksum(bytes, body) != header.checksum) return {ErrorCode::kCorrupted, "checksum does not match"};
  return body;
}

std::uint64_t polynomial_bytes(const ckks::Parameters& parameters, std::uint32_t first, std::uint32_t count) {
  std::uint64_t sum = 0;
  for (std::uint32_t m = first; m < first + count; ++m) {
    sum += packed_bytes(parameters.ring_degree(), residue_bits(parameters.modulus(m).q));
  }
  return sum;
}

bool Writer::limb(std::span<const std::uint32_t> words, std::uint32_t q) {
  std::uint32_t largest = 0;
  for (const auto word : words) largest = std::max(largest, word);
  if (largest >= q) return false;
  const int bits = residue_bits(q);
  const std::size_t at = out_.size();
  out_.resize(at + packed_bytes(words.size(), bits));
  pack_words(words, bits, {out_.data() + at, out_.size() - at});
  return true;
}

}  // namespace brainlock::wire
