// The stand-in of CUDA's runtime by itself: what it lets pass, and what it finds.
#include <gmock/gmock.h>

#include <cstring>

#include "machine/machine.hpp"

namespace brainlock::device_cuda::machine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OnMachineRuntime : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaStreamCreateWithFlags(&other_, cudaStreamNonBlocking), cudaSuccess);
    void* host = nullptr;
    ASSERT_EQ(cudaHostAlloc(&host, 64, cudaHostAllocDefault), cudaSuccess);
    host_ = static_cast<int*>(host);
    void* device = nullptr;
    ASSERT_EQ(cudaMalloc(&device, 64), cudaSuccess);
    device_ = device;
    ASSERT_EQ(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), cudaSuccess);
  }
  void TearDown() override {
    if (!there_) return;
    cudaStreamSynchronize(stream_);
    cudaEventDestroy(event_);
    cudaStreamDestroy(stream_);
    cudaStreamDestroy(other_);
    cudaFree(device_);
    cudaFreeHost(host_);
  }
  int read() {
    int out = -1;
    EXPECT_EQ(cudaMemcpyAsync(&out, device_, sizeof(out), cudaMemcpyDeviceToHost, stream_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return out;
  }
  static void expect_found(const char* what) { EXPECT_THAT(take_findings(), ElementsAre(HasSubstr(what))); }

  cudaStream_t stream_ = nullptr, other_ = nullptr;
  cudaEvent_t event_ = nullptr;
  int* host_ = nullptr;
  void* device_ = nullptr;
  bool there_ = true;  ///< false: the device was reset
};

TEST_F(OnMachineRuntime, CopiesReadPinnedMemoryWhenItIsTheirTurn) {
  *host_ = 1;
  ASSERT_EQ(cudaMemcpyAsync(device_, host_, 64, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  *host_ = 2;  // too soon
  EXPECT_EQ(read(), 2);
  ASSERT_EQ(cudaMemcpyAsync(device_, host_, 64, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(cudaEventSynchronize(event_), cudaSuccess);  // at once: it was never recorded
  *host_ = 3;
  EXPECT_EQ(read(), 3);
  ASSERT_EQ(cudaMemcpyAsync(device_, host_, 64, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(event_, stream_), cudaSuccess);
  ASSERT_EQ(cudaEventSynchronize(event_), cudaSuccess);
  *host_ = 4;
  EXPECT_EQ(read(), 3);
}

TEST_F(OnMachineRuntime, QueuesWaitForEachOtherByTheHostAlone) {
  int out = 0;
  ASSERT_EQ(cudaMemcpyAsync(device_, host_, 64, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(&out, device_, 4, cudaMemcpyDeviceToHost, other_), cudaSuccess);  // too soon
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(other_), cudaSuccess);
  EXPECT_EQ(take_findings().size(), 1U);  // nothing is there, or nobody has waited for it
  ASSERT_EQ(cudaMemcpyAsync(&out, device_, 4, cudaMemcpyDeviceToHost, other_), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(other_), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(device_, host_, 64, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(event_, stream_), cudaSuccess);
  ASSERT_EQ(cudaEventSynchronize(event_), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(&out, device_, 4, cudaMemcpyDeviceToHost, other_), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(device_, host_, 64, cudaMemcpyHostToDevice, stream_), cudaSuccess);  // while it may be read
  ASSERT_EQ(cudaStreamSynchronize(other_), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  expect_found("for which nobody has waited");
}

TEST_F(OnMachineRuntime, PageableAndFreedMemory) {
  int pageable[16] = {};
  EXPECT_EQ(cudaMemcpyAsync(device_, pageable, 64, cudaMemcpyHostToDevice, stream_), cudaErrorInvalidValue);
  expect_found("not pinned");
  EXPECT_EQ(cudaMemcpyAsync(device_, host_, 65, cudaMemcpyHostToDevice, stream_), cudaErrorInvalidValue);
  expect_found("out of bounds");
  ASSERT_EQ(cudaMemcpyAsync(pageable, device_, 64, cudaMemcpyDeviceToHost, stream_), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  expect_found("nothing was written to");
  void* gone = nullptr;
  ASSERT_EQ(cudaHostAlloc(&gone, 64, cudaHostAllocDefault), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(device_, gone, 64, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(cudaFreeHost(gone), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  expect_found("freed before its turn");
  EXPECT_EQ(cudaFreeHost(gone), cudaErrorInvalidValue);
  expect_found("not there");
}

TEST_F(OnMachineRuntime, FreedDeviceMemoryLosesTheDevice) {
  void* gone = nullptr;
  ASSERT_EQ(cudaMalloc(&gone, 64), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(gone, host_, 64, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(cudaFree(gone), cudaSuccess);
  EXPECT_EQ(cudaFree(gone), cudaErrorInvalidValue);
  expect_found("not there");
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorIllegalAddress);
  expect_found("freed before its turn");
  EXPECT_EQ(cudaMalloc(&gone, 64), cudaErrorIllegalAddress);  // from now on, always
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaDeviceReset(), cudaSuccess);
  there_ = false;
  EXPECT_EQ(cudaMalloc(&gone, 64), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorInvalidResourceHandle);
  expect_found("not there");
  EXPECT_THAT(leftovers(), ElementsAre("1 allocations of device memory"));
  EXPECT_EQ(cudaFree(gone), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(OnMachineRuntime, WhatACaptureForbids) {
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(device_, host_, 64, cudaMemcpyHostToDevice, other_), cudaSuccess);  // another queue
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 64), cudaErrorStreamCaptureUnsupported);
  expect_found("within a capture");
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(graph, nullptr);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorStreamCaptureUnsupported);
  expect_found("within a capture");
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorIllegalState);
  expect_found("no capture");
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_THAT(leftovers(), ::testing::Contains("1 graphs"));
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(other_), cudaSuccess);
}

TEST_F(OnMachineRuntime, PlannedFailures) {
  plan_failure({2, cudaErrorMemoryAllocation, false, "cudaMalloc"});
  void *a = nullptr, *b = nullptr;
  EXPECT_EQ(cudaMalloc(&a, 64), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&b, 64), cudaErrorMemoryAllocation);
  EXPECT_EQ(failed_call(), "cudaMalloc");
  EXPECT_EQ(cudaMalloc(&b, 64), cudaSuccess);
  EXPECT_EQ(cudaFree(a), cudaSuccess);
  EXPECT_EQ(cudaFree(b), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&a, std::size_t{9} << 30), cudaErrorMemoryAllocation);  // there are 8
}

}  // namespace
}  // namespace brainlock::device_cuda::machine
