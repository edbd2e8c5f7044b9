// Networks of addresses: 10.0.0.0/8, 2001:db8::/32, or one address.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::net {

/// Safe from many threads.
class AddressNetworks {
 public:
  AddressNetworks() = default;   ///< none
  /// Each ADDRESS or ADDRESS/BITS with nothing set behind the bits, so that a slip of the pen does not trust a larger network than was meant; not all addresses,
  /// and IPv4 not in IPv6's spelling. kInvalidArgument names what was expected.
  static Result<AddressNetworks> parse(std::span<const std::string> networks);

  [[nodiscard]] bool empty() const { return networks_.empty(); }
  /// Whether an address is in one of them. IPv4 within IPv6 (::ffff:1.2.3.4) counts as IPv4, a scope (fe80::1%2) is not looked at; what is no address is in none.
  [[nodiscard]] bool contains(std::string_view ip) const;

 private:
  struct Network {
    bool v6 = false;
    unsigned bits = 0;
    std::array<std::uint8_t, 16> bytes{};   ///< the first four of IPv4
  };
  std::vector<Network> networks_;
};

}  // namespace brainlock::net
