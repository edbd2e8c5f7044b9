#include "brainlock/chain/pairing_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "brainlock/crypto/bytes.hpp"

namespace brainlock::chain {
namespace {

constexpr const char* kName = "brainlock-pairing";
constexpr std::size_t kInputBytes = 32 + 32 + 96;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

Result<pid_t> start(const std::filesystem::path& program, int channel) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, channel, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, channel, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  // Neither this process's environment nor the signals that it holds back.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  char name[] = "brainlock-pairing";
  char* arguments[] = {name, nullptr};
  char* environment[] = {nullptr};
  pid_t child = -1;
  const int failed = posix_spawn(&child, program.c_str(), &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return Error{ErrorCode::kUnavailable, "cannot start " + program.string() + ": " + std::strerror(failed)};
  return child;
}

// All that the child says until it closes the channel, at most one byte more than `most`.
Result<crypto::Bytes> read_all(int channel, std::size_t most, std::chrono::steady_clock::time_point until) {
  crypto::Bytes out(most + 1);
  std::size_t size = 0;
  while (size < out.size()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return Error{ErrorCode::kTimeout, std::string(kName) + " gave no answer in time"};
    pollfd wait{channel, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left, 1'000))) <= 0) continue;
    const auto got = ::recv(channel, out.data() + size, out.size() - size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  out.resize(size);
  return out;
}

// The child's status; from `until` on it is killed.
int wait_for(pid_t child, std::chrono::steady_clock::time_point until) {
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= until) ::kill(child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return status;
}

Result<Blinded> run(const std::filesystem::path& program, crypto::ByteView input, std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Error{ErrorCode::kResource, std::string("socketpair: ") + std::strerror(errno)};
  const Descriptor ours(ends[0]);
  Descriptor theirs(ends[1]);
  BRAINLOCK_ASSIGN(const pid_t child, start(program, theirs.get()));
  theirs.close();
  // So few bytes fit into the socket, whether they are read or not.
  const bool sent = ::send(ours.get(), input.data(), input.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(input.size());
  ::shutdown(ours.get(), SHUT_WR);
  Blinded out;
  auto answer = read_all(ours.get(), out.point.size() + out.value.size(), until);
  ::shutdown(ours.get(), SHUT_RD);   // who has more to say fails
  const int status = wait_for(child, answer.ok() ? until : std::chrono::steady_clock::now());
  if (!answer.ok()) return answer.error();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Error{ErrorCode::kUnavailable, program.string() + " failed" + (WIFEXITED(status) ? " with exit code " + std::to_string(WEXITSTATUS(status)) : "")};
  }
  if (answer->size() != out.point.size() + out.value.size()) {
    return Error{ErrorCode::kMalformed, program.string() + " gave " + std::to_string(answer->size()) + " bytes, expected 672"};
  }
  if (!sent) return Error{ErrorCode::kUnavailable, program.string() + " answered without its input"};
  std::copy_n(answer->begin(), out.point.size(), out.point.begin());
  std::copy_n(answer->begin() + static_cast<std::ptrdiff_t>(out.point.size()), out.value.size(), out.value.begin());
  crypto::wipe(*answer);
  return out;
}

}  // namespace

PairingFunction pairing_program(std::filesystem::path program, std::chrono::milliseconds timeout) {
  return [program = std::move(program), timeout](crypto::ByteView round, crypto::ByteView r, crypto::ByteView key) -> Result<Blinded> {
    crypto::Bytes input;
    for (const auto part : {round, r, key}) input.insert(input.end(), part.begin(), part.end());
    if (input.size() != kInputBytes) return Error{ErrorCode::kInvalidArgument, "a pairing takes 32, 32 and 96 bytes"};
    auto out = run(program, input, timeout);
    crypto::wipe(input);
    return out;
  };
}

PairingFunction installed_pairing() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  auto program = self.parent_path() / kName;
  if (::access(program.c_str(), X_OK) != 0) return {};
  return pairing_program(std::move(program));
}

}  // namespace brainlock::chain
