// Arbitrary text as a message from a node and as an endpoint.
#include "json_rpc.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)brainlock::chain::parse_message(text);
  (void)brainlock::chain::parse_endpoint(text);
  return 0;
}
