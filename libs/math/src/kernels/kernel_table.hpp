// The kernel table of one instruction set, from the templates: Wide registers for the bulk, Narrow (eight lanes) for
// what is left of n words when Wide has sixteen lanes.
#pragma once

#include "kernels/gemm.hpp"
#include "kernels/ntt_vector.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/sums.hpp"
#include "kernels/tables.hpp"

namespace brainlock::math::detail {
namespace {

template <class Wide, class Narrow>
struct VectorKernels {
  BRAINLOCK_INLINE static std::size_t bulk(std::size_t n) { return n - n % Wide::kLanes; }

  static void ntt_forward(const NttTables& t, U32* x) {
    if (t.ring_degree < kMinVectorDegree) return kScalarKernels.ntt_forward(t, x);
    ntt_forward_vector<Wide>(t, x, [x](std::size_t unit) { return x + unit * kTailBlock; });
  }
  static void ntt_forward_units(const NttTables& t, U32* x, U32* out, const U32* rank, std::size_t stride) {
    if (t.ring_degree < kMinVectorDegree) return kScalarKernels.ntt_forward_units(t, x, out, rank, stride);
    ntt_forward_vector<Wide>(t, x, [=](std::size_t unit) { return out + rank[unit] * stride; });
  }
  static void ntt_inverse(const NttTables& t, U32* x) {
    if (t.ring_degree < kMinVectorDegree) return kScalarKernels.ntt_inverse(t, x);
    ntt_inverse_vector<Wide>(t, x, x, t.n_inv);
  }
  static void ntt_inverse_scaled(const NttTables& t, U32* out, const U32* in, U32 s) {
    if (t.ring_degree < kMinVectorDegree) return kScalarKernels.ntt_inverse_scaled(t, out, in, s);
    ntt_inverse_vector<Wide>(t, out, in, static_cast<U32>(U64{t.n_inv} * s % t.modulus.q));
  }
  static void add(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t n) {
    add_range<Wide>(out, a, b, m, 0, bulk(n));
    add_range<Narrow>(out, a, b, m, bulk(n), n);
  }
  static void sub(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t n) {
    sub_range<Wide>(out, a, b, m, 0, bulk(n));
    sub_range<Narrow>(out, a, b, m, bulk(n), n);
  }
  static void negate(U32* out, const U32* a, const Modulus& m, std::size_t n) {
    negate_range<Wide>(out, a, m, 0, bulk(n));
    negate_range<Narrow>(out, a, m, bulk(n), n);
  }
  static void mul(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t n) {
    mul_range<Wide>(out, a, b, m, 0, bulk(n));
    mul_range<Narrow>(out, a, b, m, bulk(n), n);
  }
  static void mul_add(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t n) {
    mul_add_range<Wide>(out, a, b, m, 0, bulk(n));
    mul_add_range<Narrow>(out, a, b, m, bulk(n), n);
  }
  static void mul_scalar(U32* out, const U32* a, U32 s, U32 s_shoup, const Modulus& m, std::size_t n) {
    mul_scalar_range<Wide>(out, a, s, s_shoup, m, 0, bulk(n));
    mul_scalar_range<Narrow>(out, a, s, s_shoup, m, bulk(n), n);
  }
  static void sub_mul_scalar(U32* out, const U32* a, const U32* b, U32 s, U32 s_shoup, const Modulus& m,
                             std::size_t n) {
    sub_mul_scalar_range<Wide>(out, a, b, s, s_shoup, m, 0, bulk(n));
    sub_mul_scalar_range<Narrow>(out, a, b, s, s_shoup, m, bulk(n), n);
  }
  static void mul_halves(U32* out, const U32* a, U32 s0, U32 s1, const Modulus& m, std::size_t n) {
    mul_scalar(out, a, s0, shoup_of(s0, m.q), m, n / 2);
    mul_scalar(out + n / 2, a + n / 2, s1, shoup_of(s1, m.q), m, n / 2);
  }
  static void square(U32* d0, U32* d1, U32* d2, const U32* c0, const U32* c1, const Modulus& m, std::size_t n) {
    square_range<Wide>(d0, d1, d2, c0, c1, m, 0, bulk(n));
    square_range<Narrow>(d0, d1, d2, c0, c1, m, bulk(n), n);
  }
  static void permute(U32* out, const U32* in, const AutomorphismTable& table, std::size_t n) {
    permute_range<Wide>(out, in, table, 0, bulk(n));
    permute_range<Narrow>(out, in, table, bulk(n), n);
  }
  static void convert_basis(const U32* const* y, const float* inv_q, std::size_t k, const ConversionTarget* targets,
                            std::size_t target_count, std::size_t n) {
    convert_basis_range<Wide>(y, inv_q, k, targets, target_count, 0, bulk(n));
    if (bulk(n) != n) convert_basis_range<Narrow>(y, inv_q, k, targets, target_count, bulk(n), n);
  }
  static void reduce_centred(U32* out, const U32* x, U32 q_src, const Modulus& m, std::size_t n) {
    reduce_centred_range<Wide>(out, x, q_src, m, 0, bulk(n));
    reduce_centred_range<Narrow>(out, x, q_src, m, bulk(n), n);
  }
  static void inner_product(U32* out0, U32* out1, const U32* const* digit, const U32* const* key0,
                            const U32* const* key1, std::size_t digits, const U32* addend0, const Modulus& m,
                            std::size_t n) {
    inner_product_range<Wide>(out0, out1, digit, key0, key1, digits, addend0, m, 0, bulk(n));
    inner_product_range<Narrow>(out0, out1, digit, key0, key1, digits, addend0, m, bulk(n), n);
  }
  static void inner_product_gathered(U32* out0, U32* out1, const U32* digits, std::size_t digit_stride, const U32* key,
                                     std::size_t digit_count, const U32* addend0, const U32* base0, const U32* base1,
                                     const AutomorphismTable& table, std::size_t begin, const Modulus& m) {
#define BRAINLOCK_CASE(D) \
  case D:                 \
    return inner_product_gathered_fixed<Wide, D>(out0, out1, digits, digit_stride, key, digit_count, addend0, base0, base1, table, begin, m);
    switch (digit_count) {
      BRAINLOCK_CASE(1) BRAINLOCK_CASE(2) BRAINLOCK_CASE(3) BRAINLOCK_CASE(4)
      BRAINLOCK_CASE(5) BRAINLOCK_CASE(6) BRAINLOCK_CASE(7) BRAINLOCK_CASE(8)
      default: return inner_product_gathered_fixed<Wide, 0>(out0, out1, digits, digit_stride, key, digit_count, addend0, base0, base1, table, begin, m);
    }
#undef BRAINLOCK_CASE
  }
  static void inner_product_unit(U32* out0, U32* out1, const U32* pieces, const U32* key, std::size_t digits,
                                 const AutomorphismTable& table, std::size_t begin, const Modulus& m) {
    static_assert(kUnitWords % Wide::kLanes == 0);
#define BRAINLOCK_CASE(D) \
  case D: return inner_product_unit_fixed<Wide, D>(out0, out1, pieces, key, digits, table, begin, m);
    switch (digits) {
      BRAINLOCK_CASE(1) BRAINLOCK_CASE(2) BRAINLOCK_CASE(3) BRAINLOCK_CASE(4)
      BRAINLOCK_CASE(5) BRAINLOCK_CASE(6) BRAINLOCK_CASE(7) BRAINLOCK_CASE(8)
      default: return inner_product_unit_fixed<Wide, 0>(out0, out1, pieces, key, digits, table, begin, m);
    }
#undef BRAINLOCK_CASE
  }
  static void gemm_periodic(U32* const* out, std::size_t outputs, const U32* const* x, std::size_t inputs, std::size_t sets,
                            const U32* w, std::size_t w_run_stride, std::size_t w_row_stride, std::size_t run_length,
                            bool accumulate, const Modulus& m, std::size_t n) {
    for (std::size_t s = 0; s < sets; ++s, out += outputs, x += inputs) {
      const GemmShape shape = {x, inputs, w_row_stride, MontgomeryReducer<Narrow>::products_between_folds(m), accumulate};
      const U32* run = w;
      for (std::size_t begin = 0; begin < n; begin += run_length, run += w_run_stride) {
        const std::size_t end = n - begin > run_length ? begin + run_length : n;
        const std::size_t wide = begin + bulk(end - begin);
        gemm_run<Wide>(out, outputs, shape, run, m, begin, wide);
        gemm_run<Narrow>(out, outputs, shape, run, m, wide, end);
      }
    }
  }
  static void mac_full(U32* out0, U32* out1, const U32* const* w, const U32* const* x0, const U32* const* x1, std::size_t inputs,
                       const Modulus& m, std::size_t n, std::size_t run) {
    if (run == 1) return mac_runs<1>(out0, out1, w, x0, x1, inputs, m, n);
    return run == 2 ? mac_runs<2>(out0, out1, w, x0, x1, inputs, m, n) : mac_runs<4>(out0, out1, w, x0, x1, inputs, m, n);
  }
  template <std::size_t kRun>
  static void mac_runs(U32* out0, U32* out1, const U32* const* w, const U32* const* x0, const U32* const* x1, std::size_t inputs,
                       const Modulus& m, std::size_t n) {
    mac_full_range<Wide, kRun>(out0, out1, w, x0, x1, inputs, m, 0, bulk(n));
    mac_full_range<Narrow, kRun>(out0, out1, w, x0, x1, inputs, m, bulk(n), n);
  }

  static constexpr Kernels table(std::string_view name) {
    return {
        .name = name,
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
        .mac_full = mac_full,
    };
  }
};

}  // namespace
}  // namespace brainlock::math::detail
