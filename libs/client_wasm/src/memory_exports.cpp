#include <cstdlib>

#include "exports.hpp"

namespace brainlock::client_wasm {

Reply& reply() {
  static Reply reply;
  return reply;
}

}  // namespace brainlock::client_wasm

using namespace brainlock;
using namespace brainlock::client_wasm;

BRAINLOCK_EXPORT(brainlock_allocate) void* brainlock_allocate(std::size_t size) { return std::malloc(size); }
/// Wiped: it may have been an input.
BRAINLOCK_EXPORT(brainlock_release) void brainlock_release(void* memory, std::size_t size) {
  crypto::wipe(memory, size);
  std::free(memory);
}
BRAINLOCK_EXPORT(brainlock_reply_data) const std::uint8_t* brainlock_reply_data() { return reply().bytes().data(); }
BRAINLOCK_EXPORT(brainlock_reply_size) std::size_t brainlock_reply_size() { return reply().bytes().size(); }
BRAINLOCK_EXPORT(brainlock_reply_clear) void brainlock_reply_clear() { reply().clear(); }
