// What JavaScript calls, in *_exports.cpp. Bytes go in through memory that it asks for; every function that can fail
// returns 0 for an error, and leaves bytes of an answer, or "code\nmessage", in the reply. ../js/module.mjs is the one
// caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "objects.hpp"
#include "reply.hpp"

#define BRAINLOCK_EXPORT(name) extern "C" __attribute__((export_name(#name)))

namespace brainlock::client_wasm {

/// All objects of a kind; the module has one of each.
template <typename Object>
Registry<Object>& registry() {
  static Registry<Object> all;
  return all;
}

/// The reply of a call on an object that is not there.
inline std::uint32_t closed(const char* what) {
  return reply().fail("invalid_argument", std::string("this ") + what + " is closed");
}

}  // namespace brainlock::client_wasm
