#include "brainlock/wire/evaluation_keys.hpp"

#include <unistd.h>

#include "brainlock/wire/file.hpp"
#include "wire_fixture.hpp"

namespace brainlock::wire {
namespace {

using ckks::KeyRequest;
using testing::expect_refused;
using testing::make_toy;
using testing::random_key;

ckks::EvaluationKeySet random_set(const ckks::Parameters& parameters, const std::vector<KeyRequest>& manifest) {
  ckks::EvaluationKeySet set;
  for (const auto& request : manifest) set.keys.push_back(random_key(parameters, request.galois_element, request.limbs));
  return set;
}

/// Like reseal(), for objects whose checksum covers the manifest only; records are sealed again as well.
void reseal_keys(Bytes& bytes, std::size_t count, const std::vector<std::size_t>& record_sizes) {
  const std::size_t head = kHeaderBytes + 4 + 8 * count;
  const auto checksum = header_checksum(bytes, ByteView(bytes).subspan(kHeaderBytes, head - kHeaderBytes));
  std::copy(checksum.begin(), checksum.end(), bytes.begin() + 48);
  std::size_t at = head;
  for (std::size_t i = 0; i < record_sizes.size(); at += record_sizes[i++]) {
    crypto::Blake2b256 hash;
    hash.update(checksum);
    const std::uint8_t index[4] = {static_cast<std::uint8_t>(i), 0, 0, 0};
    hash.update(index);
    hash.update(ByteView(bytes).subspan(at, record_sizes[i] - 32));
    const auto digest = hash.finish();
    std::copy(digest.begin(), digest.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at + record_sizes[i] - 32));
  }
}

TEST(WireEvaluationKeys, RoundTripAtEveryLimbCount) {
  const auto parameters = make_toy(16, 5, 2, 2);
  const std::vector<KeyRequest> manifest{{0, 5}, {5, 4}, {25, 3}, {31, 2}, {29, 1}};
  const auto set = random_set(*parameters, manifest);
  const auto bytes = serialize_evaluation_keys(set, parameters);
  ASSERT_TRUE(bytes.ok()) << bytes.error().to_string();
  EXPECT_EQ(bytes->size(), evaluation_keys_bytes(manifest, *parameters));
  const auto back = parse_evaluation_keys(*bytes, parameters);
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  ASSERT_EQ(back->keys.size(), manifest.size());
  for (std::size_t i = 0; i < manifest.size(); ++i) {
    EXPECT_EQ(back->keys[i].galois_element, manifest[i].galois_element);
    EXPECT_EQ(back->keys[i].limbs, manifest[i].limbs);
    EXPECT_EQ(back->keys[i].b, set.keys[i].b);
    EXPECT_TRUE(back->keys[i].a.empty());
    EXPECT_EQ(back->keys[i].seed, set.keys[i].seed);
  }
}

TEST(WireEvaluationKeys, EveryDamageIsRefused) {
  const auto parameters = make_toy(8, 2, 1, 1);
  const auto bytes = serialize_evaluation_keys(random_set(*parameters, {{0, 2}, {5, 1}}), parameters);
  testing::expect_every_damage_refused([&](const Bytes& b) { return parse_evaluation_keys(b, parameters); }, *bytes);
}

TEST(WireEvaluationKeys, RecordsCannotBeSwapped) {
  const auto parameters = make_toy(8, 2, 1, 1);
  const std::vector<KeyRequest> manifest{{5, 2}, {13, 2}};
  const auto set = random_set(*parameters, manifest);
  Bytes bytes = *serialize_evaluation_keys(set, parameters);
  const std::size_t head = kHeaderBytes + 4 + 16, record = (bytes.size() - head) / 2;
  std::swap_ranges(bytes.begin() + static_cast<std::ptrdiff_t>(head), bytes.begin() + static_cast<std::ptrdiff_t>(head + record),
                   bytes.begin() + static_cast<std::ptrdiff_t>(head + record));
  expect_refused([&](const Bytes& b) { return parse_evaluation_keys(b, parameters); }, bytes, ErrorCode::kCorrupted,
                 "evaluation key 0: checksum");
}

TEST(WireEvaluationKeys, SealedNonsenseIsRefused) {
  const auto parameters = make_toy(8, 2, 1, 1);
  const std::vector<KeyRequest> manifest{{5, 2}, {13, 1}};
  const Bytes good = *serialize_evaluation_keys(random_set(*parameters, manifest), parameters);
  // 8 words of 28, 29 (q) and 30 (p) bits: two digits of 87 bytes; one digit of 58.
  const std::vector<std::size_t> records{40 + 2 * 87 + 32, 40 + 58 + 32};
  ASSERT_EQ(good.size(), kHeaderBytes + 20 + records[0] + records[1]);
  const auto parse = [&](const Bytes& b) { return parse_evaluation_keys(b, parameters); };
  const auto change = [&](auto&& edit) {
    Bytes bad = good;
    edit(bad);
    reseal_keys(bad, 2, records);
    return bad;
  };
  ASSERT_TRUE(parse(change([](Bytes&) {})).ok());
  const std::size_t list = kHeaderBytes + 4, first = kHeaderBytes + 20;
  const auto malformed = ErrorCode::kMalformed;
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, list, 6); }), malformed, "element 6: expected 0 or an odd number below 16");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, list, 17); }), malformed, "element 17");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, list, 13); }), malformed, "element 13: listed twice");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, list + 4, 0); }), malformed, "0 limbs, expected 1 to 2");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, list + 4, 1); }), malformed, "by the manifest");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, first, 7); }), malformed, "element 7 at 2 limbs, expected element 5");
  expect_refused(parse, change([&](Bytes& b) { for (int i = 0; i < 4; ++i) b[first + 40 + i] = 0xff; }), malformed,
                 "digit 0 limb 0: a word is not below its prime");
  Bytes bad = good;
  testing::put_u32(bad, kHeaderBytes, 0);
  expect_refused(parse, bad, malformed, "0 keys");
  testing::put_u32(bad, kHeaderBytes, 0x40000000);
  expect_refused(parse, bad, ErrorCode::kTooLarge, "1073741824 keys, expected 1 to 4096");
  bad = good;
  bad[45] = 1;
  expect_refused(parse, bad, ErrorCode::kTooLarge, "expected at most");
}

