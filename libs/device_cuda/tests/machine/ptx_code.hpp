// A kernel in the form that ptx_thread.cpp runs: numbered operations on a thread's slots of 32 bits. A value of 64 bits
// has two slots, a predicate one that is 0 or 1. Constants and special registers (%tid.x) have slots too, which are
// filled before a thread begins, so that every operand is a slot.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/ptx_text.hpp"

namespace brainlock::device_cuda::machine {

// clang-format off
/// Operations with their PTX names and the widths of their operands, the result first: 4 or 8 bytes, p(redicate).
/// One line for all that do the same on the same bits.
#define BRAINLOCK_PTX_PLAIN(X)                                                                                       \
  X(kMove4, "44", "mov.u32 mov.s32 mov.b32 mov.f32") X(kMove8, "88", "mov.u64 mov.s64 mov.b64 cvta.to.global.u64")   \
  X(kMovePredicate, "pp", "mov.pred") X(kAdd4, "444", "add.s32 add.u32") X(kAdd8, "888", "add.s64 add.u64")          \
  X(kSubtract4, "444", "sub.s32 sub.u32") X(kSubtract8, "888", "sub.s64 sub.u64")                                    \
  X(kMultiplyLow4, "444", "mul.lo.s32 mul.lo.u32") X(kMultiplyLow8, "888", "mul.lo.s64 mul.lo.u64")                  \
  X(kMultiplyHigh4, "444", "mul.hi.u32") X(kMultiplyHigh8, "888", "mul.hi.u64")                                      \
  X(kMultiplyWide, "844", "mul.wide.u32") X(kMultiplyWideSigned, "844", "mul.wide.s32")                              \
  X(kMultiplyAdd4, "4444", "mad.lo.s32 mad.lo.u32") X(kMultiplyAdd8, "8888", "mad.lo.s64 mad.lo.u64")                \
  X(kMultiplyAddHigh4, "4444", "mad.hi.u32") X(kMultiplyAddWide, "8448", "mad.wide.u32")                             \
  X(kDivide4, "444", "div.u32") X(kRemainder4, "444", "rem.u32") X(kLeast4, "444", "min.u32")                        \
  X(kMost4, "444", "max.u32") X(kLeastSigned4, "444", "min.s32") X(kMostSigned4, "444", "max.s32")                   \
  X(kLeast8, "888", "min.u64") X(kMost8, "888", "max.u64") X(kNegate4, "44", "neg.s32") X(kNegate8, "88", "neg.s64") \
  X(kAnd4, "444", "and.b32") X(kOr4, "444", "or.b32") X(kXor4, "444", "xor.b32") X(kNot4, "44", "not.b32")           \
  X(kAnd8, "888", "and.b64") X(kOr8, "888", "or.b64") X(kXor8, "888", "xor.b64") X(kNot8, "88", "not.b64")           \
  X(kAndPredicate, "ppp", "and.pred") X(kOrPredicate, "ppp", "or.pred") X(kXorPredicate, "ppp", "xor.pred")          \
  X(kNotPredicate, "pp", "not.pred") X(kShiftLeft4, "444", "shl.b32") X(kShiftLeft8, "884", "shl.b64")               \
  X(kShiftRight4, "444", "shr.u32 shr.b32") X(kShiftRight8, "884", "shr.u64 shr.b64")                                \
  X(kShiftRightSigned4, "444", "shr.s32") X(kShiftRightSigned8, "884", "shr.s64")                                    \
  X(kFunnelLeft, "4444", "shf.l.wrap.b32") X(kFunnelRight, "4444", "shf.r.wrap.b32")                                 \
  X(kBitInsert, "44444", "bfi.b32") X(kBitExtract, "4444", "bfe.u32") X(kPermute, "4444", "prmt.b32")                \
  X(kReverseBits, "44", "brev.b32") X(kCountBits, "44", "popc.b32") X(kCountZeros, "44", "clz.b32")                  \
  X(kSelect4, "444p", "selp.b32 selp.u32 selp.s32 selp.f32") X(kSelect8, "888p", "selp.b64 selp.u64 selp.s64")       \
  X(kEqual4, "p44", "setp.eq.s32 setp.eq.u32 setp.eq.b32")                                                           \
  X(kUnequal4, "p44", "setp.ne.s32 setp.ne.u32 setp.ne.b32") X(kBelow4, "p44", "setp.lt.u32 setp.lo.u32")            \
  X(kAtMost4, "p44", "setp.le.u32 setp.ls.u32") X(kAbove4, "p44", "setp.gt.u32 setp.hi.u32")                         \
  X(kAtLeast4, "p44", "setp.ge.u32 setp.hs.u32") X(kBelowSigned4, "p44", "setp.lt.s32")                              \
  X(kAtMostSigned4, "p44", "setp.le.s32") X(kAboveSigned4, "p44", "setp.gt.s32")                                     \
  X(kAtLeastSigned4, "p44", "setp.ge.s32") X(kEqual8, "p88", "setp.eq.s64 setp.eq.u64 setp.eq.b64")                  \
  X(kUnequal8, "p88", "setp.ne.s64 setp.ne.u64 setp.ne.b64") X(kBelow8, "p88", "setp.lt.u64")                        \
  X(kAtMost8, "p88", "setp.le.u64") X(kAbove8, "p88", "setp.gt.u64") X(kAtLeast8, "p88", "setp.ge.u64")              \
  X(kWiden, "84", "cvt.u64.u32") X(kWidenSigned, "84", "cvt.s64.s32") X(kNarrow, "48", "cvt.u32.u64 cvt.s32.s64")    \
  X(kWordToFloat, "44", "cvt.rn.f32.u32") X(kFloatToWord, "44", "cvt.rni.u32.f32")                                   \
  X(kFusedMultiplyAdd, "4444", "fma.rn.f32") X(kMap, "444", "mapa.shared::cluster.u32")

/// Memory: 1, 2 or 4 words at once, whatever their type. Slots of the words come first, then that of the address.
#define BRAINLOCK_PTX_MEMORY(X)                                                                               \
  X(kLoadParameter1) X(kLoadParameter2) X(kLoadParameter4) X(kLoadGlobal1) X(kLoadGlobal2) X(kLoadGlobal4)    \
  X(kLoadConstant1) X(kLoadConstant2) X(kLoadConstant4) X(kLoadShared1) X(kLoadShared2) X(kLoadShared4)       \
  X(kLoadCluster1) X(kLoadCluster2) X(kLoadCluster4) X(kLoadGeneric1) X(kLoadGeneric2) X(kLoadGeneric4)       \
  X(kStoreGlobal1) X(kStoreGlobal2) X(kStoreGlobal4) X(kStoreShared1) X(kStoreShared2) X(kStoreShared4)       \
  X(kStoreCluster1) X(kStoreCluster2) X(kStoreCluster4) X(kStoreGeneric1) X(kStoreGeneric2) X(kStoreGeneric4)

/// Order of execution. kBarrierOf: with a number of threads. kCheck: the slot has been written to; kClear4: zero.
#define BRAINLOCK_PTX_CONTROL(X)                                                                          \
  X(kGoto) X(kGotoIf) X(kGotoUnless) X(kBarrier) X(kBarrierOf) X(kClusterArrive) X(kClusterArriveRelaxed) \
  X(kClusterWait) X(kWaitForEarlier) X(kLaunchDependents) X(kReturn) X(kCheck) X(kSet) X(kClear4)
// clang-format on

enum class Op : std::uint16_t {
#define BRAINLOCK_NAME(op, ...) op,
  BRAINLOCK_PTX_PLAIN(BRAINLOCK_NAME) BRAINLOCK_PTX_MEMORY(BRAINLOCK_NAME) BRAINLOCK_PTX_CONTROL(BRAINLOCK_NAME)
#undef BRAINLOCK_NAME
};

struct Instruction {
  Op op;
  std::uint16_t slot[5];   ///< result (or words) first
  std::int32_t immediate;  ///< offset of an address, or where to go
};

/// What a slot holds before a thread begins.
enum class Special : std::uint8_t {
  kConstant,
  kThreadX,
  kThreadY,
  kThreadZ,
  kThreadsX,
  kThreadsY,
  kThreadsZ,
  kBlockX,
  kBlockY,
  kBlockZ,
  kBlocksX,
  kBlocksY,
  kBlocksZ,
};
struct Preset {
  Special kind = Special::kConstant;
  std::uint32_t value = 0;  ///< of a constant
};

struct Code {
  std::string name;
  std::size_t parameter_bytes = 0;
  unsigned most_threads = 0, exact_threads = 0;  ///< of a block; 0: not said
  std::vector<Preset> presets;                   ///< of the first slots
  std::size_t slots = 0;                         ///< of a thread
  std::size_t first_flag = 0;  ///< of guard_undefined(): slots from here on begin as 0; others as they are
  std::vector<Instruction> instructions;
  std::vector<std::uint32_t> statement;  ///< of each instruction: the number of its statement
  std::vector<Statement> statements;     ///< for messages
  bool waits_for_earlier = false;        ///< griddepcontrol.wait is among them
  /// "line 12: add.s32 ..." of an instruction.
  std::string where(std::size_t instruction) const;
};

/// Where shared memory begins in a block's window; as on compute capability 9.0, address 0 is not the program's.
constexpr std::uint32_t kSharedBegin = 0x400;
/// A block's shared memory in the cluster's window: its number and 1 above these bits.
constexpr unsigned kLogClusterWindow = 24;
/// Shared memory's window among generic addresses.
constexpr std::uint64_t kGenericShared = std::uint64_t{0x0b00} << 32;
/// Parameters begin here in theirs, so that no null pointer is one.
constexpr std::uint32_t kParameterBegin = 0x210;

Result<Code> compile(const TextModule& module, const TextKernel& kernel);

/// Slots below `presets`, and those of `reads` and `writes`, for the analysis of ptx_defined.cpp.
struct SlotUse {
  std::uint16_t reads[8], writes[4];
  unsigned read_count = 0, write_count = 0;
};
SlotUse use_of(const Instruction& instruction);
/// Adds checks where a register may be read that nothing has been written to. In most kernels there are none.
void guard_undefined(Code& code);

}  // namespace brainlock::device_cuda::machine
