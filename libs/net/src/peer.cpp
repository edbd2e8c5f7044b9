#include "brainlock/net/peer.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

namespace brainlock::net {
namespace {

namespace ip = boost::asio::ip;

template <typename Address>
std::string first_bits(const Address& address, int bits) {
  auto bytes = address.to_bytes();
  std::fill(bytes.begin() + bits / 8, bytes.end(), 0);
  return Address(bytes).to_string() + "/" + std::to_string(bits);
}

}  // namespace

Peer peer_of(std::string_view text) {
  boost::system::error_code error;
  const auto address = ip::make_address(text, error);
  if (error) return {std::string(text), std::string(text), false};
  if (address.is_v6() && !address.to_v6().is_v4_mapped()) {
    const auto& v6 = address.to_v6();
    return {first_bits(v6, 64), first_bits(v6, 48), v6.is_loopback()};
  }
  const auto v4 = address.is_v4() ? address.to_v4() : ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return {v4.to_string(), first_bits(v4, 24), v4.is_loopback()};
}

}  // namespace brainlock::net
