// Result<T>: a value or an Error, for everything that the outside world can get wrong.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace brainlock {

/// What went wrong, for machines. Closed list; each value has a test that produces it.
enum class ErrorCode {
  kInvalidArgument,   ///< a caller's value is out of its documented range
  kMalformed,         ///< bytes are not of the expected form (magic, version, length, range)
  kTruncated,         ///< bytes ended before the object did
  kTooLarge,          ///< a size is above its limit
  kCorrupted,         ///< a checksum or hash does not match
  kMismatch,          ///< well-formed, but belongs to other parameters, package, key or owner
  kInsecure,          ///< parameters below the required security
  kUnsupported,       ///< well-formed, but a feature that is not covered
  kNotFound,          ///< a file, key, record or peer is absent
  kIo,                ///< the operating system refused to read or write
  kDenied,            ///< authentication or permission failed
  kTimeout,           ///< a deadline passed
  kCancelled,         ///< the user or the peer gave up
  kUnavailable,       ///< a device or service is not there now
  kResource,          ///< memory, disk or quota would be exceeded
  kInternal,          ///< our own invariant failed
};

/// Stable lower-case name of a code, for JSON and logs.
std::string_view error_code_name(ErrorCode code);

/// A coded error with one line of context: what was expected, what came, where.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  /// "code: message".
  [[nodiscard]] std::string to_string() const;
  /// The same error with "where: " put before the message.
  [[nodiscard]] Error in(std::string_view where) const;
};

/// A value of T or an Error. Move-only if T is. Accessing the wrong side is a bug and asserts.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result(ErrorCode code, std::string message) : state_(std::in_place_index<1>, Error{code, std::move(message)}) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] T& value() & { assert(ok()); return *std::get_if<0>(&state_); }
  [[nodiscard]] const T& value() const& { assert(ok()); return *std::get_if<0>(&state_); }
  [[nodiscard]] T&& value() && { assert(ok()); return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] const Error& error() const { assert(!ok()); return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  Result(ErrorCode code, std::string message) : error_(Error{code, std::move(message)}) {}
  [[nodiscard]] bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const { assert(error_); return *error_; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace brainlock

/// Returns the error of a Result from the enclosing function.
#define BRAINLOCK_TRY(expr)                                     \
  do {                                                          \
    if (auto brainlock_r_ = (expr); !brainlock_r_.ok()) return brainlock_r_.error(); \
  } while (0)

#define BRAINLOCK_CONCAT_(a, b) a##b
#define BRAINLOCK_CONCAT(a, b) BRAINLOCK_CONCAT_(a, b)
/// `BRAINLOCK_ASSIGN(auto x, make_x());` — declares x, or returns the error.
#define BRAINLOCK_ASSIGN(decl, expr)                                       \
  auto BRAINLOCK_CONCAT(result_, __LINE__) = (expr);                       \
  if (!BRAINLOCK_CONCAT(result_, __LINE__).ok()) return BRAINLOCK_CONCAT(result_, __LINE__).error(); \
  decl = std::move(BRAINLOCK_CONCAT(result_, __LINE__)).value()