TEST(WireEvaluationKeys, WriterHoldsTheCallerToTheManifest) {
  const auto parameters = make_toy(16, 3);
  const auto sink = [](ByteView) { return Status{}; };
  const auto begin = [&](std::vector<KeyRequest> manifest) { return EvaluationKeyWriter::begin(sink, parameters, std::move(manifest)); };
  for (const auto& bad : std::vector<std::vector<KeyRequest>>{{}, {{5, 4}}, {{5, 0}}, {{4, 1}}, {{33, 1}}, {{5, 1}, {5, 2}},
                                                              std::vector<KeyRequest>(5000, {5, 1})}) {
    EXPECT_EQ(begin(bad).error().code, ErrorCode::kInvalidArgument);
  }
  auto writer = begin({{0, 3}, {5, 2}});
  ASSERT_TRUE(writer.ok());
  EXPECT_FALSE(writer->add(random_key(*parameters, 5, 2)).ok());
  auto unseeded = random_key(*parameters, 0, 3);
  unseeded.seed.reset();
  EXPECT_FALSE(writer->add(unseeded).ok());
  auto unreduced = random_key(*parameters, 0, 3);
  unreduced.b[0] = 0xffffffff;
  EXPECT_FALSE(writer->add(unreduced).ok());
  auto cut = random_key(*parameters, 0, 3);
  cut.b.pop_back();
  EXPECT_FALSE(writer->add(cut).ok());
  EXPECT_TRUE(writer->add(random_key(*parameters, 0, 3)).ok());
  EXPECT_FALSE(writer->finish().ok());
  EXPECT_TRUE(writer->add(random_key(*parameters, 5, 2)).ok());
  EXPECT_TRUE(writer->finish().ok());
  EXPECT_FALSE(writer->add(random_key(*parameters, 5, 2)).ok());
}

