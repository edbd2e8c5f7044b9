// Element-wise kernels over words [begin, end).
#pragma once

#include "brainlock/math/ntt.hpp"
#include "kernels/word_ops.hpp"

namespace brainlock::math::detail {
namespace {

template <class V>
void add_range(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t begin, std::size_t end) {
  const auto q = V::set1(m.q);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    V::store(out + j, reduce_once<V>(V::add(V::load(a + j), V::load(b + j)), q));
  }
}

template <class V>
void sub_range(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t begin, std::size_t end) {
  const auto q = V::set1(m.q);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    V::store(out + j, subtract<V>(V::load(a + j), V::load(b + j), q));
  }
}

template <class V>
void negate_range(U32* out, const U32* a, const Modulus& m, std::size_t begin, std::size_t end) {
  const auto q = V::set1(m.q);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    V::store(out + j, subtract<V>(V::zero(), V::load(a + j), q));
  }
}

template <class V>
void mul_range(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t begin, std::size_t end) {
  const ProductReducer<V> product(m);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    V::store(out + j, product.mul(V::load(a + j), V::load(b + j)));
  }
}

template <class V>
void mul_add_range(U32* out, const U32* a, const U32* b, const Modulus& m, std::size_t begin, std::size_t end) {
  const ProductReducer<V> product(m);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    const auto p = product.mul(V::load(a + j), V::load(b + j));
    V::store(out + j, reduce_once<V>(V::add(V::load(out + j), p), product.q));
  }
}

template <class V>
void mul_scalar_range(U32* out, const U32* a, U32 s, U32 s_shoup, const Modulus& m, std::size_t begin,
                      std::size_t end) {
  const auto q = V::set1(m.q);
  const auto w = V::set1(s);
  const auto w_shoup = V::set1(s_shoup);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    V::store(out + j, mul_uniform<V>(V::load(a + j), w, w_shoup, q));
  }
}

template <class V>
void sub_mul_scalar_range(U32* out, const U32* a, const U32* b, U32 s, U32 s_shoup, const Modulus& m,
                          std::size_t begin, std::size_t end) {
  const auto q = V::set1(m.q);
  const auto w = V::set1(s);
  const auto w_shoup = V::set1(s_shoup);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    const auto d = V::add(V::sub(V::load(a + j), V::load(b + j)), q);
    V::store(out + j, mul_uniform<V>(d, w, w_shoup, q));
  }
}

template <class V>
void square_range(U32* d0, U32* d1, U32* d2, const U32* c0, const U32* c1, const Modulus& m, std::size_t begin,
                  std::size_t end) {
  const ProductReducer<V> product(m);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    const auto a = V::load(c0 + j);
    const auto b = V::load(c1 + j);
    V::store(d0 + j, product.mul(a, a));
    V::store(d1 + j, product.mul(reduce_once<V>(V::add(a, a), product.q), b));
    V::store(d2 + j, product.mul(b, b));
  }
}

template <class V>
void reduce_centred_range(U32* out, const U32* x, U32 q_src, const Modulus& m, std::size_t begin, std::size_t end) {
  const auto q = V::set1(m.q);
  const auto reciprocal = V::set1(static_cast<U32>(m.barrett >> 32));  // quotient short by at most one
  const auto wrap = V::set1(q_src % m.q);
  const auto limit = V::set1(q_src / 2);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    const auto v = V::load(x + j);
    const auto r = reduce_once<V>(V::sub_mul(v, mul_high_uniform<V>(v, reciprocal), q), q);
    V::store(out + j, subtract<V>(r, V::if_greater(v, limit, wrap), q));
  }
}

/// Words [begin, end) of the automorphism's output, to out[0, end - begin).
template <class V>
void permute_range(U32* out, const U32* in, const AutomorphismTable& table, std::size_t begin, std::size_t end) {
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    const auto places = V::places(table, j / 8);
    V::store(out + j, V::permute(V::load(in + places.block), places.lanes));
  }
}

}  // namespace
}  // namespace brainlock::math::detail
