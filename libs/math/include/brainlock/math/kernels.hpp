// The hot loops, as one table of function pointers per instruction set. `scalar` is the reference; every other
// table equals it bit for bit. Chosen once by CPUID, or forced by the environment variable BRAINLOCK_ISA
// (scalar | avx2 | avx512).
//
// Conventions, unless a kernel says otherwise: all polynomials are arrays of n words fully reduced to [0, q);
// n is a multiple of 8; pointers are 32-byte aligned; outputs may alias the inputs of the same position only where
// "in place" is said; "Montgomery form" of x is x * 2^32 mod q. Nothing allocates, throws or touches global state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "brainlock/math/ntt.hpp"

namespace brainlock::math {

inline constexpr std::size_t kUnitWords = 64;   ///< of a unit: what one call of inner_product_unit makes

/// One target prime of a base conversion.
struct ConversionTarget {
  const Modulus* modulus;
  const std::uint32_t* factors;    ///< per source limb i: (Q_src / q_i) mod p, Montgomery form
  std::uint32_t neg_q_src;         ///< -(Q_src) mod p, Montgomery form
  std::uint32_t* out;              ///< n words
};

struct Kernels {
  std::string_view name;

  /// In place, [0, q) in and out; see NttTables for the order.
  void (*ntt_forward)(const NttTables&, std::uint32_t* x);
  void (*ntt_inverse)(const NttTables&, std::uint32_t* x);
  /// out = inverse transform of `in`, times s < q. out may be in.
  void (*ntt_inverse_scaled)(const NttTables&, std::uint32_t* out, const std::uint32_t* in, std::uint32_t s);
  /// The forward transform of x, which is lost, unit by unit: words [64 u, 64 u + 64) go to out + rank[u] * stride. N >= kUnitWords.
  void (*ntt_forward_units)(const NttTables&, std::uint32_t* x, std::uint32_t* out, const std::uint32_t* rank, std::size_t stride);

  // Element-wise, in place allowed (out may equal any input).
  void (*add)(std::uint32_t* out, const std::uint32_t* a, const std::uint32_t* b, const Modulus&, std::size_t n);
  void (*sub)(std::uint32_t* out, const std::uint32_t* a, const std::uint32_t* b, const Modulus&, std::size_t n);
  void (*negate)(std::uint32_t* out, const std::uint32_t* a, const Modulus&, std::size_t n);
  /// Plain product a * b mod q.
  void (*mul)(std::uint32_t* out, const std::uint32_t* a, const std::uint32_t* b, const Modulus&, std::size_t n);
  /// out += a * b mod q.
  void (*mul_add)(std::uint32_t* out, const std::uint32_t* a, const std::uint32_t* b, const Modulus&, std::size_t n);
  /// out = a * s; s < q plain, s_shoup = floor(s * 2^32 / q).
  void (*mul_scalar)(std::uint32_t* out, const std::uint32_t* a, std::uint32_t s, std::uint32_t s_shoup,
                     const Modulus&, std::size_t n);
  /// out = (a - b) * s: the last step of ModDown and rescale.
  void (*sub_mul_scalar)(std::uint32_t* out, const std::uint32_t* a, const std::uint32_t* b, std::uint32_t s,
                         std::uint32_t s_shoup, const Modulus&, std::size_t n);
  /// out = a * s0 for the first half [0, n/2), a * s1 for the second half. With s0 = I = psi^(N/2) (tables.w[1]) and
  /// s1 = q - I this is multiplication by X^(N/2), the imaginary unit in every slot: at psi^(2 brv(i) + 1) it takes
  /// the value I * (-1)^brv(i), and the parity of brv(i) is the top bit of i. n is a multiple of 16.
  void (*mul_halves)(std::uint32_t* out, const std::uint32_t* a, std::uint32_t s0, std::uint32_t s1, const Modulus&,
                     std::size_t n);

  /// Tensor square of (c0, c1): d0 = c0^2, d1 = 2 c0 c1, d2 = c1^2. Outputs distinct from inputs.
  void (*square)(std::uint32_t* d0, std::uint32_t* d1, std::uint32_t* d2, const std::uint32_t* c0,
                 const std::uint32_t* c1, const Modulus&, std::size_t n);

  /// out = automorphism(in); out and in distinct, N words.
  void (*permute)(std::uint32_t* out, const std::uint32_t* in, const AutomorphismTable&, std::size_t n);

  /// Centred base conversion of k source limbs y[i] (already multiplied by (Q_src / q_i)^-1 mod q_i), k <= 15:
  /// with v = round-to-nearest-even(sum_i fma(float(y_i), inv_q[i], .) in order i = 0..k-1, float32, starting at 0),
  ///     target.out = sum_i y_i * factors[i] - v * Q_src  (mod p),   reduced to [0, p).
  /// The represented value is the residue of x in about [-Q_src/2, Q_src/2). std::fma semantics: bit-identical everywhere.
  void (*convert_basis)(const std::uint32_t* const* y, const float* inv_q, std::size_t k,
                        const ConversionTarget* targets, std::size_t target_count, std::size_t n);