TEST(WireEvaluationKeys, ReaderIsSpentAfterAnError) {
  const auto parameters = make_toy(8, 2, 1, 1);
  Bytes bytes = *serialize_evaluation_keys(random_set(*parameters, {{5, 2}, {13, 1}}), parameters);
  bytes[kHeaderBytes + 20 + 50] ^= 1;
  std::size_t at = 0;
  const ByteSource source = [&](std::span<std::uint8_t> out) -> Status {
    if (at + out.size() > bytes.size()) return {ErrorCode::kTruncated, "end"};
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
    at += out.size();
    return {};
  };
  auto reader = EvaluationKeyReader::begin(source, parameters, bytes.size());
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader->total_bytes(), bytes.size());
  EXPECT_EQ(reader->next().error().code, ErrorCode::kCorrupted);
  const auto after = reader->next();
  ASSERT_TRUE(after.ok());
  EXPECT_FALSE(after->has_value());
}

TEST(WireEvaluationKeys, ManifestsAreCompared) {
  const std::vector<KeyRequest> have{{0, 5}, {5, 3}};
  EXPECT_TRUE(check_manifest(have, {}).ok());
  EXPECT_TRUE(check_manifest(have, std::vector<KeyRequest>{{5, 3}, {0, 1}}).ok());
  const auto missing = check_manifest(have, std::vector<KeyRequest>{{5, 4}, {25, 1}});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kMismatch);
  EXPECT_THAT(missing.error().message, ::testing::HasSubstr("2 of 2 needed keys are missing: element 5 at 4 limbs (has 3), element 25"));
}

class WireKeyFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("brainlock-wire-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(WireKeyFile, StreamsOutAndIn) {
  const auto parameters = make_toy(16, 3);
  const std::vector<KeyRequest> manifest{{0, 3}, {5, 2}, {31, 3}};
  const auto file = folder_ / "keys";
  const auto produce = [&](const auto& add) -> Status {
    for (const auto& request : manifest) BRAINLOCK_TRY(add(random_key(*parameters, request.galois_element, request.limbs)));
    return {};
  };
  ASSERT_TRUE(write_evaluation_keys_file(file, parameters, manifest, {}, produce).ok());
  EXPECT_EQ(std::filesystem::file_size(file), evaluation_keys_bytes(manifest, *parameters));
  EXPECT_EQ(write_evaluation_keys_file(file, parameters, manifest, {}, produce).error().code, ErrorCode::kDenied);

  std::size_t keys = 0;
  std::vector<KeyRequest> seen;
  const auto accept = [&](std::span<const KeyRequest> list) {
    seen.assign(list.begin(), list.end());
    return Status{};
  };
  const auto consume = [&](ckks::EvaluationKey&& key) {
    EXPECT_EQ(key.b, random_key(*parameters, manifest[keys].galois_element, manifest[keys].limbs).b);
    ++keys;
    return Status{};
  };
  const auto read = read_evaluation_keys_file(file, parameters, 1u << 20, accept, consume);
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(keys, 3u);
  EXPECT_EQ(seen, manifest);

  EXPECT_EQ(read_evaluation_keys_file(file, parameters, 1000, accept, consume).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(read_evaluation_keys_file(folder_ / "no", parameters, 1000, accept, consume).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_evaluation_keys_file(folder_, parameters, 1000, accept, consume).error().code, ErrorCode::kInvalidArgument);
  const auto refuse = [](std::span<const KeyRequest>) { return Status(ErrorCode::kMismatch, "not these"); };
  EXPECT_EQ(read_evaluation_keys_file(file, parameters, 1u << 20, refuse, consume).error().message, "not these");

  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  keys = 0;
  EXPECT_EQ(read_evaluation_keys_file(file, parameters, 1u << 20, accept, consume).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(keys, 0u);  // seen before the first key was handed out
  std::filesystem::resize_file(file, std::filesystem::file_size(file) + 2);
  EXPECT_EQ(read_evaluation_keys_file(file, parameters, 1u << 20, accept, consume).error().code, ErrorCode::kMalformed);
}

TEST_F(WireKeyFile, AFailedWriteLeavesNothing) {
  const auto parameters = make_toy(16, 3);
  const auto file = folder_ / "keys";
  const auto produce = [&](const auto& add) -> Status {
    BRAINLOCK_TRY(add(random_key(*parameters, 0, 3)));
    return {ErrorCode::kCancelled, "enough"};
  };
  EXPECT_EQ(write_evaluation_keys_file(file, parameters, {{0, 3}, {5, 1}}, {}, produce).error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace brainlock::wire
