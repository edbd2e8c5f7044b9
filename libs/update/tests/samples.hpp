// A release like any other, for tests.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "brainlock/update/release.hpp"
#include "brainlock/update/state.hpp"

namespace brainlock::update {

inline constexpr std::int64_t kNow = 1'800'000'000;
inline constexpr std::int64_t kDay = 24 * 3600;

inline Release sample_release() {
  Release out;
  out.version = {0, 2, 0};
  out.created_s = kNow - kDay;
  out.expires_s = kNow + 30 * kDay;
  out.straight_from = {0, 1, 0};
  out.glibc = {2, 36};
  out.store = {1, 3};
  out.rollout = {{kNow - kDay, 100}};
  out.notes = "First line.\nSecond line.";
  ReleaseFile program;
  program.path = "bin/brainlock";
  program.size = 1000;
  program.sha256[0] = 7;
  program.executable = true;
  ReleaseFile page = program;
  page.path = "share/doc/page.html";
  page.executable = false;
  page.sha256[31] = 9;
  out.files["x86_64"] = {program, page};
  return out;
}

inline State sample_state() {
  State out;
  out.operator_id = "00112233445566778899aabbccddeeff";
  return out;
}

/// A folder that goes with the test.
struct TemporaryFolder {
  std::filesystem::path path;
  TemporaryFolder() {
    // In memory where that can be: these tests flush a disk thousands of times.
    const bool memory = ::access("/dev/shm", W_OK) == 0;
    std::string name = (memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
                       "brainlock_update_XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

inline void put(const std::filesystem::path& file, const std::string& text, bool executable = false) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  namespace fs = std::filesystem;
  if (executable)
    fs::permissions(file, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                              fs::perms::others_read | fs::perms::others_exec);
}

inline std::string get(const std::filesystem::path& file) {
  std::ostringstream out;
  out << std::ifstream(file, std::ios::binary).rdbuf();
  return out.str();
}

}  // namespace brainlock::update
