// One thread, from where it is to its next stop. Semantics are those of the PTX ISA; what that leaves undefined is a
// fault.
#include <algorithm>

#include "machine/ptx_arithmetic.hpp"
#include "machine/ptx_grid.hpp"

namespace brainlock::device_cuda::machine {

GridRunner::Stop GridRunner::run_thread(Block& block, unsigned number) {
  Thread& thread = thread_[std::size_t{block.number} * threads_ + number];
  Word* const r = thread.slots;
  const Instruction* const list = code_->instructions.data();
  const Instruction* i = list + thread.next;
  const Instruction* straight = i;  // where the run without a jump that we are in began
  std::uint32_t now = order_.time(block.number, block.barriers, thread.arrivals, block.waits);
  const bool must_wait = shape_->early;

  static const void* const places[] = {
#define BRAINLOCK_PLACE_OF(op, ...) &&op,
      BRAINLOCK_PTX_PLAIN(BRAINLOCK_PLACE_OF) BRAINLOCK_PTX_MEMORY(BRAINLOCK_PLACE_OF)
          BRAINLOCK_PTX_CONTROL(BRAINLOCK_PLACE_OF)
#undef BRAINLOCK_PLACE_OF
  };
  const auto stop = [&](Stop why) {
    const auto executed = static_cast<std::uint64_t>(i - straight + 1);
    instructions_ += executed;
    thread.left -= std::min(thread.left, executed);
    thread.next = static_cast<std::uint32_t>(i + 1 - list);
    return why;
  };
  const auto jump = [&] {
    const auto executed = static_cast<std::uint64_t>(i - straight + 1);
    instructions_ += executed;
    if (thread.left < executed) fail(FaultKind::kNeverEnds, "a thread that does not come to an end");
    thread.left -= executed;
    i = straight = list + i->immediate;
  };
  // Where an access goes: `n` words at the address in the slot after theirs.
  const auto wide_address = [&](unsigned n) {
    const Wide address = get8(r, i->slot[n]) + static_cast<Wide>(std::int64_t{i->immediate});
    if (address % (4 * n) != 0)
      fail(FaultKind::kMisaligned, "an address that is no multiple of " + std::to_string(4 * n));
    return address;
  };
  const auto shared_address = [&](unsigned n) {
    const Word address = r[i->slot[n]] + static_cast<Word>(i->immediate);
    if (address % (4 * n) != 0)
      fail(FaultKind::kMisaligned, "an address that is no multiple of " + std::to_string(4 * n));
    return address;
  };
  const auto in_global = [&](unsigned n, Wide address) {
    if (must_wait && !thread.waited)
      fail(FaultKind::kUndefined, "a look at memory before the launches before this one are done");
    return global(address, 4 * n);
  };
  const auto in_cluster = [&](unsigned n) {
    Block* of = nullptr;
    return cluster(block, shared_address(n), 4 * n, now, of);
  };
  const auto is_shared = [](Wide address) { return address >> 32 == kGenericShared >> 32; };
  const auto load = [&](auto n, Words at) {
    for (unsigned w = 0; w < n; ++w) {
      order_.read(at.shadow[w], now, number);
      r[i->slot[w]] = at.words[w];
    }
  };
  const auto load_of_shared = [&](auto n, Words at) {
    for (unsigned w = 0; w < n; ++w) {
      order_.read_shared(at.shadow[w], now, number);
      r[i->slot[w]] = at.words[w];
    }
  };
  const auto store = [&](auto n, Words at) {
    for (unsigned w = 0; w < n; ++w) {
      order_.write(at.shadow[w], now, number);
      at.words[w] = r[i->slot[w]];
    }
  };
  const auto store_to_shared = [&](auto n, Words at) {
    for (unsigned w = 0; w < n; ++w) {
      order_.write_shared(at.shadow[w], now, number);
      at.words[w] = r[i->slot[w]];
    }
  };
  const auto load_parameter = [&](auto n) {
    const Wide at = wide_address(n) - kParameterBegin;
    if (at >= code_->parameter_bytes || 4 * n > code_->parameter_bytes - at)
      fail(FaultKind::kIllegalAddress, "an address outside of the kernel's arguments");
    for (unsigned w = 0; w < n; ++w) r[i->slot[w]] = parameters_[at / 4 + w];
  };
  const auto load_global = [&](auto n) { load(n, in_global(n, wide_address(n))); };
  const auto load_constant = [&](auto n) {
    const Words at = in_global(n, wide_address(n));
    for (unsigned w = 0; w < n; ++w) {
      if (at.shadow[w].write_time >= order_.first_of_launch())
        fail(FaultKind::kUndefined, "a word that this launch writes to is read as a constant");
      order_.read(at.shadow[w], now, number);
      at.shadow[w].reader = kSeveralBlocks;  // whoever writes to it in this launch is wrong
      r[i->slot[w]] = at.words[w];
    }
  };
  const auto store_global = [&](auto n) { store(n, in_global(n, wide_address(n))); };
  const auto load_shared = [&](auto n) { load_of_shared(n, shared(block, shared_address(n), 4 * n)); };
  const auto store_shared = [&](auto n) { store_to_shared(n, shared(block, shared_address(n), 4 * n)); };
  const auto load_cluster = [&](auto n) { load_of_shared(n, in_cluster(n)); };
  const auto store_cluster = [&](auto n) { store_to_shared(n, in_cluster(n)); };
  const auto load_generic = [&](auto n) {
    const Wide address = wide_address(n);
    is_shared(address) ? load_of_shared(n, shared(block, static_cast<Word>(address), 4 * n))
                       : load(n, in_global(n, address));
  };
  const auto store_generic = [&](auto n) {
    const Wide address = wide_address(n);
    is_shared(address) ? store_to_shared(n, shared(block, static_cast<Word>(address), 4 * n))
                       : store(n, in_global(n, address));
  };

  // clang-format off
#define NEXT goto* places[static_cast<int>((++i)->op)]
#define D (i->slot[0])
#define A4 (r[i->slot[1]])
#define B4 (r[i->slot[2]])
#define C4 (r[i->slot[3]])
#define E4 (r[i->slot[4]])
#define A8 get8(r, i->slot[1])
#define B8 get8(r, i->slot[2])
#define C8 get8(r, i->slot[3])
#define PLAIN4(op, ...) \
  op:                   \
  r[D] = (__VA_ARGS__); \
  NEXT;
#define PLAIN8(op, ...)      \
  op:                        \
  set8(r, D, (__VA_ARGS__)); \
  NEXT;
#define SIZES(op, action)                                \
  op##1: action(std::integral_constant<unsigned, 1>()); \
  NEXT;                                                  \
  op##2: action(std::integral_constant<unsigned, 2>()); \
  NEXT;                                                  \
  op##4: action(std::integral_constant<unsigned, 4>()); \
  NEXT;

  try {
    goto* places[static_cast<int>(i->op)];

    PLAIN4(kMove4, A4) PLAIN8(kMove8, A8) PLAIN4(kMovePredicate, A4) PLAIN4(kAdd4, A4 + B4) PLAIN8(kAdd8, A8 + B8)
    PLAIN4(kSubtract4, A4 - B4) PLAIN8(kSubtract8, A8 - B8) PLAIN4(kMultiplyLow4, A4 * B4)
    PLAIN8(kMultiplyLow8, A8 * B8) PLAIN4(kMultiplyHigh4, static_cast<Word>(Wide{A4} * B4 >> 32))
    PLAIN8(kMultiplyHigh8, static_cast<Wide>(static_cast<unsigned __int128>(A8) * B8 >> 64))
    PLAIN8(kMultiplyWide, Wide{A4} * B4)
    PLAIN8(kMultiplyWideSigned, static_cast<Wide>(std::int64_t{is_signed(A4)} * is_signed(B4)))
    PLAIN4(kMultiplyAdd4, A4 * B4 + C4) PLAIN8(kMultiplyAdd8, A8 * B8 + C8)
    PLAIN4(kMultiplyAddHigh4, static_cast<Word>(Wide{A4} * B4 >> 32) + C4) PLAIN8(kMultiplyAddWide, Wide{A4} * B4 + C8)
    kDivide4:
    kRemainder4: {
      if (B4 == 0) fail(FaultKind::kUndefined, "a division by zero");
      r[D] = i->op == Op::kDivide4 ? A4 / B4 : A4 % B4;
      NEXT;
    }
    PLAIN4(kLeast4, std::min(A4, B4)) PLAIN4(kMost4, std::max(A4, B4)) PLAIN8(kLeast8, std::min(A8, B8))
    PLAIN8(kMost8, std::max(A8, B8)) PLAIN4(kLeastSigned4, is_signed(A4) < is_signed(B4) ? A4 : B4)
    PLAIN4(kMostSigned4, is_signed(A4) < is_signed(B4) ? B4 : A4) PLAIN4(kNegate4, 0 - A4) PLAIN8(kNegate8, 0 - A8)
    PLAIN4(kAnd4, A4 & B4) PLAIN4(kOr4, A4 | B4) PLAIN4(kXor4, A4 ^ B4) PLAIN4(kNot4, ~A4) PLAIN8(kAnd8, A8 & B8)
    PLAIN8(kOr8, A8 | B8) PLAIN8(kXor8, A8 ^ B8) PLAIN8(kNot8, ~A8) PLAIN4(kAndPredicate, A4 & B4)
    PLAIN4(kOrPredicate, A4 | B4) PLAIN4(kXorPredicate, A4 ^ B4) PLAIN4(kNotPredicate, A4 ^ 1)
    PLAIN4(kShiftLeft4, shift_left(A4, B4)) PLAIN8(kShiftLeft8, shift_left(A8, B4))
    PLAIN4(kShiftRight4, shift_right(A4, B4)) PLAIN8(kShiftRight8, shift_right(A8, B4))
    PLAIN4(kShiftRightSigned4, static_cast<Word>(is_signed(A4) >> std::min(B4, 31U)))
    PLAIN8(kShiftRightSigned8, static_cast<Wide>(is_signed(A8) >> std::min(B4, 63U)))
    PLAIN4(kFunnelLeft, static_cast<Word>((Wide{B4} << 32 | A4) << (C4 & 31) >> 32))
    PLAIN4(kFunnelRight, static_cast<Word>((Wide{B4} << 32 | A4) >> (C4 & 31)))
    PLAIN4(kBitInsert, bit_insert(A4, B4, C4, E4)) PLAIN4(kBitExtract, bit_extract(A4, B4, C4))
    PLAIN4(kPermute, permute(A4, B4, C4)) PLAIN4(kReverseBits, reverse_bits(A4))
    PLAIN4(kCountBits, static_cast<Word>(std::popcount(A4)))
    PLAIN4(kCountZeros, static_cast<Word>(std::countl_zero(A4))) PLAIN4(kSelect4, C4 != 0 ? A4 : B4)
    PLAIN8(kSelect8, C4 != 0 ? A8 : B8) PLAIN4(kEqual4, A4 == B4) PLAIN4(kUnequal4, A4 != B4) PLAIN4(kBelow4, A4 < B4)
    PLAIN4(kAtMost4, A4 <= B4) PLAIN4(kAbove4, A4 > B4) PLAIN4(kAtLeast4, A4 >= B4)
    PLAIN4(kBelowSigned4, is_signed(A4) < is_signed(B4)) PLAIN4(kAtMostSigned4, is_signed(A4) <= is_signed(B4))
    PLAIN4(kAboveSigned4, is_signed(A4) > is_signed(B4)) PLAIN4(kAtLeastSigned4, is_signed(A4) >= is_signed(B4))
    PLAIN4(kEqual8, A8 == B8) PLAIN4(kUnequal8, A8 != B8) PLAIN4(kBelow8, A8 < B8) PLAIN4(kAtMost8, A8 <= B8)
    PLAIN4(kAbove8, A8 > B8) PLAIN4(kAtLeast8, A8 >= B8) PLAIN8(kWiden, A4)
    PLAIN8(kWidenSigned, static_cast<Wide>(std::int64_t{is_signed(A4)})) PLAIN4(kNarrow, static_cast<Word>(A8))
    PLAIN4(kWordToFloat, to_bits(static_cast<float>(A4))) PLAIN4(kFloatToWord, float_to_word(to_float(A4)))
    PLAIN4(kFusedMultiplyAdd, to_bits(std::fma(to_float(A4), to_float(B4), to_float(C4))))
    kMap: {
      if (B4 >= blocks_.size()) fail(FaultKind::kUndefined, "a block that the cluster does not have");
      if (A4 >> kLogClusterWindow != 0) fail(FaultKind::kUndefined, "an address that is mapped already");
      r[D] = (B4 + 1) << kLogClusterWindow | A4;
      NEXT;
    }

    SIZES(kLoadParameter, load_parameter) SIZES(kLoadGlobal, load_global) SIZES(kLoadConstant, load_constant)
    SIZES(kLoadShared, load_shared) SIZES(kLoadCluster, load_cluster) SIZES(kLoadGeneric, load_generic)
    SIZES(kStoreGlobal, store_global) SIZES(kStoreShared, store_shared) SIZES(kStoreCluster, store_cluster)
    SIZES(kStoreGeneric, store_generic)

    kGoto:
    jump();
    goto* places[static_cast<int>(i->op)];
    kGotoIf:
    if (r[D] == 0) NEXT;
    jump();
    goto* places[static_cast<int>(i->op)];
    kGotoUnless:
    if (r[D] != 0) NEXT;
    jump();
    goto* places[static_cast<int>(i->op)];
    kBarrierOf:
    if (r[D] != threads_) fail(FaultKind::kIllegalInstruction, "a barrier of some of the block's threads is not known");
    kBarrier:
    thread.barrier = static_cast<unsigned>(i->immediate);
    return stop(Stop::kBarrier);
    kClusterArrive:
    kClusterArriveRelaxed:
    if (thread.arrivals != block.waits)
      fail(FaultKind::kUndefined, "the halves of a cluster's barrier are not in turn");
    order_.note_arrival(thread.arrivals, i->op == Op::kClusterArrive);
    ++thread.arrivals;
    ++arrivals_;
    now = order_.time(block.number, block.barriers, thread.arrivals, block.waits);
    NEXT;
    kClusterWait:
    if (thread.arrivals != block.waits + 1)
      fail(FaultKind::kUndefined, "the halves of a cluster's barrier are not in turn");
    return stop(Stop::kClusterWait);
    kWaitForEarlier:
    thread.waited = true;
    NEXT;
    kLaunchDependents:
    NEXT;  // allows others to start, and promises nothing about this launch
    kReturn:
    return stop(Stop::kEnd);
    kCheck:
    if (r[D] == 0) fail(FaultKind::kUndefined, "a register that nothing has been written to is read");
    NEXT;
    kSet:
    r[D] = 1;
    NEXT;
    kClear4:
    r[D] = 0;
    NEXT;
    // clang-format on
  } catch (const Fault& fault) {
    fail_at(fault, block, number, static_cast<std::size_t>(i - list), r);
  }
}

}  // namespace brainlock::device_cuda::machine
