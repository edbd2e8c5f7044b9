#include "text.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace brainlock::doctor {
namespace {

template <typename... Values>
std::string print(const char* format, Values... values) {
  char text[48];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace

std::string bytes_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e11) return print("%.0f GB", value * 1e-9);
  if (value >= 1e9) return print("%.1f GB", value * 1e-9);
  if (value >= 1e6) return print("%.0f MB", value * 1e-6);
  if (value >= 1e3) return print("%.0f KB", value * 1e-3);
  return print("%.0f bytes", value);
}

std::string duration_text(std::int64_t ms) {
  const double seconds = std::abs(static_cast<double>(ms)) / 1000;
  if (seconds < 100) return print("%.1f s", seconds);
  if (seconds < 7200) return print("%.0f min", seconds / 60);
  if (seconds < 172'800) return print("%.0f h", seconds / 3600);
  return print("%.0f days", seconds / 86'400);
}

std::string tao_text(std::uint64_t rao) { return print("%.4g", static_cast<double>(rao) * 1e-9); }

}  // namespace brainlock::doctor
