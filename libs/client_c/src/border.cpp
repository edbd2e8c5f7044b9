#include "border.hpp"

#include <cmath>
#include <cstdlib>

namespace brainlock::client_c {
namespace {

constexpr std::size_t kMessageBytes = 1024;

/// Without a destructor, so that threads end as they please.
thread_local char last_error[kMessageBytes] = "";

brainlock_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return BRAINLOCK_INVALID_ARGUMENT;
    case ErrorCode::kMalformed:
      return BRAINLOCK_MALFORMED;
    case ErrorCode::kTruncated:
      return BRAINLOCK_TRUNCATED;
    case ErrorCode::kTooLarge:
      return BRAINLOCK_TOO_LARGE;
    case ErrorCode::kCorrupted:
      return BRAINLOCK_CORRUPTED;
    case ErrorCode::kMismatch:
      return BRAINLOCK_MISMATCH;
    case ErrorCode::kInsecure:
      return BRAINLOCK_INSECURE;
    case ErrorCode::kUnsupported:
      return BRAINLOCK_UNSUPPORTED;
    case ErrorCode::kNotFound:
      return BRAINLOCK_NOT_FOUND;
    case ErrorCode::kIo:
      return BRAINLOCK_IO;
    case ErrorCode::kDenied:
      return BRAINLOCK_DENIED;
    case ErrorCode::kTimeout:
      return BRAINLOCK_TIMEOUT;
    case ErrorCode::kCancelled:
      return BRAINLOCK_CANCELLED;
    case ErrorCode::kUnavailable:
      return BRAINLOCK_UNAVAILABLE;
    case ErrorCode::kResource:
      return BRAINLOCK_RESOURCE;
    case ErrorCode::kInternal:
      return BRAINLOCK_INTERNAL;
  }
  return BRAINLOCK_INTERNAL;
}

bool damaged(brainlock_status status) {
  return status == BRAINLOCK_MALFORMED || status == BRAINLOCK_TRUNCATED || status == BRAINLOCK_CORRUPTED ||
         status == BRAINLOCK_TOO_LARGE;
}

/// What to do about an error, beyond what its message says.
const char* next_step(Act act, brainlock_status status) {
  switch (act) {
    case Act::kOpenPackage:
      if (status == BRAINLOCK_NOT_FOUND) return "give the folder that `brainlock compile -o FOLDER` wrote";
      if (damaged(status)) return "get the package again from its maker, and compare its hash";
      if (status == BRAINLOCK_INSECURE) return "ask its maker for one of 128 bits";
      break;
    case Act::kOpenClientHalf:
      if (status == BRAINLOCK_NOT_FOUND) return "give the file that `brainlock client-half PACKAGE -o FILE` wrote";
      if (damaged(status)) return "get the file again from the package's maker";
      if (status == BRAINLOCK_INSECURE) return "ask the package's maker for one of 128 bits";
      break;
    case Act::kMakeKeys:
      if (status == BRAINLOCK_DENIED)
        return "choose another folder, or set `overwrite`, which loses what the old keys encrypted";
      if (status == BRAINLOCK_IO) return "look at the folder's permissions and at the room on the disk";
      if (status == BRAINLOCK_CANCELLED) return "no half file was left; make them again when there is time";
      break;
    case Act::kOpenKeys:
      if (status == BRAINLOCK_NOT_FOUND) return "make keys with brainlock_keys_make()";
      if (status == BRAINLOCK_MISMATCH) return "keys are one package's: open those that were made for this one";
      if (damaged(status)) return "take the pair from a backup, or make a new one";
      break;
    case Act::kEncrypt:
      if (status == BRAINLOCK_OUT_OF_RANGE) return "use another input, or BRAINLOCK_RANGE_ALLOW";
      break;
    case Act::kDecrypt:
      if (damaged(status)) return "get the answer again";
      if (status == BRAINLOCK_MISMATCH) return "give the answer of a server that ran this package";
      if (status == BRAINLOCK_WRONG_ANSWER) return "decrypt with the keys that encrypted the question";
      if (status == BRAINLOCK_INSECURE) return "take nothing from this server";
      break;
    case Act::kIdentity:
      if (status == BRAINLOCK_NOT_FOUND)
        return "give the file's path, ~/.bittensor/wallets/NAME/hotkeys/HOTKEY as a rule";
      if (status == BRAINLOCK_DENIED) return "give the password of the key file, or look at its permissions";
      break;
    case Act::kOpenMiner:
      if (status != BRAINLOCK_RESOURCE && status != BRAINLOCK_INTERNAL)
        return "give ADDRESS:PORT and the SS58 address of the miner's hotkey";
      break;
    case Act::kAsk:
      if (status == BRAINLOCK_OUT_OF_RANGE) return "use another input, or BRAINLOCK_RANGE_ALLOW";
      if (status == BRAINLOCK_DENIED) return "look whether address and hotkey are one miner's";
      if (status == BRAINLOCK_TIMEOUT) return "allow more time, or ask another miner";
      if (status == BRAINLOCK_UNAVAILABLE) return "ask again later, or another miner";
      if (status == BRAINLOCK_WRONG_ANSWER) return "ask another miner, and tell this one nothing of it";
      if (status == BRAINLOCK_CANCELLED) return "what the miner has of the keys stays there; ask again to go on";
      break;
    case Act::kRunClear:
      if (status == BRAINLOCK_UNSUPPORTED)
        return "open the whole package, or encrypt and ask with BRAINLOCK_RANGE_UNCHECKED";
      break;
    case Act::kLook:
    case Act::kAnything:
      break;
  }
  if (status == BRAINLOCK_RESOURCE) return "free memory, or allow more of it";
  if (status == BRAINLOCK_UNSUPPORTED) return "use a later version of the library";
  if (status == BRAINLOCK_INTERNAL) return "please report it with what led to it";
  return "";
}

}  // namespace

