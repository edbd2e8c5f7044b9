#include "brainlock/crypto/sha256.hpp"

#include <gtest/gtest.h>

namespace brainlock::crypto {
namespace {

TEST(Sha256, PiecesGiveWhatTheWholeGives) {
  Bytes bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  for (const std::size_t piece : {1UL, 63UL, 64UL, 65UL, 999UL, 1000UL}) {
    Sha256 hash;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      hash.update(ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    EXPECT_EQ(hash.finish(), sha256(bytes)) << piece;
  }
  EXPECT_EQ(hex_encode(Sha256().finish()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace brainlock::crypto
