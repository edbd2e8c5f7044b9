// Random graphs of everything that the importer knows, against an evaluator that knows tensors and nothing else: a graph is
// refused, or it computes the right numbers, imported, normalised and slot by slot.
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <numeric>
#include <optional>

#include "brainlock/plan/slot_interpreter.hpp"
#include "lowering.hpp"
#include "onnx_expect.hpp"
#include "stages.hpp"
#include "tensor_by_definition.hpp"

namespace brainlock::compiler {
namespace {

using namespace by_definition;
using Ints = std::vector<std::int64_t>;
using Attributes = OnnxBuilder::Attributes;

constexpr std::uint32_t kSlots = 256;

class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : rng_(seed), model_(pick(11, 19)) {
    const Ints dims{1, pick(1, 4), pick(1, 7), pick(1, 7)};
    image_ = random_reals(rng_, static_cast<std::size_t>(count_of(dims)));
    known_.push_back({"x", {dims, {image_.begin(), image_.end()}}});
    model_.input("x", dims);
    for (int step = pick(2, 8); step > 0; --step) add();
    if (pick(0, 1) == 0) {   // makes orders that an answer may not have acceptable
      const Tensor t = last();
      add_node("Flatten", {known_.back().first}, {{"axis", std::int64_t{t.dims[0] == 1 ? 1 : 0}}}, {{1, count_of(t.dims)}, t.v});
      add_dense();
    }
    model_.output(known_.back().first);
  }

  const OnnxBuilder& model() const { return model_; }
  const std::vector<double>& expected() const { return known_.back().second.v; }

  /// The input as the graph may want it: in its own order of axes, or turned by what first reads it.
  std::vector<std::vector<float>> inputs(const TensorShape& shape) const {
    std::vector<std::vector<float>> out;
    const Tensor& x = known_.front().second;
    for (Ints perm{1, 2, 3}; ;) {
      const Tensor t = transposed(x, {0, perm[0], perm[1], perm[2]});
      if (count_of(t.dims) == static_cast<std::int64_t>(shape.size())) out.emplace_back(t.v.begin(), t.v.end());
      if (!std::next_permutation(perm.begin(), perm.end())) return out;
    }
  }

 private:
  int pick(int low, int high) { return random_int(rng_, low, high); }
  bool coin() { return pick(0, 1) == 1; }
  const Tensor& last() const { return known_.back().second; }

  const std::pair<std::string, Tensor>& any() {
    return coin() ? known_.back() : known_[static_cast<std::size_t>(pick(0, static_cast<int>(known_.size()) - 1))];
  }

  /// `dims`, and up to four in all that make `left` elements.
  Ints add_axes(Ints dims, std::int64_t left) {
    while (left > 1 && dims.size() < 4) {
      std::int64_t factor = pick(1, static_cast<int>(left));
      if (dims.size() == 3 || left % factor != 0) factor = left;
      dims.push_back(factor);
      left /= factor;
    }
    return dims;
  }

  std::string constant(const Ints& dims, Tensor& t) {
    const auto values = random_reals(rng_, static_cast<std::size_t>(count_of(dims)));
    t = {dims, {values.begin(), values.end()}};
    const std::string name = numbered("c", ++names_);
    model_.reals(name, dims, values);
    return name;
  }
  std::string list(const Ints& values) {
    const std::string name = numbered("l", ++names_);
    model_.integers(name, {static_cast<std::int64_t>(values.size())}, values);
    return name;
  }

  void add_node(const std::string& op, const std::vector<std::string>& inputs, const Attributes& attributes, Tensor result) {
    const std::string name = numbered("t", ++names_);
    model_.node(op, inputs, {name}, attributes);
    known_.emplace_back(name, std::move(result));
  }

  void add_dense() {
    const auto [name, t] = known_.back();
    if (t.dims.size() != 2) return;
    Tensor w;
    const std::string weights = constant({t.dims[1], pick(1, 4)}, w);
    add_node("MatMul", {name, weights}, {}, made({t.dims[0], w.dims[1]}, [&](const Ints& i) {
      double sum = 0;
      for (std::int64_t k = 0; k < t.dims[1]; ++k) sum += at(t, {i[0], k}) * at(w, {k, i[1]});
      return sum;
    }));
  }

