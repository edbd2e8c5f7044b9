// From PTX's text to operations on slots. The table in ptx_code.hpp is all that is known; everything else is refused by
// name.
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "machine/ptx_code.hpp"

namespace brainlock::device_cuda::machine {
namespace {

struct Form {
  Op op;
  const char* widths;
};

const std::unordered_map<std::string, Form>& plain_forms() {
  static const auto* const forms = [] {
    auto* const out = new std::unordered_map<std::string, Form>;
    const auto add = [&](Op op, const char* widths, std::string names) {
      for (std::size_t begin = 0; begin < names.size();) {
        const std::size_t end = std::min(names.find(' ', begin), names.size());
        out->emplace(names.substr(begin, end - begin), Form{op, widths});
        begin = end + 1;
      }
    };
#define BRAINLOCK_FORM(op, widths, names) add(Op::op, widths, names);
    BRAINLOCK_PTX_PLAIN(BRAINLOCK_FORM)
#undef BRAINLOCK_FORM
    return out;
  }();
  return *forms;
}

const std::unordered_map<std::string, Special> kSpecials = {
    {"%tid.x", Special::kThreadX},    {"%tid.y", Special::kThreadY},    {"%tid.z", Special::kThreadZ},
    {"%ntid.x", Special::kThreadsX},  {"%ntid.y", Special::kThreadsY},  {"%ntid.z", Special::kThreadsZ},
    {"%ctaid.x", Special::kBlockX},   {"%ctaid.y", Special::kBlockY},   {"%ctaid.z", Special::kBlockZ},
    {"%nctaid.x", Special::kBlocksX}, {"%nctaid.y", Special::kBlocksY}, {"%nctaid.z", Special::kBlocksZ}};

struct Register {
  std::uint16_t slot;
  char width;  ///< '4', '8' or 'p'
};

class Compiler {
 public:
  Compiler(const TextModule& module, const TextKernel& kernel) : module_(module), kernel_(kernel) {}

  Result<Code> compile() {
    code_.name = kernel_.name;
    code_.parameter_bytes = kernel_.parameter_bytes;
    code_.most_threads = kernel_.most_threads;
    code_.exact_threads = kernel_.exact_threads;
    code_.statements = kernel_.statements;
    BRAINLOCK_TRY(collect_presets());
    BRAINLOCK_TRY(declare_registers());
    std::vector<std::int32_t> begin;  // of each statement
    for (std::size_t i = 0; i < kernel_.statements.size(); ++i) {
      begin.push_back(static_cast<std::int32_t>(code_.instructions.size()));
      statement_ = static_cast<std::uint32_t>(i);
      if (Status status = translate(kernel_.statements[i]); !status.ok()) {
        return status.error().in("PTX line " + std::to_string(kernel_.statements[i].line) + ": " +
                                 kernel_.statements[i].text());
      }
    }
    begin.push_back(static_cast<std::int32_t>(code_.instructions.size()));
    emit(Op::kReturn, {});  // the end of the body ends a thread too
    for (Instruction& i : code_.instructions) {
      if (i.op >= Op::kGoto && i.op <= Op::kGotoUnless) i.immediate = begin[static_cast<std::size_t>(i.immediate)];
    }
    guard_undefined(code_);
    return std::move(code_);
  }

 private:
  static Error bad(const std::string& what) { return {ErrorCode::kUnsupported, what}; }

  static bool is_number(const std::string& s) { return !s.empty() && (s[0] == '-' || (s[0] >= '0' && s[0] <= '9')); }
  static Result<std::uint64_t> number(const std::string& s) {
    const bool is_float = s.size() == 10 && (s.compare(0, 2, "0f") == 0 || s.compare(0, 2, "0F") == 0);
    const bool hex = s.size() > 2 && (s.compare(0, 2, "0x") == 0 || is_float);
    const bool minus = s[0] == '-';
    std::uint64_t value = 0;
    const char* const end = s.data() + s.size();
    auto [rest, error] = std::from_chars(s.data() + (hex ? 2 : minus ? 1 : 0), end, value, hex ? 16 : 10);
    if (rest != end && *rest == 'U') ++rest;
    if (error != std::errc() || rest != end) return bad("a number is expected, not " + s);
    return minus ? 0 - value : value;
  }

