// Programs without their numbers cost what they cost with them.
#include "skeleton.hpp"

#include <gtest/gtest.h>

#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/fold.hpp"
#include "cost_model.hpp"
#include "net_builder.hpp"

namespace brainlock::compiler {
namespace {

TEST(Skeleton, CostsWhatTheProgramCosts) {
  NetBuilder net(81, {2, 8, 8});
  net.conv(4, 3, 1, 1).quadratic();
  const int skip = net.here();
  net.conv(4, 3, 1, 1).quadratic().conv(4, 3, 1, 1).add(skip).quadratic().pool(2).dense(5);
  const auto graph = normalise(net.graph());
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  CompileOptions options;
  options.profile = *find_profile("precise");
  for (int i = 0; i < 3; ++i) options.calibration.push_back(net.sample());
  const auto program = compile(*graph, options);
  ASSERT_TRUE(program.ok()) << program.error().to_string();

  const plan::Program skeleton = skeleton_of(*program);
  ASSERT_EQ(skeleton.instructions.size(), program->instructions.size());
  EXPECT_EQ(predict_ms(skeleton), predict_ms(*program));
  EXPECT_EQ(predict_key_bytes(skeleton), predict_key_bytes(*program));
  EXPECT_EQ(plan::collect_keys(skeleton), program->keys);
  for (std::size_t i = 0; i < skeleton.instructions.size(); ++i) {
    EXPECT_EQ(plan::count_cost(skeleton, skeleton.instructions[i]).weight_bytes,
              plan::count_cost(*program, program->instructions[i]).weight_bytes)
        << i;
    if (const auto* linear = std::get_if<plan::Linear>(&skeleton.instructions[i].op)) {
      for (const plan::SlotVector& vector : linear->vectors) EXPECT_TRUE(vector.values.empty()) << i;
    }
  }
}

}  // namespace
}  // namespace brainlock::compiler
