// Barriers are taken out of the transforms' PTX, one after the other: the machine finds each, or the words are wrong.
// So what it lets pass has them all.
#include <gmock/gmock.h>

#include "cuda_backend.hpp"
#include "machine/transforms.hpp"

namespace brainlock::device_cuda::machine {
namespace {

using Transform = Variants::Transform;

/// Begin and end of a kernel's text.
std::pair<std::size_t, std::size_t> find_kernel(const std::string& ptx, const std::string& name) {
  std::size_t begin = 0;
  do {
    begin = ptx.find(".entry ", begin + 1);
    if (begin == ptx.npos) return {0, 0};
  } while (ptx.substr(begin, ptx.find('(', begin) - begin).find(name) == ptx.npos);
  return {begin, ptx.find("\n}", begin)};
}

/// Takes out the number-th of these statements; false: the kernel has fewer.
bool take_out(std::string& ptx, const std::string& kernel, const std::string& statement, unsigned number) {
  auto [at, end] = find_kernel(ptx, kernel);
  if (end == 0) return false;
  for (unsigned i = 0;; ++i, ++at) {
    at = ptx.find(statement, at);
    if (at > end) return false;
    if (i == number) break;
  }
  ptx.replace(at, ptx.find(';', at) - at, "// taken out");
  return true;
}

struct Case {
  const char* kernel;
  Transform way;
  bool forward;
  unsigned log_degree;
};

/// Whether a transform without the number-th barrier is found out; `there`: whether it has so many.
bool is_found(const Case& c, const char* statement, unsigned number, bool& there) {
  there = false;
  set_machine({.edit = [&](std::string ptx) {
    there = take_out(ptx, c.kernel, statement, number);
    if (std::string(statement).find("arrive") != std::string::npos)
      take_out(ptx, c.kernel, "barrier.cluster.wait", number);
    return ptx;
  }});
  bool found = false;
  {
    const auto driver = make_cuda_driver(0).value();
    const Transforms transforms(driver, c.log_degree);
    const test::Words words = transforms.some_words(1);
    const test::DeviceWords memory(*driver, words);
    const gpu::NttArguments arguments = transforms.arguments(memory.data(), memory.data());
    for (const gpu::Launch& launch : Transforms::launches(c.way, c.forward, arguments)) driver->launch(launch);
    const test::Words got = memory.read();
    found = !driver->status().ok() || (c.forward && got != transforms.forward(words));
  }
  take_findings();
  return found;
}

TEST(OnMachineBarriers, EachIsMissed) {
  const Case cases[] = {{"ntt_forward_columnsILi12ELb0", Transform::kTwoPasses, true, 12},
                        {"ntt_forward_rowsILi12ELb0", Transform::kTwoPasses, true, 12},
                        {"ntt_inverse_rowsILi13ELb1", Transform::kTwoPassesRoomy, false, 13},
                        {"ntt_inverse_columnsILi13ELb1", Transform::kTwoPassesRoomy, false, 13},
                        {"ntt_forward_clusterILi13ELb0", Transform::kCluster, true, 13},
                        {"ntt_inverse_clusterILi13ELb1", Transform::kClusterRoomy, false, 13}};
  for (const Case& c : cases) {
    for (const char* statement : {"bar.sync", "barrier.cluster.arrive"}) {
      if (!is_cluster(c.way) && std::string(statement) != "bar.sync") continue;
      unsigned number = 0;
      for (bool there = true;; ++number) {
        const bool found = is_found(c, statement, number, there);
        if (!there) break;
        EXPECT_TRUE(found) << c.kernel << " without " << statement << " number " << number;
      }
      EXPECT_GE(number, 1U) << c.kernel << ", " << statement;
    }
  }
}

/// A linear layer of zeros, with more columns than shared memory holds at a time; whether the device is still there.
bool linear_layer_runs(const std::function<std::string(std::string)>& edit) {
  set_machine({.edit = edit});
  const test::TestRing ring(1024, 2, 1, 1);
  const auto backend =
      CudaBackend::make(ring.ring(), make_cuda_driver(0).value(), trial_options_from_environment()).value();
  const auto take = [&](std::size_t words) {
    device::Buffer out = backend->allocate(words).value();
    backend->upload_words({}, out.data(), test::Words(words));
    return out;
  };
  constexpr std::uint32_t kLimbs = 2, kGiants = 3, kRun = 64, kColumns = 80;
  const std::size_t poly = backend->poly_words(kLimbs, true);
  device::Buffer c0 = take(poly), c1 = take(poly), digits = take(backend->digit_words(kLimbs));
  device::SwitchingKey key;
  key.limbs = key.digits = kLimbs;
  key.galois_element = 5;
  key.automorphism = math::make_automorphism_table(1024, 5);
  key.words = take(backend->key_words(kLimbs));
  const std::vector<device::LinearCore::Input> inputs(kColumns, {c0.data(), c1.data(), digits.data()});
  std::vector<device::LinearCore::Use> uses;
  std::vector<std::uint32_t> columns;
  for (std::uint32_t c = 0; c < kColumns; ++c) {
    uses.push_back({c, c});
    columns.push_back(c);
  }
  const device::LinearCore::Rotation rotations[] = {{&key, uses}};
  device::Buffer weights = take((kLimbs + 1) * (1024 / kRun) * kColumns * kGiants);
  std::vector<device::Buffer> sums;
  std::vector<device::Word*> acc;
  for (std::uint32_t g = 0; g < 2 * kGiants; ++g) {
    sums.push_back(take(poly));
    acc.push_back(sums.back().data());
  }
  const device::LinearCore::Output outputs[] = {
      {.columns = columns, .giants = kGiants, .weights = weights.data(), .full = {}, .acc = acc}};
  const Status status = backend->linear_core({}, {.limbs = kLimbs,
                                                  .column_count = kColumns,
                                                  .run_length = kRun,
                                                  .inputs = inputs,
                                                  .rotations = rotations,
                                                  .outputs = outputs});
  return status.ok() && backend->finish({}).ok();
}

TEST(OnMachineBarriers, OfALinearLayersTwoKindsOfWarps) {
  EXPECT_TRUE(linear_layer_runs({}));
  EXPECT_THAT(take_findings(), ::testing::IsEmpty());
  EXPECT_FALSE(linear_layer_runs([](std::string ptx) {
    EXPECT_TRUE(take_out(ptx, "linear_layer", "bar.sync", 0));
    return ptx;
  }));
  EXPECT_THAT(take_findings(), ::testing::ElementsAre(::testing::HasSubstr("not reached by all threads")));
  EXPECT_FALSE(linear_layer_runs([](std::string ptx) {
    while (take_out(ptx, "linear_layer", "bar.sync", 0)) continue;
    return ptx;
  }));
  EXPECT_THAT(take_findings(), ::testing::ElementsAre(::testing::HasSubstr("a word")));
}

TEST(OnMachineBarriers, AKernelThatDoesNotWaitForEarlierLaunches) {
  set_machine({.edit = [](std::string ptx) {
    take_out(ptx, "ntt_forward_rowsILi12ELb0", "griddepcontrol.wait", 0);
    return ptx;
  }});
  {
    const auto driver = make_cuda_driver(0).value();
    const Transforms transforms(driver, 12);
    const test::DeviceWords memory(*driver, transforms.some_words(1));
    const gpu::NttArguments arguments = transforms.arguments(memory.data(), memory.data());
    std::vector<gpu::Launch> launches;
    for (const gpu::Launch& launch : Transforms::launches(Transform::kTwoPasses, true, arguments))
      launches.push_back(launch);
    const auto plain = driver->make_graph(launches, LaunchOrder::kOneByOne).value(),
               dependent = driver->make_graph(launches, LaunchOrder::kDependent).value();
    driver->run(*plain);
    driver->wait();
    EXPECT_TRUE(driver->status().ok());
    driver->run(*dependent);
    driver->wait();
    EXPECT_FALSE(driver->status().ok());
  }
  EXPECT_THAT(take_findings(),
              ::testing::ElementsAre(::testing::HasSubstr("before the launches before this one are done")));
}

}  // namespace
}  // namespace brainlock::device_cuda::machine