  /// Constants and special registers that operands name, so that their slots are the first.
  Status collect_presets() {
    const auto add = [&](const std::string& name, char width, std::uint64_t value) {
      const std::string key = name + width;
      if (presets_.count(key) != 0) return;
      if (width == '8' && code_.presets.size() % 2 != 0) code_.presets.emplace_back();
      presets_[key] = static_cast<std::uint16_t>(code_.presets.size());
      code_.presets.push_back({Special::kConstant, static_cast<std::uint32_t>(value)});
      if (width == '8') code_.presets.push_back({Special::kConstant, static_cast<std::uint32_t>(value >> 32)});
    };
    add("0", '4', 0);
    add("0", '8', 0);
    for (const Statement& s : kernel_.statements) {
      for (const std::string& operand : s.operands) {
        if (const auto special = kSpecials.find(operand);
            special != kSpecials.end() && presets_.count(operand + '4') == 0) {
          presets_[operand + '4'] = static_cast<std::uint16_t>(code_.presets.size());
          code_.presets.push_back({special->second, 0});
        }
        if (!is_number(operand)) continue;
        BRAINLOCK_ASSIGN(const std::uint64_t value, number(operand));
        add(operand, '4', value);
        add(operand, '8', value);
        if (value == 0 || value == ~std::uint64_t{0} || value == 1) add(operand, 'p', value != 0 ? 1 : 0);
      }
    }
    if (!kernel_.parameter.empty()) add(kernel_.parameter, '8', kParameterBegin);
    if (!module_.dynamic_shared.empty()) {
      add(module_.dynamic_shared, '4', kSharedBegin);
      add(module_.dynamic_shared, '8', kSharedBegin);
    }
    return {};
  }

  Status declare_registers() {
    std::size_t next = (code_.presets.size() + 1) / 2 * 2;
    for (const char width : {'8', '4', 'p'}) {
      for (const auto& [prefix, declared] : kernel_.registers) {
        const auto& [type, count] = declared;
        const char its = type == "pred"                                                     ? 'p'
                         : type == "b64" || type == "u64" || type == "s64"                  ? '8'
                         : type == "b32" || type == "u32" || type == "s32" || type == "f32" ? '4'
                                                                                            : '?';
        if (its == '?') return bad("registers of type " + type);
        if (its != width) continue;
        for (unsigned i = 0; i < count; ++i, next += width == '8' ? 2 : 1)
          registers_[prefix + std::to_string(i)] = {static_cast<std::uint16_t>(next), width};
      }
    }
    if (next > 0xffff) return bad("more registers than there are slots");
    code_.slots = (next + 1) / 2 * 2;
    return {};
  }

  void emit(Op op, std::initializer_list<std::uint16_t> slots, std::int32_t immediate = 0) {
    Instruction i{op, {}, immediate};
    std::size_t n = 0;
    for (const std::uint16_t slot : slots) i.slot[n++] = slot;
    code_.instructions.push_back(i);
    code_.statement.push_back(statement_);
  }

  Result<std::uint16_t> source(const std::string& operand, char width) const {
    if (const auto r = registers_.find(operand); r != registers_.end()) {
      if (r->second.width != width) return bad(operand + " has another width");
      return r->second.slot;
    }
    if (const auto p = presets_.find(operand + width); p != presets_.end()) return p->second;
    return bad("unknown operand " + operand);
  }
  Result<std::uint16_t> destination(const std::string& operand, char width) const {
    const auto r = registers_.find(operand);
    if (r == registers_.end() || r->second.width != width) return bad(operand + " cannot be written to here");
    return r->second.slot;
  }

