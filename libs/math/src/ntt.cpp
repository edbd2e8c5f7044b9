#include "brainlock/math/ntt.hpp"

#include <bit>
#include <cstdio>
#include <cstdlib>

#include "kernels/tail_layout.hpp"

namespace brainlock::math {
namespace {

std::uint32_t shoup(std::uint32_t w, const Modulus& m) {
  return static_cast<std::uint32_t>((std::uint64_t{w} << 32) / m.q);
}

void check_degree(std::uint32_t ring_degree) {
  if (!std::has_single_bit(ring_degree) || ring_degree < 8 || ring_degree > (1u << 17)) {
    std::fprintf(stderr, "ring degree %u is not a power of two in [8, 2^17]\n", ring_degree);
    std::abort();
  }
}

/// The first g^((q-1)/2N), g = 2, 3, ..., whose N-th power is -1: a primitive 2N-th root of unity.
std::uint32_t find_psi(std::uint32_t ring_degree, const Modulus& m) {
  for (std::uint32_t g = 2; g < m.q; ++g) {
    const std::uint32_t psi = pow_mod(g, (m.q - 1) / (2 * ring_degree), m);
    if (pow_mod(psi, ring_degree, m) == m.q - 1) return psi;
  }
  std::fprintf(stderr, "modulus %u has no primitive root of unity of order %u\n", m.q, 2 * ring_degree);
  std::abort();
}

}  // namespace

std::uint32_t reverse_bits(std::uint32_t x, int bits) {
  std::uint32_t r = 0;
  for (int i = 0; i < bits; ++i) r |= ((x >> i) & 1u) << (bits - 1 - i);
  return r;
}

std::shared_ptr<const NttTables> make_ntt_tables(std::uint32_t ring_degree, std::uint32_t q) {
  check_degree(ring_degree);
  if ((q - 1) % (2 * ring_degree) != 0) {
    std::fprintf(stderr, "modulus %u is not 1 mod %u\n", q, 2 * ring_degree);
    std::abort();
  }
  auto t = std::make_shared<NttTables>();
  t->modulus = make_modulus(q);
  t->ring_degree = ring_degree;
  const Modulus& m = t->modulus;
  t->psi = find_psi(ring_degree, m);
  const std::uint32_t psi_inv = inv_mod(t->psi, m);
  const int log_n = std::countr_zero(ring_degree);
  for (auto* table : {&t->w, &t->w_shoup, &t->w_inv, &t->w_inv_shoup}) table->resize(ring_degree);
  std::uint32_t power = 1;
  std::uint32_t power_inv = 1;
  for (std::uint32_t e = 0; e < ring_degree; ++e) {
    const std::uint32_t i = reverse_bits(e, log_n);
    t->w[i] = power;
    t->w_shoup[i] = shoup(power, m);
    t->w_inv[i] = power_inv;
    t->w_inv_shoup[i] = shoup(power_inv, m);
    power = mul_mod(power, t->psi, m);
    power_inv = mul_mod(power_inv, psi_inv, m);
  }
  t->n_inv = inv_mod(ring_degree % q, m);
  t->n_inv_shoup = shoup(t->n_inv, m);
  detail::fill_tails(*t);
  return t;
}

std::shared_ptr<const AutomorphismTable> make_automorphism_table(std::uint32_t ring_degree,
                                                                 std::uint32_t galois_element) {
  check_degree(ring_degree);
  if (galois_element % 2 == 0 || galois_element >= 2 * ring_degree) {
    std::fprintf(stderr, "Galois element %u is not odd and below %u\n", galois_element, 2 * ring_degree);
    std::abort();
  }
  // Output i is a(psi^e), e = 2 brv(i) + 1, and must become a(psi^(g e)). The low three bits l of i are the top
  // three of brv(i): e = (2r + 1) + (N/4) brv3(l), r = brv(8v). So g e = g (2r + 1) + (N/4) g brv3(l): the vector's
  // r alone chooses the source vector and a carry c into the top three bits, and c chooses the lane pattern.
  auto t = std::make_shared<AutomorphismTable>();
  t->galois_element = galois_element;
  for (std::uint32_t c = 0; c < 8; ++c) {
    for (std::uint32_t lane = 0; lane < 8; ++lane) {
      t->patterns[c][lane] = reverse_bits((c + galois_element * reverse_bits(lane, 3)) % 8, 3);
    }
  }
  const int log_n = std::countr_zero(ring_degree);
  const std::uint32_t vectors = ring_degree / 8;
  t->source.resize(vectors);
  t->pattern.resize(vectors);
  for (std::uint32_t v = 0; v < vectors; ++v) {
    const std::uint64_t e = 2 * std::uint64_t{reverse_bits(8 * v, log_n)} + 1;
    const auto ge = static_cast<std::uint32_t>(e * galois_element % (2 * ring_degree));
    const std::uint32_t exponent = ge / 2;  // brv of the source word for lane 0
    t->source[v] = reverse_bits(exponent % vectors, log_n);
    t->pattern[v] = static_cast<std::uint8_t>(exponent / vectors);
  }
  return t;
}

}  // namespace brainlock::math