  /// Reduces the residues `x` modulo a source prime, read as centred values in (-q_src/2, q_src/2], modulo m
  /// (the k = 1 case, exact). out and x may not alias.
  void (*reduce_centred)(std::uint32_t* out, const std::uint32_t* x, std::uint32_t q_src, const Modulus& m, std::size_t n);

  /// Key-switching inner product: out0 = sum_d digit[d] * key0[d], out1 = sum_d digit[d] * key1[d]; keys in
  /// Montgomery form, plain digits, plain fully reduced outputs. 1 <= digits <= 32.
  /// If addend0 != nullptr, out0 += addend0 (plain, n words).
  void (*inner_product)(std::uint32_t* out0, std::uint32_t* out1, const std::uint32_t* const* digit,
                        const std::uint32_t* const* key0, const std::uint32_t* const* key1, std::size_t digits,
                        const std::uint32_t* addend0, const Modulus&, std::size_t n);

  /// The same for the unit of kUnitWords words at `begin` (a multiple of them) of the products' limb, after an automorphism, from keys
  /// that were permuted beforehand (once, by permute()) and so stream from memory in order:
  ///     out0[t] = sum_d digit_d[table(begin + t)] * key0_d[t] + addend0[table(begin + t)] + base0[t], t < kUnitWords,
  /// and out1 likewise, without addend. Digit d's limb starts at digits + d * digit_stride. The pieces of the key lie one behind the
  /// other: key0_0, key1_0, key0_1, ... Addend and base may be null (both bases or neither) and are plain; outputs may be the bases.
  void (*inner_product_gathered)(std::uint32_t* out0, std::uint32_t* out1, const std::uint32_t* digits, std::size_t digit_stride,
                                 const std::uint32_t* key, std::size_t digit_count, const std::uint32_t* addend0,
                                 const std::uint32_t* base0, const std::uint32_t* base1, const AutomorphismTable& table,
                                 std::size_t begin, const Modulus&);

  /// The same where the digits' pieces, too, lie one behind the other, and after them the addend: `pieces` counts from where word 0 of a
  /// limb would be if its units lay this close. No base.
  void (*inner_product_unit)(std::uint32_t* out0, std::uint32_t* out1, const std::uint32_t* pieces, const std::uint32_t* key,
                             std::size_t digits, const AutomorphismTable& table, std::size_t begin, const Modulus&);

  /// Periodic-weight modular GEMM: out[m][t] = sum_k W[run(t)][k][m] * x[k][t], t in [0, n), m < outputs, k < inputs.
  /// Weights: Montgomery form; run(t) = t / run_length; w points to W[0][0][0]; one run is `w_run_stride` words,
  /// one k row is `w_row_stride` (>= outputs) words. run_length is a multiple of 8 or n (then one run).
  /// accumulate: out += instead of =. Any inputs >= 1, outputs >= 1: the kernel tiles registers itself.
  /// The same for each of `sets` groups of inputs, x[s * inputs + k], and outputs, out[s * outputs + m].
  void (*gemm_periodic)(std::uint32_t* const* out, std::size_t outputs, const std::uint32_t* const* x,
                        std::size_t inputs, std::size_t sets, const std::uint32_t* w, std::size_t w_run_stride,
                        std::size_t w_row_stride, std::size_t run_length, bool accumulate, const Modulus&,
                        std::size_t n);

  /// Weights of one run in a form of the kernels' own, made before and for several calls. Null: they have none, and prepared_words is 0 where it does
  /// not serve; else prepare_weights() writes so many words to a multiple of 64 bytes, and gemm_prepared() is gemm_periodic() with one run of n words, a
  /// multiple of 16.
  std::size_t (*prepared_words)(std::size_t outputs, std::size_t inputs, const Modulus&) = nullptr;
  void (*prepare_weights)(std::uint32_t* prepared, std::size_t outputs, std::size_t inputs, const std::uint32_t* w, std::size_t w_row_stride,
                          const Modulus&) = nullptr;
  void (*gemm_prepared)(std::uint32_t* const* out, std::size_t outputs, const std::uint32_t* const* x, std::size_t inputs, std::size_t sets,
                        const std::uint32_t* prepared, const Modulus&, std::size_t n) = nullptr;

  /// Weights that repeat over no more than `run` (1, 2 or 4) words, the same for both groups of inputs: out0[t] = sum_k w[k][t / run] * x0[k][t],
  /// out1 likewise; w in Montgomery form. n words each, a multiple of 4.
  void (*mac_full)(std::uint32_t* out0, std::uint32_t* out1, const std::uint32_t* const* w, const std::uint32_t* const* x0,
                   const std::uint32_t* const* x1, std::size_t inputs, const Modulus&, std::size_t n, std::size_t run);
};

/// The table for this machine: best supported, or the one BRAINLOCK_ISA names (aborts with a message if that name is
/// unknown or the CPU lacks it). Chosen once; thread safe.
const Kernels& kernels();
/// All tables this CPU can run, scalar first.
std::vector<const Kernels*> available_kernels();

}  // namespace brainlock::math
