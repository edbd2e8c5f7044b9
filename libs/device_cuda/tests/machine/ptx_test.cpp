// The interpreter by itself: small kernels with known answers, and what a kernel must not do.
#include <gmock/gmock.h>

#include "machine/ptx_grid.hpp"

namespace brainlock::device_cuda::machine {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::uint32_t>;

/// A kernel of these statements, with registers of every kind; its argument is the address of some words.
std::string kernel(const std::string& statements, const std::string& bounds = "") {
  return ".version 8.0\n.target sm_90\n.address_size 64\n.extern .shared .align 16 .b8 words[];\n"
         ".visible .entry k(\n.param .align 8 .b8 k_param_0[8]\n)\n" +
         bounds +
         "{\n.reg .pred %p<8>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<16>;\n.reg .f32 %f<8>;\n"
         "ld.param.u64 %rd1, [k_param_0];\nmov.u32 %r1, %tid.x;\nmov.u32 %r2, %ctaid.x;\n" +
         statements + "\nret;\n}\n";
}

class PtxMachine : public ::testing::Test {
 protected:
  /// The words after the kernel, or what stopped it.
  Words run(const std::string& statements, const Words& words, const GridShape& shape = {},
            std::uint64_t limit = 10000) {
    fault_.clear();
    const auto module = parse_ptx(kernel(statements));
    if (!module.ok()) return refuse(module.error());
    const auto code = compile(*module, module->kernels[0]);
    if (!code.ok()) return refuse(code.error());
    const std::uint64_t address = memory_.allocate(4 * words.size());
    memory_.write(address, words.data(), 4 * words.size());
    GridRunner runner(memory_);
    runner.set_limit(limit);
    try {
      runner.run(*code, shape, &address);
    } catch (const Fault& fault) {
      fault_ = fault.what();
      kind_ = fault.kind;
    }
    Words out(words.size());
    memory_.read(out.data(), address, 4 * words.size());
    memory_.release(address);
    return out;
  }
  void expect_fault(const std::string& statements, FaultKind kind, const std::string& what,
                    const GridShape& shape = {}) {
    run(statements, Words(64), shape, 10000);
    EXPECT_THAT(fault_, HasSubstr(what)) << statements;
    if (!fault_.empty()) {
      EXPECT_EQ(kind_, kind);
    }
  }
  Words refuse(const Error& error) {
    fault_ = error.message;
    kind_ = FaultKind::kIllegalInstruction;
    return {};
  }

