// A model with one tensor that elements are chosen of, of any kind that a value can be.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "onnx_expect.hpp"
#include "tensor_by_definition.hpp"

namespace brainlock::compiler::by_definition {

using Ints = std::vector<std::int64_t>;

/// What the elements are chosen of.
enum class Source { kInput, kDense, kConv, kNormalised, kQuadratic, kQuartic, kSum, kPositions };
inline constexpr Source kSources[] = {Source::kInput,     Source::kDense,   Source::kConv, Source::kNormalised,
                                      Source::kQuadratic, Source::kQuartic, Source::kSum,  Source::kPositions};

/// A model with a tensor "s" of given dims, and its values.
class Net {
 public:
  Net(int opset, unsigned seed, const Ints& dims, Source source) : model(opset), rng_(seed) {
    if (source == Source::kInput) {
      image = reals_of(count_of(dims));
      model.input("x", dims);
      s = {dims, widened(image)};
      model.node("Identity", {"x"}, {"s"});
    } else if (source == Source::kConv && dims.size() == 4 &&
               dims[0] == 1) {  // behind another one, and a normalisation behind it
      image = reals_of(2 * dims[2] * dims[3]);
      model.input("x", {1, 2, dims[2], dims[3]});
      const Tensor x{{1, 2, dims[2], dims[3]}, widened(image)};
      const Tensor w = constant("net_w", {3, 2, 1, 1}), v = constant("net_v", {dims[1], 3, 1, 1}),
                   b = constant("net_b", {1, dims[1], 1, 1});
      model.node("Conv", {"x", "net_w"}, {"net_t"})
          .node("Conv", {"net_t", "net_v"}, {"net_u"})
          .node("Mul", {"net_u", "net_b"}, {"s"});
      s = combined(pointwise(v, pointwise(w, x)), b, std::multiplies<>());
    } else if (source == Source::kPositions) {
      positions(dims);
    } else {
      flat(dims, source);
    }
  }

  std::vector<float> reals_of(std::int64_t count) { return random_reals(rng_, static_cast<std::size_t>(count)); }

  Tensor constant(const std::string& name, const Ints& dims) {
    const auto values = reals_of(count_of(dims));
    model.reals(name, dims, values);
    return {dims, widened(values)};
  }

  /// The model with a dense layer behind `name` (which sees every element) computes what it should.
  void expect(const std::string& name, const Tensor& expected, const std::string& what) {
    const std::int64_t n = count_of(expected.dims);
    const Tensor w = constant("net_w_out", {n, 3});
    model.integers("net_row", {2}, {1, n})
        .node("Reshape", {name, "net_row"}, {"net_answer"})
        .node("MatMul", {"net_answer", "net_w_out"}, {"y"});
    model.output("y");
    expect_computes(model, image, product(reshaped(expected, {1, n}), w).v, what, 1e-5);
  }

  OnnxBuilder model;
  std::vector<float> image;
  Tensor s;

 private:
  static std::vector<double> widened(const std::vector<float>& v) { return {v.begin(), v.end()}; }

  static Tensor pointwise(const Tensor& w, const Tensor& x) {
    return made({1, w.dims[0], x.dims[2], x.dims[3]}, [&](const Ints& i) {
      double sum = 0;
      for (std::int64_t c = 0; c < w.dims[1]; ++c) sum += at(w, {i[1], c, 0, 0}) * at(x, {0, c, i[2], i[3]});
      return sum;
    });
  }

  // One channel of a map, with a number for each position, squared: no activation has such coefficients.
  void positions(const Ints& dims) {
    const std::int64_t n = count_of(dims);
    image = reals_of(n);
    model.input("x", {1, 1, 1, n}).integers("net_dims", {static_cast<std::int64_t>(dims.size())}, dims);
    model.integers("net_half", {1}, {1}).integers("net_half_end", {1}, {2}).integers("net_half_axis", {1}, {1});
    const Tensor v = constant("net_v", {2, 1, 1, 1}), p = constant("net_p", {1, 2, 1, n});
    model.node("Conv", {"x", "net_v"}, {"net_two"})
        .node("Mul", {"net_two", "net_p"}, {"net_placed"})
        .node("Mul", {"net_placed", "net_placed"}, {"net_pp"});
    model.node("Slice", {"net_pp", "net_half", "net_half_end", "net_half_axis"}, {"net_one"})
        .node("Reshape", {"net_one", "net_dims"}, {"s"});
    const Tensor two = combined(pointwise(v, {{1, 1, 1, n}, widened(image)}), p, std::multiplies<>());
    s = reshaped(taken(combined(two, two, std::multiplies<>()), 1, {1}), dims);
  }

  void flat(const Ints& dims, Source source) {
    const std::int64_t n = count_of(dims);
    image = reals_of(5);
    model.input("x", {1, 5}).integers("net_dims", {static_cast<std::int64_t>(dims.size())}, dims);
    const Tensor x{{1, 5}, widened(image)};
    const Tensor w = constant("net_w", {5, n}), b = constant("net_b", {n});
    const auto square = [](double a, double c) { return a * c; };
    model.node("MatMul", {"x", "net_w"}, {"net_m"}).node("Add", {"net_m", "net_b"}, {"net_a"});
    Tensor t = combined(product(x, w), b, std::plus<>());
    std::string last = "net_a";
    if (source == Source::kNormalised || source == Source::kQuadratic || source == Source::kQuartic) {
      const Tensor scale = constant("net_scale", {n});
      model.node("Mul", {"net_a", "net_scale"}, {"net_scaled"});
      t = combined(t, scale, std::multiplies<>());
      last = "net_scaled";
    }
    if (source == Source::kQuadratic || source == Source::kQuartic) {
      model.node("Mul", {"net_scaled", "net_scaled"}, {"net_q"}).node("Add", {"net_q", "net_b"}, {"net_r"});
      t = combined(combined(t, t, square), b, std::plus<>());
      last = "net_r";
    }
    if (source == Source::kQuartic) {
      model.node("Mul", {"net_r", "net_r"}, {"net_rr"});
      t = combined(t, t, square);
      last = "net_rr";
    }
    if (source == Source::kSum) {  // of two branches, which is no layer
      const Tensor u = constant("net_u", {n, n});
      model.node("Mul", {"net_a", "net_a"}, {"net_aa"})
          .node("MatMul", {"net_aa", "net_u"}, {"net_branch"})
          .node("Add", {"net_a", "net_branch"}, {"net_sum"});
      t = combined(t, product(combined(t, t, square), u), std::plus<>());
      last = "net_sum";
    }
    model.node("Reshape", {last, "net_dims"}, {"s"});
    s = reshaped(std::move(t), dims);
  }

  Rng rng_;
};

}  // namespace brainlock::compiler::by_definition
