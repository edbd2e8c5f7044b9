#include "brainlock/wire/evaluation_keys.hpp"

#include <set>

#include "brainlock/crypto/blake2b.hpp"
#include "codec.hpp"

namespace brainlock::wire {
namespace {

constexpr std::size_t kDigest = 32;
constexpr std::size_t kRecordHead = 4 + 4 + 32;  // element, limbs, seed
constexpr std::size_t kManifestEntry = 8;

std::size_t manifest_bytes(std::size_t count) { return 4 + count * kManifestEntry; }

std::uint64_t record_bytes(const ckks::KeyRequest& request, const ckks::Parameters& parameters) {
  const std::uint64_t row = polynomial_bytes(parameters, 0, request.limbs) +
                            polynomial_bytes(parameters, parameters.q_count(), parameters.p_count());
  return kRecordHead + parameters.digits(request.limbs) * row + kDigest;
}

Status check_requests(std::span<const ckks::KeyRequest> manifest, const ckks::Parameters& parameters, ErrorCode code) {
  if (manifest.empty() || manifest.size() > kMaxEvaluationKeys) {
    return {code, std::to_string(manifest.size()) + " keys, expected 1 to " + std::to_string(kMaxEvaluationKeys)};
  }
  std::set<std::uint32_t> seen;
  for (const auto& request : manifest) {
    const std::string where = "key for element " + std::to_string(request.galois_element);
    if (request.limbs == 0 || request.limbs > parameters.q_count()) {
      return {code, where + ": " + std::to_string(request.limbs) + " limbs, expected 1 to " + std::to_string(parameters.q_count())};
    }
    const std::uint32_t order = 2 * parameters.ring_degree();
    if (request.galois_element != 0 && (request.galois_element % 2 == 0 || request.galois_element >= order)) {
      return {code, where + ": expected 0 or an odd number below " + std::to_string(order)};
    }
    if (!seen.insert(request.galois_element).second) return {code, where + ": listed twice"};
  }
  return {};
}

Bytes encode_manifest(std::span<const ckks::KeyRequest> manifest) {
  Bytes out;
  Writer writer(out);
  writer.u32(static_cast<std::uint32_t>(manifest.size()));
  for (const auto& request : manifest) {
    writer.u32(request.galois_element);
    writer.u32(request.limbs);
  }
  return out;
}

/// Covers the head's checksum and the key's place too, so that records cannot be swapped within or between files
/// without notice.
Id record_digest(const Id& head, std::size_t index, ByteView record) {
  Bytes prefix;
  Writer out(prefix);
  out.bytes(head);
  out.u32(static_cast<std::uint32_t>(index));
  crypto::Blake2b256 hash;
  hash.update(prefix);
  hash.update(record);
  return hash.finish();
}

}  // namespace

std::uint64_t evaluation_keys_bytes(std::span<const ckks::KeyRequest> manifest, const ckks::Parameters& parameters) {
  std::uint64_t sum = kHeaderBytes + manifest_bytes(manifest.size());
  for (const auto& request : manifest) sum += record_bytes(request, parameters);
  return sum;
}

Status check_manifest(std::span<const ckks::KeyRequest> manifest, std::span<const ckks::KeyRequest> needed) {
  std::string missing;
  std::size_t count = 0;
  for (const auto& need : needed) {
    const auto it = std::find_if(manifest.begin(), manifest.end(),
                                 [&](const auto& have) { return have.galois_element == need.galois_element; });
    if (it != manifest.end() && it->limbs >= need.limbs) continue;
    if (++count <= 4) {
      missing += (missing.empty() ? "" : ", ") + std::string("element ") + std::to_string(need.galois_element) + " at " +
                 std::to_string(need.limbs) + " limbs";
      if (it != manifest.end()) missing += " (has " + std::to_string(it->limbs) + ")";
    }
  }
  if (count == 0) return {};
  return {ErrorCode::kMismatch, "evaluation keys: " + std::to_string(count) + " of " + std::to_string(needed.size()) +
                                    " needed keys are missing: " + missing + (count > 4 ? ", ..." : "")};
}

Result<EvaluationKeyWriter> EvaluationKeyWriter::begin(ByteSink sink, std::shared_ptr<const ckks::Parameters> parameters,
                                                       std::vector<ckks::KeyRequest> manifest) {
  const auto valid = check_requests(manifest, *parameters, ErrorCode::kInvalidArgument);
  if (!valid.ok()) return valid.error().in("evaluation keys");
  EvaluationKeyWriter writer;
  const Bytes list = encode_manifest(manifest);
  const std::uint64_t body = evaluation_keys_bytes(manifest, *parameters) - kHeaderBytes;
  Bytes head = make_header(Kind::kEvaluationKeys, id_of(*parameters), body, list, &writer.head_checksum_);
  Writer(head).bytes(list);
  BRAINLOCK_TRY(sink(head));
  writer.sink_ = std::move(sink);
  writer.parameters_ = std::move(parameters);
  writer.manifest_ = std::move(manifest);
  return writer;
}

Status EvaluationKeyWriter::add(const ckks::EvaluationKey& key) {
  const auto invalid = [&](const std::string& text) -> Status {
    return {ErrorCode::kInvalidArgument, "evaluation key " + std::to_string(written_) + ": " + text};
  };
  if (written_ == manifest_.size()) return invalid("the manifest has no more");
  const auto& request = manifest_[written_];
  if (key.galois_element != request.galois_element || key.limbs != request.limbs) {
    return invalid("element " + std::to_string(key.galois_element) + " at " + std::to_string(key.limbs) +
                   " limbs, expected element " + std::to_string(request.galois_element) + " at " + std::to_string(request.limbs));
  }
  if (!key.seed) return invalid("no seed");
  const std::size_t n = parameters_->ring_degree();
  const std::uint32_t row = key.limbs + parameters_->p_count(), digits = parameters_->digits(key.limbs);
  if (key.b.size() != std::size_t{digits} * row * n) {
    return invalid(std::to_string(key.b.size()) + " words, expected " + std::to_string(std::size_t{digits} * row * n));
  }
  record_.clear();
  record_.reserve(static_cast<std::size_t>(record_bytes(request, *parameters_)));
  Writer out(record_);
  out.u32(key.galois_element);
  out.u32(key.limbs);
  out.bytes(*key.seed);
  for (std::uint32_t i = 0; i < digits * row; ++i) {
    const std::uint32_t l = i % row;
    const std::uint32_t m = l < key.limbs ? l : parameters_->q_count() + (l - key.limbs);
    if (!out.limb({key.b.data() + i * n, n}, parameters_->modulus(m).q)) {
      return invalid("digit " + std::to_string(i / row) + " limb " + std::to_string(l) + " is not reduced");
    }
  }
  const Id digest = record_digest(head_checksum_, written_, record_);
  out.bytes(digest);
  BRAINLOCK_TRY(sink_(record_));
  ++written_;
  return {};
}

Status EvaluationKeyWriter::finish() {
  if (written_ == manifest_.size()) return {};
  return {ErrorCode::kInvalidArgument, "evaluation keys: " + std::to_string(written_) + " written, expected " +
                                           std::to_string(manifest_.size())};
}

Result<EvaluationKeyReader> EvaluationKeyReader::begin(ByteSource source, std::shared_ptr<const ckks::Parameters> parameters,
                                                       std::uint64_t max_bytes) {
  const auto open = [&]() -> Result<EvaluationKeyReader> {
    EvaluationKeyReader reader;
    Bytes head(kHeaderBytes);
    BRAINLOCK_TRY(source(head));
    BRAINLOCK_ASSIGN(const Header header, parse_header(head));
    BRAINLOCK_TRY(check_kind(header, Kind::kEvaluationKeys));
    BRAINLOCK_TRY(check_parameters_id(header, *parameters));
    if (max_bytes < kHeaderBytes || header.body_bytes > max_bytes - kHeaderBytes) {
      return {ErrorCode::kTooLarge, "body of " + std::to_string(header.body_bytes) + " bytes, expected at most " +
                                        std::to_string(max_bytes - std::min<std::uint64_t>(max_bytes, kHeaderBytes))};
    }
    Bytes list(4);
    BRAINLOCK_TRY(source(list));
    const std::uint32_t count = Reader(list).u32();
    if (count == 0 || count > kMaxEvaluationKeys) {
      return {count == 0 ? ErrorCode::kMalformed : ErrorCode::kTooLarge,
              std::to_string(count) + " keys, expected 1 to " + std::to_string(kMaxEvaluationKeys)};
    }
    list.resize(manifest_bytes(count));
    BRAINLOCK_TRY(source(std::span(list).subspan(4)));
    if (header_checksum(head, list) != header.checksum) {
      return {ErrorCode::kCorrupted, "checksum of the manifest does not match"};
    }
    Reader in(ByteView(list).subspan(4));
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t element = in.u32();
      reader.manifest_.push_back({element, in.u32()});
    }
    BRAINLOCK_TRY(check_requests(reader.manifest_, *parameters, ErrorCode::kMalformed));
    reader.total_bytes_ = evaluation_keys_bytes(reader.manifest_, *parameters);
    if (reader.total_bytes_ != kHeaderBytes + header.body_bytes) {
      return {ErrorCode::kMalformed, "body of " + std::to_string(header.body_bytes) + " bytes, expected " +
                                         std::to_string(reader.total_bytes_ - kHeaderBytes) + " by the manifest"};
    }
    reader.head_checksum_ = header.checksum;
    return reader;
  };
  auto reader = open();
  if (!reader.ok()) return reader.error().in("evaluation keys");
  reader->source_ = std::move(source);
  reader->parameters_ = std::move(parameters);
  return reader;
}

