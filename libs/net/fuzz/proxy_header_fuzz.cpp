// What a connection from a proxy begins with.
#include <cstdlib>
#include <vector>

#include "brainlock/net/address_networks.hpp"
#include "brainlock/net/peer.hpp"
#include "brainlock/net/proxy_header.hpp"

using namespace brainlock::net;
using State = ProxyReading::State;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // An own copy of each beginning, so that a read behind it is one behind memory.
  const auto read = [data](std::size_t bytes) {
    const std::vector<std::uint8_t> copy(data, data + bytes);
    return read_proxy_header(copy);
  };
  const auto reading = read(size);
  if (reading.state == State::kIncomplete && size >= kMostProxyHeaderBytes) std::abort();   // the server would wait for more without end
  if ((reading.state == State::kNone) != (reading.fault != ProxyFault::kNone)) std::abort();
  if (reading.state == State::kWhole) {
    if (reading.bytes == 0 || reading.bytes > size || reading.bytes > kMostProxyHeaderBytes) std::abort();
    // An address in the one spelling that everything else has for it.
    if (!reading.source.empty()) {
      const auto networks = AddressNetworks::parse(std::vector<std::string>{reading.source});
      if (networks.ok() ? !networks->contains(reading.source) : reading.source != "0.0.0.0" && reading.source != "::") std::abort();
      if (peer_of(reading.source).network == reading.source) std::abort();
    }
  }
  // The verdict does not depend on how the bytes come: nothing at first, then it stays.
  const std::size_t most = size < 2 * kMostProxyHeaderBytes ? size : 2 * kMostProxyHeaderBytes;
  bool judged = false;
  for (std::size_t bytes = 0; bytes <= most; bytes += bytes < 120 ? 1 : 61) {
    const auto before = read(bytes);
    if (judged && before.state == State::kIncomplete) std::abort();
    judged = before.state != State::kIncomplete;
    if (judged && (before.state != reading.state || before.fault != reading.fault || before.bytes != reading.bytes || before.source != reading.source)) std::abort();
  }
  return 0;
}
