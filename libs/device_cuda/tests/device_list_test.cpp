#include "brainlock/device_cuda/device_list.hpp"

#include <gtest/gtest.h>

#include "brainlock/device_cuda/devices.hpp"

namespace brainlock::device_cuda {
namespace {

using Kind = DeviceChoice::Kind;

TEST(DeviceList, OneAndSeveral) {
  const auto one = parse_devices("cpu").value();
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].kind, Kind::kCpu);
  const auto several = parse_devices("cuda:0,cuda:3,cpu").value();
  ASSERT_EQ(several.size(), 3U);
  EXPECT_EQ(several[1].kind, Kind::kCuda);
  EXPECT_EQ(several[1].index, 3);
  EXPECT_EQ(parse_devices("emulated,emulated").value().size(), 2U);
  EXPECT_EQ(parse_devices("auto").value()[0].kind, Kind::kAuto);
}

TEST(DeviceList, WhatIsNoList) {
  for (const char* text : {"", ",", "cpu,", ",cpu", "cpu,cpu", "cuda,cuda:0", "auto,cpu", "cuda:0,auto", "cuda:0;cuda:1", "cuda:all,cpu", "gpu"}) {
    const auto devices = parse_devices(text);
    ASSERT_FALSE(devices.ok()) << text;
    EXPECT_EQ(devices.error().code, ErrorCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(parse_devices(std::string(5000, 'x')).ok());
}

TEST(DeviceList, AllGpusOrWhyThereAreNone) {
  const auto all = parse_devices("cuda:all");
  const auto gpus = list_devices();
  if (!gpus) {
    ASSERT_FALSE(all.ok());
    EXPECT_EQ(all.error().code, gpus.error().code);
    return;
  }
  if (!all) {
    EXPECT_EQ(all.error().code, ErrorCode::kUnsupported);
    return;
  }
  EXPECT_LE(all->size(), gpus->size());
}

}  // namespace
}  // namespace brainlock::device_cuda
