// Who a proxy says it speaks for: each form, each way of being none, and that it does not matter how the bytes are cut.
#include "brainlock/net/proxy_header.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "proxy_bytes.hpp"

namespace brainlock::net {
namespace {

using State = ProxyReading::State;
using namespace std::string_literals;

ProxyReading read(const std::string& text) { return read_proxy_header({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}); }

/// Read whole, with `bytes` of its own in front of whatever follows, and not before all of them are there.
void expect_header(const std::string& header, const std::string& source) {
  for (const std::string& behind : {""s, "GET / HTTP/1.1\r\n\r\n"s, "\r\n"s, "\x16\x03\x01"s, std::string(5000, 'x'), header}) {
    const auto reading = read(header + behind);
    EXPECT_EQ(reading.state, State::kWhole) << header << " " << proxy_fault_name(reading.fault);
    EXPECT_EQ(reading.bytes, header.size()) << header;
    EXPECT_EQ(reading.source, source) << header;
    EXPECT_EQ(reading.fault, ProxyFault::kNone);
  }
  for (std::size_t size = 0; size < header.size(); ++size) EXPECT_EQ(read(header.substr(0, size)).state, State::kIncomplete) << header << " " << size;
}

/// No header, and known to be none when exactly `known_at` bytes are there.
void expect_fault(const std::string& bytes, ProxyFault fault, std::size_t known_at) {
  ASSERT_LE(known_at, bytes.size()) << bytes;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto reading = read(bytes.substr(0, size));
    EXPECT_EQ(reading.state, size < known_at ? State::kIncomplete : State::kNone) << bytes << " " << size;
    EXPECT_EQ(proxy_fault_name(reading.fault), proxy_fault_name(size < known_at ? ProxyFault::kNone : fault)) << bytes << " " << size;
    EXPECT_EQ(reading.bytes, 0u);
    EXPECT_EQ(reading.source, "");
  }
}

TEST(ProxyLine, SaysWhoseAConnectionIs) {
  expect_header("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1");
  expect_header("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255");
  expect_header("PROXY TCP4 1.2.3.4 0.0.0.0 0 0\r\n", "1.2.3.4");
  expect_header("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "127.0.0.1");
  expect_header("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1");
  expect_header("PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 2\r\n", "2001:db8::1");
  expect_header("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1");   // as who listens on :: sees IPv4
  expect_header("PROXY TCP6 ::FFFF:c000:0201 ::1 1 2\r\n", "192.0.2.1");
  const std::string longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  expect_header("PROXY TCP6 " + longest + " " + longest + " 65535 65535\r\n", longest);
}

TEST(ProxyLine, UnknownIsTheProxysOwnWhateverElseItSays) {
  expect_header("PROXY UNKNOWN\r\n", "");
  expect_header("PROXY UNKNOWN 192.0.2.1 198.51.100.2 1 2\r\n", "");
  expect_header("PROXY UNKNOWN \x01\xff\t  nonsense \r\n", "");
  const std::string longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  const std::string line = "PROXY UNKNOWN " + longest + " " + longest + " 65535 65535\r\n";
  ASSERT_EQ(line.size(), kMostProxyLineBytes);
  expect_header(line, "");
}

TEST(ProxyLine, AnythingElseIsNone) {
  const std::string good = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443";
  // Without CR LF at the end.
  expect_fault(good + "\n", ProxyFault::kBadLine, good.size() + 1);
  expect_fault(good + "\rGET", ProxyFault::kBadLine, good.size() + 2);
  expect_fault(good + "\r\r\n", ProxyFault::kBadLine, good.size() + 2);
  expect_fault("PROXY UNKNOWN a\rb\r\n", ProxyFault::kBadLine, 17);
  expect_fault("PROXY UNKNOWN a\nb\r\n", ProxyFault::kBadLine, 16);
  // Too long: a CR in the last place but one is the last that could be right.
  expect_fault("PROXY UNKNOWN " + std::string(200, 'x'), ProxyFault::kTooLong, kMostProxyLineBytes - 1);
  expect_fault("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", ProxyFault::kTooLong, kMostProxyLineBytes - 1);
  expect_header("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", "");
  // Other words, other spaces.
  for (const std::string line : {"PROXY  TCP4 192.0.2.1 198.51.100.2 1 2", "PROXY TCP4  192.0.2.1 198.51.100.2 1 2", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 ", "PROXY TCP4 192.0.2.1 198.51.100.2 1",
                                 "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3", "PROXY TCP4 192.0.2.1", "PROXY TCP4", "PROXY TCP4 ", "PROXY ", "PROXY  ", "PROXY UDP4 192.0.2.1 198.51.100.2 1 2", "PROXY tcp4 192.0.2.1 198.51.100.2 1 2",
                                 "PROXY TCP5 192.0.2.1 198.51.100.2 1 2", "PROXY UNKNOWNX", "PROXY UNKNOW", "PROXY unknown", "PROXY TCP4\t192.0.2.1\t198.51.100.2\t1\t2"}) {
    expect_fault(line + "\r\n", ProxyFault::kBadLine, line.size() + 2);
  }
  const auto with_source = [](const std::string& family, const std::string& ip) { return "PROXY " + family + " " + ip + " " + (family == "TCP4" ? "198.51.100.2" : "::1") + " 1 2\r\n"; };
  for (const std::string ip : {"192.0.2.256", "192.0.2", "192.0.2.1.1", "192.0.02.1", "192.0.2.01", "0x7f.0.0.1", "192.0.2.-1", "+192.0.2.1", "2130706433", "::1", "::ffff:192.0.2.1", "localhost", "192.0.2.1/32", "192.0.2.1\t", "192.0.2.1:80", ""}) {
    const std::string line = with_source("TCP4", ip);
    expect_fault(line, ProxyFault::kBadAddress, line.size());
  }
  expect_fault(with_source("TCP4", "192.0.2.1\0x"s), ProxyFault::kBadAddress, with_source("TCP4", "192.0.2.1\0x"s).size());
  for (const std::string ip : {"192.0.2.1", "2001:db8::1::2", "2001:db8", "12345::1", "fe80::1%eth0", "fe80::1%1", "[::1]", ":::", "2001:db8:0:0:0:0:0:0:1", "::g", "::ffff:192.0.2.256", ""}) {
    const std::string line = with_source("TCP6", ip);
    expect_fault(line, ProxyFault::kBadAddress, line.size());
  }
  // The other address is judged, too.
  for (const std::string line : {"PROXY TCP4 192.0.2.1 nobody 1 2\r\n", "PROXY TCP4 192.0.2.1 ::1 1 2\r\n", "PROXY TCP6 ::1 192.0.2.1 1 2\r\n"}) expect_fault(line, ProxyFault::kBadAddress, line.size());
  for (const std::string port : {"65536", "99999", "100000", "01", "00", "-1", "+1", "1a", "0x1", ""}) {
    for (const std::string& ports : {port + " 2", "1 " + port}) {
      const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.2 " + ports + "\r\n";
      expect_fault(line, ProxyFault::kBadPort, line.size());
    }
  }
}

TEST(ProxyHeader, SaysWhoseAConnectionIs) {
  expect_header(proxied_from("192.0.2.1"), "192.0.2.1");
  expect_header(proxied_from("127.0.0.1"), "127.0.0.1");
  expect_header(proxied_from("2001:db8::1"), "2001:db8::1");
  expect_header(proxied_from("::ffff:192.0.2.1"), "192.0.2.1");
  expect_header(proxied_from("::1"), "::1");
  // Further bytes (TLVs) are skipped, whatever they are.
  expect_header(proxied_from("192.0.2.1", "\x04\x00\x02zz"s), "192.0.2.1");
  expect_header(proxied_from("192.0.2.1", "\xff\xff\xff"s), "192.0.2.1");
  expect_header(proxied_from("2001:db8::1", std::string(1000, '\x01')), "2001:db8::1");
  const std::string largest = proxied_from("192.0.2.1", std::string(kMostProxyHeaderBytes - 28, '\x00'));
  ASSERT_EQ(largest.size(), kMostProxyHeaderBytes);
  expect_header(largest, "192.0.2.1");
}

TEST(ProxyHeader, WhatIsOfNoAddressOfTheInternetIsTheProxysOwn) {
  expect_header(own_proxy_header(), "");
  // LOCAL: neither family nor addresses are looked at.
  for (const unsigned family : {0x00U, 0x11U, 0x21U, 0x31U, 0xffU}) {
    for (const std::size_t size : {0, 3, 12, 36, 500}) expect_header(version_2(0x20, family, std::string(size, '\x07')), "");
  }
  for (const unsigned family : {0x00U, 0x01U, 0x10U, 0x12U, 0x22U, 0x20U, 0x31U, 0x32U}) {
    for (const std::size_t size : {0, 12, 36, 216}) expect_header(version_2(0x21, family, std::string(size, '\x07')), "");
  }
}

TEST(ProxyHeader, AnythingElseIsNone) {
  const std::string addresses = raw_address("192.0.2.1") + raw_address("192.0.2.2") + "\x01\x02\x03\x04";
  for (const unsigned command : {0x11U, 0x01U, 0x31U, 0xf1U, 0xa0U}) expect_fault(version_2(command, 0x11, addresses), ProxyFault::kBadVersion, 13);
  for (unsigned command = 0x22; command < 0x30; ++command) expect_fault(version_2(command, 0x11, addresses), ProxyFault::kBadCommand, 13);
  for (const unsigned family : {0x41U, 0x13U, 0x23U, 0xf0U, 0x0fU, 0x33U, 0x40U, 0x03U}) expect_fault(version_2(0x21, family, std::string(300, 'x')), ProxyFault::kBadFamily, 14);
  for (const std::size_t size : {0, 1, 4, 8, 11}) expect_fault(version_2(0x21, 0x11, std::string(size, 'x')), ProxyFault::kTooShort, 16);
  for (const std::size_t size : {0, 12, 32, 35}) expect_fault(version_2(0x21, 0x21, std::string(size, 'x')), ProxyFault::kTooShort, 16);
  // What is said counts, not what comes.
  expect_fault(version_2(0x21, 0x11, std::string(100, 'x'), 11), ProxyFault::kTooShort, 16);
  for (const unsigned command : {0x20U, 0x21U}) {
    for (const int length : {static_cast<int>(kMostProxyHeaderBytes) - 15, 0x7fff, 0xffff, 0xff00}) expect_fault(version_2(command, 0x11, "", length), ProxyFault::kTooLong, 16);
  }
  EXPECT_EQ(read(version_2(0x21, 0x11, std::string(100, 'x'), 300)).state, State::kIncomplete);
}

TEST(ProxyHeader, WhatBeginsOtherwiseIsKnownAtItsFirstOtherByte) {
  expect_fault("GET / HTTP/1.1\r\n\r\n", ProxyFault::kNoHeader, 1);
  expect_fault("PUT /v1 HTTP/1.1\r\n\r\n", ProxyFault::kNoHeader, 2);
  expect_fault("PROXYTCP4 ", ProxyFault::kNoHeader, 6);
  expect_fault("proxy TCP4 ", ProxyFault::kNoHeader, 1);
  expect_fault(" PROXY TCP4 ", ProxyFault::kNoHeader, 1);
  expect_fault("\x16\x03\x01\x02\x00", ProxyFault::kNoHeader, 1);
  expect_fault("\0\0\0"s, ProxyFault::kNoHeader, 1);
  for (std::size_t at = 0; at < kSignatureOfVersion2.size(); ++at) {
    std::string other = proxied_from("192.0.2.1");
    other[at] = static_cast<char>(other[at] ^ 0x40);
    expect_fault(other, ProxyFault::kNoHeader, at + 1);
  }
}

TEST(ProxyHeader, EachFaultHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int fault = 0; fault <= static_cast<int>(ProxyFault::kNotInTime); ++fault) names.insert(proxy_fault_name(static_cast<ProxyFault>(fault)));
  EXPECT_EQ(names.size(), 12u);
  EXPECT_EQ(names.count("unknown"), 0u);
}

}  // namespace
}  // namespace brainlock::net
