#include "brainlock/update/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

extern char** environ;  // NOLINT: POSIX's own name

namespace brainlock::update {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMaxOutput = 1 << 20;

struct Descriptor {
  int value = -1;
  ~Descriptor() { close(); }
  void close() {
    if (value >= 0) ::close(value);
    value = -1;
  }
};

/// Starts it; signals are as in a fresh process, whatever this one blocks.
int start(pid_t& child, const std::vector<std::string>& words, int output) {
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  if (output != STDERR_FILENO) ::posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  const int failed = ::posix_spawnp(&child, arguments[0], &files, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  return failed;
}

int status_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

/// Takes what there is without waiting; false when there will be no more.
bool take(int pipe, std::string& out) {
  char bytes[16 * 1024];
  while (true) {
    const ssize_t got = ::read(pipe, bytes, sizeof bytes);
    if (got > 0) {
      out.append(bytes, static_cast<std::size_t>(got));
      if (out.size() > kMaxOutput) return true;
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    return got < 0 && errno == EAGAIN;
  }
}

}  // namespace

Result<Finished> run_program(const std::vector<std::string>& words, std::chrono::milliseconds limit, Output output) {
  if (words.empty()) return Error{ErrorCode::kInvalidArgument, "no program"};
  Descriptor reading, writing;
  if (output == Output::kTake) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return Error{ErrorCode::kIo, std::string("no pipe: ") + std::strerror(errno)};
    reading.value = ends[0];
    writing.value = ends[1];
    ::fcntl(reading.value, F_SETFL, O_NONBLOCK);
  }
  pid_t child = 0;
  const int failed = start(child, words, output == Output::kTake ? writing.value : STDERR_FILENO);
  writing.close();
  if (failed != 0) {
    const ErrorCode code = failed == ENOENT   ? ErrorCode::kNotFound
                           : failed == EACCES ? ErrorCode::kDenied
                                              : ErrorCode::kIo;
    return Error{code, words[0] + ": cannot be run: " + std::strerror(failed)};
  }
  // Tells when it has ended, though its pipe may live on in what it started.
  const Descriptor ended{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
  const auto end = Clock::now() + limit;
  Finished out;
  bool open = reading.value >= 0;
  const auto kill_it = [&] {
    ::kill(-child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  };
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) {
      kill_it();
      return Error{ErrorCode::kTimeout,
                   words[0] + ": has not ended within " + std::to_string(limit.count() / 1000) + " s, and was killed"};
    }
    pollfd what[2] = {{ended.value, POLLIN, 0}, {open ? reading.value : -1, POLLIN, 0}};
    // Without such a descriptor (an old kernel, a strict container): looked at every now and then.
    ::poll(what, 2, static_cast<int>(std::min<std::int64_t>(left, ended.value >= 0 ? 1000 : 20)));
    if (open) open = take(reading.value, out.output);
    if (out.output.size() > kMaxOutput) {
      kill_it();
      return Error{ErrorCode::kTooLarge, words[0] + ": says more than 1 MB"};
    }
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) {
      if (open) take(reading.value, out.output);
      out.status = status_of(status);
      return out;
    }
  }
}

}  // namespace brainlock::update
