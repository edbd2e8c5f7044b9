#include "ui.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace brainlock::app {

void fail(const Error& error) {
  std::fprintf(stderr, "brainlock: error: %s\n", error.to_string().c_str());
  throw ExitWith{error.code == ErrorCode::kCancelled ? kExitInterrupted : kExitFailed};
}

std::string human_bytes(std::uint64_t bytes) {
  char text[32];
  const double b = static_cast<double>(bytes);
  if (b >= 1e9) std::snprintf(text, sizeof text, "%.2f GB", b * 1e-9);
  else if (b >= 1e6) std::snprintf(text, sizeof text, "%.1f MB", b * 1e-6);
  else if (b >= 1e3) std::snprintf(text, sizeof text, "%.1f KB", b * 1e-3);
  else std::snprintf(text, sizeof text, "%.0f B", b);
  return text;
}

std::string human_seconds(double seconds) {
  char text[32];
  if (seconds < 1) std::snprintf(text, sizeof text, "%.0f ms", seconds * 1e3);
  else if (seconds < 100) std::snprintf(text, sizeof text, "%.2f s", seconds);
  else std::snprintf(text, sizeof text, "%d min %02d s", static_cast<int>(seconds) / 60, static_cast<int>(seconds) % 60);
  return text;
}

std::uint64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

Progress::Progress(std::string what, bool quiet)
    : what_(std::move(what)), quiet_(quiet || isatty(STDERR_FILENO) == 0), start_(std::chrono::steady_clock::now()), last_(start_) {}

Progress::~Progress() {
  if (shown_) std::fprintf(stderr, "\r\033[K");
}

void Progress::update(std::size_t done, std::size_t total, const std::string& detail) {
  if (quiet_) return;
  const auto now = std::chrono::steady_clock::now();
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  if (elapsed < 1 || std::chrono::duration<double>(now - last_).count() < 0.1) return;
  last_ = now;
  shown_ = true;
  const double left = done > 0 ? elapsed * static_cast<double>(total - done) / static_cast<double>(done) : 0;
  std::fprintf(stderr, "\r\033[K%s %zu/%zu %s, %s left", what_.c_str(), done, total, detail.c_str(), human_seconds(left).c_str());
  std::fflush(stderr);
}

}  // namespace brainlock::app
