// Each rule of validate() for what clients need has a smallest example that breaks it; what programs have keeps them
// all.
#include "brainlock/plan/client_fields.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <tuple>

#include "small_program.hpp"

namespace brainlock::plan {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(ClientFields, AreTheProgramsAndKeepTheRules) {
  Program p = test::small_program();
  p.error_bound = 0.5;
  p.error_estimate = 0.125;
  ASSERT_TRUE(validate(p).ok());
  const ClientFields c = client_fields(p);
  EXPECT_TRUE(validate(c).ok());
  EXPECT_EQ(std::tie(c.model_name, c.profile, c.keys, c.error_bound, c.error_estimate),
            std::tie(p.model_name, p.profile, p.keys, p.error_bound, p.error_estimate));
  EXPECT_EQ(std::tie(c.parameters.ring_degree, c.parameters.q, c.parameters.p, c.parameters.digit_limbs),
            std::tie(p.parameters.ring_degree, p.parameters.q, p.parameters.p, p.parameters.digit_limbs));
  for (const auto& [a, b] : {std::pair(&c.input, &p.input), std::pair(&c.output, &p.output)}) {
    EXPECT_EQ(std::tie(a->channels, a->height, a->width, a->ciphertexts, a->parts, a->limbs, a->scale, a->bound),
              std::tie(b->channels, b->height, b->width, b->ciphertexts, b->parts, b->limbs, b->scale, b->bound));
    EXPECT_EQ(a->places.size(), b->places.size());
  }
}

TEST(ClientFields, EachRuleIsSaid) {
  struct Case {
    const char* text;
    std::function<void(ClientFields&)> damage;
  };
  using Kind = KeyUse::Kind;
  const ClientFields good = client_fields(test::small_program());
  const auto slots = static_cast<std::int32_t>(good.parameters.ring_degree / 2);
  const auto limbs = static_cast<std::uint32_t>(good.parameters.q.size());
  const std::vector<Case> cases{
      {"ring degree", [](ClientFields& c) { c.parameters.ring_degree = 48; }},
      {"ring degree", [](ClientFields& c) { c.parameters.ring_degree = 8; }},
      {"ring degree", [](ClientFields& c) { c.parameters.ring_degree = 1U << 18; }},
      {"name", [](ClientFields& c) { c.model_name = "\x1B[2J"; }},
      {"name", [](ClientFields& c) { c.profile.assign(4097, 'a'); }},
      {"modulus chain", [](ClientFields& c) { c.parameters.q.clear(); }},
      {"modulus chain", [](ClientFields& c) { c.parameters.p.assign(65, 17); }},
      {"modulus chain", [](ClientFields& c) { c.parameters.digit_limbs = 0; }},
      {"input: shape", [](ClientFields& c) { c.input.height = 0; }},
      // 2^32 and 2^64 of them, which are none in 32 and 64 bits.
      {"input: shape",
       [](ClientFields& c) { c.input.channels = 1U << 16, c.input.height = 1U << 16, c.input.width = 1; }},
      {"output: shape",
       [](ClientFields& c) { c.output.channels = 1U << 20, c.output.height = 1U << 16, c.output.width = 1U << 16; }},
      {"input: ciphertext count", [](ClientFields& c) { c.input.ciphertexts = 0; }},
      {"input: ciphertext count", [](ClientFields& c) { c.input.ciphertexts = 4097; }},
      {"output: parts", [](ClientFields& c) { c.output.parts = 0; }},
      {"input: scale", [](ClientFields& c) { c.input.scale = -1; }},
      {"output: scale", [](ClientFields& c) { c.output.scale = kNan; }},
      {"output: scale", [](ClientFields& c) { c.output.scale = 0x1p61; }},
      {"input: bound", [](ClientFields& c) { c.input.bound = kInf; }},
      {"output: bound", [](ClientFields& c) { c.output.bound = -1; }},
      {"input limbs", [](ClientFields& c) { c.input.limbs = 0; }},
      {"input limbs", [=](ClientFields& c) { c.input.limbs = limbs + 1; }},
      {"output limbs", [](ClientFields& c) { c.output.limbs = 0; }},
      {"output limbs", [=](ClientFields& c) { c.output.limbs = limbs + 1; }},
      {"input: a place",
       [](ClientFields& c) { c.input.places.back().index = c.input.channels * c.input.height * c.input.width; }},
      {"input: a place", [=](ClientFields& c) { c.input.places.back().slot = static_cast<std::uint32_t>(slots); }},
      {"output: a place", [](ClientFields& c) { c.output.places.back().ciphertext = c.output.ciphertexts; }},
      {"output: a place", [](ClientFields& c) { c.output.places.back().part = c.output.parts; }},
      {"error bound", [](ClientFields& c) { c.error_bound = -1; }},
      {"error estimate", [](ClientFields& c) { c.error_estimate = kNan; }},
      {"a key of unknown kind", [](ClientFields& c) { c.keys.back().kind = static_cast<Kind>(3); }},
      {"a key's rotation",
       [](ClientFields& c) {
         c.keys = {{Kind::kRotation, 0, 1}};
       }},
      {"a key's rotation",
       [=](ClientFields& c) {
         c.keys = {{Kind::kRotation, slots, 1}};
       }},
      {"a key's rotation",
       [=](ClientFields& c) {
         c.keys = {{Kind::kRotation, -slots, 1}};
       }},
      {"a key's rotation",
       [](ClientFields& c) {
         c.keys = {{Kind::kConjugation, 1, 1}};
       }},
      {"a key's rotation",
       [](ClientFields& c) {
         c.keys = {{Kind::kRelinearisation, -1, 1}};
       }},
      {"a key's limbs", [](ClientFields& c) { c.keys[0].limbs = 0; }},
      {"a key's limbs", [=](ClientFields& c) { c.keys[0].limbs = limbs + 1; }},
      {"ascending",
       [](ClientFields& c) {
         c.keys = {{Kind::kRotation, 1, 1}, {Kind::kRotation, 1, 2}};
       }},
      {"ascending",
       [](ClientFields& c) {
         c.keys = {{Kind::kRotation, 1, 1}, {Kind::kRotation, -1, 1}};
       }},
      {"ascending",
       [](ClientFields& c) {
         c.keys = {{Kind::kConjugation, 0, 1}, {Kind::kRotation, 1, 1}};
       }},
      {"ascending",
       [](ClientFields& c) {
         c.keys = {{Kind::kRelinearisation, 0, 1}, {Kind::kRelinearisation, 0, 1}};
       }},
  };
  for (const Case& each : cases) {
    ClientFields bad = good;
    each.damage(bad);
    const Status status = validate(bad);
    ASSERT_FALSE(status.ok()) << each.text;
    EXPECT_EQ(status.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(status.error().message, HasSubstr(each.text));
  }
  ClientFields widest = good;
  widest.keys = {{Kind::kRotation, 1 - slots, 1},
                 {Kind::kRotation, slots - 1, limbs},
                 {Kind::kConjugation, 0, limbs},
                 {Kind::kRelinearisation, 0, 1}};
  EXPECT_TRUE(validate(widest).ok());
  widest.keys.clear();
  EXPECT_TRUE(validate(widest).ok());
}

}  // namespace
}  // namespace brainlock::plan
