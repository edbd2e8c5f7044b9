// state: may the data be written? disk: is there room? log: may the log file be written?
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "patient.hpp"

namespace brainlock::doctor {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReadOnly = " is on a disk that is mounted read-only";

/// The folder, or the nearest above it that is there.
fs::path nearest(const fs::path& wanted) {
  std::error_code error;
  fs::path folder = fs::absolute(wanted, error);
  struct stat info {};
  while (::stat(folder.c_str(), &info) != 0 && errno == ENOENT && folder != folder.root_path()) folder = folder.parent_path();
  return folder;
}

/// What keeps this user from making files in a folder; empty if nothing does.
std::string obstacle(const fs::path& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) return folder.string() + ": " + std::strerror(errno);
  if (!S_ISDIR(info.st_mode)) return folder.string() + " is not a folder";
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) == 0 && (disk.f_flag & ST_RDONLY) != 0) return folder.string() + kReadOnly;
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) return folder.string() + ": " + std::strerror(errno);
  return {};
}

Finding state_of(const Patient& patient) {
  const fs::path& state = patient.setup.state;
  const fs::path there = nearest(state);
  std::error_code error;
  const std::string why = obstacle(there);
  std::string next = "make it a folder that user " + patient.machine.user + " may write (`install -d -m 700 -o USER " + state.string() + "`), or name another by --state";
  if (why.ends_with(kReadOnly)) next = "mount that disk for writing (`dmesg` says whether it failed), or name another folder by --state";
  if (!why.empty()) return failure(why, next);
  if (there != fs::absolute(state, error)) return ok(state.string() + " will be made");
  // One folder further in: the keys may have been made by another user, as root by hand for example.
  if (const fs::path keys = state / "keys"; fs::exists(keys, error)) {
    if (const std::string inner = obstacle(keys); !inner.empty()) return failure(inner, "`chown -R` of " + state.string() + " to the user of the service");
  }
  return ok(state.string() + " can be written");
}

Finding disk_of(const Patient& patient) {
  const fs::path there = nearest(patient.setup.state);
  struct statvfs disk {};
  if (::statvfs(there.c_str(), &disk) != 0) return failure(there.string() + ": " + std::strerror(errno), "look at that disk (`dmesg`, `df`)");
  // Some file systems count no files.
  const std::uint64_t files = disk.f_files == 0 ? UINT64_MAX : disk.f_favail;
  return judge_disk(patient.setup.role, patient.setup.state.string(), std::uint64_t{disk.f_bavail} * disk.f_frsize, files, patient.key_bytes());
}

Finding log_of(const Patient& patient) {
  const fs::path& file = patient.setup.log_file;
  std::error_code error;
  const fs::path folder = fs::absolute(file, error).parent_path();
  const std::string next = "let user " + patient.machine.user + " write there, or name another --log-file";
  if (const std::string why = obstacle(folder); !why.empty()) return failure(why, next);
  if (fs::exists(file, error) && ::access(file.c_str(), W_OK) != 0) return failure(file.string() + ": " + std::strerror(errno), next);
  return ok(file.string() + " can be written");
}

}  // namespace

void add_disk_checks(std::vector<Check>& checks, const PatientPtr& patient) {
  const Finding late = failure("the disk does not answer", "look at it (`dmesg`, `mount`)");
  checks.push_back({"state", [patient] { return state_of(*patient); }, {}, {}, std::chrono::seconds(10), late});
  checks.push_back({"disk", [patient] { return disk_of(*patient); }, {"state"}, package_check_names(patient->setup), std::chrono::seconds(10), late});
  if (!patient->setup.log_file.empty()) checks.push_back({"log", [patient] { return log_of(*patient); }, {}, {}, std::chrono::seconds(10), late});
}

}  // namespace brainlock::doctor
