#include "brainlock/wire/public_key.hpp"

#include "brainlock/ckks/uniform.hpp"
#include "codec.hpp"

namespace brainlock::wire {

std::uint64_t public_key_bytes(const ckks::Parameters& parameters) {
  return kHeaderBytes + 32 + polynomial_bytes(parameters, 0, parameters.q_count());
}

Result<Bytes> serialize_public_key(const ckks::PublicKey& key, const ckks::Parameters& parameters) {
  const std::size_t n = parameters.ring_degree();
  if (!key.seed) return {ErrorCode::kInvalidArgument, "public key: no seed"};
  if (key.b.size() != parameters.q_count() * n) {
    return {ErrorCode::kInvalidArgument, "public key: " + std::to_string(key.b.size()) + " words, expected " +
                                             std::to_string(parameters.q_count() * n)};
  }
  Bytes body;
  Writer out(body);
  out.bytes(*key.seed);
  for (std::uint32_t l = 0; l < parameters.q_count(); ++l) {
    if (!out.limb({key.b.data() + l * n, n}, parameters.modulus(l).q)) {
      return {ErrorCode::kInvalidArgument, "public key: limb " + std::to_string(l) + " is not reduced"};
    }
  }
  Bytes bytes = make_header(Kind::kPublicKey, id_of(parameters), body.size(), body);
  Writer(bytes).bytes(body);
  return bytes;
}

Result<ckks::PublicKey> parse_public_key(ByteView bytes, const ckks::Parameters& parameters) {
  Header header;
  const std::uint64_t expected = public_key_bytes(parameters);
  const auto body = open_body(bytes, Kind::kPublicKey, &parameters, expected, header);
  if (!body.ok()) return body.error().in("public key");
  if (body->size() != expected - kHeaderBytes) {
    return {ErrorCode::kMalformed, "public key: body of " + std::to_string(body->size()) + " bytes, expected " +
                                       std::to_string(expected - kHeaderBytes)};
  }
  Reader in(*body);
  const std::size_t n = parameters.ring_degree();
  ckks::PublicKey key;
  key.seed = in.id();
  key.b.resize(parameters.q_count() * n);
  for (std::uint32_t l = 0; l < parameters.q_count(); ++l) {
    const std::uint32_t q = parameters.modulus(l).q;
    if (!unpack_words(in.take(packed_bytes(n, residue_bits(q))), q, {key.b.data() + l * n, n})) {
      return {ErrorCode::kMalformed,
              "public key: limb " + std::to_string(l) + ": a word is not below its prime " + std::to_string(q)};
    }
  }
  ckks::expand(key, parameters);
  return key;
}

}  // namespace brainlock::wire
