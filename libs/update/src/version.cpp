#include "brainlock/update/version.hpp"

#include <gnu/libc-version.h>
#include <sys/utsname.h>

#include <array>
#include <charconv>
#include <span>

namespace brainlock::update {
namespace {

constexpr std::uint32_t kLargest = 999'999;

/// Decimal numbers between dots, as many as there is room for and no more.
bool take_numbers(std::string_view text, std::span<std::uint32_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i > 0) {
      if (!text.starts_with('.')) return false;
      text.remove_prefix(1);
    }
    if (text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out[i]);
    if (error != std::errc() || out[i] > kLargest) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return text.empty();
}

Error wrong(std::string_view text, const char* form) {
  std::string shown(text.substr(0, 40));
  for (char& c : shown) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return {ErrorCode::kMalformed, std::string("expected a version ").append(form).append(", got '") + shown + "'"};
}

}  // namespace

std::string Version::text() const {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

Result<Version> parse_version(std::string_view text) {
  std::array<std::uint32_t, 3> numbers{};
  if (!take_numbers(text, numbers)) return wrong(text, "MAJOR.MINOR.PATCH");
  return Version{numbers[0], numbers[1], numbers[2]};
}

std::string GlibcVersion::text() const { return std::to_string(major) + "." + std::to_string(minor); }

Result<GlibcVersion> parse_glibc_version(std::string_view text) {
  std::array<std::uint32_t, 2> numbers{};
  if (!take_numbers(text, numbers)) return wrong(text, "MAJOR.MINOR of glibc");
  return GlibcVersion{numbers[0], numbers[1]};
}

GlibcVersion running_glibc() {
  // A development version has a third part.
  std::string_view text = ::gnu_get_libc_version();
  const auto first = text.find('.');
  if (first != std::string_view::npos) text = text.substr(0, text.find('.', first + 1));
  const auto version = parse_glibc_version(text);
  return version.ok() ? version.value() : GlibcVersion{};
}

std::string running_architecture() {
  utsname names{};
  return ::uname(&names) == 0 ? names.machine : "unknown";
}

}  // namespace brainlock::update
