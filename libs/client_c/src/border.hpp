// What every function of the C interface has around it: no exception gets out, errors become a status and a line of
// text, options are read in whatever version the caller has.
#pragma once

#include <cxxabi.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "brainlock/base/result.hpp"
#include "brainlock/brainlock_client.h"

namespace brainlock::client_c {

/// What a caller was about, for the next step that an error names.
enum class Act {
  kAnything,
  kOpenPackage,
  kOpenClientHalf,
  kLook,
  kRunClear,
  kMakeKeys,
  kOpenKeys,
  kEncrypt,
  kDecrypt,
  kIdentity,
  kOpenMiner,
  kAsk
};

/// How the inside of a call ended. Errors of the libraries turn into one by themselves.
struct Outcome {
  brainlock_status status = BRAINLOCK_OK;
  std::string message;
  std::optional<Act> act;  ///< what was tried where that is not what the caller called for

  Outcome() = default;
  Outcome(brainlock_status code, std::string text) : status(code), message(std::move(text)) {}
  Outcome(Act tried, brainlock_status code, std::string text) : status(code), message(std::move(text)), act(tried) {}
  Outcome(const Error& error);
  [[nodiscard]] bool ok() const { return status == BRAINLOCK_OK; }
};

/// Keeps the message with its next step for brainlock_last_error(); gives the status back. Allocates nothing.
brainlock_status record(Act act, brainlock_status status, std::string_view message) noexcept;

/// Runs `body`, which gives an Outcome, behind the border.
template <typename Body>
brainlock_status guarded(Act act, const Body& body) {
  try {
    const Outcome outcome = body();
    return outcome.ok() ? BRAINLOCK_OK : record(outcome.act.value_or(act), outcome.status, outcome.message);
  } catch (const abi::__forced_unwind&) {
    throw;  // this thread is being cancelled: glibc ends the process if anybody keeps that
  } catch (const std::bad_alloc&) {
    return record(act, BRAINLOCK_RESOURCE, "no memory");
  } catch (const std::system_error& error) {
    return record(act, BRAINLOCK_RESOURCE, error.what());
  } catch (const std::exception& error) {
    return record(act, BRAINLOCK_INTERNAL, error.what());
  } catch (...) {
    return record(act, BRAINLOCK_INTERNAL, "an exception without a name");
  }
}

/// INVALID_ARGUMENT: "`name` is NULL".
Outcome is_null(const char* name);

/// Nobody's structures are larger: a size beyond is garbage.
inline constexpr std::uint32_t kMaxStructBytes = 4096;

/// Options of the caller's version into ours; `given` may be null. UNSUPPORTED: a later version's member is set.
template <typename Options>
Outcome read_options(const Options* given, Options& out) {
  out = Options{};
  if (given == nullptr) return {};
  std::uint32_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < sizeof(Options) || size > kMaxStructBytes) {
    return {BRAINLOCK_INVALID_ARGUMENT,
            "struct_size of the options is " + std::to_string(size) + ", expected " + std::to_string(sizeof(Options))};
  }
  std::memcpy(&out, given, sizeof(Options));
  for (std::uint32_t i = sizeof(Options); i < size; ++i) {
    if (reinterpret_cast<const unsigned char*>(given)[i] != 0) {
      return {BRAINLOCK_UNSUPPORTED, "options of a later version are set than this library knows"};
    }
  }
  return {};
}

/// Whether a result has room. `name` for the message.
template <typename Report>
Outcome check_report(const Report* report, const char* name) {
  std::uint32_t size = 0;
  std::memcpy(&size, report, sizeof size);
  if (size >= sizeof(Report) && size <= kMaxStructBytes) return {};
  return {BRAINLOCK_INVALID_ARGUMENT, std::string("struct_size of ") + name + " is " + std::to_string(size) +
                                          ", expected " + std::to_string(sizeof(Report))};
}

/// All of a result but struct_size, which stays the caller's.
template <typename Report>
void write_report(Report* report, const Report& value) {
  std::memcpy(reinterpret_cast<char*>(report) + sizeof(std::uint32_t),
              reinterpret_cast<const char*>(&value) + sizeof(std::uint32_t), sizeof(Report) - sizeof(std::uint32_t));
}

/// Text into a field of fixed size, cut between characters where it is too long.
void copy_text(std::string_view text, std::span<char> field);

/// INVALID_ARGUMENT unless there are as many finite values as expected.
Outcome check_values(const float* values, std::size_t count, std::size_t expected);
/// INVALID_ARGUMENT unless there is room for as many outputs as the model has.
Outcome check_outputs(const double* outputs, std::size_t count, std::size_t expected);

}  // namespace brainlock::client_c

/// Returns an Outcome that is not ok from the enclosing function.
#define BRAINLOCK_CHECK(expr)                                    \
  do {                                                           \
    if (auto outcome_ = (expr); !outcome_.ok()) return outcome_; \
  } while (0)
