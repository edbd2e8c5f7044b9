// PostgreSQL behind Database, through libpq.
#include <libpq-fe.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "brainlock/store/database.hpp"

namespace brainlock::store {
namespace {

// Numbers of built-in types (catalogue pg_type), which never change.
constexpr Oid kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25, kFloat4 = 700, kFloat8 = 701,
              kNumeric = 1700;

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, ClearResult>;

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

ErrorCode code_of(std::string_view state) {
  const auto family = state.substr(0, 2);
  if (family == "08" || state == "57P01" || state == "57P02" || state == "57P03") return ErrorCode::kUnavailable;
  if (family == "40" || state == "55P03" || state == "57014") return ErrorCode::kTimeout;
  if (family == "53") return ErrorCode::kResource;
  if (family == "28" || state == "42501") return ErrorCode::kDenied;
  if (state == "3D000") return ErrorCode::kNotFound;
  if (family == "22" || family == "23") return ErrorCode::kInvalidArgument;
  if (family == "58") return ErrorCode::kIo;
  if (state == "XX001" || state == "XX002") return ErrorCode::kCorrupted;
  return ErrorCode::kInternal;
}

std::string one_line(std::string_view text) {
  std::string line(text);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  return line;
}

/// `?` becomes `$1`, `$2`, ...
std::string with_numbers(std::string_view sql) {
  std::string out;
  int place = 0;
  for (char c : sql) {
    if (c == '?') {
      out += '$' + std::to_string(++place);
    } else {
      out += c;
    }
  }
  return out;
}

/// Parameters in the form that libpq wants; keeps the texts alive.
struct Bound {
  std::vector<Oid> types;
  std::vector<std::string> texts;
  std::vector<const char*> pointers;
  std::vector<int> lengths;
  std::vector<int> formats;
};

Result<Bound> bind(std::span<const Value> parameters) {
  Bound bound;
  bound.texts.resize(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& value = parameters[i].variant();
    std::string& text = bound.texts[i];
    Oid type = 0;
    int format = 0;
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      type = kInt8;
      text = std::to_string(*integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      type = kFloat8;
      char digits[40];
      std::snprintf(digits, sizeof digits, "%.17g", *real);
      text = digits;
    } else if (const auto* words = std::get_if<std::string>(&value)) {
      if (words->find('\0') != std::string::npos) {
        return Error{ErrorCode::kInvalidArgument, "text with a NUL byte cannot be stored"};
      }
      type = kText;
      text = *words;
    } else if (const auto* blob = std::get_if<Blob>(&value)) {
      type = kBytea;
      format = 1;
      text.assign(blob->begin(), blob->end());
    }
    bound.types.push_back(type);
    bound.pointers.push_back(parameters[i].is_null() ? nullptr : text.c_str());
    bound.lengths.push_back(static_cast<int>(text.size()));
    bound.formats.push_back(format);
  }
  return bound;
}

std::uint8_t nibble(char c) { return static_cast<std::uint8_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

Value read_value(const PGresult* result, int row, int column) {
  if (PQgetisnull(result, row, column) != 0) return {};
  const std::string_view text(PQgetvalue(result, row, column),
                              static_cast<std::size_t>(PQgetlength(result, row, column)));
  switch (PQftype(result, column)) {
    case kBool:
      return Value(text == "t");
    case kInt2:
    case kInt4:
    case kInt8: {
      std::int64_t value = 0;
      std::from_chars(text.data(), text.data() + text.size(), value);
      return Value(value);
    }
    case kFloat4:
    case kFloat8:
    case kNumeric:
      return Value(std::strtod(std::string(text).c_str(), nullptr));
    case kBytea: {  // "\x" and hexadecimal digits: the server's default output since 9.0
      Blob bytes;
      for (std::size_t i = 2; i + 1 < text.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>((nibble(text[i]) << 4) | nibble(text[i + 1])));
      }
      return Value(std::move(bytes));
    }
    default:
      return Value(text);
  }
}

class Postgres final : public Database {
 public:
  Postgres(PGconn* connection, std::string where, int statement_timeout_ms)
      : connection_(connection), where_(std::move(where)), statement_timeout_ms_(statement_timeout_ms) {}

  Dialect dialect() const override { return Dialect::kPostgres; }
  std::string describe() const override { return where_; }
  using Database::execute;
  using Database::query;

