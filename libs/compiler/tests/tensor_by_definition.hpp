// Tensors and nothing else: what the import tests compute by plain loops over indices.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

namespace brainlock::compiler::by_definition {

struct Tensor {
  std::vector<std::int64_t> dims;
  std::vector<double> v;
};

inline std::int64_t count_of(const std::vector<std::int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
}

/// Calls visit(index) for every index within dims, last axis fastest.
template <typename Visit>
void for_each_index(const std::vector<std::int64_t>& dims, Visit&& visit) {
  std::vector<std::int64_t> index(dims.size(), 0);
  for (std::int64_t left = count_of(dims); left > 0; --left) {
    visit(index);
    for (std::size_t k = dims.size(); k-- > 0 && ++index[k] == dims[k];) index[k] = 0;
  }
}

/// The element at an index of as many axes or more (broadcast).
inline double at(const Tensor& t, const std::vector<std::int64_t>& index) {
  std::int64_t place = 0;
  for (std::size_t k = 0; k < t.dims.size(); ++k)
    place = place * t.dims[k] + (t.dims[k] == 1 ? 0 : index[index.size() - t.dims.size() + k]);
  return t.v[static_cast<std::size_t>(place)];
}

template <typename Element>
Tensor made(const std::vector<std::int64_t>& dims, Element&& element) {
  Tensor out{dims, {}};
  for_each_index(dims, [&](const std::vector<std::int64_t>& index) { out.v.push_back(element(index)); });
  return out;
}

inline Tensor transposed(const Tensor& t, const std::vector<std::int64_t>& perm) {
  std::vector<std::int64_t> dims;
  for (auto axis : perm) dims.push_back(t.dims[static_cast<std::size_t>(axis)]);
  return made(dims, [&](const std::vector<std::int64_t>& index) {
    std::vector<std::int64_t> from(index.size());
    for (std::size_t k = 0; k < index.size(); ++k) from[static_cast<std::size_t>(perm[k])] = index[k];
    return at(t, from);
  });
}

inline Tensor reshaped(Tensor t, std::vector<std::int64_t> dims) {
  t.dims = std::move(dims);
  return t;
}

/// Those of `indices` along an axis.
inline Tensor taken(const Tensor& t, std::size_t axis, const std::vector<std::int64_t>& indices) {
  std::vector<std::int64_t> dims = t.dims;
  dims[axis] = static_cast<std::int64_t>(indices.size());
  return made(dims, [&](std::vector<std::int64_t> index) {
    index[axis] = indices[static_cast<std::size_t>(index[axis])];
    return at(t, index);
  });
}

inline Tensor joined(const std::vector<Tensor>& parts, std::size_t axis) {
  std::vector<std::int64_t> dims = parts[0].dims;
  dims[axis] = 0;
  for (const Tensor& part : parts) dims[axis] += part.dims[axis];
  return made(dims, [&](std::vector<std::int64_t> index) {
    std::size_t k = 0;
    for (; index[axis] >= parts[k].dims[axis]; ++k) index[axis] -= parts[k].dims[axis];
    return at(parts[k], index);
  });
}

/// Of matrices, with what is in front of them broadcast.
inline Tensor product(const Tensor& a, const Tensor& b) {
  const std::size_t rank = std::max(a.dims.size(), b.dims.size());
  std::vector<std::int64_t> dims(rank, 1);
  for (const Tensor* t : {&a, &b})
    for (std::size_t k = 0; k + 2 < t->dims.size(); ++k) {
      std::int64_t& d = dims[k + rank - t->dims.size()];
      d = std::max(d, t->dims[k]);
    }
  dims[rank - 2] = a.dims[a.dims.size() - 2];
  dims[rank - 1] = b.dims.back();
  return made(dims, [&](const std::vector<std::int64_t>& index) {
    double sum = 0;
    std::vector<std::int64_t> l = index, r = index;
    for (std::int64_t k = 0; k < a.dims.back(); ++k) {
      l[rank - 1] = k;
      r[rank - 2] = k;
      sum += at(a, l) * at(b, r);
    }
    return sum;
  });
}

/// Element by element; what has fewer axes is broadcast to the other's dims.
template <typename Op>
Tensor combined(const Tensor& a, const Tensor& b, Op&& op) {
  return made(a.dims.size() >= b.dims.size() ? a.dims : b.dims,
              [&](const std::vector<std::int64_t>& index) { return op(at(a, index), at(b, index)); });
}

}  // namespace brainlock::compiler::by_definition
