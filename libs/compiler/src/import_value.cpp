#include "import_value.hpp"

#include <algorithm>

namespace brainlock::compiler {
namespace {

std::size_t plane(const TensorShape& shape) {
  return static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width);
}

// Reads coefficient values of any width at the positions of a wider one.
double pick(const Coefficient& c, std::size_t i, std::size_t width, const TensorShape& shape) {
  if (c.size() == 1) return c[0];
  if (c.size() == width) return c[i];
  return c[i / plane(shape)];  // per channel inside per element
}

template <typename Op>
Coefficient combine(const Coefficient& a, const Coefficient& b, const TensorShape& shape, Op op) {
  Coefficient out(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = op(pick(a, i, out.size(), shape), pick(b, i, out.size(), shape));
  return out;
}

bool is_zero(const Coefficient& c) {
  return std::all_of(c.begin(), c.end(), [](double v) { return v == 0; });
}

}  // namespace

ElementPolynomial ElementPolynomial::identity() {
  ElementPolynomial p;
  p.c_ = {{0.0}, {1.0}};
  return p;
}

ElementPolynomial ElementPolynomial::constant(Coefficient value) {
  ElementPolynomial p;
  p.c_ = {std::move(value)};
  return p;
}

bool ElementPolynomial::is_identity() const { return *this == identity(); }

std::size_t ElementPolynomial::width() const {
  std::size_t widest = 1;
  for (const Coefficient& c : c_) widest = std::max(widest, c.size());
  return widest;
}

double ElementPolynomial::at(int k, std::size_t element, const TensorShape& shape) const {
  return k >= static_cast<int>(c_.size()) ? 0 : pick(c_[k], element, shape.size(), shape);
}

ElementPolynomial ElementPolynomial::plus(const ElementPolynomial& other, const TensorShape& shape) const {
  ElementPolynomial out;
  const std::size_t terms = std::max(c_.size(), other.c_.size());
  for (std::size_t k = 0; k < terms; ++k) {
    if (k >= c_.size()) {
      out.c_.push_back(other.c_[k]);
    } else if (k >= other.c_.size()) {
      out.c_.push_back(c_[k]);
    } else {
      out.c_.push_back(combine(c_[k], other.c_[k], shape, [](double a, double b) { return a + b; }));
    }
  }
  out.trim();
  return out;
}

ElementPolynomial ElementPolynomial::times(const ElementPolynomial& other, const TensorShape& shape) const {
  ElementPolynomial out;
  out.c_.assign(c_.size() + other.c_.size() - 1, Coefficient{0.0});
  for (std::size_t i = 0; i < c_.size(); ++i) {
    for (std::size_t j = 0; j < other.c_.size(); ++j) {
      const Coefficient product = combine(c_[i], other.c_[j], shape, [](double a, double b) { return a * b; });
      out.c_[i + j] = combine(out.c_[i + j], product, shape, [](double a, double b) { return a + b; });
    }
  }
  out.trim();
  return out;
}

ElementPolynomial ElementPolynomial::after(const ElementPolynomial& inner, const TensorShape& shape) const {
  ElementPolynomial out = constant(c_.back());
  for (std::size_t k = c_.size() - 1; k-- > 0;) out = out.times(inner, shape).plus(constant(c_[k]), shape);
  return out;
}

ElementPolynomial ElementPolynomial::reordered(const std::vector<int>* order, const TensorShape& from, const TensorShape& to) const {
  ElementPolynomial out = *this;
  for (std::size_t k = 0; k < c_.size(); ++k) {
    if (c_[k].size() == 1) continue;
    Coefficient wide(to.size());
    for (std::size_t i = 0; i < wide.size(); ++i)
      wide[i] = at(static_cast<int>(k), order != nullptr ? static_cast<std::size_t>((*order)[i]) : i, from);
    out.c_[k] = narrowest(std::move(wide), to);
  }
  return out;
}

void ElementPolynomial::trim() {
  while (c_.size() > 1 && is_zero(c_.back())) c_.pop_back();
}

Coefficient narrowest(Coefficient wide, const TensorShape& shape) {
  if (std::all_of(wide.begin(), wide.end(), [&](double v) { return v == wide[0]; })) return {wide[0]};
  const std::size_t step = plane(shape);
  if (wide.size() != shape.size() || step == 1) return wide;
  Coefficient channels;
  for (std::size_t i = 0; i < wide.size(); ++i) {
    if (i % step == 0)
      channels.push_back(wide[i]);
    else if (wide[i] != channels.back())
      return wide;
  }
  return channels;
}

std::size_t element_count(const std::vector<std::int64_t>& dims) {
  std::size_t count = 1;
  for (std::int64_t dim : dims) count *= static_cast<std::size_t>(dim);
  return count;
}

std::optional<std::size_t> count_within(const std::vector<std::int64_t>& dims, std::size_t limit) {
  std::size_t count = 1;
  for (const std::int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
    const auto extent = static_cast<std::size_t>(dim);
    if (extent != 0 && count > limit / extent) return std::nullopt;
    count *= extent;
  }
  return count;
}

std::vector<std::int64_t> strides_of(const std::vector<std::int64_t>& dims) {
  std::vector<std::int64_t> strides(dims.size(), 1);
  for (std::size_t k = dims.size(); k-- > 1;) strides[k - 1] = strides[k] * dims[k];
  return strides;
}

std::string dims_to_string(const std::vector<std::int64_t>& dims) {
  std::string out = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) out += (i == 0 ? "" : ", ") + std::to_string(dims[i]);
  return out + "]";
}

}  // namespace brainlock::compiler