Result<std::optional<ckks::EvaluationKey>> EvaluationKeyReader::next() {
  if (read_ == manifest_.size()) return std::optional<ckks::EvaluationKey>{};
  const auto& request = manifest_[read_];
  const std::size_t index = read_;
  const auto read_one = [&]() -> Result<std::optional<ckks::EvaluationKey>> {
    record_.resize(static_cast<std::size_t>(record_bytes(request, *parameters_)));
    BRAINLOCK_TRY(source_(record_));
    const ByteView content(record_.data(), record_.size() - kDigest);
    const Id digest = record_digest(head_checksum_, index, content);
    if (!std::equal(digest.begin(), digest.end(), record_.end() - kDigest)) {
      return {ErrorCode::kCorrupted, "checksum does not match"};
    }
    Reader in(content);
    ckks::EvaluationKey key;
    key.galois_element = in.u32();
    key.limbs = in.u32();
    if (key.galois_element != request.galois_element || key.limbs != request.limbs) {
      return {ErrorCode::kMalformed, "element " + std::to_string(key.galois_element) + " at " + std::to_string(key.limbs) +
                                         " limbs, expected element " + std::to_string(request.galois_element) + " at " +
                                         std::to_string(request.limbs) + " by the manifest"};
    }
    key.seed = in.id();
    const std::size_t n = parameters_->ring_degree();
    const std::uint32_t row = key.limbs + parameters_->p_count(), limbs = parameters_->digits(key.limbs) * row;
    key.b.resize(limbs * n);
    for (std::uint32_t i = 0; i < limbs; ++i) {
      const std::uint32_t l = i % row;
      const std::uint32_t q = parameters_->modulus(l < key.limbs ? l : parameters_->q_count() + (l - key.limbs)).q;
      if (!unpack_words(in.take(packed_bytes(n, residue_bits(q))), q, {key.b.data() + i * n, n})) {
        return {ErrorCode::kMalformed, "digit " + std::to_string(i / row) + " limb " + std::to_string(l) +
                                           ": a word is not below its prime " + std::to_string(q)};
      }
    }
    return std::optional(std::move(key));
  };
  auto key = read_one();
  if (!key.ok()) {
    read_ = manifest_.size();  // what follows a bad record is not to be trusted
    return key.error().in("evaluation key " + std::to_string(index));
  }
  ++read_;
  return key;
}

