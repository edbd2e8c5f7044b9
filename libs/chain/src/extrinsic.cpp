#include "brainlock/chain/extrinsic.hpp"

#include <algorithm>
#include <bit>
#include <string_view>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/scale_codec/encoder.hpp"

namespace brainlock::chain {
namespace {

using Kind = TypeDefinition::Kind;

// What an extension carries, as far as it matters here.
enum class Shape { kNothing, kU32, kHash, kEra, kCompact, kMode, kOptionalHash };

struct KnownExtension {
  std::string_view identifier;
  Shape extra;
  Shape additional;
};

// Every extension that runtimes 219 to 467 have had, and what the chain's public source has besides. The bytes below
// follow from the rows that are not kNothing, whose order has never changed; that each is there once and in its place
// is checked all the same.
constexpr KnownExtension kKnown[] = {
    {"CheckNonZeroSender", Shape::kNothing, Shape::kNothing},
    {"CheckSpecVersion", Shape::kNothing, Shape::kU32},
    {"CheckTxVersion", Shape::kNothing, Shape::kU32},
    {"CheckGenesis", Shape::kNothing, Shape::kHash},
    {"CheckMortality", Shape::kEra, Shape::kHash},
    {"CheckNonce", Shape::kCompact, Shape::kNothing},
    {"CheckWeight", Shape::kNothing, Shape::kNothing},
    {"ChargeTransactionPayment", Shape::kCompact, Shape::kNothing},
    // Its wrapper, where that goes by its own name.
    {"ChargeTransactionPaymentWrapper", Shape::kCompact, Shape::kNothing},
    {"SubtensorSignedExtension", Shape::kNothing, Shape::kNothing},
    {"SubtensorTransactionExtension", Shape::kNothing, Shape::kNothing},
    {"CommitmentsSignedExtension", Shape::kNothing, Shape::kNothing},
    {"SudoTransactionExtension", Shape::kNothing, Shape::kNothing},
    {"CheckShieldedTxValidity", Shape::kNothing, Shape::kNothing},
    {"DrandPriority", Shape::kNothing, Shape::kNothing},
    {"RateLimitTransactionExtension", Shape::kNothing, Shape::kNothing},
    {"CheckMetadataHash", Shape::kMode, Shape::kOptionalHash},
};

constexpr std::string_view kOrder[] = {"CheckSpecVersion", "CheckTxVersion", "CheckGenesis", "CheckMortality",
                                       "CheckNonce", "ChargeTransactionPayment", "CheckMetadataHash"};

constexpr std::uint8_t kSignedVersion4 = 0x84;
constexpr std::uint8_t kAddressId = 0x00;
constexpr std::uint8_t kSr25519 = 0x01;
constexpr std::size_t kHashAbove = 256;

bool is_nothing(const Metadata& metadata, TypeId id, int depth = 0) {
  const auto& type = metadata.type(id);
  if (type.kind == Kind::kArray) return type.array_length == 0;
  if ((type.kind != Kind::kComposite && type.kind != Kind::kTuple) || depth > 16) return false;
  return std::all_of(type.fields.begin(), type.fields.end(),
                     [&](const Field& field) { return is_nothing(metadata, field.type, depth + 1); });
}

// The type inside structs and tuples that hold one thing with bytes; markers without bytes beside it do not count.
const TypeDefinition& leaf(const Metadata& metadata, TypeId id) {
  for (int depth = 0; depth < 16; ++depth) {
    const auto& type = metadata.type(id);
    if (type.kind != Kind::kComposite && type.kind != Kind::kTuple) break;
    const auto has_bytes = [&](const Field& field) { return !is_nothing(metadata, field.type); };
    if (std::count_if(type.fields.begin(), type.fields.end(), has_bytes) != 1) break;
    id = std::find_if(type.fields.begin(), type.fields.end(), has_bytes)->type;
  }
  return metadata.type(id);
}

bool is_hash(const Metadata& metadata, const TypeDefinition& type) {
  return type.kind == Kind::kArray && type.array_length == 32 &&
         metadata.type(type.element).kind == Kind::kPrimitive &&
         metadata.type(type.element).primitive == Primitive::kU8;
}

bool has_shape(const Metadata& metadata, TypeId id, Shape shape) {
  const auto& type = leaf(metadata, id);
  switch (shape) {
    case Shape::kNothing: return is_nothing(metadata, id);
    case Shape::kU32: return type.kind == Kind::kPrimitive && type.primitive == Primitive::kU32;
    case Shape::kHash: return is_hash(metadata, type);
    case Shape::kEra: return type.kind == Kind::kVariant && type.name == "Era";
    case Shape::kCompact: return type.kind == Kind::kCompact;
    case Shape::kMode: {
      const auto* disabled = type.kind == Kind::kVariant ? type.find_case("Disabled") : nullptr;
      return disabled != nullptr && disabled->index == 0 && disabled->fields.empty();
    }
    case Shape::kOptionalHash: {
      const auto* some = type.kind == Kind::kVariant ? type.find_case("Some") : nullptr;
      const auto* none = type.kind == Kind::kVariant ? type.find_case("None") : nullptr;
      return some != nullptr && none != nullptr && none->index == 0 && some->fields.size() == 1 &&
             is_hash(metadata, leaf(metadata, some->fields.front().type));
    }
  }
  return false;
}

crypto::Bytes extra_bytes(const SigningContext& context) {
  scale_codec::Encoder out;
  out.raw(context.era.encode()).compact(context.nonce).compact(context.tip).u8(0);  // Metadata hash: disabled.
  return out.take();
}

}  // namespace

Era Era::mortal(std::uint64_t period, std::uint64_t current) {
  Era era;
  era.period = std::bit_ceil(std::clamp<std::uint64_t>(period, 4, 65536));
  const std::uint64_t grain = std::max<std::uint64_t>(era.period >> 12, 1);
  era.phase = current % era.period / grain * grain;
  return era;
}

std::uint64_t Era::birth(std::uint64_t current) const {
  if (period == 0) return 0;
  return current < phase ? 0 : (current - phase) / period * period + phase;
}

crypto::Bytes Era::encode() const {
  if (period == 0) return {0};
  const std::uint64_t grain = std::max<std::uint64_t>(period >> 12, 1);
  const auto log = static_cast<std::uint64_t>(std::countr_zero(period));
  const std::uint64_t bits = std::clamp<std::uint64_t>(log - 1, 1, 15) | (phase / grain) << 4;
  return {static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(bits >> 8)};
}

Status check_signing_rules(const Metadata& metadata) {
  if (metadata.extrinsic_version() != 4) {
    return Error{ErrorCode::kUnsupported, "this runtime wants extrinsics of version " +
                                              std::to_string(metadata.extrinsic_version()) + "; version 4 is known"};
  }
  std::size_t next = 0;
  for (const auto& extension : metadata.signed_extensions()) {
    const auto known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                    [&](const auto& k) { return k.identifier == extension.identifier; });
    if (known == std::end(kKnown)) {
      return Error{ErrorCode::kUnsupported, "this runtime has a signed extension that is not known here: " +
                                                extension.identifier + "; a newer release is needed to sign for it"};
    }
    if (!has_shape(metadata, extension.extra, known->extra) || !has_shape(metadata, extension.additional, known->additional)) {
      return Error{ErrorCode::kUnsupported, "signed extension " + extension.identifier +
                                                " has another shape in this runtime; a newer release is needed"};
    }
    if (known->extra == Shape::kNothing && known->additional == Shape::kNothing) continue;
    // No name here begins with another but that of the wrapper.
    if (next == std::size(kOrder) || !extension.identifier.starts_with(kOrder[next])) {
      return Error{ErrorCode::kUnsupported, "this runtime has signed extension " + extension.identifier +
                                                " in another place; a newer release is needed"};
    }
    ++next;
  }
  if (next != std::size(kOrder)) {
    return Error{ErrorCode::kUnsupported,
                 "this runtime lacks signed extension " + std::string(kOrder[next]) + "; a newer release is needed"};
  }
  return {};
}

