#include "brainlock/net/proxy_header.hpp"

#include <algorithm>
#include <array>

#include "ip_address.hpp"

namespace brainlock::net {
namespace {

namespace ip = boost::asio::ip;
using Bytes = std::span<const std::uint8_t>;

constexpr std::string_view kLineStart = "PROXY ";
constexpr std::array<std::uint8_t, 12> kSignature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 'Q', 'U', 'I', 'T', 0x0a};

// Version 2: signature (12), version and command (1), family and transport (1), length of what follows (2), source, destination, ports.
constexpr std::size_t kVersionAt = 12, kFamilyAt = 13, kLengthAt = 14, kFixedBytes = 16;
constexpr unsigned kVersion2 = 2, kLocal = 0, kProxied = 1;
constexpr unsigned kMostFamily = 3 /* AF_UNIX */, kMostTransport = 2 /* datagrams */, kTcp4 = 0x11, kTcp6 = 0x21;
constexpr std::size_t kTcp4Bytes = 4 + 4 + 2 + 2, kTcp6Bytes = 16 + 16 + 2 + 2;

ProxyReading none(ProxyFault fault) { return {ProxyReading::State::kNone, fault, 0, {}}; }
ProxyReading whole(std::size_t bytes, std::string source = {}) { return {ProxyReading::State::kWhole, ProxyFault::kNone, bytes, std::move(source)}; }

/// Whether as much as there is of `start` is at the beginning.
template <typename Start>
bool begins_with(Bytes bytes, const Start& start) {
  const std::size_t compared = std::min(bytes.size(), std::size(start));
  return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(compared), start.begin(),
                    [](std::uint8_t byte, auto expected) { return byte == static_cast<std::uint8_t>(expected); });
}

/// Without a zero in front, which would be octal to some.
bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  return (text.size() == 1 || text.front() != '0') && std::stoul(std::string(text)) <= 65535;
}

/// The words of a line behind "PROXY ", without its CR LF.
ProxyReading read_line(std::string_view line, std::size_t bytes) {
  const auto word = [&line] {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view out = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return out;
  };
  // Counted before they are taken apart: a space too many would otherwise be an empty word at the end that nobody asks for.
  const auto spaces = std::count(line.begin(), line.end(), ' ');
  const std::string_view family = word();
  if (family == "UNKNOWN") return whole(bytes);   // and whatever else it says
  const bool v6 = family == "TCP6";
  if ((!v6 && family != "TCP4") || spaces != 4) return none(ProxyFault::kBadLine);
  const auto source = strict_address(word()), destination = strict_address(word());
  if (!source || !destination || source->is_v6() != v6 || destination->is_v6() != v6) return none(ProxyFault::kBadAddress);
  const std::string_view from = word(), to = word();
  if (!is_port(from) || !is_port(to)) return none(ProxyFault::kBadPort);
  return whole(bytes, unmapped(*source).to_string());
}

ProxyReading read_version_1(Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t end = text.find_first_of("\r\n");
  if (end == std::string_view::npos || end + 2 > kMostProxyLineBytes) {
    return bytes.size() + 2 > kMostProxyLineBytes ? none(ProxyFault::kTooLong) : ProxyReading{};
  }
  if (text[end] == '\n') return none(ProxyFault::kBadLine);
  if (end + 1 == text.size()) return {};
  if (text[end + 1] != '\n') return none(ProxyFault::kBadLine);
  return read_line(text.substr(kLineStart.size(), end - kLineStart.size()), end + 2);
}

template <typename Address>
std::string address_at(Bytes bytes) {
  typename Address::bytes_type raw;
  std::copy_n(bytes.begin(), raw.size(), raw.begin());
  return unmapped(Address(raw)).to_string();
}

ProxyReading read_version_2(Bytes bytes) {
  if (bytes.size() <= kVersionAt) return {};
  const unsigned version = bytes[kVersionAt] >> 4U, command = bytes[kVersionAt] & 0xfU;
  if (version != kVersion2) return none(ProxyFault::kBadVersion);
  if (command != kLocal && command != kProxied) return none(ProxyFault::kBadCommand);
  if (bytes.size() <= kFamilyAt) return {};
  const unsigned family = bytes[kFamilyAt];
  // What a proxy says of itself is not looked at.
  if (command == kProxied && ((family >> 4U) > kMostFamily || (family & 0xfU) > kMostTransport)) return none(ProxyFault::kBadFamily);
  if (bytes.size() < kFixedBytes) return {};
  const std::size_t follow = bytes[kLengthAt] * 256U + bytes[kLengthAt + 1], size = kFixedBytes + follow;
  if (size > kMostProxyHeaderBytes) return none(ProxyFault::kTooLong);
  const bool v4 = command == kProxied && family == kTcp4, v6 = command == kProxied && family == kTcp6;
  if ((v4 && follow < kTcp4Bytes) || (v6 && follow < kTcp6Bytes)) return none(ProxyFault::kTooShort);
  if (bytes.size() < size) return {};
  if (v4) return whole(size, address_at<ip::address_v4>(bytes.subspan(kFixedBytes)));
  if (v6) return whole(size, address_at<ip::address_v6>(bytes.subspan(kFixedBytes)));
  return whole(size);
}

}  // namespace

std::string_view proxy_fault_name(ProxyFault fault) {
  switch (fault) {
    case ProxyFault::kNone: return "none";
    case ProxyFault::kNoHeader: return "no_header";
    case ProxyFault::kTooLong: return "too_long";
    case ProxyFault::kBadLine: return "bad_line";
    case ProxyFault::kBadAddress: return "bad_address";
    case ProxyFault::kBadPort: return "bad_port";
    case ProxyFault::kBadVersion: return "bad_version";
    case ProxyFault::kBadCommand: return "bad_command";
    case ProxyFault::kBadFamily: return "bad_family";
    case ProxyFault::kTooShort: return "too_short";
    case ProxyFault::kClosed: return "closed";
    case ProxyFault::kNotInTime: return "not_in_time";
  }
  return "unknown";
}

ProxyReading read_proxy_header(Bytes bytes) {
  if (begins_with(bytes, kSignature)) return read_version_2(bytes);
  if (!begins_with(bytes, kLineStart)) return none(ProxyFault::kNoHeader);
  return bytes.size() < kLineStart.size() ? ProxyReading{} : read_version_1(bytes);
}

std::string own_proxy_header() {
  std::string out(kSignature.begin(), kSignature.end());
  for (const unsigned byte : {kVersion2 << 4U | kLocal, 0U, 0U, 0U}) out.push_back(static_cast<char>(byte));
  return out;
}

}  // namespace brainlock::net
