// The reference: plain loops, one word at a time. Clarity first, but no needless divisions: small machines run it too.
#include <algorithm>
#include <cmath>

#include "kernels/tables.hpp"

namespace brainlock::math::detail {
namespace {

using U32 = std::uint32_t;
using U64 = std::uint64_t;

U32 shoup_of(U32 w, U32 q) { return static_cast<U32>((U64{w} << 32) / q); }

/// a * w mod q in [0, 2q), for any 32-bit a and w < q.
U32 mul_shoup_lazy(U32 a, U32 w, U32 w_shoup, U32 q) {
  return a * w - static_cast<U32>(U64{a} * w_shoup >> 32) * q;
}

U32 mul_shoup(U32 a, U32 w, U32 w_shoup, U32 q) {
  const U32 r = mul_shoup_lazy(a, w, w_shoup, q);
  return std::min(r, r - q);
}

/// x, any 64 bits, to a congruent value below 2^32 q.
U64 fold(U64 x, const Modulus& m) { return (x & 0xffffffffu) + (x >> 32) * m.r1; }

/// x * 2^-32 mod q in [0, q), for any 64-bit x.
U32 montgomery_reduce(U64 x, const Modulus& m) {
  const U64 folded = fold(x, m);
  const U32 quotient = static_cast<U32>(folded) * m.neg_inv;
  const auto r = static_cast<U32>((folded + U64{quotient} * m.q) >> 32);
  return std::min(r, r - m.q);
}

/// Sum of products of words below 2^30, with no limit on their number.
class Accumulator {
 public:
  explicit Accumulator(const Modulus& m) : m_(m) {}
  void add_product(U32 a, U32 b) {
    sum_ = fold(sum_, m_) + U64{a} * b;
  }
  U32 montgomery() const { return montgomery_reduce(sum_, m_); }

 private:
  const Modulus& m_;
  U64 sum_ = 0;
};

void ntt_forward(const NttTables& t, U32* x) {
  const U32 q = t.modulus.q;
  std::size_t half = t.ring_degree / 2;
  for (std::size_t groups = 1; groups < t.ring_degree; groups *= 2, half /= 2) {
    for (std::size_t g = 0; g < groups; ++g) {
      const U32 w = t.w[groups + g];
      const U32 ws = t.w_shoup[groups + g];
      U32* a = x + 2 * half * g;
      U32* b = a + half;
      for (std::size_t j = 0; j < half; ++j) {  // Harvey: words stay in [0, 4q)
        const U32 u = std::min(a[j], a[j] - 2 * q);
        const U32 v = mul_shoup_lazy(b[j], w, ws, q);
        a[j] = u + v;
        b[j] = u - v + 2 * q;
      }
    }
  }
  for (std::size_t j = 0; j < t.ring_degree; ++j) {
    const U32 r = std::min(x[j], x[j] - 2 * q);
    x[j] = std::min(r, r - q);
  }
}

void ntt_inverse(const NttTables& t, U32* x) {
  const U32 q = t.modulus.q;
  std::size_t half = 1;
  for (std::size_t groups = t.ring_degree / 2; groups >= 1; groups /= 2, half *= 2) {
    for (std::size_t g = 0; g < groups; ++g) {
      const U32 w = t.w_inv[groups + g];
      const U32 ws = t.w_inv_shoup[groups + g];
      U32* a = x + 2 * half * g;
      U32* b = a + half;
      for (std::size_t j = 0; j < half; ++j) {  // words stay in [0, 2q)
        const U32 s = a[j] + b[j];
        const U32 d = a[j] - b[j] + 2 * q;
        a[j] = std::min(s, s - 2 * q);
        b[j] = mul_shoup_lazy(d, w, ws, q);
      }
    }
  }
  for (std::size_t j = 0; j < t.ring_degree; ++j) x[j] = mul_shoup(x[j], t.n_inv, t.n_inv_shoup, q);
}

void ntt_inverse_scaled(const NttTables& t, U32* out, const U32* in, U32 s) {
  if (out != in) std::copy_n(in, t.ring_degree, out);
  ntt_inverse(t, out);
  const U32 shoup = static_cast<U32>((U64{s} << 32) / t.modulus.q);
  for (std::size_t j = 0; j < t.ring_degree; ++j) out[j] = mul_shoup(out[j], s, shoup, t.modulus.q);
}

void ntt_forward_units(const NttTables& t, U32* x, U32* out, const U32* rank, std::size_t stride) {
  ntt_forward(t, x);
  for (std::size_t u = 0; u < t.ring_degree / kUnitWords; ++u) std::copy_n(x + u * kUnitWords, kUnitWords, out + rank[u] * stride);
}

void add(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) out[j] = add_mod(a[j], b[j], m);
}

void sub(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) out[j] = sub_mod(a[j], b[j], m);
}