  Status translate(const Statement& s) {
    const bool jump = s.opcode == "bra" || s.opcode == "bra.uni";
    std::uint16_t predicate = 0;
    if (!s.predicate.empty()) {
      BRAINLOCK_ASSIGN(predicate, source(s.predicate, 'p'));
    }
    if (jump) return translate_jump(s, predicate);
    // Another instruction under a predicate: a jump over it, to the next statement.
    if (!s.predicate.empty())
      emit(s.negated ? Op::kGotoIf : Op::kGotoUnless, {predicate}, static_cast<std::int32_t>(statement_ + 1));
    static const std::unordered_map<std::string, Op> bare = {
        {"ret", Op::kReturn},
        {"exit", Op::kReturn},
        {"griddepcontrol.wait", Op::kWaitForEarlier},
        {"griddepcontrol.launch_dependents", Op::kLaunchDependents},
        {"barrier.cluster.arrive.release.aligned", Op::kClusterArrive},
        {"barrier.cluster.arrive.aligned", Op::kClusterArrive},  // release, if nothing is said
        {"barrier.cluster.arrive.relaxed.aligned", Op::kClusterArriveRelaxed},
        {"barrier.cluster.wait.acquire.aligned", Op::kClusterWait},
        {"barrier.cluster.wait.aligned", Op::kClusterWait}};
    if (const auto found = bare.find(s.opcode); found != bare.end() && s.operands.empty()) {
      if (module_.target < 90 && found->second != Op::kReturn) return bad("not before sm_90");
      code_.waits_for_earlier = code_.waits_for_earlier || found->second == Op::kWaitForEarlier;
      emit(found->second, {});
      return {};
    }
    if (s.opcode == "bar.sync" || s.opcode == "barrier.sync.aligned") {
      if (s.operands.empty() || s.operands.size() > 2 || !is_number(s.operands[0]))
        return bad("this barrier is not known");
      BRAINLOCK_ASSIGN(const std::uint64_t barrier, number(s.operands[0]));
      if (barrier > 15) return bad("there are 16 barriers");
      std::uint16_t count = 0;
      if (s.operands.size() == 2) {
        BRAINLOCK_ASSIGN(count, source(s.operands[1], '4'));
      }
      emit(s.operands.size() == 2 ? Op::kBarrierOf : Op::kBarrier, {count}, static_cast<std::int32_t>(barrier));
      return {};
    }
    if (s.opcode.compare(0, 3, "ld.") == 0 || s.opcode.compare(0, 3, "st.") == 0) return translate_memory(s);
    const auto form = plain_forms().find(s.opcode);
    if (form == plain_forms().end()) return bad("this instruction is not known");
    const std::string widths = form->second.widths;
    if (widths.size() != s.operands.size()) return bad("another number of operands is expected");
    Instruction i{form->second.op, {}, 0};
    BRAINLOCK_ASSIGN(i.slot[0], destination(s.operands[0], widths[0]));
    for (std::size_t n = 1; n < widths.size(); ++n) {
      BRAINLOCK_ASSIGN(i.slot[n], source(s.operands[n], widths[n]));
    }
    if (i.op == Op::kMap && module_.target < 90) return bad("not before sm_90");
    code_.instructions.push_back(i);
    code_.statement.push_back(statement_);
    return {};
  }

  Status translate_jump(const Statement& s, std::uint16_t predicate) {
    const auto label = s.operands.size() == 1 ? kernel_.labels.find(s.operands[0]) : kernel_.labels.end();
    if (label == kernel_.labels.end()) return bad("no such label");
    emit(s.predicate.empty() ? Op::kGoto
         : s.negated         ? Op::kGotoUnless
                             : Op::kGotoIf,
         {predicate}, static_cast<std::int32_t>(label->second));
    return {};
  }

  /// "[%rd1+-8]", "[name+8]": the slot and the offset.
  Result<std::pair<std::uint16_t, std::int32_t>> address(const std::string& operand, char width) const {
    if (operand.size() < 3 || operand.front() != '[' || operand.back() != ']')
      return bad("an address is expected, not " + operand);
    const std::string inner = operand.substr(1, operand.size() - 2);
    const std::size_t plus = inner.find('+');
    std::int32_t offset = 0;
    if (plus != std::string::npos) {
      BRAINLOCK_ASSIGN(const std::uint64_t value, number(inner.substr(plus + 1)));
      offset = static_cast<std::int32_t>(value);
    }
    BRAINLOCK_ASSIGN(const std::uint16_t slot, source(inner.substr(0, plus), width));
    return std::make_pair(slot, offset);
  }

