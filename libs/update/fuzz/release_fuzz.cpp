// release.json, signatures, settings and state as anybody might write them.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "brainlock/update/release.hpp"
#include "brainlock/update/settings.hpp"
#include "brainlock/update/signatures.hpp"
#include "brainlock/update/state.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock::update;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto release = parse_release(text); release.ok()) {
    // What is taken is written and taken again as the same.
    const auto again = parse_release(release_json(*release));
    if (!again.ok() || !(again.value() == *release)) __builtin_trap();
    for (const auto& [architecture, files] : release->files) {
      for (const auto& file : files) {
        if (file.path.starts_with('/') || file.path.find("..") == 0 || file.path.find("/.") != std::string::npos)
          __builtin_trap();
      }
    }
  }
  (void)parse_signatures(text);
  (void)parse_settings(text);
  (void)parse_state(text);
  return 0;
}