Result<ckks::EvaluationKeySet> parse_evaluation_keys(ByteView bytes, std::shared_ptr<const ckks::Parameters> parameters) {
  ByteView rest = bytes;
  const ByteSource source = [&rest](std::span<std::uint8_t> out) -> Status {
    if (out.size() > rest.size()) {
      return {ErrorCode::kTruncated, std::to_string(rest.size()) + " bytes left, expected " + std::to_string(out.size())};
    }
    std::copy_n(rest.begin(), out.size(), out.begin());
    rest = rest.subspan(out.size());
    return {};
  };
  const std::uint64_t most = kHeaderBytes + manifest_bytes(kMaxEvaluationKeys) +
                             kMaxEvaluationKeys * record_bytes({0, parameters->q_count()}, *parameters);
  BRAINLOCK_ASSIGN(auto reader, EvaluationKeyReader::begin(source, std::move(parameters), most));
  ckks::EvaluationKeySet set;
  while (true) {
    BRAINLOCK_ASSIGN(auto key, reader.next());
    if (!key) break;
    set.keys.push_back(std::move(*key));
  }
  if (!rest.empty()) {
    return {ErrorCode::kMalformed, "evaluation keys: " + std::to_string(rest.size()) + " bytes after the last, expected none"};
  }
  return set;
}

Result<Bytes> serialize_evaluation_keys(const ckks::EvaluationKeySet& keys, std::shared_ptr<const ckks::Parameters> parameters) {
  std::vector<ckks::KeyRequest> manifest;
  for (const auto& key : keys.keys) manifest.push_back({key.galois_element, key.limbs});
  Bytes bytes;
  const ByteSink sink = [&bytes](ByteView part) {
    Writer(bytes).bytes(part);
    return Status{};
  };
  BRAINLOCK_ASSIGN(auto writer, EvaluationKeyWriter::begin(sink, std::move(parameters), std::move(manifest)));
  for (const auto& key : keys.keys) BRAINLOCK_TRY(writer.add(key));
  BRAINLOCK_TRY(writer.finish());
  return bytes;
}

}  // namespace brainlock::wire