  Status translate_memory(const Statement& s) {
    const bool load = s.opcode[0] == 'l';
    std::string rest = s.opcode.substr(3);
    const auto take = [&](const char* what) {
      const std::size_t n = std::strlen(what);
      const bool found = rest.compare(0, n, what) == 0;
      if (found) rest.erase(0, n);
      return found;
    };
    Op first = load ? Op::kLoadGeneric1 : Op::kStoreGeneric1;
    char width = '8';  // of an address
    if (load && take("global.nc.")) {
      first = Op::kLoadConstant1;
    } else if (take("global.")) {
      first = load ? Op::kLoadGlobal1 : Op::kStoreGlobal1;
    } else if (take("shared::cluster.")) {
      if (module_.target < 90) return bad("not before sm_90");
      first = load ? Op::kLoadCluster1 : Op::kStoreCluster1;
      width = '4';
    } else if (take("shared.") || take("shared::cta.")) {
      first = load ? Op::kLoadShared1 : Op::kStoreShared1;
      width = '4';
    } else if (load && take("param.")) {
      first = Op::kLoadParameter1;
    }
    const unsigned elements = take("v2.") ? 2 : take("v4.") ? 4 : 1;
    const bool wide = rest == "u64" || rest == "b64";
    if (!wide && rest != "u32" && rest != "b32" && rest != "f32" && rest != "s32")
      return bad("this access is not known");
    const unsigned words = elements * (wide ? 2 : 1);
    if (s.operands.size() != 2 || words > 4) return bad("this access is not known");
    BRAINLOCK_ASSIGN(const auto at, address(s.operands[load ? 1 : 0], width));

    Instruction i{static_cast<Op>(static_cast<int>(first) + (words == 4 ? 2 : words == 2 ? 1 : 0)), {}, at.second};
    std::string list = s.operands[load ? 0 : 1];
    if (elements > 1) {
      if (list.front() != '{' || list.back() != '}') return bad("a vector is expected");
      list = list.substr(1, list.size() - 2);
    }
    std::vector<std::uint16_t> widened;
    unsigned word = 0;
    for (unsigned e = 0; e < elements; ++e) {
      const std::size_t comma = std::min(list.find(','), list.size());
      const std::string name = list.substr(0, comma);
      list.erase(0, std::min(comma + 1, list.size()));
      // A load may go to a wider register, which is filled up; here with zeros alone.
      const auto r = registers_.find(name);
      const bool widens = load && !wide && r != registers_.end() && r->second.width == '8';
      if (widens && rest == "s32") return bad("a sign is not extended here");
      const char its = wide || widens ? '8' : '4';
      std::uint16_t slot = 0;
      if (load) {
        BRAINLOCK_ASSIGN(slot, destination(name, its));
      } else {
        BRAINLOCK_ASSIGN(slot, source(name, its));
      }
      i.slot[word++] = slot;
      if (wide) i.slot[word++] = static_cast<std::uint16_t>(slot + 1);
      if (widens) widened.push_back(static_cast<std::uint16_t>(slot + 1));
    }
    if (!list.empty()) return bad("the vector has more elements");
    i.slot[word] = at.first;
    code_.instructions.push_back(i);
    code_.statement.push_back(statement_);
    for (const std::uint16_t slot : widened) emit(Op::kClear4, {slot});
    return {};
  }

  const TextModule& module_;
  const TextKernel& kernel_;
  Code code_;
  std::uint32_t statement_ = 0;
  std::unordered_map<std::string, std::uint16_t> presets_;  ///< name and width -> slot
  std::unordered_map<std::string, Register> registers_;
};

}  // namespace

std::string Code::where(std::size_t instruction) const {
  const Statement& s = statements[std::min<std::size_t>(statement[instruction], statements.size() - 1)];
  return "line " + std::to_string(s.line) + ": " + s.text();
}

Result<Code> compile(const TextModule& module, const TextKernel& kernel) {
  Result<Code> code = Compiler(module, kernel).compile();
  return code.ok() ? std::move(code) : Result<Code>(code.error().in(kernel.name));
}

}  // namespace brainlock::device_cuda::machine
