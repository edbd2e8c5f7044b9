#include "machine/ptx_text.hpp"

#include <cctype>
#include <charconv>

namespace brainlock::device_cuda::machine {
namespace {

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
std::string_view trimmed(std::string_view s) {
  while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
  return s;
}
bool starts_with(std::string_view s, std::string_view what) { return s.substr(0, what.size()) == what; }

/// Words between spaces, commas and brackets: enough for directives.
std::vector<std::string> words_of(std::string_view s) {
  std::vector<std::string> out(1);
  for (const char c : s) {
    const bool ends = is_space(c) || c == ',' || c == '[' || c == ']' || c == '<' || c == '>' || c == '(' || c == ')';
    if (!ends) out.back().push_back(c);
    if (ends && !out.back().empty()) out.emplace_back();
  }
  if (out.back().empty()) out.pop_back();
  return out;
}
unsigned number(std::string_view s) {
  unsigned value = 0;
  std::from_chars(s.data(), s.data() + s.size(), value);
  return value;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<TextModule> parse() {
    while (at_ < text_.size()) {
      skip_space();
      if (at_ == text_.size()) break;
      const unsigned line = line_;
      if (text_[at_] == '{') {
        if (!in_entry_) return bad(line, "a brace outside of a kernel");
        next();
        BRAINLOCK_TRY(body());
        in_entry_ = false;
        continue;
      }
      BRAINLOCK_TRY(directive(line));
    }
    if (module_.target == 0) return bad(line_, "no .target");
    return std::move(module_);
  }

 private:
  static Error bad(unsigned line, const std::string& what) {
    return {ErrorCode::kInvalidArgument, "PTX line " + std::to_string(line) + ": " + what};
  }
  void next() { line_ += text_[at_++] == '\n' ? 1 : 0; }
  void skip_space() {
    for (;;) {
      while (at_ < text_.size() && is_space(text_[at_])) next();
      if (!starts_with(text_.substr(at_), "//")) return;
      while (at_ < text_.size() && text_[at_] != '\n') next();
    }
  }
  std::string_view rest_of_line() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '\n') next();
    const std::string_view line = text_.substr(begin, at_ - begin);
    return trimmed(line.substr(0, line.find("//")));
  }
  /// Up to `end`, which is passed over; comments become spaces.
  std::string up_to(char end) {
    std::string out;
    while (at_ < text_.size() && text_[at_] != end) {
      if (starts_with(text_.substr(at_), "//")) {
        while (at_ < text_.size() && text_[at_] != '\n') next();
        continue;
      }
      out.push_back(text_[at_]);
      next();
    }
    if (at_ < text_.size()) next();
    return out;
  }

  /// Outside of a kernel's body: a line, or a kernel's head.
  Status directive(unsigned line) {
    const std::string_view rest = text_.substr(at_);
    if (starts_with(rest, ".visible .entry") || starts_with(rest, ".entry")) return entry(line);
    const std::string_view text = rest_of_line();
    const std::vector<std::string> words = words_of(text);
    if (words[0] == ".version" || words[0] == ".address_size" || words[0] == ".minnctapersm") {
      if (words[0] == ".address_size" && words[1] != "64") return bad(line, "addresses of 64 bits are expected");
      return {};
    }
    if (words[0] == ".target" && starts_with(words[1], "sm_")) {
      module_.target = number(std::string_view(words[1]).substr(3));
      return {};
    }
    if (words[0] == ".extern" && words.size() >= 6 && words[1] == ".shared" && words[2] == ".align" &&
        number(words[3]) <= 16 && words[4] == ".b8") {
      module_.dynamic_shared = words[5];
      return {};
    }
    if (in_entry_ && (words[0] == ".maxntid" || words[0] == ".reqntid")) {
      unsigned threads = 1;
      for (std::size_t i = 1; i < words.size(); ++i) threads *= number(words[i]);
      (words[0] == ".maxntid" ? kernel().most_threads : kernel().exact_threads) = threads;
      return {};
    }
    return bad(line, "unknown directive: " + std::string(text));
  }
  TextKernel& kernel() { return module_.kernels.back(); }

  Status entry(unsigned line) {
    const std::vector<std::string> head = words_of(up_to('('));
    module_.kernels.emplace_back();
    kernel().line = line;
    kernel().name = head.back();
    const std::vector<std::string> words = words_of(up_to(')'));
    in_entry_ = true;
    if (words.empty()) return {};
    if (words.size() != 6 || words[0] != ".param" || words[1] != ".align" || words[3] != ".b8")
      return bad(line, "a kernel whose parameters are not one struct");
    kernel().parameter_alignment = number(words[2]);
    kernel().parameter = words[4];
    kernel().parameter_bytes = number(words[5]);
    return {};
  }

  Status body() {
    for (;;) {
      skip_space();
      if (at_ == text_.size()) return bad(line_, "the end within a kernel");
      const unsigned line = line_;
      if (text_[at_] == '}') {
        next();
        return {};
      }
      // A label stands before a colon, with no space in it.
      std::size_t end = at_;
      while (end < text_.size() && !is_space(text_[end]) && text_[end] != ':' && text_[end] != ';') ++end;
      if (end < text_.size() && text_[end] == ':' && text_.substr(end, 2) != "::" && text_[at_] == '$') {
        kernel().labels[std::string(text_.substr(at_, end - at_))] = kernel().statements.size();
        at_ = end + 1;
        continue;
      }
      const std::string raw = up_to(';');
      const std::string_view text = trimmed(raw);
      BRAINLOCK_TRY(text.front() == '.' ? declaration(line, text) : statement(line, text));
    }
  }

  Status declaration(unsigned line, std::string_view text) {
    if (starts_with(text, ".pragma")) return {};  // hints
    const std::vector<std::string> words = words_of(text);
    if (words.size() == 4 && words[0] == ".reg" && words[1][0] == '.') {
      kernel().registers[words[2]] = {words[1].substr(1), number(words[3])};
      return {};
    }
    return bad(line, "unknown declaration: " + std::string(text));
  }

  Status statement(unsigned line, std::string_view text) {
    Statement s;
    s.line = line;
    if (text.front() == '@') {
      text.remove_prefix(1);
      s.negated = text.front() == '!';
      if (s.negated) text.remove_prefix(1);
      std::size_t end = 0;
      while (end < text.size() && !is_space(text[end])) ++end;
      s.predicate = std::string(text.substr(0, end));
      text = trimmed(text.substr(end));
    }
    std::size_t end = 0;
    while (end < text.size() && !is_space(text[end])) ++end;
    s.opcode = std::string(text.substr(0, end));
    int depth = 0;
    std::string operand;
    for (const char c : text.substr(end)) {
      depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
      if (c == ',' && depth == 0) {
        s.operands.push_back(std::exchange(operand, {}));
      } else if (!is_space(c)) {
        operand.push_back(c);
      }
    }
    if (!operand.empty()) s.operands.push_back(operand);
    kernel().statements.push_back(std::move(s));
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  unsigned line_ = 1;
  bool in_entry_ = false;
  TextModule module_;
};

}  // namespace

std::string Statement::text() const {
  std::string out;
  if (!predicate.empty()) out.append(negated ? "@!" : "@").append(predicate).append(" ");
  out += opcode;
  for (std::size_t i = 0; i < operands.size(); ++i) out += (i == 0 ? " " : ", ") + operands[i];
  return out;
}

Result<TextModule> parse_ptx(std::string_view text) { return Parser(text).parse(); }

}  // namespace brainlock::device_cuda::machine
