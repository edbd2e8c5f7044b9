#include "brainlock/package/client_codec.hpp"

#include <algorithm>
#include <string>

#include "fields.hpp"

namespace brainlock::package {
namespace codec {

BRAINLOCK_FIELDS(plan::ClientFields, a(x.model_name); a(x.profile); fields(a, x.parameters); fields(a, x.input);
                 fields(a, x.output); a(x.keys); a(x.error_bound); a(x.error_estimate);)

}  // namespace codec

namespace {

constexpr std::array<std::uint8_t, 7> kMagic{'B', 'L', 'C', 'L', 'N', 'T', 0};
constexpr std::size_t kHeadBytes = kMagic.size() + 1 + 32;  // magic, version, hash
constexpr std::size_t kLeastBytes = kHeadBytes + codec::kChecksumBytes;

Error too_large(std::uint64_t bytes) {
  return {ErrorCode::kTooLarge,
          "client half: at most " + std::to_string(kMaxClientBytes) + " bytes, got " + std::to_string(bytes)};
}

}  // namespace

Result<std::vector<std::uint8_t>> encode_client(const std::array<std::uint8_t, 32>& hash,
                                                const plan::ClientFields& client) {
  codec::Writer writer;
  writer.bytes.assign(kMagic.begin(), kMagic.end());
  writer.bytes.push_back(kClientVersion);
  writer.bytes.insert(writer.bytes.end(), hash.begin(), hash.end());
  fields(writer, client);
  codec::seal(writer.bytes);
  if (writer.bytes.size() > kMaxClientBytes) return too_large(writer.bytes.size());
  return std::move(writer.bytes);
}

Result<NamedClient> decode_client(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kMaxClientBytes) return too_large(bytes.size());
  if (bytes.size() < kLeastBytes)
    return Error{ErrorCode::kTruncated, "client half: at least " + std::to_string(kLeastBytes) + " bytes, got " +
                                            std::to_string(bytes.size())};
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin()))
    return Error{ErrorCode::kMalformed, "client half: not the client's half of a package"};
  if (const std::uint8_t version = bytes[kMagic.size()]; version != kClientVersion)
    return Error{ErrorCode::kUnsupported,
                 "client half: version " + std::to_string(version) + ", expected " + std::to_string(kClientVersion)};
  if (!codec::is_sealed(bytes))
    return Error{ErrorCode::kCorrupted, "client half: the checksum does not match its bytes"};
  NamedClient client;
  std::copy_n(bytes.begin() + kMagic.size() + 1, client.hash.size(), client.hash.begin());
  codec::Reader reader(bytes.first(bytes.size() - codec::kChecksumBytes).subspan(kHeadBytes));
  fields(reader, client.fields);
  if (!reader.ok()) return Error{ErrorCode::kMalformed, "client half: " + reader.error()};
  if (reader.left() != 0)
    return Error{ErrorCode::kMalformed, "client half: " + std::to_string(reader.left()) + " bytes too many"};
  if (auto status = plan::validate(client.fields); !status.ok()) return status.error().in("client half");
  return client;
}

}  // namespace brainlock::package
