// Every call of CUDA's runtime fails once: nothing crashes, nothing is left behind, no rule is broken, and the failure
// is said.
#include <gmock/gmock.h>

#include "machine/transforms.hpp"

namespace brainlock::device_cuda::machine {
namespace {

/// What a program does with a driver, up to the first failure; empty: none.
std::string use_a_driver() {
  const auto made = make_cuda_driver(0);
  if (!made.ok()) return made.error().to_string();
  const std::shared_ptr<Driver>& driver = *made;
  if (const auto memory = driver->memory(); !memory.ok()) return memory.error().to_string();
  const Transforms transforms(driver, 10);
  if (!transforms.ok()) return "no tables";
  const std::size_t bytes = transforms.words() * sizeof(device::Word);
  const auto memory = driver->allocate(9 << 20);
  if (!memory.ok()) return memory.error().to_string();
  auto* const words = static_cast<device::Word*>(*memory);
  const test::Words input = transforms.some_words(1), filling((9 << 20) / 4);
  test::Words got(input.size());
  std::string failure = driver->features().against_clusters;
  {
    driver->copy_in(words, filling.data(),
                    filling.size() * sizeof(device::Word));  // more than both halves of the staging memory
    driver->copy_in(words, input.data(), bytes);
    const gpu::NttArguments arguments = transforms.arguments(words, words);
    std::vector<gpu::Launch> launches;
    for (const gpu::Launch& launch : Transforms::launches(Variants::Transform::kTwoPasses, true, arguments))
      launches.push_back(launch);
    for (const gpu::Launch& launch : launches) driver->launch(launch);
    const auto sibling = driver->make_sibling();
    if (!sibling.ok()) failure = sibling.error().to_string();
    if (sibling.ok() && failure.empty()) failure = (*sibling)->features().against_clusters;
    for (const LaunchOrder order : {LaunchOrder::kOneByOne, LaunchOrder::kDependent}) {
      const auto graph = driver->make_graph(launches, order);
      if (graph.ok()) driver->run(**graph);
      if (graph.ok()) driver->wait();
      if (!graph.ok()) failure = graph.error().to_string();
    }
    driver->copy_out(got.data(), words, bytes);
    const auto seconds = driver->time(launches);
    if (!seconds.ok()) failure = seconds.error().to_string();
    if (seconds.ok() && (seconds->size() != launches.size() || seconds->front() <= 0)) failure = "no times";
    driver->wait();
  }
  driver->release(words);
  if (!driver->status().ok()) return driver->status().error().to_string();
  if (!failure.empty()) return failure;
  return got == transforms.forward(transforms.forward(transforms.forward(input))) ? "" : "wrong words";
}

/// Calls whose failure changes nothing for the caller: what is given back is given back, a pool asks for less, and a
/// device that is lost says so at the next call.
bool may_stay_unsaid(const std::string& call) {
  for (const char* name :
       {"cudaGraphDestroy", "cudaGraphExecDestroy", "cudaStreamDestroy", "cudaEventDestroy", "cudaFreeHost",
        "cudaDeviceGetAttribute", "cudaSetDevice", "cudaStreamSynchronize", "cudaFree", "cudaMalloc"}) {
    if (call == name) return true;
  }
  return false;
}

void fail_every_call(bool lost) {
  set_machine({});
  ASSERT_EQ(use_a_driver(), "");
  std::map<std::string, unsigned> failed;
  for (std::uint64_t call = 1;; ++call) {
    set_machine({});
    plan_failure({call, cudaErrorUnknown, lost, {}});
    const std::string failure = use_a_driver();
    const std::string name = failed_call();
    if (name.empty()) break;
    ++failed[name];
    EXPECT_NE(failure, "wrong words") << call << ": " << name;
    if (failure.empty()) {
      EXPECT_TRUE(may_stay_unsaid(name)) << call << ": " << name;
    }
    const std::vector<std::string> findings = take_findings();
    // Who cannot wait for a graph does not know that it has ended.
    if (name != "cudaStreamSynchronize") {
      EXPECT_THAT(findings, ::testing::IsEmpty()) << call << ": " << name;
    }
    EXPECT_THAT(leftovers(), ::testing::IsEmpty()) << call << ": " << name;
  }
  EXPECT_GE(failed.size(), 25U);  // kinds of calls
  for (const char* name : {"cudaMalloc", "cudaEventRecord", "cudaStreamBeginCapture", "cudaGraphInstantiateWithFlags",
                           "cudaGraphUpload", "cudaLaunchKernelExC", "cudaMemcpyAsync"}) {
    EXPECT_GE(failed[name], 1U) << name;
  }
  set_machine({});
}

TEST(OnMachineFailures, EachCallOnce) { fail_every_call(false); }
TEST(OnMachineFailures, TheDeviceIsLostAtEachCall) { fail_every_call(true); }

}  // namespace
}  // namespace brainlock::device_cuda::machine
