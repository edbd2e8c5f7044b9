// PROXY headers, put together by hand: bytes that the tests of this library send.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <string>

namespace brainlock::net {

inline const std::string kSignatureOfVersion2("\r\n\r\n\0\r\nQUIT\n", 12);

/// Version 2 with any bytes at any place; `length` as it is said, right unless given.
inline std::string version_2(unsigned command, unsigned family, const std::string& rest, int length = -1) {
  const auto said = length < 0 ? rest.size() : static_cast<std::size_t>(length);
  std::string out = kSignatureOfVersion2;
  for (const std::size_t byte : {std::size_t{command}, std::size_t{family}, said >> 8U, said & 0xffU}) out.push_back(static_cast<char>(byte));
  return out + rest;
}

/// The bytes of an address.
inline std::string raw_address(const std::string& ip) {
  std::string out(ip.find(':') == std::string::npos ? 4 : 16, '\0');
  ::inet_pton(out.size() == 4 ? AF_INET : AF_INET6, ip.c_str(), out.data());
  return out;
}

/// What a proxy says of a connection from `ip`.
inline std::string proxied_from(const std::string& ip, const std::string& more = {}) {
  const bool v6 = ip.find(':') != std::string::npos;
  return version_2(0x21, v6 ? 0x21 : 0x11, raw_address(ip) + raw_address(v6 ? "2001:db8::2" : "192.0.2.2") + std::string("\x12\x34\x13\x88", 4) + more);
}

}  // namespace brainlock::net