  void add() {
    const auto [name, t] = any();
    const auto rank = static_cast<int>(t.dims.size());
    if (rank == 0) return;
    switch (pick(0, 24)) {
      case 0:
      case 1: {
        Ints perm(t.dims.size());
        std::iota(perm.begin(), perm.end(), 0);
        std::shuffle(perm.begin() + (pick(0, 9) == 0 ? 0 : 1), perm.end(), rng_);
        return add_node("Transpose", {name}, {{"perm", perm}}, transposed(t, perm));
      }
      case 2:
      case 3: {   // with a constant, on either side
        Ints dims(t.dims.begin() + pick(0, rank - 1), t.dims.end());
        for (auto& d : dims) d = coin() ? d : 1;
        Tensor c;
        const std::string other = constant(dims, c);
        const int op = pick(0, 2);
        const bool first = coin();
        const Tensor result = made(t.dims, [&](const Ints& i) {
          const double a = first ? at(t, i) : at(c, i), b = first ? at(c, i) : at(t, i);
          return op == 0 ? a + b : op == 1 ? a - b : a * b;
        });
        return add_node(op == 0 ? "Add" : op == 1 ? "Sub" : "Mul", {first ? name : other, first ? other : name}, {}, result);
      }
      case 4: {
        Tensor squared = t;
        for (double& v : squared.v) v *= v;
        return add_node("Mul", {name, name}, {}, squared);
      }
      case 5: {   // with another tensor
        const auto [second, u] = any();
        if (u.dims != t.dims) return;
        const int op = pick(0, 2);
        const Tensor result = made(t.dims, [&, &u = u](const Ints& i) { return op == 0 ? at(t, i) + at(u, i) : op == 1 ? at(t, i) - at(u, i) : at(t, i) * at(u, i); });
        return add_node(op == 0 ? "Add" : op == 1 ? "Sub" : "Mul", {name, second}, {}, result);
      }
      case 6:
      case 7:
        return add_conv(name, t);
      case 8: {
        Ints axes;
        for (int k = 1; k < rank; ++k)
          if (pick(0, 2) > 0) axes.push_back(k);
        if (axes.empty()) return;
        const bool keep = coin();
        Ints kept = t.dims, dims;
        for (auto axis : axes) kept[static_cast<std::size_t>(axis)] = 1;
        Tensor sum{kept, std::vector<double>(static_cast<std::size_t>(count_of(kept)), 0.0)};
        for_each_index(t.dims, [&](const Ints& i) {
          std::int64_t place = 0;
          for (std::size_t k = 0; k < i.size(); ++k) place = place * kept[k] + (kept[k] == 1 ? 0 : i[k]);
          sum.v[static_cast<std::size_t>(place)] += at(t, i) * static_cast<double>(count_of(kept)) / static_cast<double>(count_of(t.dims));
        });
        for (std::size_t k = 0; k < kept.size(); ++k)
          if (keep || std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(k)) == axes.end()) dims.push_back(kept[k]);
        sum.dims = dims;
        if (model_.opset() >= 18) return add_node("ReduceMean", {name, list(axes)}, {{"keepdims", std::int64_t{keep}}}, sum);
        return add_node("ReduceMean", {name}, {{"axes", axes}, {"keepdims", std::int64_t{keep}}}, sum);
      }
      case 9: {
        Ints dims = add_axes({1}, count_of(t.dims));
        if (dims.size() == 1) dims.push_back(1);
        return add_node("Reshape", {name, list(dims)}, {}, {dims, t.v});
      }
      case 10: {   // pads
        Ints pads(2 * t.dims.size(), 0);
        for (int k = 1; k < rank; ++k)
          for (int side : {0, rank}) pads[static_cast<std::size_t>(k + side)] = pick(0, 3) == 0 ? pick(1, 2) : 0;
        Ints dims = t.dims;
        for (std::size_t k = 0; k < dims.size(); ++k) dims[k] += pads[k] + pads[k + dims.size()];
        return add_node("Pad", {name, list(pads)}, {}, made(dims, [&](Ints i) {
          for (std::size_t k = 0; k < i.size(); ++k) {
            i[k] -= pads[k];
            if (i[k] < 0 || i[k] >= t.dims[k]) return 0.0;
          }
          return at(t, i);
        }));
      }
      case 11: {   // every n-th, or a part
        Ints starts, ends, axes, steps, dims = t.dims;
        for (int k = 1; k < rank; ++k) {
          const std::int64_t d = t.dims[static_cast<std::size_t>(k)];
          starts.push_back(pick(0, 3) == 0 ? pick(0, static_cast<int>(d) - 1) : 0);
          ends.push_back(d);
          axes.push_back(k);
          steps.push_back(k > 1 ? pick(1, 2) : 1);
          dims[static_cast<std::size_t>(k)] = (d - starts.back() + steps.back() - 1) / steps.back();
        }
        if (axes.empty()) return;
        return add_node("Slice", {name, list(starts), list(ends), list(axes), list(steps)}, {}, made(dims, [&](Ints i) {
          for (std::size_t k = 1; k < i.size(); ++k) i[k] = starts[k - 1] + i[k] * steps[k - 1];
          return at(t, i);
        }));
      }
      case 12: {
        const auto [second, u] = any();
        const auto axis = static_cast<std::size_t>(pick(1, std::max(1, rank - 1)));
        if (u.dims.size() != t.dims.size() || axis >= t.dims.size()) return;
        Ints dims = t.dims;
        for (std::size_t k = 0; k < dims.size(); ++k)
          if (k != axis && u.dims[k] != dims[k]) return;
        dims[axis] += u.dims[axis];
        return add_node("Concat", {name, second}, {{"axis", static_cast<std::int64_t>(axis)}}, made(dims, [&, &u = u](Ints i) {
          if (i[axis] < t.dims[axis]) return at(t, i);
          i[axis] -= t.dims[axis];
          return at(u, i);
        }));
      }
      case 13: {
        const auto channels = rank > 1 ? t.dims[1] : 1;
        if (rank < 2) return;
        Tensor s, b, m;
        const std::string scale = constant({channels}, s), shift = constant({channels}, b), mean = constant({channels}, m);
        const auto variance = random_reals(rng_, static_cast<std::size_t>(channels), 0.5f, 2);
        const std::string name_of_variance = numbered("c", ++names_);
        model_.reals(name_of_variance, {channels}, variance);
        return add_node("BatchNormalization", {name, scale, shift, mean, name_of_variance}, {}, made(t.dims, [&](const Ints& i) {
          const auto c = static_cast<std::size_t>(i[1]);
          return (at(t, i) - m.v[c]) / std::sqrt(static_cast<double>(variance[c]) + 1e-5) * s.v[c] + b.v[c];
        }));
      }
      case 14: {
        if (rank != 4) return;
        const std::int64_t kh = pick(1, static_cast<int>(t.dims[2])), kw = pick(1, static_cast<int>(t.dims[3])), sh = pick(1, 3), sw = pick(1, 3);
        const Ints dims{t.dims[0], t.dims[1], (t.dims[2] - kh) / sh + 1, (t.dims[3] - kw) / sw + 1};
        return add_node("AveragePool", {name}, {{"kernel_shape", Ints{kh, kw}}, {"strides", Ints{sh, sw}}}, made(dims, [&](const Ints& i) {
          double sum = 0;
          for (std::int64_t y = 0; y < kh; ++y)
            for (std::int64_t x = 0; x < kw; ++x) sum += at(t, {i[0], i[1], i[2] * sh + y, i[3] * sw + x});
          return sum / static_cast<double>(kh * kw);
        }));
      }
      case 16:
      case 17: {   // with a constant matrix on either side, or with another tensor, turned to fit
        if (rank < 2) return;
        if (pick(0, 2) > 0) {
          const bool left = pick(0, 3) == 0;
          const std::int64_t inner = left ? t.dims[t.dims.size() - 2] : t.dims.back(), other = pick(1, 4);
          Ints dims = left ? Ints{other, inner} : Ints{inner, other};
          if (pick(0, 5) == 0)
            for (std::size_t k = t.dims.size() - 2; k-- > 0;) dims.insert(dims.begin(), t.dims[k]);
          Tensor w;
          const std::string weights = constant(dims, w);
          return add_matmul(left ? weights : name, left ? w : t, left ? name : weights, left ? t : w);
        }
        const auto [second, u] = any();
        if (u.dims.size() < 2) return;
        if (t.dims.back() == u.dims[u.dims.size() - 2]) return add_matmul(name, t, second, u);
        if (t.dims.back() != u.dims.back()) return;
        Ints perm(u.dims.size());
        std::iota(perm.begin(), perm.end(), 0);
        std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
        const Tensor turned = transposed(u, perm);
        add_node("Transpose", {second}, {{"perm", perm}}, turned);
        const std::string turned_name = known_.back().first;
        return add_matmul(name, t, turned_name, turned);
      }
      case 18:
        return add_split(name, t);
      case 19:
        return add_gather(name, t);
      case 20:
        return add_cut(name, t);
      case 21:
        return add_concat(name, t);
      case 22:
        return add_expand(name, t);
      case 23: {   // axes of their own, as heads and parts have
        Ints dims = add_axes({}, count_of(t.dims));
        if (dims.empty()) dims.push_back(1);
        return add_node("Reshape", {name, list(dims)}, {}, {dims, t.v});
      }
      default: {
        Ints dims{1, count_of(t.dims)};
        return add_node("Flatten", {name}, {{"axis", std::int64_t{t.dims[0] == 1 ? 1 : 0}}}, {dims, t.v});
      }
    }
  }

