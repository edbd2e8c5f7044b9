// The pairing on BLS12-381 in its plainest form, for known answers alone: affine points, the field of degree twelve as polynomials
// in w with w^12 = 2 w^6 - 2 (so that u = w^6 - 1 is a root of -1), one long final power. Seconds for what a real library does in a
// millisecond, and its time depends on the operands. Formulas: the untwist x / w^2, y / w^3 and the lines of Miller's algorithm.
#pragma once

#include <array>
#include <boost/multiprecision/cpp_int.hpp>
#include <optional>

#include "brainlock/crypto/bytes.hpp"

namespace brainlock::chain::pairing12 {

using Int = boost::multiprecision::number<
    boost::multiprecision::cpp_int_backend<1024, 1024, boost::multiprecision::signed_magnitude, boost::multiprecision::unchecked, void>>;
using Long = boost::multiprecision::cpp_int;

inline const Int kPrime("0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab");
inline const Int kOrder("0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
constexpr std::uint64_t kLoop = 0xd201000000010000;  // The curve's parameter, which is its negative.

inline Int reduced(const Int& a) {
  Int r = a % kPrime;
  if (r < 0) r += kPrime;
  return r;
}
inline Int power(const Int& a, const Int& exponent) { return boost::multiprecision::powm(a, exponent, kPrime); }
inline Int inverse(const Int& a) { return power(reduced(a), kPrime - 2); }

/// re + im u.
struct Fp2 {
  Int re, im;
  bool operator==(const Fp2&) const = default;
};
inline Fp2 operator+(const Fp2& a, const Fp2& b) { return {reduced(a.re + b.re), reduced(a.im + b.im)}; }
inline Fp2 operator-(const Fp2& a, const Fp2& b) { return {reduced(a.re - b.re), reduced(a.im - b.im)}; }
inline Fp2 operator*(const Fp2& a, const Fp2& b) {
  return {reduced(a.re * b.re - a.im * b.im), reduced(a.re * b.im + a.im * b.re)};
}
inline Fp2 inverse(const Fp2& a) {
  const Int norm = inverse(a.re * a.re + a.im * a.im);
  return {reduced(a.re * norm), reduced(-a.im * norm)};
}
inline std::optional<Fp2> square_root(const Fp2& a) {
  const Int root = power(reduced(a.re * a.re + a.im * a.im), (kPrime + 1) / 4);
  for (const Int& sign : {Int(1), Int(-1)}) {
    const Int half = reduced((a.re + sign * root) * inverse(Int(2)));
    const Int re = power(half, (kPrime + 1) / 4);
    const Fp2 out{re, reduced(a.im * inverse(2 * re))};
    if (re != 0 && out * out == a) return out;
  }
  return {};
}

struct G1 {
  Int x, y;
};
struct G2 {
  Fp2 x, y;
};

/// The group's usual generator.
inline G2 generator() {
  return {{Int("0x024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"),
           Int("0x13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e")},
          {Int("0x0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"),
           Int("0x0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be")}};
}

inline Int big_endian(crypto::ByteView bytes) {
  Int out = 0;
  for (auto byte : bytes) out = (out << 8) + byte;
  return out;
}
inline void append(crypto::Bytes& out, Int number, bool little) {
  crypto::Bytes bytes(48);
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(Int(number & 0xff));
    number >>= 8;
  }
  if (!little) std::reverse(bytes.begin(), bytes.end());
  out.insert(out.end(), bytes.begin(), bytes.end());
}
inline bool upper_half(const Int& y) { return y > (kPrime - 1) / 2; }

/// Compressed points: the flags are the three highest bits; the third tells the larger of two roots.
inline std::optional<G1> decode_g1(crypto::Bytes bytes) {
  const bool upper = (bytes[0] & 0x20) != 0;
  bytes[0] &= 0x1f;
  G1 out{big_endian(bytes), 0};
  const Int square = reduced(out.x * out.x % kPrime * out.x + 4);
  out.y = power(square, (kPrime + 1) / 4);
  if (reduced(out.y * out.y) != square) return {};
  if (upper_half(out.y) != upper) out.y = kPrime - out.y;
  return out;
}
inline std::optional<G2> decode_g2(crypto::Bytes bytes) {
  const bool upper = (bytes[0] & 0x20) != 0;
  bytes[0] &= 0x1f;
  const crypto::ByteView view(bytes);
  G2 out{{big_endian(view.subspan(48)), big_endian(view.first(48))}, {}};
  const auto y = square_root(out.x * out.x * out.x + Fp2{4, 4});
  if (!y) return {};
  out.y = *y;
  if (upper_half(out.y.im != 0 ? out.y.im : out.y.re) != upper) out.y = Fp2{0, 0} - out.y;
  return out;
}
inline crypto::Bytes encode_g2(const G2& point) {
  crypto::Bytes out;
  append(out, point.x.im, false);
  append(out, point.x.re, false);
  out[0] = static_cast<std::uint8_t>(out[0] | 0x80 | (upper_half(point.y.im != 0 ? point.y.im : point.y.re) ? 0x20 : 0));
  return out;
}

inline Fp2 slope(const G2& a, const G2& b) {
  if (a.x == b.x) return Fp2{3, 0} * a.x * a.x * inverse(Fp2{2, 0} * a.y);
  return (b.y - a.y) * inverse(b.x - a.x);
}
/// Never of a point and its negative here: the factors are below the order.
inline G2 add(const G2& a, const G2& b) {
  const Fp2 s = slope(a, b);
  const Fp2 x = s * s - a.x - b.x;
  return {x, s * (a.x - x) - a.y};
}
inline G2 multiply(const Int& factor, const G2& point) {
  G2 out = point;
  for (int bit = static_cast<int>(boost::multiprecision::msb(factor)) - 1; bit >= 0; --bit) {
    out = add(out, out);
    if (boost::multiprecision::bit_test(factor, static_cast<unsigned>(bit))) out = add(out, point);
  }
  return out;
}

using Fp12 = std::array<Int, 12>;

template <std::size_t N>
Fp12 folded(std::array<Int, N>& c) {
  for (std::size_t i = N; i-- > 12;) {
    c[i - 6] += 2 * c[i];
    c[i - 12] -= 2 * c[i];
  }
  Fp12 out;
  for (std::size_t i = 0; i < 12; ++i) out[i] = reduced(c[i]);
  return out;
}
inline Fp12 multiply(const Fp12& a, const Fp12& b) {
  std::array<Int, 23> c{};
  for (std::size_t i = 0; i < 12; ++i) {
    if (a[i] == 0) continue;
    for (std::size_t j = 0; j < 12; ++j) c[i + j] += a[i] * b[j];
  }
  return folded(c);
}
inline Fp12 power(const Fp12& a, const Long& exponent) {
  Fp12 out = a;
  for (int bit = static_cast<int>(boost::multiprecision::msb(exponent)) - 1; bit >= 0; --bit) {
    out = multiply(out, out);
    if (boost::multiprecision::bit_test(exponent, static_cast<unsigned>(bit))) out = multiply(out, a);
  }
  return out;
}
/// The power p^6: every odd coefficient changes its sign. Of a pairing's value, its inverse.
inline Fp12 conjugate(Fp12 a) {
  for (std::size_t i = 1; i < 12; i += 2) a[i] = reduced(-a[i]);
  return a;
}

/// The pairing of p and q up to the sign of the curve's parameter.
inline Fp12 pairing(const G1& p, const G2& q) {
  // The line through two points of the twist at p, times w^3.
  const auto line = [&](const G2& a, const G2& b) {
    const Fp2 s = slope(a, b), constant = s * a.x - a.y, middle = s * Fp2{-p.x, 0};
    std::array<Int, 18> c{};
    const auto put = [&](const Fp2& value, std::size_t w) {
      c[w] += value.re - value.im;
      c[w + 6] += value.im;
    };
    put(constant, 0);
    put(middle, 2);
    c[3] += p.y;
    return folded(c);
  };
  Fp12 f{};
  f[0] = 1;
  G2 t = q;
  for (int bit = 62; bit >= 0; --bit) {
    f = multiply(multiply(f, f), line(t, t));
    t = add(t, t);
    if ((kLoop >> bit & 1) != 0) {
      f = multiply(f, line(t, q));
      t = add(t, q);
    }
  }
  static const Long exponent = (boost::multiprecision::pow(Long(kPrime), 12) - 1) / Long(kOrder);
  return power(f, exponent);
}

/// As arkworks writes it: two halves in w, each of three in w^2, each of two in u; little-endian numbers of 48 bytes.
inline crypto::Bytes encode(const Fp12& a) {
  crypto::Bytes out;
  for (std::size_t w : {0, 2, 4, 1, 3, 5}) {
    append(out, reduced(a[w] + a[w + 6]), true);
    append(out, a[w + 6], true);
  }
  return out;
}

}  // namespace brainlock::chain::pairing12