  GlobalMemory memory_;
  std::string fault_;
  FaultKind kind_ = FaultKind::kUndefined;
};

constexpr GridShape threads(unsigned count, std::size_t shared_bytes = 0) {
  return {{1, 1, 1}, {count, 1, 1}, 1, shared_bytes, false};
}
constexpr GridShape cluster(unsigned blocks, unsigned count = 32, std::size_t shared_bytes = 256) {
  return {{blocks, 1, 1}, {count, 1, 1}, blocks, shared_bytes, false};
}

TEST_F(PtxMachine, Arithmetic) {
  const std::uint32_t a = 0x87654321u, b = 0x0000f00du;
  const std::tuple<const char*, std::uint32_t> cases[] = {
      {"add.s32 %r5, %r3, %r4;", a + b},
      {"sub.s32 %r5, %r4, %r3;", b - a},
      {"mul.lo.s32 %r5, %r3, %r3;", a * a},
      {"mul.hi.u32 %r5, %r3, %r3;", 0x479bf4dau},
      {"mul.wide.u32 %rd2, %r3, %r3; shr.u64 %rd3, %rd2, 32; cvt.u32.u64 %r5, %rd3;", 0x479bf4dau},
      {"mad.lo.s32 %r5, %r3, %r4, %r3;", a * b + a},
      {"min.u32 %r5, %r3, %r4;", b},
      {"max.u32 %r5, %r3, %r4;", a},
      {"min.s32 %r5, %r3, %r4;", a},
      {"shl.b32 %r5, %r3, 32;", 0},
      {"shr.u32 %r5, %r3, 4;", 0x08765432u},
      {"shr.u32 %r5, %r3, %r4;", 0},
      {"shr.s32 %r5, %r3, 4;", 0xf8765432u},
      {"shr.s32 %r5, %r3, 99;", 0xffffffffu},
      {"bfi.b32 %r5, %r4, %r3, 8, 8;", 0x87650d21u},
      {"bfi.b32 %r5, %r4, %r3, 28, 20;", 0xd7654321u},
      {"bfi.b32 %r5, %r4, %r3, 8, 0;", a},
      {"bfe.u32 %r5, %r3, 4, 8;", 0x32u},
      {"bfe.u32 %r5, %r3, 28, 8;", 0x8u},
      {"prmt.b32 %r5, %r3, %r4, 8452;",
       0x6543210du},  // 0x2104: the lowest byte is the lowest of b, the others are of a
      {"prmt.b32 %r5, %r3, %r4, 57563;",
       0x0021ffffu},  // 0xe0db: two signs of bytes above 127, the lowest byte of a, the sign of 0
      {"brev.b32 %r5, %r3;", 0x84c2a6e1u},
      {"popc.b32 %r5, %r3;", 13},
      {"clz.b32 %r5, %r4;", 16},
      {"shf.l.wrap.b32 %r5, %r3, %r4, 8;", 0x00f00d87u},
      {"shf.r.wrap.b32 %r5, %r3, %r4, 8;", 0x0d876543u},
      {"div.u32 %r5, %r3, %r4;", a / b},
      {"rem.u32 %r5, %r3, %r4;", a % b},
      {"setp.lt.u32 %p1, %r4, %r3; selp.b32 %r5, %r3, 7, %p1;", a},
      {"setp.lt.s32 %p1, %r4, %r3; selp.b32 %r5, %r3, 7, %p1;", 7},
      {"setp.eq.s32 %p1, %r4, %r3; not.pred %p2, %p1; or.pred %p3, %p1, %p2; selp.u32 %r5, 1, 0, %p3;", 1},
      {"mov.u32 %r5, 5; setp.eq.s32 %p1, %r4, %r3; @%p1 mov.u32 %r5, %r3;", 5},
      {"mov.u32 %r5, 5; setp.eq.s32 %p1, %r4, %r3; @!%p1 mov.u32 %r5, %r3;", a},
      {"mov.u32 %r5, 4294967295;", 0xffffffffu},
      {"mov.u64 %rd2, -4294967296; shr.u64 %rd3, %rd2, 32; cvt.u32.u64 %r5, %rd3;", 0xffffffffu},
      {"cvt.u64.u32 %rd2, %r3; shl.b64 %rd3, %rd2, 63; shr.u64 %rd4, %rd3, 63; cvt.u32.u64 %r5, %rd4;", 1},
      // To the nearest, ties to even: 2^24 + 1 and 2^24 + 3.
      {"mov.u32 %r6, 16777217; cvt.rn.f32.u32 %f1, %r6; cvt.rni.u32.f32 %r5, %f1;", 16777216},
      {"mov.u32 %r6, 16777219; cvt.rn.f32.u32 %f1, %r6; cvt.rni.u32.f32 %r5, %f1;", 16777220},
      {"mov.f32 %f1, 0f40200000; cvt.rni.u32.f32 %r5, %f1;", 2},            // 2.5
      {"mov.f32 %f1, 0f40600000; cvt.rni.u32.f32 %r5, %f1;", 4},            // 3.5
      {"mov.f32 %f1, 0fC0600000; cvt.rni.u32.f32 %r5, %f1;", 0},            // -3.5
      {"mov.f32 %f1, 0f7FC00000; cvt.rni.u32.f32 %r5, %f1;", 0},            // NaN
      {"mov.f32 %f1, 0f4F800000; cvt.rni.u32.f32 %r5, %f1;", 0xffffffffu},  // 2^32
      // (1 + 2^-12)^2 - 1 - 2^-11 is 2^-24, of which a product that is rounded before the sum leaves nothing.
      {"mov.f32 %f1, 0f3F800800; mov.f32 %f2, 0fBF801000; fma.rn.f32 %f3, %f1, %f1, %f2; mov.f32 %f4, 0f4B800000; "
       "mov.f32 %f5, 0f00000000; fma.rn.f32 %f6, %f3, %f4, %f5; cvt.rni.u32.f32 %r5, %f6;",
       1},
  };
  for (const auto& [statements, want] : cases) {
    const Words out = run("ld.global.u32 %r3, [%rd1]; ld.global.u32 %r4, [%rd1+4]; " + std::string(statements) +
                              " st.global.u32 [%rd1+8], %r5;",
                          {a, b, 0});
    EXPECT_EQ(fault_, "") << statements;
    ASSERT_EQ(out.size(), 3U) << statements;
    EXPECT_EQ(out[2], want) << statements;
  }
}

TEST_F(PtxMachine, VectorsAndLoops) {
  // Sums of the four words of each thread, by a loop.
  const Words out =
      run("mul.wide.u32 %rd2, %r1, 16; add.s64 %rd3, %rd1, %rd2; ld.global.nc.v4.u32 {%r3,%r4,%r5,%r6}, [%rd3];\n"
          "mov.u32 %r7, 0; mov.u32 %r8, 0;\n$L__BB0_1:\nadd.s32 %r7, %r7, %r4; add.s32 %r8, %r8, 1; setp.lt.u32 %p1, "
          "%r8, %r3;\n@%p1 bra $L__BB0_1;\n"
          "mul.wide.u32 %rd4, %r1, 8; add.s64 %rd5, %rd1, %rd4; st.global.v2.u32 [%rd5+64], {%r7,%r6};",
          {2, 10, 0, 1, 3, 10, 0, 2, 4, 10, 0, 3, 5, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0}, threads(4));
  EXPECT_EQ(fault_, "");
  EXPECT_EQ(Words(out.begin() + 16, out.end()), (Words{20, 1, 30, 2, 40, 3, 50, 4}));
}

constexpr const char* kToShared =
    "mov.u32 %r3, words; shl.b32 %r4, %r1, 2; add.s32 %r5, %r3, %r4; st.shared.u32 [%r5], %r1; ";
constexpr const char* kFromNeighbour =
    "xor.b32 %r6, %r4, 4; add.s32 %r7, %r3, %r6; ld.shared.u32 %r8, [%r7]; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, "
    "%rd1, %rd2; st.global.u32 [%rd3], %r8; ";

TEST_F(PtxMachine, ABarrierOrdersSharedMemory) {
  const Words out = run(std::string(kToShared) + "bar.sync 0; " + kFromNeighbour, Words(64), threads(64, 256));
  EXPECT_EQ(fault_, "");
  for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(out[i], i ^ 1);
  run(std::string(kToShared) + kFromNeighbour, Words(64), threads(64, 256));
  EXPECT_NE(fault_, "");  // whichever comes first: no word yet, or no barrier
}

TEST_F(PtxMachine, WhatAKernelMustNotDo) {
  using Kind = FaultKind;
  expect_fault("ld.global.v4.u32 {%r3,%r4,%r5,%r6}, [%rd1+8];", Kind::kMisaligned, "no multiple of 16");
  expect_fault("ld.global.nc.v2.u32 {%r3,%r4}, [%rd1+4];", Kind::kMisaligned, "no multiple of 8");
  expect_fault("ld.global.u32 %r3, [%rd1+2];", Kind::kMisaligned, "no multiple of 4");
  expect_fault("ld.global.u32 %r3, [%rd1+256];", Kind::kIllegalAddress, "out of bounds");
  expect_fault("ld.global.v2.u32 {%r3,%r4}, [%rd1+256];", Kind::kIllegalAddress, "out of bounds");
  expect_fault("st.global.u32 [%rd1+-4], %r1;", Kind::kIllegalAddress, "out of bounds");
  expect_fault("mov.u64 %rd2, 0; ld.u32 %r3, [%rd2];", Kind::kIllegalAddress, "out of bounds");
  expect_fault("ld.param.u64 %rd2, [k_param_0+8];", Kind::kIllegalAddress, "outside of the kernel's arguments");
  expect_fault("add.s32 %r3, %r4, %r5;", Kind::kUndefined, "a register that nothing has been written to");
  expect_fault("setp.eq.s32 %p1, %r1, 1; @%p1 mov.u32 %r3, 1; add.s32 %r4, %r3, 1;", Kind::kUndefined,
               "a register that nothing has been written to");
  expect_fault("mov.u32 %r3, 0; div.u32 %r4, %r1, %r3;", Kind::kUndefined, "division by zero");
  expect_fault("$L__BB0_1: bra $L__BB0_1;", Kind::kNeverEnds, "does not come to an end");
  expect_fault("mov.u32 %r3, words; st.shared.u32 [%r3+256], %r1;", Kind::kIllegalAddress,
               "outside of the block's shared memory", threads(1, 256));
  expect_fault("mov.u32 %r3, words; ld.shared.u32 %r4, [%r3];", Kind::kUndefined, "nothing has been written to",
               threads(1, 256));
  expect_fault("setp.eq.s32 %p1, %r1, 5; @%p1 bra $L__BB0_1; bar.sync 0; $L__BB0_1: mov.u32 %r3, 1;", Kind::kUndefined,
               "not reached by all threads", threads(64));
  expect_fault("setp.eq.s32 %p1, %r1, 5; @%p1 bra $L__BB0_1; bar.sync 0; ret; $L__BB0_1: bar.sync 0;", Kind::kUndefined,
               "of a warp reach at different places", threads(64));
  expect_fault("setp.lt.u32 %p1, %r1, 32; @%p1 bra $L__BB0_1; bar.sync 0; ret; $L__BB0_1: bar.sync 1;",
               Kind::kUndefined, "not reached by all threads", threads(64));
  expect_fault("st.global.u32 [%rd1], %r1;", Kind::kUndefined, "written to by several threads", threads(2));
  expect_fault("ld.global.nc.u32 %r3, [%rd1]; st.global.u32 [%rd1], %r3;", Kind::kUndefined, "may read it");
  expect_fault("st.global.u32 [%rd1], %r1; ld.global.nc.u32 %r3, [%rd1];", Kind::kUndefined, "read as a constant");
  const GridShape two_blocks{{2, 1, 1}, {1, 1, 1}, 1, 0, false}, early{{1, 1, 1}, {1, 1, 1}, 1, 0, true};
  expect_fault(
      "mul.wide.u32 %rd2, %r2, 4; add.s64 %rd3, %rd1, %rd2; ld.global.u32 %r3, [%rd1]; st.global.u32 [%rd3], %r3;",
      Kind::kUndefined, "may write to it", two_blocks);
  expect_fault("ld.global.u32 %r3, [%rd1];", Kind::kUndefined, "before the launches before this one are done", early);
  run("griddepcontrol.wait; ld.global.u32 %r3, [%rd1];", Words(4), early);
  EXPECT_EQ(fault_, "");
  // Warps may come to a barrier at different places.
  run("setp.lt.u32 %p1, %r1, 32; @%p1 bra $L__BB0_1; bar.sync 1, 64; ret; $L__BB0_1: bar.sync 1, 64;", Words(4),
      threads(64));
  EXPECT_EQ(fault_, "");
}

TEST_F(PtxMachine, WhatIsNotKnownIsNamed) {
  for (const char* statement :
       {"vote.sync.all.pred %p1, %p2, -1;", "ld.global.u8 %r3, [%rd1];", "add.cc.u32 %r3, %r1, %r2;",
        "mov.u32 %r3, %clock;", "bra $L__BB0_9;", "add.s32 %rd3, %r1, %r2;", "ld.volatile.global.u32 %r3, [%rd1];",
        "bar.sync 16;", "add.s32 %r99, %r1, %r2;"}) {
    run(statement, Words(4));
    EXPECT_THAT(fault_, HasSubstr("PTX line 16: " + std::string(statement).substr(0, 4))) << statement;
  }
  EXPECT_FALSE(parse_ptx(".version 8.0\n.target sm_90\n.global .b32 x;\n").ok());
}

// Each thread hands its number to the next block of the cluster.
constexpr const char* kToNextBlock =
    "add.s32 %r3, %r2, 1; and.b32 %r4, %r3, 3; mov.u32 %r5, words; shl.b32 %r6, %r1, 2; add.s32 %r7, %r5, %r6; "
    "mapa.shared::cluster.u32 %r8, %r7, %r4; "
    "mad.lo.s32 %r9, %r2, 100, %r1; st.shared::cluster.u32 [%r8], %r9; ";
constexpr const char* kBegin = "barrier.cluster.arrive.relaxed.aligned; barrier.cluster.wait.acquire.aligned; ";
constexpr const char* kMeet = "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned; ";
constexpr const char* kOut =
    "ld.shared.u32 %r10, [%r7]; mov.u32 %r11, %ntid.x; mad.lo.s32 %r12, %r2, %r11, %r1; mul.wide.u32 %rd2, %r12, 4; "
    "add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r10; ";

TEST_F(PtxMachine, Clusters) {
  const std::string begin = kBegin, to = kToNextBlock, meet = kMeet, out = kOut;
  const Words words = run(begin + to + meet + out, Words(128), cluster(4));
  EXPECT_EQ(fault_, "");
  for (std::uint32_t i = 0; i < 128; ++i) EXPECT_EQ(words[i], (i / 32 + 3) % 4 * 100 + i % 32);

  const auto expect = [&](const std::string& statements, const char* what) {
    run(statements, Words(128), cluster(4));
    EXPECT_THAT(fault_, HasSubstr(what));
  };
  expect(to + meet + out, "may not have begun");
  expect(begin + to + out, "no");                             // a word that is not there, or no barrier
  expect(begin + to + begin + out, "no barrier in between");  // a relaxed arrival orders nothing
  expect(begin + to, "may end while another one looks");
  expect("barrier.cluster.wait.acquire.aligned;", "not in turn");
  expect("barrier.cluster.arrive.aligned;", "between the halves");
  expect("setp.eq.s32 %p1, %r2, 1; @%p1 bra $L__BB0_1; " + begin + " $L__BB0_1: mov.u32 %r3, 1;",
         "not reached by all blocks");
  run(begin + to + meet + out, Words(128), {{4, 1, 1}, {32, 1, 1}, 1, 256, false});  // the launch has no clusters
  EXPECT_THAT(fault_, HasSubstr("does not have"));
}

}  // namespace
}  // namespace brainlock::device_cuda::machine
