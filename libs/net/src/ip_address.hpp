// Addresses as text, in one spelling.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace brainlock::net {

/// IPv4 within IPv6 (::ffff:1.2.3.4) is IPv4: who listens on :: sees IPv4 peers so, who listens on 0.0.0.0 does not.
inline boost::asio::ip::address unmapped(const boost::asio::ip::address& address) {
  namespace ip = boost::asio::ip;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
}

/// Digits, dots and colons alone: what ends a C string, and scopes (fe80::1%eth0), are refused before the system's reader gets to see them. Not unmapped.
inline std::optional<boost::asio::ip::address> strict_address(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return std::nullopt;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  return address;
}

}  // namespace brainlock::net