void negate(U32* out, const U32* a, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) out[j] = sub_mod(0, a[j], m);
}

void mul(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) out[j] = mul_mod(a[j], b[j], m);
}

void mul_add(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) out[j] = add_mod(out[j], mul_mod(a[j], b[j], m), m);
}

void mul_scalar(U32* out, const U32* a, U32 s, U32 s_shoup, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) out[j] = mul_shoup(a[j], s, s_shoup, m.q);
}

void sub_mul_scalar(U32* out, const U32* a, const U32* b, U32 s, U32 s_shoup, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) out[j] = mul_shoup(a[j] - b[j] + m.q, s, s_shoup, m.q);
}

void mul_halves(U32* out, const U32* a, U32 s0, U32 s1, const Modulus& m, std::size_t n) {
  mul_scalar(out, a, s0, shoup_of(s0, m.q), m, n / 2);
  mul_scalar(out + n / 2, a + n / 2, s1, shoup_of(s1, m.q), m, n / 2);
}

void square(U32* d0, U32* d1, U32* d2, const U32* c0, const U32* c1, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    d0[j] = mul_mod(c0[j], c0[j], m);
    d1[j] = mul_mod(add_mod(c0[j], c0[j], m), c1[j], m);
    d2[j] = mul_mod(c1[j], c1[j], m);
  }
}

void permute(U32* out, const U32* in, const AutomorphismTable& table, std::size_t n) {
  for (std::size_t v = 0; v < n / 8; ++v) {
    const U32* source = in + table.source[v];
    const U32* lanes = table.patterns[table.pattern[v]];
    for (std::size_t l = 0; l < 8; ++l) out[8 * v + l] = source[lanes[l]];
  }
}

void convert_basis(const U32* const* y, const float* inv_q, std::size_t k, const ConversionTarget* targets,
                   std::size_t target_count, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    float sum = 0;
    for (std::size_t i = 0; i < k; ++i) sum = std::fma(static_cast<float>(y[i][j]), inv_q[i], sum);
    const auto v = static_cast<U32>(std::nearbyint(sum));
    for (std::size_t p = 0; p < target_count; ++p) {
      const ConversionTarget& target = targets[p];
      U64 acc = U64{v} * target.neg_q_src;  // at most 15 * 2^60 + 15 * 2^30 in all: no fold needed
      for (std::size_t i = 0; i < k; ++i) acc += U64{y[i][j]} * target.factors[i];
      target.out[j] = montgomery_reduce(acc, *target.modulus);
    }
  }
}

void reduce_centred(U32* out, const U32* x, U32 q_src, const Modulus& m, std::size_t n) {
  const U32 wrap = reduce_u64(q_src, m);
  for (std::size_t j = 0; j < n; ++j) {
    const U32 r = reduce_u64(x[j], m);
    out[j] = x[j] > q_src / 2 ? sub_mod(r, wrap, m) : r;
  }
}

void inner_product(U32* out0, U32* out1, const U32* const* digit, const U32* const* key0, const U32* const* key1,
                   std::size_t digits, const U32* addend0, const Modulus& m, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    Accumulator acc0(m);
    Accumulator acc1(m);
    for (std::size_t d = 0; d < digits; ++d) {
      acc0.add_product(digit[d][j], key0[d][j]);
      acc1.add_product(digit[d][j], key1[d][j]);
    }
    const U32 r = acc0.montgomery();
    out0[j] = addend0 != nullptr ? add_mod(r, addend0[j], m) : r;
    out1[j] = acc1.montgomery();
  }
}

