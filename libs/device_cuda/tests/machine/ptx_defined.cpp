// Which registers may be read before they are written to. Control flow says that there are none in most kernels; for
// the others the thread is asked: a flag is set with each write, and looked at before each read.
#include <cstring>
#include <map>
#include <set>

#include "machine/ptx_code.hpp"

namespace brainlock::device_cuda::machine {
namespace {

const char* widths_of(Op op) {
  switch (op) {
#define BRAINLOCK_CASE(op, widths, names) \
  case Op::op:                            \
    return widths;
    BRAINLOCK_PTX_PLAIN(BRAINLOCK_CASE)
#undef BRAINLOCK_CASE
    default:
      return "";
  }
}

using Bits = std::vector<std::uint64_t>;
bool has(const Bits& bits, unsigned i) { return (bits[i / 64] >> (i % 64) & 1) != 0; }
void set(Bits& bits, unsigned i) { bits[i / 64] |= std::uint64_t{1} << (i % 64); }

}  // namespace

SlotUse use_of(const Instruction& i) {
  SlotUse out;
  const auto reads = [&](unsigned slot, bool wide) {
    out.reads[out.read_count++] = static_cast<std::uint16_t>(slot);
    if (wide) out.reads[out.read_count++] = static_cast<std::uint16_t>(slot + 1);
  };
  if (i.op >= Op::kLoadParameter1 && i.op <= Op::kStoreGeneric4) {
    const int number = static_cast<int>(i.op) - static_cast<int>(Op::kLoadParameter1);
    const unsigned words = 1u << number % 3;
    const bool store = i.op >= Op::kStoreGlobal1;
    const int space = number / 3;
    const bool narrow = space == 3 || space == 4 || space == 7 || space == 8;  // addresses of shared memory
    for (unsigned w = 0; w < words; ++w) {
      if (store) reads(i.slot[w], false);
      if (!store) out.writes[out.write_count++] = i.slot[w];
    }
    reads(i.slot[words], !narrow);
    return out;
  }
  if (i.op == Op::kGotoIf || i.op == Op::kGotoUnless || i.op == Op::kBarrierOf) reads(i.slot[0], false);
  if (i.op == Op::kClear4) out.writes[out.write_count++] = i.slot[0];
  const char* const widths = widths_of(i.op);
  for (std::size_t n = 0; n < std::strlen(widths); ++n) {
    if (n != 0) reads(i.slot[n], widths[n] == '8');
    if (n != 0) continue;
    out.writes[out.write_count++] = i.slot[0];
    if (widths[0] == '8') out.writes[out.write_count++] = static_cast<std::uint16_t>(i.slot[0] + 1);
  }
  return out;
}

void guard_undefined(Code& code) {
  const auto& list = code.instructions;
  const std::size_t words = (code.slots + 63) / 64;
  const auto is_jump = [](Op op) { return op == Op::kGoto || op == Op::kGotoIf || op == Op::kGotoUnless; };
  // What is written to on every way to an instruction; everything, until a way is found.
  std::map<std::size_t, Bits> at;  // of instructions where something begins
  at[0] = Bits(words, 0);
  for (unsigned slot = 0; slot < code.presets.size(); ++slot) set(at[0], slot);
  for (const Instruction& i : list) {
    if (is_jump(i.op)) at.emplace(static_cast<std::size_t>(i.immediate), Bits(words, ~std::uint64_t{0}));
  }
  std::set<unsigned> doubtful;
  for (bool changed = true; changed;) {
    changed = false;
    const auto merge = [&](std::size_t target, const Bits& bits) {
      for (std::size_t w = 0; w < words; ++w) {
        const std::uint64_t both = at[target][w] & bits[w];
        changed = changed || both != at[target][w];
        at[target][w] = both;
      }
    };
    Bits now(words, ~std::uint64_t{0});  // of what no way leads to: everything
    for (std::size_t n = 0; n < list.size(); ++n) {
      if (at.count(n) != 0) {
        merge(n, now);
        now = at[n];
      }
      const SlotUse use = use_of(list[n]);
      for (unsigned r = 0; r < use.read_count; ++r) {
        if (!has(now, use.reads[r])) doubtful.insert(use.reads[r]);
      }
      for (unsigned w = 0; w < use.write_count; ++w) set(now, use.writes[w]);
      if (is_jump(list[n].op)) merge(static_cast<std::size_t>(list[n].immediate), now);
      if (list[n].op == Op::kGoto || list[n].op == Op::kReturn) now.assign(words, ~std::uint64_t{0});
    }
  }
  code.first_flag = code.slots;
  if (doubtful.empty()) return;

  std::map<unsigned, std::uint16_t> flags;
  for (const unsigned slot : doubtful) flags[slot] = static_cast<std::uint16_t>(code.slots++);
  code.slots = (code.slots + 1) / 2 * 2;
  std::vector<Instruction> out;
  std::vector<std::uint32_t> statement;
  std::vector<std::int32_t> moved;
  for (std::size_t n = 0; n < list.size(); ++n) {
    moved.push_back(static_cast<std::int32_t>(out.size()));
    const SlotUse use = use_of(list[n]);
    for (unsigned r = 0; r < use.read_count; ++r) {
      if (const auto flag = flags.find(use.reads[r]); flag != flags.end())
        out.push_back({Op::kCheck, {flag->second}, 0});
    }
    out.push_back(list[n]);
    for (unsigned w = 0; w < use.write_count; ++w) {
      if (const auto flag = flags.find(use.writes[w]); flag != flags.end())
        out.push_back({Op::kSet, {flag->second}, 0});
    }
    statement.resize(out.size(), code.statement[n]);
  }
  for (Instruction& i : out) {
    if (is_jump(i.op)) i.immediate = moved[static_cast<std::size_t>(i.immediate)];
  }
  code.instructions = std::move(out);
  code.statement = std::move(statement);
}

}  // namespace brainlock::device_cuda::machine
