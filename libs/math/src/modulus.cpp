#include "brainlock/math/modulus.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace brainlock::math {
namespace {

using Wide = unsigned __int128;

std::uint64_t mul_mod_u64(std::uint64_t a, std::uint64_t b, std::uint64_t n) {
  return static_cast<std::uint64_t>(static_cast<Wide>(a) * b % n);
}

std::uint64_t pow_mod_u64(std::uint64_t a, std::uint64_t e, std::uint64_t n) {
  std::uint64_t r = 1 % n;
  for (a %= n; e != 0; e >>= 1) {
    if (e & 1) r = mul_mod_u64(r, a, n);
    a = mul_mod_u64(a, a, n);
  }
  return r;
}

}  // namespace

Modulus make_modulus(std::uint32_t q) {
  if (q % 2 == 0 || q <= 2 || q >= (1u << 30)) {
    std::fprintf(stderr, "make_modulus: q = %u is not an odd number in (2, 2^30)\n", q);
    std::abort();
  }
  std::uint32_t inv = 1;  // Newton: doubles the number of correct bits each step, 1 -> 32
  for (int i = 0; i < 5; ++i) inv *= 2 - q * inv;
  Modulus m;
  m.q = q;
  m.neg_inv = 0u - inv;
  m.r1 = static_cast<std::uint32_t>((std::uint64_t{1} << 32) % q);
  m.r2 = static_cast<std::uint32_t>(std::uint64_t{m.r1} * m.r1 % q);
  m.barrett = ~std::uint64_t{0} / q;  // q is odd, so it does not divide 2^64
  return m;
}

std::uint32_t add_mod(std::uint32_t a, std::uint32_t b, const Modulus& m) {
  const std::uint32_t s = a + b;
  return std::min(s, s - m.q);
}

std::uint32_t sub_mod(std::uint32_t a, std::uint32_t b, const Modulus& m) {
  const std::uint32_t d = a - b;
  return std::min(d, d + m.q);
}

std::uint32_t reduce_u64(std::uint64_t x, const Modulus& m) {
  // Barrett: the quotient is short by at most one.
  const auto quotient = static_cast<std::uint64_t>(static_cast<Wide>(x) * m.barrett >> 64);
  const auto r = static_cast<std::uint32_t>(x - quotient * m.q);
  return std::min(r, r - m.q);
}

std::uint32_t reduce_i64(std::int64_t x, const Modulus& m) {
  if (x >= 0) return reduce_u64(static_cast<std::uint64_t>(x), m);
  const std::uint32_t r = reduce_u64(0 - static_cast<std::uint64_t>(x), m);
  return r == 0 ? 0 : m.q - r;
}

std::uint32_t mul_mod(std::uint32_t a, std::uint32_t b, const Modulus& m) { return reduce_u64(std::uint64_t{a} * b, m); }

std::uint32_t pow_mod(std::uint32_t a, std::uint64_t e, const Modulus& m) {
  std::uint32_t r = 1;
  for (; e != 0; e >>= 1) {
    if (e & 1) r = mul_mod(r, a, m);
    a = mul_mod(a, a, m);
  }
  return r;
}

std::uint32_t inv_mod(std::uint32_t a, const Modulus& m) { return pow_mod(a, m.q - 2, m); }

std::uint32_t to_montgomery(std::uint32_t a, const Modulus& m) { return mul_mod(a, m.r1, m); }

bool is_prime(std::uint64_t n) {
  // These twelve bases decide every n < 3.3e24 (Sorenson and Webster, 2015).
  constexpr std::uint64_t kBases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
  if (n < 2) return false;
  for (const std::uint64_t p : kBases) {
    if (n % p == 0) return n == p;
  }
  std::uint64_t d = n - 1;
  int s = 0;
  for (; d % 2 == 0; d /= 2) ++s;
  for (const std::uint64_t base : kBases) {
    std::uint64_t x = pow_mod_u64(base, d, n);
    if (x == 1 || x == n - 1) continue;
    bool composite = true;
    for (int i = 1; i < s && composite; ++i) {
      x = mul_mod_u64(x, x, n);
      composite = x != n - 1;
    }
    if (composite) return false;
  }
  return true;
}

std::vector<std::uint32_t> ntt_primes(int bits, int count, std::uint32_t ring_degree,
                                      const std::vector<std::uint32_t>& taken) {
  std::vector<std::uint32_t> primes;
  if (bits < 2 || bits > 30 || count <= 0 || ring_degree == 0) return primes;
  const std::int64_t step = 2 * static_cast<std::int64_t>(ring_degree);
  const std::int64_t high = std::int64_t{1} << bits;
  const std::int64_t low = std::int64_t{1} << (bits - 1);
  for (std::int64_t q = (high - 2) / step * step + 1; q > low && static_cast<int>(primes.size()) < count; q -= step) {
    const auto candidate = static_cast<std::uint32_t>(q);
    if (std::find(taken.begin(), taken.end(), candidate) == taken.end() && is_prime(candidate)) {
      primes.push_back(candidate);
    }
  }
  return primes;
}

}  // namespace brainlock::math
