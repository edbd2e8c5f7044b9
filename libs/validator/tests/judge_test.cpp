#include "brainlock/validator/judge.hpp"

#include <gtest/gtest.h>

namespace brainlock::validator {
namespace {

std::vector<std::uint8_t> answer(std::uint8_t number) { return {number, 1, 2, 3}; }

TEST(AnswerMemory, KnowsTheNewestAndForgetsTheOldest) {
  AnswerMemory memory(3);
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_FALSE(memory.seen(answer(i)));
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_TRUE(memory.seen(answer(i)));
  EXPECT_FALSE(memory.seen(answer(3)));  // in the place of 0
  EXPECT_TRUE(memory.seen(answer(1)));
  EXPECT_TRUE(memory.seen(answer(2)));
  EXPECT_FALSE(memory.seen(answer(0)));  // in the place of 1
  EXPECT_FALSE(memory.seen(answer(1)));
  EXPECT_TRUE(memory.seen(answer(3)));
}

TEST(AnswerMemory, EveryBitCounts) {
  AnswerMemory memory;
  std::vector<std::uint8_t> bytes(1000, 7);
  EXPECT_FALSE(memory.seen(bytes));
  bytes.back() ^= 1;
  EXPECT_FALSE(memory.seen(bytes));
  bytes.pop_back();
  EXPECT_FALSE(memory.seen(bytes));
  EXPECT_FALSE(memory.seen({}));
  EXPECT_TRUE(memory.seen(bytes));
}

}  // namespace
}  // namespace brainlock::validator
