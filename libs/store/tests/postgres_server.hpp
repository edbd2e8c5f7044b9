// A real PostgreSQL server for one test: its own data directory, a Unix socket, no TCP, a random password.
#pragma once

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "brainlock/store/database.hpp"

namespace brainlock::store {

class PostgresServer {
 public:
  /// Where Debian keeps the newest server programs, or empty.
  static std::filesystem::path programs() {
    std::filesystem::path best;
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", failure)) {
      if (std::filesystem::exists(entry.path() / "bin/initdb", failure) && entry.path() > best) best = entry.path();
    }
    return best.empty() ? best : best / "bin";
  }

  /// Null if no PostgreSQL is installed or it did not start.
  static std::unique_ptr<PostgresServer> start() {
    std::unique_ptr<PostgresServer> server(new PostgresServer);
    if (programs().empty() || !server->create() || !server->launch()) return nullptr;
    return server;
  }

  ~PostgresServer() {
    if (pid_ > 0) stop(SIGQUIT);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  PostgresAddress address() const {
    PostgresAddress address;
    address.host = folder_;
    address.user = "brainlock";
    address.password = password_;
    address.database = "miner_data";
    return address;
  }

  /// One server for all tests of a process; null if there is none to be had.
  static PostgresServer* shared() {
    static const std::unique_ptr<PostgresServer> kServer = start();
    return kServer.get();
  }

  /// A new empty database on this server.
  PostgresAddress fresh_database() {
    PostgresAddress fresh = address();
    fresh.database = "test_" + std::to_string(++databases_);
    auto control = open_postgres(address());
    if (control.ok()) (void)(*control)->execute("CREATE DATABASE " + fresh.database, {});
    return fresh;
  }

  /// Kills the server with every child, as a power cut would.
  void kill_hard() { stop(SIGKILL); }

  bool launch() {
    pid_ = spawn({programs() / "postgres", "-D", folder_ + "/data", "-k", folder_, "-c", "listen_addresses=", "-c",
                  "unix_socket_permissions=0777", "-c", "max_connections=30"});
    for (int attempt = 0; attempt < 300; ++attempt) {
      PostgresAddress any = address();
      any.database = "postgres";
      if (auto database = open_postgres(any); database.ok()) {
        (void)(*database)->execute("CREATE DATABASE miner_data", {});  // there already after a restart
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

 private:
  PostgresServer() = default;

  bool create() {
    char name[] = "/tmp/brainlock_pg_XXXXXX";
    if (mkdtemp(name) == nullptr) return false;
    folder_ = name;
    password_ = "pw";
    std::ifstream random("/dev/urandom", std::ios::binary);
    for (int i = 0; i < 16; ++i) password_ += static_cast<char>('a' + (random.get() & 15));
    std::ofstream(folder_ + "/password") << password_ << "\n";
    // PostgreSQL refuses to run as root: use Debian's account for it then.
    if (geteuid() == 0) {
      const passwd* account = getpwnam("postgres");
      if (account == nullptr) return false;
      user_ = account->pw_uid;
      group_ = account->pw_gid;
      if (chown(folder_.c_str(), user_, group_) != 0 || chown((folder_ + "/password").c_str(), user_, group_) != 0)
        return false;
    }
    const pid_t init =
        spawn({programs() / "initdb", "-D", folder_ + "/data", "-U", "brainlock", "--no-sync", "--auth=scram-sha-256",
               "--pwfile=" + folder_ + "/password", "--encoding=UTF8", "--locale=C"});
    int status = 0;
    return waitpid(init, &status, 0) == init && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  pid_t spawn(const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child != 0) return child;
    setpgid(0, 0);
    if (geteuid() == 0 && (setgroups(0, nullptr) != 0 || setgid(group_) != 0 || setuid(user_) != 0)) _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);  // a crashed test leaves no server behind
    if (chdir("/") != 0 || freopen((folder_ + "/log").c_str(), "a", stdout) == nullptr) _exit(125);
    dup2(STDOUT_FILENO, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }

  void stop(int signal) {
    if (signal == SIGKILL) {
      ::kill(-pid_, SIGKILL);  // the group: the postmaster's helpers too
    } else {
      ::kill(pid_, signal);
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    if (signal == SIGKILL) {
      std::error_code ignored;
      std::filesystem::remove(folder_ + "/data/postmaster.pid", ignored);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  std::string folder_;
  std::string password_;
  uid_t user_ = 0;
  gid_t group_ = 0;
  pid_t pid_ = -1;
  int databases_ = 0;
};

}  // namespace brainlock::store
