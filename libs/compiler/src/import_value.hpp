// A tensor during import: a polynomial of one node's output, in some order of its elements.
//
//   node output (C,H,W) --poly--> elementwise polynomial --view--> the model's tensor (dims)
//
// Gathering elementwise arithmetic into the polynomial is what recognises a quadratic however it is written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

/// One coefficient: a number for all elements (size 1), one per channel, or one per element of the base tensor.
using Coefficient = std::vector<double>;

/// Counts the elements that an import makes, so that a small file cannot ask for a large memory.
class Budget {
 public:
  explicit Budget(std::size_t elements) : left_(elements) {}
  [[nodiscard]] bool charge(std::size_t elements) {
    if (elements > left_) return false;
    left_ -= elements;
    return true;
  }

 private:
  std::size_t left_;
};

/// Elementwise polynomial sum_k c[k] x^k on a tensor of a given shape.
class ElementPolynomial {
 public:
  /// x itself.
  static ElementPolynomial identity();
  static ElementPolynomial constant(Coefficient value);

  [[nodiscard]] int degree() const { return static_cast<int>(c_.size()) - 1; }
  [[nodiscard]] const std::vector<Coefficient>& coefficients() const { return c_; }
  [[nodiscard]] bool is_identity() const;
  /// The number of values that the widest coefficient has.
  [[nodiscard]] std::size_t width() const;
  /// Coefficient k at one element of the base tensor.
  [[nodiscard]] double at(int k, std::size_t element, const TensorShape& shape) const;

  [[nodiscard]] ElementPolynomial plus(const ElementPolynomial& other, const TensorShape& shape) const;
  [[nodiscard]] ElementPolynomial times(const ElementPolynomial& other, const TensorShape& shape) const;
  /// this(inner(x)).
  [[nodiscard]] ElementPolynomial after(const ElementPolynomial& inner, const TensorShape& shape) const;
  /// The same on a tensor whose element i is element order[i] of `from` (null: element i), in another shape.
  [[nodiscard]] ElementPolynomial reordered(const std::vector<int>* order, const TensorShape& from, const TensorShape& to) const;

  friend bool operator==(const ElementPolynomial&, const ElementPolynomial&) = default;

 private:
  void trim();
  std::vector<Coefficient> c_;  // never empty
};

/// Brings a coefficient to its narrowest form: size 1 if all are equal, one per channel if channels are uniform.
Coefficient narrowest(Coefficient wide, const TensorShape& shape);

struct Value {
  int base = 0;                                  ///< node of the graph under construction
  std::vector<std::int64_t> dims;                ///< as the model sees it; dims[0] is the batch, 1
  std::shared_ptr<const std::vector<int>> view;  ///< model's element -> base's element; null is the identity
  ElementPolynomial poly = ElementPolynomial::identity();
  std::string origin;  ///< the ONNX node that made it

  [[nodiscard]] std::size_t base_element(std::size_t element) const {
    return view ? static_cast<std::size_t>((*view)[element]) : element;
  }
};

/// Product of dims. They were checked when the value was made.
std::size_t element_count(const std::vector<std::int64_t>& dims);

/// The same for dims from outside; nothing if one is negative or the product is above the limit.
std::optional<std::size_t> count_within(const std::vector<std::int64_t>& dims, std::size_t limit);

/// How far apart elements are that differ by one in each index.
std::vector<std::int64_t> strides_of(const std::vector<std::int64_t>& dims);

/// "[1, 64, 8, 8]".
std::string dims_to_string(const std::vector<std::int64_t>& dims);

}  // namespace brainlock::compiler
