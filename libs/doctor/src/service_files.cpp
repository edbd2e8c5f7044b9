#include "brainlock/doctor/service_files.hpp"

#include <algorithm>

#include "brainlock/base/file.hpp"

namespace brainlock::doctor {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 20;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool is_name(std::string_view text) {
  const auto fits = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !text.empty() && !(text.front() >= '0' && text.front() <= '9') && std::all_of(text.begin(), text.end(), fits);
}

/// A value without its quotes: inside of double ones and outside of any, a backslash keeps the next character.
Result<std::string> unquoted(std::string_view text) {
  std::string out;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && (c == '"' || c == '\'')) quote = c;
    else if (quote != 0 && c == quote) quote = 0;
    else if (c == '\\' && quote != '\'' && i + 1 < text.size()) out += text[++i];
    else out += c;
  }
  if (quote != 0) return Error{ErrorCode::kMalformed, "a quote is not closed"};
  return out;
}

Result<std::string> read_text(const std::filesystem::path& file) {
  BRAINLOCK_ASSIGN(const auto bytes, read_file(file, kMaxFileBytes));
  return std::string(bytes.begin(), bytes.end());
}

/// Lines that end with a backslash go on.
std::vector<std::string> joined_lines(std::string_view text) {
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\n') {
      lines.back() += ' ';
      ++i;
    } else if (text[i] == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += text[i];
    }
  }
  return lines;
}

const std::string* value_of(const Variables& variables, std::string_view name) {
  const auto found = std::find_if(variables.rbegin(), variables.rend(), [&](const auto& variable) { return variable.first == name; });
  return found == variables.rend() ? nullptr : &found->second;
}

/// "64M" as bytes, "4096"; the soft one of "SOFT:HARD". Nothing for "infinity".
std::optional<std::uint64_t> limit_value(std::string_view text) {
  std::uint64_t value = 0;
  std::size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9' && i < 18; ++i) value = value * 10 + static_cast<std::uint64_t>(text[i] - '0');
  if (i == 0) return std::nullopt;
  const std::string_view unit = text.substr(i, 1);
  if (unit == "K") value <<= 10;
  if (unit == "M") value <<= 20;
  if (unit == "G") value <<= 30;
  return value;
}

}  // namespace

Result<Variables> parse_environment_file(std::string_view text) {
  Variables out;
  std::size_t number = 0;
  for (const auto& line : joined_lines(text)) {
    ++number;
    const std::string_view rest = trimmed(line);
    if (rest.empty() || rest.front() == '#' || rest.front() == ';') continue;
    const auto equals = rest.find('=');
    const std::string_view name = trimmed(rest.substr(0, std::min(equals, rest.size())));
    if (equals == std::string_view::npos || !is_name(name)) return Error{ErrorCode::kMalformed, "line " + std::to_string(number) + ": expected NAME=VALUE"};
    auto value = unquoted(trimmed(rest.substr(equals + 1)));
    if (!value.ok()) return value.error().in("line " + std::to_string(number));
    out.emplace_back(std::string(name), std::move(*value));
  }
  return out;
}

Result<std::vector<std::string>> split_words(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    while (!text.empty() && (is_space(text.front()) || text.front() == '\n')) text.remove_prefix(1);
    if (text.empty()) return out;
    char quote = 0;
    std::size_t end = 0;
    for (; end < text.size(); ++end) {
      const char c = text[end];
      if (quote != 0 ? c == quote : (c == '"' || c == '\'')) quote = quote != 0 ? char{0} : c;
      else if (c == '\\' && quote != '\'' && end + 1 < text.size()) ++end;
      else if (quote == 0 && (is_space(c) || c == '\n')) break;
    }
    BRAINLOCK_ASSIGN(auto word, unquoted(text.substr(0, std::min(end, text.size()))));
    out.push_back(std::move(word));
    text.remove_prefix(std::min(end, text.size()));
  }
}

Result<ServiceFile> read_environment_file(const std::filesystem::path& file, std::string_view variable) {
  BRAINLOCK_ASSIGN(const auto text, read_text(file));
  ServiceFile out;
  auto variables = parse_environment_file(text);
  if (!variables.ok()) return variables.error().in(file.string());
  out.variables = std::move(*variables);
  out.environment_file = file;
  const std::string* options = value_of(out.variables, variable);
  if (options == nullptr) return Error{ErrorCode::kNotFound, file.string() + " does not set " + std::string(variable)};
  auto words = split_words(*options);
  if (!words.ok()) return words.error().in(file.string());
  out.options = std::move(*words);
  return out;
}

Result<ServiceFile> read_unit_file(const std::filesystem::path& file, std::string_view role) {
  BRAINLOCK_ASSIGN(const auto text, read_text(file));
  ServiceFile out;
  std::string start;
  for (const auto& line : joined_lines(text)) {
    const std::string_view rest = trimmed(line);
    const auto equals = rest.find('=');
    if (rest.empty() || rest.front() == '#' || rest.front() == ';' || equals == std::string_view::npos) continue;
    const std::string_view key = trimmed(rest.substr(0, equals));
    const std::string_view value = trimmed(rest.substr(equals + 1));
    if (key == "ExecStart") start = value;
    if (key == "User") out.user = value;
    if (key == "LimitNOFILE") out.open_files = limit_value(value);
    if (key == "LimitMEMLOCK") out.locked_bytes = limit_value(value);
    if (key == "Environment") {
      BRAINLOCK_ASSIGN(const auto words, split_words(value));
      for (const auto& word : words) {
        const auto sign = word.find('=');
        if (sign != std::string::npos) out.variables.emplace_back(word.substr(0, sign), word.substr(sign + 1));
      }
    }
    if (key == "EnvironmentFile") {
      const bool may_be_absent = value.starts_with('-');
      const std::filesystem::path named = std::string(may_be_absent ? value.substr(1) : value);
      const auto more = read_text(named);
      if (!more.ok() && may_be_absent) continue;
      if (!more.ok()) return more.error();
      auto variables = parse_environment_file(*more);
      if (!variables.ok()) return variables.error().in(named.string());
      out.variables.insert(out.variables.end(), variables->begin(), variables->end());
      out.environment_file = named;
    }
  }
  BRAINLOCK_ASSIGN(const auto words, split_words(start));
  if (words.size() < 2 || std::filesystem::path(words[0]).filename() != "brainlock" || words[1] != role) {
    return Error{ErrorCode::kNotFound, file.string() + ": ExecStart does not run `brainlock " + std::string(role) + "`"};
  }
  for (std::size_t i = 2; i < words.size(); ++i) {
    // A word $NAME is as many words as its value has; systemd's other forms are not used by our units.
    const std::string* value = words[i].starts_with('$') && is_name(words[i].substr(1)) ? value_of(out.variables, words[i].substr(1)) : nullptr;
    if (value == nullptr) {
      if (!words[i].starts_with('$')) out.options.push_back(words[i]);
      continue;
    }
    BRAINLOCK_ASSIGN(const auto more, split_words(*value));
    out.options.insert(out.options.end(), more.begin(), more.end());
  }
  return out;
}

}  // namespace brainlock::doctor