crypto::Bytes signed_bytes(crypto::ByteView call, const SigningContext& context) {
  scale_codec::Encoder out;
  out.raw(call).raw(extra_bytes(context));
  out.u32(context.spec_version).u32(context.transaction_version).raw(context.genesis).raw(context.mortality).u8(0);
  return out.take();
}

crypto::Bytes signing_payload(crypto::ByteView call, const SigningContext& context) {
  crypto::Bytes bytes = signed_bytes(call, context);
  if (bytes.size() <= kHashAbove) return bytes;
  const auto hash = crypto::blake2b_256(bytes);
  return {hash.begin(), hash.end()};
}

crypto::Bytes assemble_extrinsic(crypto::ByteView call, const SigningContext& context, const crypto::AccountId& signer,
                                 const crypto::Sr25519Signature& signature) {
  scale_codec::Encoder body;
  body.u8(kSignedVersion4).u8(kAddressId).raw(signer).u8(kSr25519).raw(signature).raw(extra_bytes(context)).raw(call);
  return scale_codec::Encoder().bytes(body.data()).take();
}

Result<crypto::Bytes> sign_extrinsic(const Metadata& metadata, crypto::ByteView call, const SigningContext& context,
                                     const ledger::Signer& signer) {
  BRAINLOCK_TRY(check_signing_rules(metadata));
  BRAINLOCK_ASSIGN(const auto signature, signer.sign(signing_payload(call, context)));
  return assemble_extrinsic(call, context, signer.account(), signature);
}

}  // namespace brainlock::chain
