#include <cstdlib>

#include "brainlock/protocol/messages.hpp"

using namespace brainlock::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto status = parse_status(text); status.ok()) {
    // What is accepted can be said again.
    if (!parse_status(status_json(*status)).ok()) std::abort();
  }
  if (const auto progress = parse_progress(text); progress.ok() && !parse_progress(progress_json(*progress)).ok()) std::abort();
  (void)parse_key_state(text);
  (void)parse_refusal(text);
  return 0;
}
