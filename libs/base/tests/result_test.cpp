#include "brainlock/base/result.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace brainlock {
namespace {

Result<int> half(int x) {
  if (x % 2 != 0) return Error{ErrorCode::kInvalidArgument, "expected an even number, got " + std::to_string(x)};
  return x / 2;
}

Result<int> quarter(int x) {
  BRAINLOCK_ASSIGN(int h, half(x));
  return half(h);
}

TEST(Result, CarriesValueOrError) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(quarter(6).error().message, "expected an even number, got 3");
}

TEST(Result, HoldsMoveOnlyTypes) {
  Result<std::unique_ptr<int>> r = std::make_unique<int>(7);
  auto p = std::move(r).value();
  EXPECT_EQ(*p, 7);
}

TEST(Error, NamesItsCodeAndPlace) {
  Error e{ErrorCode::kTruncated, "expected 8 bytes, got 3"};
  EXPECT_EQ(e.in("key.bin").to_string(), "truncated: key.bin: expected 8 bytes, got 3");
}

}  // namespace
}  // namespace brainlock
