#include "keccak.hpp"

#include <bit>

namespace brainlock::crypto {
namespace {

constexpr int kRounds = 24;

// Round constants from the degree-8 LFSR x^8 + x^6 + x^5 + x^4 + 1 (FIPS 202, algorithm 5), computed at compile time
// so that no table can be mistyped.
constexpr std::array<std::uint64_t, kRounds> make_round_constants() {
  std::array<std::uint64_t, kRounds> constants{};
  std::uint32_t lfsr = 1;
  for (auto& constant : constants) {
    for (int j = 0; j <= 6; ++j) {
      if (lfsr & 1) constant |= std::uint64_t{1} << ((1u << j) - 1);
      lfsr <<= 1;
      if (lfsr & 0x100) lfsr ^= 0x171;
    }
  }
  return constants;
}

constexpr auto kRoundConstants = make_round_constants();

}  // namespace

void keccak_f1600(std::array<std::uint8_t, 200>& state) {
  std::array<std::uint64_t, 25> a{};
  for (std::size_t lane = 0; lane < 25; ++lane) {
    for (std::size_t i = 0; i < 8; ++i) a[lane] |= std::uint64_t{state[lane * 8 + i]} << (8 * i);
  }
  for (std::uint64_t round_constant : kRoundConstants) {
    // theta
    std::array<std::uint64_t, 5> column{};
    for (std::size_t x = 0; x < 5; ++x) column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    for (std::size_t x = 0; x < 5; ++x) {
      const std::uint64_t d = column[(x + 4) % 5] ^ std::rotl(column[(x + 1) % 5], 1);
      for (std::size_t y = 0; y < 25; y += 5) a[x + y] ^= d;
    }
    // rho and pi: walk the one cycle of 24 lanes; the t-th offset is (t+1)(t+2)/2.
    std::size_t x = 1, y = 0;
    std::uint64_t moving = a[1];
    for (int t = 0; t < 24; ++t) {
      const std::size_t next_y = (2 * x + 3 * y) % 5;
      x = y;
      y = next_y;
      const std::uint64_t rotated = std::rotl(moving, (t + 1) * (t + 2) / 2 % 64);
      moving = a[x + 5 * y];
      a[x + 5 * y] = rotated;
    }
    // chi
    for (std::size_t row = 0; row < 25; row += 5) {
      std::array<std::uint64_t, 5> b{};
      for (std::size_t i = 0; i < 5; ++i) b[i] = a[row + i];
      for (std::size_t i = 0; i < 5; ++i) a[row + i] = b[i] ^ (~b[(i + 1) % 5] & b[(i + 2) % 5]);
    }
    // iota
    a[0] ^= round_constant;
  }
  for (std::size_t lane = 0; lane < 25; ++lane) {
    for (std::size_t i = 0; i < 8; ++i) state[lane * 8 + i] = static_cast<std::uint8_t>(a[lane] >> (8 * i));
  }
}

}  // namespace brainlock::crypto
