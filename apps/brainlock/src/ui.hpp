// How the command talks: errors with a next step, progress with time left, sizes and times for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "brainlock/base/result.hpp"
#include "commands.hpp"

namespace brainlock::app {

/// Prints "brainlock: error: ..." to stderr and ends the command with exit code 1.
[[noreturn]] void fail(const Error& error);

/// The value, or fail().
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) fail(result.error());
  return std::move(result).value();
}
inline void must(const Status& status) {
  if (!status.ok()) fail(status.error());
}

/// "12.3 MB", "840 KB".
std::string human_bytes(std::uint64_t bytes);
/// "412 ms", "3.1 s", "2 min 05 s".
std::string human_seconds(double seconds);
/// Largest resident set of this process so far.
std::uint64_t peak_rss_bytes();

/// A line on stderr that says what is going on, how far it is and how long it will take. Appears after a second only,
/// and only on a terminal; `quiet` never.
class Progress {
 public:
  explicit Progress(std::string what, bool quiet = false);
  ~Progress();
  void update(std::size_t done, std::size_t total, const std::string& detail = {});

 private:
  std::string what_;
  bool quiet_, shown_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

/// Seconds since construction.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace brainlock::app
