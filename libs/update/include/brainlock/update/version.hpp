// Versions of the program: three numbers with a total order.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "brainlock/base/result.hpp"

namespace brainlock::update {

/// MAJOR.MINOR.PATCH; the first that differs decides.
struct Version {
  std::uint32_t major = 0, minor = 0, patch = 0;
  auto operator<=>(const Version&) const = default;
  [[nodiscard]] std::string text() const;
};
/// Exactly three decimal numbers below 10^6 without leading zeros, so that equal versions have equal texts. kMalformed.
Result<Version> parse_version(std::string_view text);

/// glibc's own: MAJOR.MINOR.
struct GlibcVersion {
  std::uint32_t major = 0, minor = 0;
  auto operator<=>(const GlibcVersion&) const = default;
  [[nodiscard]] std::string text() const;
};
/// kMalformed.
Result<GlibcVersion> parse_glibc_version(std::string_view text);

/// What this process runs on.
GlibcVersion running_glibc();
/// As the kernel names it: x86_64, aarch64.
std::string running_architecture();

}  // namespace brainlock::update
