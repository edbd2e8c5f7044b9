#include <gtest/gtest.h>

#include <random>

#include "brainlock/scale_codec/decoder.hpp"
#include "brainlock/scale_codec/encoder.hpp"

namespace brainlock::scale_codec {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes compact_of(U128 value) { return Encoder().compact(value).take(); }

TEST(Scale, PublishedCompactExamples) {
  EXPECT_EQ(compact_of(0), Bytes({0x00}));
  EXPECT_EQ(compact_of(1), Bytes({0x04}));
  EXPECT_EQ(compact_of(42), Bytes({0xa8}));
  EXPECT_EQ(compact_of(69), Bytes({0x15, 0x01}));
  EXPECT_EQ(compact_of(65535), Bytes({0xfe, 0xff, 0x03, 0x00}));
  EXPECT_EQ(compact_of(100000000000000ULL), Bytes({0x0b, 0x00, 0x40, 0x7a, 0x10, 0xf3, 0x5a}));
}

TEST(Scale, CompactRoundTripAtEveryBoundary) {
  for (int bit = 0; bit < 128; ++bit) {
    for (int delta = -1; delta <= 1; ++delta) {
      const U128 value = (U128{1} << bit) + static_cast<U128>(delta);
      const auto bytes = compact_of(value);
      Decoder in(bytes);
      const auto back = in.compact();
      ASSERT_TRUE(back.ok());
      EXPECT_TRUE(*back == value);
      EXPECT_TRUE(in.expect_end().ok());
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(Decoder(std::span(bytes).first(size)).compact().ok());
      }
    }
  }
}

TEST(Scale, LongerFormsThanNeededAreRefused) {
  for (const Bytes& bytes : {Bytes{0x01, 0x00}, Bytes{0x02, 0x00, 0x00, 0x00}, Bytes{0x03, 1, 0, 0, 0},
                             Bytes{0x07, 0xff, 0xff, 0xff, 0xff, 0x00}}) {
    EXPECT_EQ(Decoder(bytes).compact().error().code, ErrorCode::kMalformed);
  }
  const Bytes huge(70, 0xff);
  EXPECT_EQ(Decoder(huge).compact().error().code, ErrorCode::kTooLarge);
  const auto big = compact_of(1u << 20);
  EXPECT_EQ(Decoder(big).compact(100).error().code, ErrorCode::kTooLarge);
}

TEST(Scale, FixedIntegersBoolsAndText) {
  const auto bytes =
      Encoder().u8(1).u16(0x0203).u32(0x04050607).u64(0x08090a0b0c0d0e0fULL).u128(5).boolean(true).text("hi").take();
  EXPECT_EQ(bytes[1], 0x03);  // Little-endian.
  Decoder in(bytes);
  EXPECT_EQ(*in.u8(), 1);
  EXPECT_EQ(*in.u16(), 0x0203);
  EXPECT_EQ(*in.u32(), 0x04050607u);
  EXPECT_EQ(*in.u64(), 0x08090a0b0c0d0e0fULL);
  EXPECT_TRUE(*in.fixed(16) == 5);
  EXPECT_TRUE(*in.boolean());
  EXPECT_EQ(*in.text(), "hi");
  EXPECT_TRUE(in.expect_end().ok());
  const Bytes two{2};
  EXPECT_EQ(Decoder(two).boolean().error().code, ErrorCode::kMalformed);
  EXPECT_EQ(Decoder(two).expect_end().error().code, ErrorCode::kMalformed);
  EXPECT_EQ(Decoder(two).u64().error().code, ErrorCode::kTruncated);
}

TEST(Scale, LengthsAreHeldAgainstWhatIsLeft) {
  const auto claims_much = Encoder().compact(0xffffffffu).u8(1).take();
  EXPECT_EQ(Decoder(claims_much).bytes().error().code, ErrorCode::kTooLarge);
  const auto ten = Encoder().compact(10).raw(Bytes(10)).take();
  EXPECT_TRUE(Decoder(ten).length(1).ok());
  EXPECT_EQ(Decoder(ten).length(2).error().code, ErrorCode::kTooLarge);
  const auto empties = compact_of(Decoder::kMaxEmptyItems + 1);
  EXPECT_EQ(Decoder(empties).length(0).error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace brainlock::scale_codec
