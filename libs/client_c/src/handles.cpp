#include "handles.hpp"

namespace brainlock::client_c {

std::uintptr_t next_handle() {
  // Odd, so that no pointer to anything is taken for one.
  static std::atomic<std::uintptr_t> last{1};
  return last += 2;
}

Outcome bad_handle(const void* handle, const char* what) {
  if (handle == nullptr) return is_null(what);
  return {BRAINLOCK_INVALID_ARGUMENT, std::string(what) + " is closed, or was never opened"};
}

}  // namespace brainlock::client_c
