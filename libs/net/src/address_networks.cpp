#include "brainlock/net/address_networks.hpp"

#include <algorithm>

#include "ip_address.hpp"

namespace brainlock::net {
namespace {

namespace ip = boost::asio::ip;
using Bytes = std::array<std::uint8_t, 16>;
constexpr std::size_t kShownCharacters = 100;

Bytes bytes_of(const ip::address& address) {
  Bytes out{};
  const auto copy = [&out](const auto& bytes) { std::copy(bytes.begin(), bytes.end(), out.begin()); };
  if (address.is_v4()) copy(address.to_v4().to_bytes());
  else copy(address.to_v6().to_bytes());
  return out;
}

/// The first bits, and nothing behind them.
Bytes first_bits(Bytes bytes, unsigned bits) {
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned left = bits > 8 * i ? std::min(bits - 8 * i, 8U) : 0;
    bytes[i] &= static_cast<std::uint8_t>(0xff00U >> left);
  }
  return bytes;
}

std::string text_of(const Bytes& bytes, bool v6) {
  if (v6) return ip::address_v6(bytes).to_string();
  return ip::address_v4({bytes[0], bytes[1], bytes[2], bytes[3]}).to_string();
}

}  // namespace

Result<AddressNetworks> AddressNetworks::parse(std::span<const std::string> networks) {
  AddressNetworks out;
  for (const auto& text : networks) {
    const auto wrong = [&text](const std::string& expected) {
      std::string message = "'";
      message.append(text, 0, kShownCharacters).append("': ").append(expected);
      return Error{ErrorCode::kInvalidArgument, std::move(message)};
    };
    const std::size_t slash = std::min(text.find('/'), text.size());
    const auto address = strict_address(std::string_view(text).substr(0, slash));
    if (!address) return wrong("expected an address or a network, as 10.0.0.7, 10.0.0.0/8 or 2001:db8::/32");
    if (unmapped(*address) != *address) return wrong("IPv4 is written as " + unmapped(*address).to_string());
    if (address->is_unspecified()) return wrong("that would be everybody, who could then pass for anybody; name the addresses that the proxy's connections come from");
    Network network{address->is_v6(), address->is_v6() ? 128U : 32U, bytes_of(*address)};
    if (slash < text.size()) {
      const std::string bits = text.substr(slash + 1);
      if (bits.empty() || bits.size() > 3 || bits.front() == '0' || bits.find_first_not_of("0123456789") != std::string::npos || std::stoul(bits) > network.bits) {
        return wrong("expected 1 to " + std::to_string(network.bits) + " bits behind the /");
      }
      network.bits = static_cast<unsigned>(std::stoul(bits));
    }
    const Bytes first = first_bits(network.bytes, network.bits);
    if (first != network.bytes) {
      return wrong("has more than " + std::to_string(network.bits) + " bits; the network is " + text_of(first, network.v6) + text.substr(slash) + ", the address alone " + text.substr(0, slash));
    }
    out.networks_.push_back(network);
  }
  return out;
}

bool AddressNetworks::contains(std::string_view ip) const {
  if (networks_.empty()) return false;
  const auto parsed = strict_address(ip.substr(0, ip.find('%')));
  if (!parsed) return false;
  const auto address = unmapped(*parsed);
  const Bytes bytes = bytes_of(address);
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) { return network.v6 == address.is_v6() && first_bits(bytes, network.bits) == network.bytes; });
}

}  // namespace brainlock::net