  Result<Rows> query(std::string_view sql, std::span<const Value> parameters) override {
    BRAINLOCK_ASSIGN(const PgResult result, run(sql, parameters));
    Rows rows;
    const int columns = PQnfields(result.get());
    for (int r = 0; r < PQntuples(result.get()); ++r) {
      Row row;
      row.reserve(static_cast<std::size_t>(columns));
      for (int c = 0; c < columns; ++c) row.push_back(read_value(result.get(), r, c));
      rows.push_back(std::move(row));
    }
    return rows;
  }

  Result<std::int64_t> execute(std::string_view sql, std::span<const Value> parameters) override {
    BRAINLOCK_ASSIGN(const PgResult result, run(sql, parameters));
    return static_cast<std::int64_t>(std::strtoll(PQcmdTuples(result.get()), nullptr, 10));
  }

  Status reconnect() override {
    if (PQstatus(connection_.get()) == CONNECTION_OK) return {};
    PQreset(connection_.get());
    return prepare_session();
  }

  Status begin() override { return command("BEGIN"); }
  Status commit() override {
    BRAINLOCK_ASSIGN(const PgResult result, run("COMMIT", {}));
    // COMMIT of a broken transaction "succeeds" by rolling back, and says so only in its tag.
    if (std::string_view(PQcmdStatus(result.get())) == "COMMIT") return {};
    return Error{ErrorCode::kInternal, "PostgreSQL: the transaction was rolled back instead of committed"};
  }
  void rollback() override {
    const auto state = PQtransactionStatus(connection_.get());
    if (state == PQTRANS_INTRANS || state == PQTRANS_INERROR) (void)command("ROLLBACK");
  }

  /// Settings of each (re)connection.
  Status prepare_session() {
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
      const std::string text = one_line(PQerrorMessage(connection_.get()));
      // A failed connection has no SQLSTATE in libpq; its text is all there is.
      ErrorCode code = ErrorCode::kUnavailable;
      if (text.find("authentication failed") != std::string::npos || text.find("no password") != std::string::npos) {
        code = ErrorCode::kDenied;
      } else if (text.find("database") != std::string::npos && text.find("does not exist") != std::string::npos) {
        code = ErrorCode::kNotFound;
      }
      return Error{code, where_ + ": " + text};
    }
    PQsetClientEncoding(connection_.get(), "UTF8");
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);  // notices are not for the terminal
    BRAINLOCK_TRY(command("SET bytea_output = 'hex'"));
    BRAINLOCK_TRY(command("SET extra_float_digits = 3"));
    return command("SET statement_timeout = " + std::to_string(statement_timeout_ms_));
  }

 private:
  Status command(const std::string& sql) {
    const auto done = run(sql, {});
    return done.ok() ? Status{} : Status(done.error());
  }

  Result<PgResult> run(std::string_view sql, std::span<const Value> parameters) {
    BRAINLOCK_ASSIGN(const Bound bound, bind(parameters));
    PgResult result(PQexecParams(connection_.get(), with_numbers(sql).c_str(), static_cast<int>(parameters.size()),
                                 bound.types.data(), bound.pointers.data(), bound.lengths.data(), bound.formats.data(),
                                 0));
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return result;
    const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    ErrorCode code = state != nullptr ? code_of(state) : ErrorCode::kUnavailable;
    if (PQstatus(connection_.get()) != CONNECTION_OK) code = ErrorCode::kUnavailable;
    return Error{code, "PostgreSQL: " + one_line(PQerrorMessage(connection_.get())) + " (in \"" +
                           std::string(sql.substr(0, 80)) + "\")"};
  }

  std::unique_ptr<PGconn, Finish> connection_;
  std::string where_;
  int statement_timeout_ms_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_postgres(const PostgresAddress& address) {
  const std::string port = std::to_string(address.port);
  const std::string timeout = std::to_string(address.connect_timeout_s);
  const char* keys[] = {
      "host", "port", "user", "password", "dbname", "connect_timeout", "application_name", "client_encoding", nullptr};
  const char* values[] = {address.host.c_str(),
                          port.c_str(),
                          address.user.c_str(),
                          address.password.c_str(),
                          address.database.c_str(),
                          timeout.c_str(),
                          "brainlock",
                          "UTF8",
                          nullptr};
  auto database = std::make_unique<Postgres>(
      PQconnectdbParams(keys, values, 0),
      "PostgreSQL " + address.user + "@" + address.host + ":" + port + "/" + address.database,
      address.statement_timeout_ms);
  BRAINLOCK_TRY(database->prepare_session());
  return std::unique_ptr<Database>(std::move(database));
}

}  // namespace brainlock::store
