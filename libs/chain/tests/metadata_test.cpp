#include "brainlock/chain/metadata.hpp"

#include <cstdlib>
#include <random>

#include "brainlock/chain/runtime.hpp"
#include "metadata_writer.hpp"
#include "vectors.hpp"

namespace brainlock::chain {
namespace {

const crypto::Bytes& blob() {
  static const auto bytes = read_vector_file("metadata-spec224.scale");
  return bytes;
}

const Metadata& genuine() {
  static const auto metadata = Metadata::decode(blob());
  EXPECT_TRUE(metadata.ok());
  return *metadata;
}

TEST(Metadata, GenuineBlobIsReadToItsLastByte) {
  EXPECT_EQ(genuine().version(), 14);
  EXPECT_EQ(genuine().extrinsic_version(), 4);
  EXPECT_EQ((*genuine().pallet("SubtensorModule"))->index, 7);
  EXPECT_EQ((*genuine().pallet("System"))->index, 0);
  EXPECT_EQ(genuine().pallet("Nothing").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(genuine().storage("System", "Nothing").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(genuine().signed_extensions().front().identifier, "CheckNonZeroSender");
}

TEST(Metadata, EveryTruncationIsAnError) {
  // Each cut in the first and last parts, and one every 997 bytes between; BRAINLOCK_SLOW_TESTS makes every cut.
  const crypto::ByteView bytes(blob());
  const std::size_t stride = std::getenv("BRAINLOCK_SLOW_TESTS") != nullptr ? 1 : 997;
  std::size_t cuts = 0;
  for (std::size_t size = 0; size < bytes.size(); size += size < 3000 || size + 200 > bytes.size() ? 1 : stride, ++cuts) {
    const auto metadata = Metadata::decode(bytes.first(size));
    ASSERT_FALSE(metadata.ok()) << size;
  }
  EXPECT_GT(cuts, 3000u);
}

TEST(Metadata, GarbledBytesNeverCrash) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 300; ++i) {
    auto bytes = blob();
    for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    (void)Metadata::decode(bytes);
  }
}

TEST(Metadata, OtherVersionsAndShapesAreRefusedByName) {
  auto bytes = blob();
  for (const std::uint8_t version : crypto::Bytes{0, 13, 17, 255}) {
    bytes[4] = version;
    EXPECT_EQ(Metadata::decode(bytes).error().code, ErrorCode::kUnsupported);
  }
  for (const std::uint8_t version : crypto::Bytes{15, 16}) {  // Not what the bytes are.
    bytes[4] = version;
    EXPECT_FALSE(Metadata::decode(bytes).ok());
  }
  bytes[0] = 0;
  EXPECT_EQ(Metadata::decode(bytes).error().code, ErrorCode::kMalformed);
  bytes = blob();
  bytes.push_back(0);
  EXPECT_EQ(Metadata::decode(bytes).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(Metadata::decode(crypto::Bytes(Metadata::kMaxBytes + 1)).error().code, ErrorCode::kTooLarge);
}

TEST(Metadata, Version15CarriesTheSameAndTheRuntimeCalls) {
  const std::vector<RuntimeMethod> methods{{"Api", "ask", {{"netuid", 2}}, 1}};
  const auto blob15 = write_metadata_15(genuine(), {}, methods);
  const auto metadata = Metadata::decode(blob15);
  ASSERT_TRUE(metadata.ok()) << metadata.error().to_string();
  EXPECT_EQ(metadata->version(), 15);
  EXPECT_EQ(metadata->pallets().size(), genuine().pallets().size());
  EXPECT_EQ((*metadata->runtime_method("Api", "ask"))->inputs[0].type, 2u);
  EXPECT_EQ(metadata->runtime_method("Api", "other").error().code, ErrorCode::kNotFound);
  const Arguments remark{{"remark", Value::bytes(crypto::Bytes{1, 2, 3})}};
  EXPECT_EQ(*encode_call(*metadata, "System", "remark", remark), *encode_call(genuine(), "System", "remark", remark));
  for (std::size_t size = 0; size < blob15.size(); size += size + 300 > blob15.size() ? 1 : 1009) {
    ASSERT_FALSE(Metadata::decode(crypto::ByteView(blob15).first(size)).ok()) << size;
  }
}

TEST(Metadata, Version16CarriesTheSame) {
  const std::vector<RuntimeMethod> methods{{"Api", "ask", {{"netuid", 2}}, 1}, {"Other", "tell", {}, 1}};
  const auto blob16 = write_metadata(16, genuine(), {}, methods);
  const auto metadata = Metadata::decode(blob16);
  ASSERT_TRUE(metadata.ok()) << metadata.error().to_string();
  EXPECT_EQ(metadata->version(), 16);
  EXPECT_EQ(metadata->extrinsic_version(), 4);
  ASSERT_EQ(metadata->pallets().size(), genuine().pallets().size());
  for (std::size_t i = 0; i < metadata->pallets().size(); ++i) {
    const auto &here = metadata->pallets()[i], &there = genuine().pallets()[i];
    EXPECT_EQ(here.name, there.name);
    EXPECT_EQ(here.index, there.index);
    EXPECT_EQ(here.calls, there.calls);
    EXPECT_EQ(here.errors, there.errors);
    EXPECT_EQ(here.storage.size(), there.storage.size());
    EXPECT_EQ(here.constants.size(), there.constants.size());
  }
  EXPECT_EQ(metadata->signed_extensions().size(), genuine().signed_extensions().size());
  EXPECT_EQ((*metadata->runtime_method("Api", "ask"))->inputs[0].type, 2u);
  EXPECT_TRUE(metadata->runtime_method("Other", "tell").ok());
  const Arguments remark{{"remark", Value::bytes(crypto::Bytes{1, 2, 3})}};
  EXPECT_EQ(*encode_call(*metadata, "System", "remark", remark), *encode_call(genuine(), "System", "remark", remark));
  for (std::size_t size = 0; size < blob16.size(); size += size + 300 > blob16.size() ? 1 : 1009) {
    ASSERT_FALSE(Metadata::decode(crypto::ByteView(blob16).first(size)).ok()) << size;
  }
  // Which extensions a signature covers must be certain.
  const auto some = Metadata::decode(write_metadata(16, genuine(), {}, {}, {}, {}, {0, 1, 3}));
  ASSERT_FALSE(some.ok());
  EXPECT_EQ(some.error().code, ErrorCode::kUnsupported);
}

TEST(StorageKey, KnownPrefixesAndHashers) {
  const std::string module = "658faa385070e074c85bf6b568cf0555";
  const Value netuid = Value::number(1);
  const Value alice = Value::bytes(unhex("0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"));
  const auto key = [&](const char* entry, std::vector<Value> keys) {
    const auto made = storage_key(genuine(), "SubtensorModule", entry, keys);
    EXPECT_TRUE(made.ok()) << made.error().to_string();
    return crypto::hex_encode(*made);
  };
  EXPECT_EQ(key("Uids", {}), module + "aab1b4e78e1ea8305462ee53b3686dc8");
  EXPECT_EQ(key("Tempo", {netuid}), module + "7641384bb339f3758acddfd7053d3317" + "0100");
  EXPECT_EQ(key("Weights", {netuid, Value::number(258)}), module + "a1e7036061f484bc3048a64b64e35ec4" + "01000201");
  EXPECT_EQ(key("Axons", {netuid, alice}),
            module + "b4e0c7b1d5f74994fcd58c28ab601fec" + "0100" + "de1e86a9a8c739864cf3cc5ec2bea59f" +
                "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d");
  EXPECT_EQ(crypto::hex_encode(*storage_key(genuine(), "System", "Account", std::vector<Value>{alice})).substr(0, 64),
            "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9");
  EXPECT_EQ(storage_key(genuine(), "System", "Number", std::vector<Value>{netuid}).error().code, ErrorCode::kMismatch);
  EXPECT_EQ(storage_key(genuine(), "SubtensorModule", "Tempo", std::vector<Value>{Value::number(70000)}).error().code,
            ErrorCode::kMismatch);
}

TEST(Storage, DefaultsAndOptions) {
  EXPECT_EQ(*decode_storage(genuine(), "SubtensorModule", "Tempo", {})->as_u16(), 99);
  EXPECT_TRUE(decode_storage(genuine(), "SubtensorModule", "Uids", {})->is_none());
  EXPECT_EQ(*decode_storage(genuine(), "SubtensorModule", "Uids", crypto::Bytes{5, 0})->as_u16(), 5);
  const auto axon = decode_storage(genuine(), "SubtensorModule", "Axons", crypto::Bytes(34));
  ASSERT_TRUE(axon.ok());
  EXPECT_EQ(*(*axon->field("port"))->as_u16(), 0);
  EXPECT_FALSE(decode_storage(genuine(), "SubtensorModule", "Axons", crypto::Bytes(33)).ok());
  EXPECT_FALSE(decode_storage(genuine(), "SubtensorModule", "Axons", crypto::Bytes(35)).ok());
}

TEST(Constant, ByName) {
  EXPECT_EQ(*constant_value(genuine(), "System", "BlockHashCount")->as_u32(), 2400u);
  EXPECT_EQ(constant_value(genuine(), "System", "None").error().code, ErrorCode::kNotFound);
}

Value numbers(std::vector<std::uint16_t> values) { return Value::numbers(values); }

// The genuine metadata with the calls that later runtimes added to the pallet.
Metadata with_newer_calls() {
  using Kind = TypeDefinition::Kind;
  const auto id = static_cast<TypeId>(genuine().types().size());
  const TypeId u8 = id, u16 = id + 1, u64 = id + 2, bytes = id + 3, list = id + 4;
  std::vector<TypeDefinition> extra(5);
  const Primitive numbers[] = {Primitive::kU8, Primitive::kU16, Primitive::kU64};
  for (std::size_t i = 0; i < 3; ++i) {
    extra[i].kind = Kind::kPrimitive;
    extra[i].primitive = numbers[i];
  }
  extra[3].kind = extra[4].kind = Kind::kSequence;
  extra[3].element = u8;
  extra[4].element = u16;
  const auto blob15 = write_metadata_15(genuine(), extra, {}, [&](std::vector<TypeDefinition>& types) {
    auto& calls = types[*(*genuine().pallet("SubtensorModule"))->calls].cases;
    calls.push_back({"commit_timelocked_weights", 113,
                     {{"netuid", u16}, {"commit", bytes}, {"reveal_round", u64}, {"commit_reveal_version", u16}}});
    calls.push_back({"commit_timelocked_mechanism_weights", 118,
                     {{"netuid", u16}, {"mecid", u8}, {"commit", bytes}, {"reveal_round", u64}, {"commit_reveal_version", u16}}});
    calls.push_back({"set_mechanism_weights", 119,
                     {{"netuid", u16}, {"mecid", u8}, {"dests", list}, {"weights", list}, {"version_key", u64}}});
  });
  return Metadata::decode(blob15).value();
}

// Every call of the known answers; each is named, so that a new one cannot go unchecked.
void expect_known_calls(const Metadata& metadata, const char* spec) {
  const auto& calls = known_answers()["extrinsics"][spec]["calls"];
  std::size_t checked = 0;
  const auto encode = [&](const char* pallet, const char* call, Arguments arguments) {
    const auto bytes = encode_call(metadata, pallet, call, arguments);
    EXPECT_TRUE(bytes.ok()) << (bytes.ok() ? "" : bytes.error().to_string());
    ++checked;
    return crypto::hex_encode_0x(bytes.ok() ? *bytes : crypto::Bytes{});
  };
  const Value charlie = Value::bytes(unhex("0x90b5ab205c6974c9ea841be688864633dc9ca8a357843eeacf2314649965fe22"));
  EXPECT_EQ(encode("System", "remark", {{"remark", Value::bytes(crypto::Bytes{1, 2, 3})}}), calls["remark"]);
  EXPECT_EQ(encode("SubtensorModule", "burned_register", {{"netuid", Value::number(1)}, {"hotkey", charlie}}),
            calls["burned_register"]);
  EXPECT_EQ(encode("SubtensorModule", "serve_axon",
                   {{"netuid", Value::number(1)},
                    {"version", Value::number(100)},
                    {"ip", Value::number(0x01020304)},
                    {"port", Value::number(8091)},
                    {"ip_type", Value::number(4)},
                    {"protocol", Value::number(4)},
                    {"placeholder1", Value::number(0)},
                    {"placeholder2", Value::number(0)}}),
            calls["serve_axon"]);
  EXPECT_EQ(encode("SubtensorModule", "set_weights",
                   {{"netuid", Value::number(1)},
                    {"dests", numbers({2, 3, 300})},
                    {"weights", numbers({65535, 32768, 1})},
                    {"version_key", Value::number(7)}}),
            calls["set_weights"]);
  EXPECT_EQ(encode("SubtensorModule", "commit_weights",
                   {{"netuid", Value::number(1)}, {"commit_hash", Value::bytes(crypto::Bytes(32, 0x11))}}),
            calls["commit_weights"]);
  EXPECT_EQ(encode("SubtensorModule", "reveal_weights",
                   {{"netuid", Value::number(1)},
                    {"uids", numbers({2, 3})},
                    {"values", numbers({65535, 32768})},
                    {"salt", numbers({1, 2, 3})},
                    {"version_key", Value::number(7)}}),
            calls["reveal_weights"]);
  if (calls.contains("set_mechanism_weights")) {
    const auto commit = Value::bytes(crypto::Bytes(64, 0x22));
    EXPECT_EQ(encode("SubtensorModule", "commit_timelocked_weights",
                     {{"netuid", Value::number(1)},
                      {"commit", commit},
                      {"reveal_round", Value::number(99'999'999)},
                      {"commit_reveal_version", Value::number(4)}}),
              calls["commit_timelocked_weights"]);
    EXPECT_EQ(encode("SubtensorModule", "commit_timelocked_mechanism_weights",
                     {{"netuid", Value::number(1)},
                      {"mecid", Value::number(0)},
                      {"commit", commit},
                      {"reveal_round", Value::number(99'999'999)},
                      {"commit_reveal_version", Value::number(4)}}),
              calls["commit_timelocked_mechanism_weights"]);
    EXPECT_EQ(encode("SubtensorModule", "set_mechanism_weights",
                     {{"netuid", Value::number(1)},
                      {"mecid", Value::number(0)},
                      {"dests", numbers({2, 3, 300})},
                      {"weights", numbers({65535, 32768, 1})},
                      {"version_key", Value::number(7)}}),
              calls["set_mechanism_weights"]);
  }
  EXPECT_EQ(checked, calls.size());
}

TEST(Call, KnownBytes) {
  expect_known_calls(genuine(), "spec293");
  expect_known_calls(with_newer_calls(), "spec381");
}

TEST(Call, AnotherShapeIsRefusedAndNamed) {
  const auto missing = encode_call(genuine(), "System", "remark", {});
  EXPECT_EQ(missing.error().code, ErrorCode::kUnsupported);
  const auto extra = encode_call(genuine(), "System", "remark",
                                 {{"remark", Value::bytes({})}, {"tip", Value::number(1)}});
  EXPECT_EQ(extra.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(extra.error().message.find("tip"), std::string::npos);
  EXPECT_EQ(encode_call(genuine(), "System", "no_such_call", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(encode_call(genuine(), "System", "remark", {{"remark", Value::number(1)}}).error().code,
            ErrorCode::kMismatch);
  EXPECT_TRUE(has_call(genuine(), "SubtensorModule", "set_weights"));
  EXPECT_FALSE(has_call(genuine(), "SubtensorModule", "register_limit"));
}

TEST(DispatchError, ByName) {
  const auto module = [](unsigned index, unsigned error) {
    return Value::variant("Module", {{"", Value::record({{"index", Value::number(index)},
                                                         {"error", Value::bytes(crypto::Bytes{static_cast<std::uint8_t>(error), 0, 0, 0})}})}});
  };
  EXPECT_EQ(dispatch_error_name(genuine(), module(7, 0)).substr(0, 16), "SubtensorModule.");
  EXPECT_EQ(dispatch_error_name(genuine(), module(200, 1)), "pallet 200 error 1");
  EXPECT_EQ(dispatch_error_name(genuine(), Value::variant("BadOrigin")), "BadOrigin");
  EXPECT_EQ(dispatch_error_name(genuine(), Value::variant("Token", {{"", Value::variant("NoFunds")}})), "Token.NoFunds");
}

TEST(Value, EveryStorageDefaultDecodesAndEncodesBack) {
  std::size_t checked = 0;
  for (const auto& pallet : genuine().pallets()) {
    for (const auto& entry : pallet.storage) {
      if (entry.is_optional) continue;
      const auto value = decode_value(genuine(), entry.value, crypto::ByteView(entry.default_value));
      ASSERT_TRUE(value.ok()) << pallet.name << "." << entry.name << " " << value.error().to_string();
      scale_codec::Encoder out;
      const auto status = encode_value(out, genuine(), entry.value, *value);
      if (!status.ok() && status.error().code == ErrorCode::kUnsupported) continue;  // Bit sequences.
      ASSERT_TRUE(status.ok()) << pallet.name << "." << entry.name << " " << status.error().to_string();
      EXPECT_EQ(out.data(), entry.default_value) << pallet.name << "." << entry.name;
      EXPECT_FALSE(to_json(*value).empty());
      ++checked;
    }
  }
  EXPECT_GT(checked, 100u);
}

TEST(Value, JsonForms) {
  const Value value = Value::record({{"n", Value::number(1)},
                                     {"big", Value::number(~U128{0})},
                                     {"neg", Value::signed_number(-5)},
                                     {"text", Value::text("a\"b\n")},
                                     {"bytes", Value::bytes(crypto::Bytes{1})},
                                     {"none", Value::none()},
                                     {"some", Value::some(Value::boolean(true))},
                                     {"list", Value::list({Value::number(1), Value::variant("A")})}});
  EXPECT_EQ(to_json(value),
            "{\"n\":1,\"big\":\"340282366920938463463374607431768211455\",\"neg\":-5,\"text\":\"a\\\"b\\u000a\","
            "\"bytes\":\"0x01\",\"none\":null,\"some\":true,\"list\":[1,\"A\"]}");
}

}  // namespace
}  // namespace brainlock::chain
