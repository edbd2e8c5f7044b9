#include "brainlock/keyholder/judgement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sample.hpp"

namespace brainlock::keyholder {
namespace {

using ::testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(Judgement, InputsBeyondThePackagesBound) {
  const plan::TensorMap map = test::sample()->program().input;  // eight values of at most 1
  std::vector<float> tensor(8, 1.0F);
  EXPECT_TRUE(check_input_bound(map, tensor).ok());
  tensor[7] = -1.01F;
  EXPECT_THAT(check_input_bound(map, tensor).error().message, HasSubstr("outside +-1"));
  tensor[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(check_input_bound(map, tensor).ok());
  EXPECT_FALSE(check_input_bound(map, std::span(tensor).first(7)).ok());
}

TEST(Judgement, OnlyWhatWrapsAroundIsRefused) {
  std::string warning = "old";
  package::ValueRange range;
  range.wrap = 0.5;
  EXPECT_TRUE(admit(range, false, warning).ok());
  EXPECT_EQ(warning, "");
  range.layers = {{"first", 2, 1}};
  EXPECT_TRUE(admit(range, false, warning).ok());
  EXPECT_THAT(warning, HasSubstr("less exact than promised"));
  for (const double wrap : {1.0, kNaN}) {
    range.wrap = wrap;
    EXPECT_THAT(admit(range, false, warning).error().message, HasSubstr("would be wrong"));
    EXPECT_EQ(warning, "");
    EXPECT_TRUE(admit(range, true, warning).ok());
    EXPECT_THAT(warning, HasSubstr("may be wrong"));
  }
}

TEST(Judgement, OutputsThatAnotherKeyGives) {
  plan::TensorMap map;
  map.bound = 2;
  EXPECT_TRUE(check_plausible(map, std::vector<double>{-15.9, 3}).ok());
  EXPECT_EQ(check_plausible(map, std::vector<double>{3, -16.1}).error().code, ErrorCode::kMismatch);
  EXPECT_FALSE(check_plausible(map, std::vector<double>{kNaN, 1}).ok());
  EXPECT_FALSE(check_plausible(map, std::vector<double>{1, kNaN}).ok());
  map.bound = 0;
  EXPECT_TRUE(check_plausible(map, std::vector<double>{1e9}).ok());
}

TEST(Judgement, AnswersAreComparedWithTheClearOnes) {
  const std::vector<double> clear{3, 4, 0};
  const Comparison near = compare(std::vector<double>{3.5, 3.25, 0}, clear);
  EXPECT_EQ(near.encrypted_class, 0U);
  EXPECT_EQ(near.clear_class, 1U);
  EXPECT_DOUBLE_EQ(near.max_abs_error, 0.75);
  EXPECT_NEAR(near.relative_error, std::sqrt(0.25 + 0.5625) / 5, 1e-12);
  package::ValueRange range;
  EXPECT_TRUE(check_answer(near, range).ok()) << "the package promises nothing";
  range.error_bound = 0.75;
  EXPECT_TRUE(check_answer(near, range).ok());
  range.error_bound = 0.74;
  EXPECT_THAT(check_answer(near, range).error().message, HasSubstr("the answer is not the model's"));
  EXPECT_FALSE(check_answer(compare(std::vector<double>{3, kNaN, 0}, clear), range).ok())
      << "nothing compares with that";
}

}  // namespace
}  // namespace brainlock::keyholder