Outcome::Outcome(const Error& error) : status(status_of(error.code)), message(error.message) {}

brainlock_status record(Act act, brainlock_status status, std::string_view message) noexcept {
  std::size_t at = 0;
  const auto put = [&](std::string_view text) {
    for (const char c : text.substr(0, kMessageBytes - 1 - at))
      last_error[at++] = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  };
  put(message);
  if (const std::string_view step = next_step(act, status); !step.empty()) {
    put("; ");
    put(step);
  }
  last_error[at] = '\0';
  return status;
}

Outcome is_null(const char* name) { return {BRAINLOCK_INVALID_ARGUMENT, std::string(name) + " is NULL"}; }

void copy_text(std::string_view text, std::span<char> field) {
  std::size_t size = std::min(text.size(), field.size() - 1);
  // Not in the middle of a character: those bytes begin with 10.
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  std::memcpy(field.data(), text.data(), size);
  std::memset(field.data() + size, 0, field.size() - size);
}

Outcome check_values(const float* values, std::size_t count, std::size_t expected) {
  if (values == nullptr) return is_null("values");
  if (count != expected) {
    return {BRAINLOCK_INVALID_ARGUMENT,
            "the model takes " + std::to_string(expected) + " values, got " + std::to_string(count)};
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) return {BRAINLOCK_INVALID_ARGUMENT, "value " + std::to_string(i) + " is not finite"};
  }
  return {};
}

Outcome check_outputs(const double* outputs, std::size_t count, std::size_t expected) {
  if (outputs == nullptr) return is_null("outputs");
  if (count == expected) return {};
  return {BRAINLOCK_INVALID_ARGUMENT,
          "the model has " + std::to_string(expected) + " outputs, output_count is " + std::to_string(count)};
}

}  // namespace brainlock::client_c

using namespace brainlock::client_c;

extern "C" {

uint32_t brainlock_abi_version(void) { return BRAINLOCK_ABI_VERSION; }

const char* brainlock_version(void) { return BRAINLOCK_VERSION; }

const char* brainlock_status_name(brainlock_status status) {
  static constexpr const char* kNames[] = {
      "ok",          "invalid_argument", "malformed", "truncated",    "too_large",   "corrupted", "mismatch",
      "insecure",    "unsupported",      "not_found", "io",           "denied",      "timeout",   "cancelled",
      "unavailable", "resource",         "internal",  "out_of_range", "wrong_answer"};
  if (status < 0 || static_cast<std::size_t>(status) >= std::size(kNames)) return "unknown";
  return kNames[status];
}

const char* brainlock_last_error(void) { return last_error; }

void brainlock_free(void* memory) { std::free(memory); }
}