  void add_matmul(const std::string& left, const Tensor& a, const std::string& right, const Tensor& b) {
    const std::size_t rank = std::max(a.dims.size(), b.dims.size());
    Ints dims(rank, 1);
    for (const Tensor* t : {&a, &b})
      for (std::size_t k = 0; k + 2 < t->dims.size(); ++k) {
        std::int64_t& d = dims[k + rank - t->dims.size()];
        if (t->dims[k] != 1 && d != 1 && d != t->dims[k]) return;
        d = std::max(d, t->dims[k]);
      }
    if (count_of(dims) * a.dims[a.dims.size() - 2] * b.dims.back() * a.dims.back() > 600) return;
    add_node("MatMul", {left, right}, {}, product(a, b));
  }

  // --- chosen and joined elements, along any axis ---------------------------------------------------------------

  void add_split(const std::string& name, const Tensor& t) {
    const std::size_t axis = any_axis(t);
    const std::int64_t extent = t.dims[axis], parts = pick(1, static_cast<int>(std::min<std::int64_t>(extent, 3)));
    Ints sizes;
    std::int64_t left = extent;
    for (std::int64_t k = 0; k + 1 < parts; ++k) {
      sizes.push_back(pick(1, static_cast<int>(left - (parts - 1 - k))));
      left -= sizes.back();
    }
    sizes.push_back(left);
    const bool equal = std::all_of(sizes.begin(), sizes.end(), [&](std::int64_t n) { return n == sizes[0]; });
    Attributes attributes{{"axis", written(axis, t)}};
    std::vector<std::string> inputs{name}, outputs;
    if (!equal || coin()) {
      if (model_.opset() < 13)
        attributes.push_back({"split", sizes});
      else
        inputs.push_back(list(sizes));
    } else if (model_.opset() >= 18) {
      attributes.push_back({"num_outputs", parts});
    }
    for (std::int64_t k = 0; k < parts; ++k) outputs.push_back(numbered("t", ++names_));
    model_.node("Split", inputs, outputs, attributes);
    std::int64_t start = 0;
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      Ints indices(static_cast<std::size_t>(sizes[k]));
      std::iota(indices.begin(), indices.end(), start);
      start += sizes[k];
      known_.emplace_back(outputs[k], taken(t, axis, indices));
    }
  }

  void add_gather(const std::string& name, const Tensor& t) {
    const std::size_t axis = any_axis(t);
    const auto extent = static_cast<int>(t.dims[axis]);
    Ints written_indices, indices;
    const bool scalar = coin() && t.dims.size() > 1;
    for (int k = scalar ? 1 : pick(1, 4); k > 0; --k) {
      written_indices.push_back(pick(-extent, extent - 1));
      indices.push_back(written_indices.back() < 0 ? written_indices.back() + extent : written_indices.back());
    }
    if (count_of(t.dims) / extent * static_cast<std::int64_t>(indices.size()) > 300) return;
    Tensor result = taken(t, axis, indices);
    if (scalar) result.dims.erase(result.dims.begin() + static_cast<std::ptrdiff_t>(axis));
    const std::string places = numbered("l", ++names_);
    model_.integers(places, scalar ? Ints{} : Ints{static_cast<std::int64_t>(indices.size())}, written_indices);
    add_node("Gather", {name, places}, {{"axis", written(axis, t)}}, std::move(result));
  }

  void add_cut(const std::string& name, const Tensor& t) {
    const std::size_t axis = any_axis(t);
    const auto extent = static_cast<int>(t.dims[axis]);
    const int start = pick(0, extent - 1), count = pick(1, 3);
    int step = pick(-3, 3);
    if (step == 0) step = 1;
    Ints indices;
    for (int k = start; k >= 0 && k < extent && static_cast<int>(indices.size()) < count; k += step) indices.push_back(k);
    const std::int64_t end = indices.back() + (step > 0 ? 1 : -1);
    const std::int64_t far = step > 0 ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
    add_node("Slice", {name, list({coin() ? start : start - extent}), list({end < 0 || end >= extent ? far : end}),
                       list({written(axis, t)}), list({step})}, {}, taken(t, axis, indices));
  }

  void add_concat(const std::string& name, const Tensor& t) {
    const std::size_t axis = any_axis(t);
    std::vector<std::string> inputs{name};
    std::vector<Tensor> parts{t};
    for (int more = pick(1, 2); more > 0; --more) {
      const auto [second, u] = any();
      bool fits = u.dims.size() == t.dims.size();
      for (std::size_t k = 0; fits && k < t.dims.size(); ++k) fits = k == axis || u.dims[k] == t.dims[k];
      const bool first = coin();
      Tensor part = u;
      std::string other = second;
      if (!fits || pick(0, 3) == 0) {
        Ints dims = t.dims;
        dims[axis] = pick(1, 2);
        other = constant(dims, part);
      }
      inputs.insert(first ? inputs.begin() : inputs.end(), other);
      parts.insert(first ? parts.begin() : parts.end(), part);
    }
    Tensor result = joined(parts, axis);
    if (count_of(result.dims) > 300) return;
    add_node("Concat", inputs, {{"axis", written(axis, t)}}, std::move(result));
  }

  void add_expand(const std::string& name, const Tensor& t) {
    Ints dims = t.dims;
    for (auto& d : dims) d = d == 1 && pick(0, 2) == 0 ? pick(1, 3) : d;
    Ints asked = dims;
    for (auto& d : asked) d = coin() ? d : 1;
    if (dims.size() < 5 && pick(0, 3) == 0) dims.insert(dims.begin(), 2);
    for (std::size_t k = 0; k < t.dims.size(); ++k) dims[dims.size() - 1 - k] = std::max(asked[asked.size() - 1 - k], t.dims[t.dims.size() - 1 - k]);
    if (dims.size() > asked.size()) asked.insert(asked.begin(), 2);
    if (count_of(dims) > 300) return;
    add_node("Expand", {name, list(asked)}, {}, made(dims, [&](const Ints& i) { return at(t, i); }));
  }

  std::size_t any_axis(const Tensor& t) { return static_cast<std::size_t>(pick(0, static_cast<int>(t.dims.size()) - 1)); }
  std::int64_t written(std::size_t axis, const Tensor& t) {
    return static_cast<std::int64_t>(axis) - (coin() ? static_cast<std::int64_t>(t.dims.size()) : 0);
  }

  void add_conv(const std::string& name, const Tensor& t) {
    if (t.dims.size() != 4 || t.dims[0] != 1) return;
    const std::int64_t groups = t.dims[1] % 2 == 0 && coin() ? 2 : 1, out = groups * pick(1, 2), in = t.dims[1] / groups;
    const Ints pads{pick(0, 1), pick(0, 1), pick(0, 1), pick(0, 1)};
    const std::int64_t dilation = pick(1, 2), stride = pick(1, 3), kh = pick(1, 2), kw = pick(1, 2);
    const std::int64_t oh = t.dims[2] + pads[0] + pads[2] - (kh - 1) * dilation - 1, ow = t.dims[3] + pads[1] + pads[3] - (kw - 1) * dilation - 1;
    if (oh < 0 || ow < 0) return;
    Tensor w;
    const std::string weights = constant({out, in, kh, kw}, w);
    const Attributes attributes{{"pads", pads}, {"dilations", Ints{dilation, dilation}}, {"strides", Ints{stride, stride}}, {"group", groups}};
    add_node("Conv", {name, weights}, attributes, made({1, out, oh / stride + 1, ow / stride + 1}, [&](const Ints& i) {
      double sum = 0;
      for (std::int64_t c = 0; c < in; ++c)
        for (std::int64_t ky = 0; ky < kh; ++ky)
          for (std::int64_t kx = 0; kx < kw; ++kx) {
            const std::int64_t y = i[2] * stride + ky * dilation - pads[0], x = i[3] * stride + kx * dilation - pads[1];
            if (y < 0 || x < 0 || y >= t.dims[2] || x >= t.dims[3]) continue;
            sum += at(w, {i[1], c, ky, kx}) * at(t, {0, i[1] / (out / groups) * in + c, y, x});
          }
      return sum;
    }));
  }

  Rng rng_;
  OnnxBuilder model_;
  std::vector<float> image_;
  std::vector<std::pair<std::string, Tensor>> known_;
  std::size_t names_ = 0;
};

