// database: SQLite or PostgreSQL; dataset: the pictures. A validator's.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "brainlock/sampler/source.hpp"
#include "patient.hpp"

namespace brainlock::doctor {
namespace {

constexpr int kLeastPostgres = 90'500;   // INSERT ... ON CONFLICT
constexpr auto kLockPatience = std::chrono::milliseconds(3'000);

std::string process_text(pid_t pid) { return pid > 0 ? "process " + std::to_string(pid) : "another process"; }

Finding judge_health(const PatientPtr& shared, const store::StoreHealth& health, const std::string& what, const std::string& more) {
  if (health.schema > health.newest_schema) {
    return failure(what + " has schema " + std::to_string(health.schema) + ", this program knows up to " + std::to_string(health.newest_schema), "a newer brainlock, or the backup from before the upgrade");
  }
  const std::string schema = health.schema == 0 ? ", nothing in it yet" : health.schema < health.newest_schema ? ", schema " + std::to_string(health.schema) + ", brought to " + std::to_string(health.newest_schema) + " at the start" : ", schema " + std::to_string(health.schema);
  Finding finding = ok(what + more + schema);
  finding.learn = [shared, health] { shared->health = health; };
  return finding;
}

Finding sqlite_of(const PatientPtr& shared, const std::filesystem::path& file) {
  const std::string name = file.string();
  const std::string restore = "stop the validator and restore the backup (docs/operation.md), or move the file away: the scores of the last 72 hours go with it";
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0 && errno == ENOENT) return ok(name + " will be made");
  if (S_ISREG(info.st_mode) && ::access(file.c_str(), R_OK | W_OK) != 0) return failure(name + ": " + std::strerror(errno), "let user " + shared->machine.user + " read and write it: `chown USER " + name + "*`");
  // A write takes moments. Whoever is in the middle of one each time is looked at holds the validator up.
  store::SqliteUse use = store::sqlite_use(file);
  for (const auto until = std::chrono::steady_clock::now() + kLockPatience; use.writer && std::chrono::steady_clock::now() < until;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    use = store::sqlite_use(file);
  }
  if (use.writer) return failure(name + " is locked by " + process_text(*use.writer) + ": nothing can be written", "end that process's transaction (`ps -p PID`); two validators need two folders");
  auto database = store::open_sqlite_read_only(file);
  if (!database.ok()) {
    if (database.error().code == ErrorCode::kUnsupported) return warning(database.error().message, "copy " + name + " alone, by `sqlite3 .backup`");
    return failure(database.error().message, restore);
  }
  const auto complaint = store::sqlite_complaint(**database);
  if (!complaint.ok() || !complaint->empty()) return failure(name + " is damaged: " + (complaint.ok() ? *complaint : complaint.error().message), restore);
  const auto health = store::inspect_store(**database);
  if (!health.ok()) return failure(name + ": " + health.error().message, restore);
  return judge_health(shared, *health, name, use.open_in ? ", open in " + process_text(*use.open_in) : "");
}

Finding postgres_of(const PatientPtr& shared, store::PostgresAddress address) {
  address.connect_timeout_s = 5;
  address.statement_timeout_ms = 5'000;
  auto database = store::open_postgres(address);
  if (!database.ok()) {
    std::string next = "is the server up (`pg_isready -h " + address.host + " -p " + std::to_string(address.port) + "`), and are POSTGRES_HOST and POSTGRES_PORT right?";
    if (database.error().code == ErrorCode::kDenied) next = "correct POSTGRES_USER and POSTGRES_PASSWORD";
    if (database.error().code == ErrorCode::kNotFound) next = "`createdb -O " + address.user + " " + address.database + "`, or correct POSTGRES_DB";
    return failure(database.error().message, next);
  }
  const std::string what = (*database)->describe();
  const auto server = store::inspect_postgres(**database);
  if (!server.ok()) return failure(what + ": " + server.error().message, "look into the server's log");
  if (server->version < kLeastPostgres) return failure(what + " is version " + std::to_string(server->version / 10'000) + "; 9.5 is needed", "a newer server, or SQLite (no POSTGRES_* variables)");
  if (server->read_only) return failure(what + " takes no writes: a standby, or set so", "name the primary server by POSTGRES_HOST");
  const auto health = store::inspect_store(**database);
  if (!health.ok()) return failure(what + ": " + health.error().message, "let " + address.user + " own the tables of " + address.database);
  if (health->schema < health->newest_schema && !server->may_create) return failure(what + ": " + address.user + " may not make tables", "`GRANT CREATE ON SCHEMA public TO " + address.user + "`");
  return judge_health(shared, *health, what, ", version " + std::to_string(server->version / 10'000));
}

Finding database_of(const PatientPtr& shared) {
  const auto& place = shared->setup.validator.store;
  if (!place) return skipped("no store is named");
  if (!place->ok()) return failure(place->error().message, "complete the POSTGRES_* variables, or take them out");
  if (const auto* file = std::get_if<std::filesystem::path>(&place->value())) return sqlite_of(shared, *file);
  return postgres_of(shared, std::get<store::PostgresAddress>(place->value()));
}

Finding dataset_of(const Patient& patient) {
  const auto& path = patient.setup.validator.dataset;
  if (path.empty()) return ok("synthetic images alone");
  const std::string next = "--dataset takes CIFAR-10's binary batches or a folder of PNG files (docs/operation.md)";
  const auto source = sampler::open_image_source(path);
  if (!source.ok()) return failure(source.error().message, next);
  // The first and the last: a download that broke off ends early.
  for (const std::size_t index : {std::size_t{0}, (*source)->size() - 1}) {
    const auto image = (*source)->image(index);
    if (!image.ok()) return failure(path.string() + ", image " + std::to_string(index) + ": " + image.error().message, next);
  }
  return ok((*source)->describe());
}

}  // namespace

void add_database_checks(std::vector<Check>& checks, const PatientPtr& patient) {
  if (patient->setup.role != Role::kValidator) return;
  Check database{"database", [patient] { return database_of(patient); }};
  database.limit = std::chrono::seconds(60);
  database.late = warning("a large history could not be read to its end", "with the validator stopped: `sqlite3 FILE 'PRAGMA quick_check'`");
  database.needs = {"state"};
  checks.push_back(std::move(database));
  Check dataset{"dataset", [patient] { return dataset_of(*patient); }};
  dataset.limit = std::chrono::seconds(60);
  dataset.late = warning("the data set could not be listed", "fewer files, or a faster disk");
  checks.push_back(std::move(dataset));
}

}  // namespace brainlock::doctor
