#include "brainlock/crypto/merlin.hpp"

#include "keccak.hpp"
#include "vectors.hpp"

namespace brainlock::crypto {
namespace {

TEST(Keccak, ZeroStatePublishedAnswer) {
  std::array<std::uint8_t, 200> state{};
  keccak_f1600(state);
  EXPECT_EQ(hex_encode(ByteView(state).first(16)), "e7dde140798f25f18a47c033f9ccd584");
}

TEST(Merlin, KnownAnswer) {
  const auto& vector = known_answers()["merlin_kat"];
  MerlinTranscript t(vector["label"].get<std::string>());
  t.append(vector["append"][0].get<std::string>(), vector["append"][1].get<std::string>());
  std::array<std::uint8_t, 32> out{};
  t.challenge_into(out, vector["challenge"][0].get<std::string>());
  EXPECT_EQ(hex_encode(out), vector["out"].get<std::string>());
}

TEST(Merlin, CopiesBranchAndLongMessagesCrossTheRate) {
  MerlinTranscript a("t");
  a.append("long", Bytes(1000, 7));
  MerlinTranscript b = a;
  std::array<std::uint8_t, 400> x{}, y{};
  a.challenge_into(x, "c");
  b.challenge_into(y, "c");
  EXPECT_EQ(x, y);
  b.append("more", "z");
  a.challenge_into(x, "d");
  b.challenge_into(y, "d");
  EXPECT_NE(x, y);
}

}  // namespace
}  // namespace brainlock::crypto