double difference(const std::vector<float>& got, const std::vector<double>& expected) {
  if (got.size() != expected.size()) return 1e9;
  double worst = 0, size = 1;
  for (double v : expected) size = std::max(size, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(got[i]) - expected[i]));
  return worst / size;
}

// What one layout makes of the graph; nothing where it does not hold it. Polynomials are left to tests that know their
// rounding.
std::optional<std::vector<float>> run_packed(const Graph& graph, const std::vector<float>& input, std::size_t choice) {
  for (const Node& node : graph.nodes)
    if (node.kind == OpKind::kPolynomial) return std::nullopt;
  auto plan = make_stages(graph);
  if (!plan.ok() || !plan->notes.empty()) return std::nullopt;
  const auto choices = enumerate_choices(*plan, kSlots);
  if (choices.empty()) return std::nullopt;
  auto lowered = lower(*plan, kSlots, choices[choice % choices.size()]);
  if (!lowered.ok()) return std::nullopt;
  const std::vector<double> out = plan::run_slots(lowered->program, input);
  return std::vector<float>(out.begin(), out.end());
}

TEST(OnnxRandomGraphs, AreRefusedOrRight) {
  int taken = 0, packed = 0, products = 0;
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    const RandomGraph random(seed);
    auto graph = import_onnx(random.model().bytes());
    if (!graph.ok()) {
      ASSERT_FALSE(graph.error().message.empty());
      continue;
    }
    ++taken;
    auto normal = normalise(*graph);
    ASSERT_TRUE(normal.ok()) << "seed " << seed << ": " << normal.error().to_string();
    double imported = 1e9;
    std::vector<float> x;
    for (const auto& input : random.inputs(graph->nodes[0].shape)) {
      const double d = difference(run_float(*graph, input), random.expected());
      if (d >= imported) continue;
      imported = d;
      x = input;
    }
    ASSERT_LT(imported, 1e-4) << "seed " << seed << "\n" << to_string(*graph);
    ASSERT_LT(difference(run_float(*normal, x), random.expected()), 1e-4) << "seed " << seed << "\n" << to_string(*normal);
    if (const auto slots = run_packed(*normal, x, seed)) {
      ++packed;
      products += std::any_of(normal->nodes.begin(), normal->nodes.end(), [](const Node& n) { return n.kind == OpKind::kProduct; }) ? 1 : 0;
      ASSERT_LT(difference(*slots, random.expected()), 1e-3) << "seed " << seed << "\n" << to_string(*normal);
    }
  }
  EXPECT_GT(taken, 2000);
  EXPECT_GT(packed, 1800);
  EXPECT_GT(products, 80);
}

}  // namespace
}  // namespace brainlock::compiler
