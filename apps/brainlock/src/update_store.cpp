#include "update_store.hpp"

#include <algorithm>
#include <filesystem>

#include "brainlock/doctor/service_files.hpp"
#include "brainlock/store/inspect.hpp"
#include "finite_numbers.hpp"
#include "validator_options.hpp"

namespace brainlock::app {
namespace {

/// --state as `brainlock validator` would take it from these words.
Result<std::filesystem::path> state_folder(const std::vector<std::string>& words) {
  ValidatorFlags flags;
  CLI::App app;
  app.allow_extras();
  flags.add_to(app);
  require_finite_numbers(app);
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 takes them
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return Error{ErrorCode::kInvalidArgument, std::string("the validator's options: ") + error.what()};
  }
  return std::filesystem::path(flags.state);
}

Result<int> schema_in(store::Database& database) {
  BRAINLOCK_ASSIGN(const auto health, store::inspect_store(database));
  return health.schema;
}

}  // namespace

Result<int> store_schema_of(const update::Service& service) {
  BRAINLOCK_ASSIGN(const auto file, doctor::read_environment_file(service.environment, "BRAINLOCK_VALIDATOR"));
  BRAINLOCK_ASSIGN(const auto state, state_folder(file.options));
  const auto lookup = [&](const char* name) -> const char* {
    const auto& variables = file.variables;
    const auto found =
        std::find_if(variables.rbegin(), variables.rend(), [&](const auto& one) { return one.first == name; });
    return found == variables.rend() ? nullptr : found->second.c_str();
  };
  BRAINLOCK_ASSIGN(auto address, store::store_address_from_environment(lookup, state / "validator.sqlite"));
  if (auto* postgres = std::get_if<store::PostgresAddress>(&address)) {
    postgres->connect_timeout_s = 5;
    postgres->statement_timeout_ms = 5'000;
    BRAINLOCK_ASSIGN(const auto database, store::open_postgres(*postgres));
    return schema_in(*database);
  }
  const auto& path = std::get<std::filesystem::path>(address);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return 0;
  BRAINLOCK_ASSIGN(const auto database, store::open_sqlite_read_only(path));
  return schema_in(*database);
}

}  // namespace brainlock::app