void inner_product_gathered(U32* out0, U32* out1, const U32* digits, std::size_t digit_stride, const U32* key, std::size_t digit_count,
                            const U32* addend0, const U32* base0, const U32* base1, const AutomorphismTable& table, std::size_t begin,
                            const Modulus& m) {
  for (std::size_t t = 0; t < kUnitWords; ++t) {
    const std::size_t v = (begin + t) / 8;
    const std::size_t j = table.source[v] + table.patterns[table.pattern[v]][t % 8];
    Accumulator acc0(m);
    Accumulator acc1(m);
    for (std::size_t d = 0; d < digit_count; ++d) {
      acc0.add_product(digits[d * digit_stride + j], key[2 * d * kUnitWords + t]);
      acc1.add_product(digits[d * digit_stride + j], key[(2 * d + 1) * kUnitWords + t]);
    }
    U32 r0 = acc0.montgomery(), r1 = acc1.montgomery();
    if (addend0 != nullptr) r0 = add_mod(r0, addend0[j], m);
    if (base0 != nullptr) {
      r0 = add_mod(r0, base0[t], m);
      r1 = add_mod(r1, base1[t], m);
    }
    out0[t] = r0;
    out1[t] = r1;
  }
}

void inner_product_unit(U32* out0, U32* out1, const U32* pieces, const U32* key, std::size_t digits,
                        const AutomorphismTable& table, std::size_t begin, const Modulus& m) {
  inner_product_gathered(out0, out1, pieces, kUnitWords, key, digits, pieces + digits * kUnitWords, nullptr, nullptr, table, begin, m);
}

void gemm_periodic(U32* const* out, std::size_t outputs, const U32* const* x, std::size_t inputs, std::size_t sets, const U32* w,
                   std::size_t w_run_stride, std::size_t w_row_stride, std::size_t run_length, bool accumulate,
                   const Modulus& m, std::size_t n) {
  for (std::size_t s = 0; s < sets; ++s, out += outputs, x += inputs) {
    for (std::size_t t = 0; t < n; ++t) {
      const U32* run = w + t / run_length * w_run_stride;
      for (std::size_t o = 0; o < outputs; ++o) {
        Accumulator acc(m);
        for (std::size_t k = 0; k < inputs; ++k) acc.add_product(x[k][t], run[k * w_row_stride + o]);
        const U32 r = acc.montgomery();
        out[o][t] = accumulate ? add_mod(out[o][t], r, m) : r;
      }
    }
  }
}

// No other form: a copy, so that those who use one can be tested on every machine.
std::size_t prepared_words(std::size_t outputs, std::size_t inputs, const Modulus&) { return inputs * outputs; }
void prepare_weights(U32* prepared, std::size_t outputs, std::size_t inputs, const U32* w, std::size_t w_row_stride, const Modulus&) {
  for (std::size_t k = 0; k < inputs; ++k) std::copy_n(w + k * w_row_stride, outputs, prepared + k * outputs);
}
void gemm_prepared(U32* const* out, std::size_t outputs, const U32* const* x, std::size_t inputs, std::size_t sets, const U32* prepared, const Modulus& m,
                   std::size_t n) {
  gemm_periodic(out, outputs, x, inputs, sets, prepared, inputs * outputs, outputs, n, false, m, n);
}

void mac_full(U32* out0, U32* out1, const U32* const* w, const U32* const* x0, const U32* const* x1, std::size_t inputs,
              const Modulus& m, std::size_t n, std::size_t run) {
  for (std::size_t t = 0; t < n; ++t) {
    Accumulator acc0(m), acc1(m);
    for (std::size_t k = 0; k < inputs; ++k) {
      acc0.add_product(x0[k][t], w[k][t / run]);
      acc1.add_product(x1[k][t], w[k][t / run]);
    }
    out0[t] = acc0.montgomery();
    out1[t] = acc1.montgomery();
  }
}

}  // namespace

const Kernels kScalarKernels = {
    .name = "scalar",
    .ntt_forward = ntt_forward,
    .ntt_inverse = ntt_inverse,
    .ntt_inverse_scaled = ntt_inverse_scaled,
    .ntt_forward_units = ntt_forward_units,
    .add = add,
    .sub = sub,
    .negate = negate,
    .mul = mul,
    .mul_add = mul_add,
    .mul_scalar = mul_scalar,
    .sub_mul_scalar = sub_mul_scalar,
    .mul_halves = mul_halves,
    .square = square,
    .permute = permute,
    .convert_basis = convert_basis,
    .reduce_centred = reduce_centred,
    .inner_product = inner_product,
    .inner_product_gathered = inner_product_gathered,
    .inner_product_unit = inner_product_unit,
    .gemm_periodic = gemm_periodic,
    .prepared_words = prepared_words,
    .prepare_weights = prepare_weights,
    .gemm_prepared = gemm_prepared,
    .mac_full = mac_full,
};

}  // namespace brainlock::math::detail
