// The header with which a proxy says whose connection it passes on: the PROXY protocol, versions 1 and 2, of HAProxy's doc/proxy-protocol.txt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace brainlock::net {

/// Bytes of a whole header at most. Of version 1 by its definition; of version 2, whose definition would have us take 65,551, as many as addresses of any kind and
/// the usual additions need several times over.
inline constexpr std::size_t kMostProxyLineBytes = 107, kMostProxyHeaderBytes = 2048;

/// Why bytes are no header. kClosed and kNotInTime are for those who wait for more of it.
enum class ProxyFault : std::uint8_t {
  kNone,
  kNoHeader,     ///< they begin otherwise: nobody told the proxy to send one
  kTooLong,      ///< more bytes than above
  kBadLine,      ///< version 1: not the words, each behind one space, or no CR LF at the end
  kBadAddress,   ///< version 1: an address that is none, or not of the family that was said
  kBadPort,      ///< version 1
  kBadVersion,   ///< the signature of version 2, and then another version
  kBadCommand,   ///< version 2: neither LOCAL nor PROXY
  kBadFamily,    ///< version 2: a family or transport without a meaning
  kTooShort,     ///< version 2: fewer bytes than the addresses of its family have
  kClosed,
  kNotInTime,
};
/// "no_header" and so on, for logs.
std::string_view proxy_fault_name(ProxyFault fault);

/// What the first bytes of a connection say.
struct ProxyReading {
  enum class State : std::uint8_t { kIncomplete, kWhole, kNone } state = State::kIncomplete;
  ProxyFault fault = ProxyFault::kNone;   ///< of kNone
  std::size_t bytes = 0;                  ///< of kWhole: the connection's own begin behind them
  /// Of kWhole: whose connection it is, IPv4 within IPv6 as IPv4. Empty: the proxy's own (LOCAL, UNKNOWN: it looks whether we are well), or it does not say an
  /// address of the internet; then the connection's own address is all there is.
  std::string source;
};

/// Judges as early as it can: kNone at the first byte that no header has there. Bytes behind the header change nothing. What version 2 adds behind addresses (TLVs)
/// is skipped. Takes any bytes; cost: their number, up to the limits.
ProxyReading read_proxy_header(std::span<const std::uint8_t> bytes);

/// What a proxy says of a connection that is its own (version 2, LOCAL).
std::string own_proxy_header();

}  // namespace brainlock::net
