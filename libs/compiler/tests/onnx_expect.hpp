// What the import tests ask of a model: that it is taken, and that it computes what plain loops compute.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "onnx_builder.hpp"

namespace brainlock::compiler {

inline Graph import_ok(const OnnxBuilder& builder) {
  auto graph = import_onnx(builder.bytes());
  if (!graph.ok()) {
    ADD_FAILURE() << graph.error().to_string();
    return {};
  }
  return std::move(graph).value();
}

inline Graph normalise_ok(Graph graph) {
  auto normal = normalise(std::move(graph));
  if (!normal.ok()) {
    ADD_FAILURE() << normal.error().to_string();
    return {};
  }
  return std::move(normal).value();
}

inline void expect_close(const std::vector<float>& got, const std::vector<double>& expected, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double size = 1;
  for (double v : expected) size = std::max(size, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], tolerance * size) << what << " element " << i;
}

// The model imported and its normal form both give the expected answer.
inline void expect_computes(const OnnxBuilder& builder, const std::vector<float>& image, const std::vector<double>& expected,
                     const std::string& what = "", double tolerance = 2e-6) {
  const Graph graph = import_ok(builder);
  if (graph.nodes.empty()) return;
  expect_close(run_float(graph, image), expected, tolerance, what + " imported\n" + to_string(graph));
  const Graph normal = normalise_ok(graph);
  if (normal.nodes.empty()) return;
  expect_close(run_float(normal, image), expected, 4 * tolerance, what + " normalised\n" + to_string(normal));
}

struct ConvCase {
  int in, h, w, out, kh, kw, sh, sw, pt, pl, pb, pr;
};

// The definition, point by point.
inline std::vector<double> conv_by_definition(const ConvCase& c, const std::vector<float>& x,
                                       const std::vector<float>& weights, const std::vector<float>& bias) {
  const int oh = (c.h + c.pt + c.pb - c.kh) / c.sh + 1, ow = (c.w + c.pl + c.pr - c.kw) / c.sw + 1;
  std::vector<double> y;
  for (int o = 0; o < c.out; ++o) {
    for (int oy = 0; oy < oh; ++oy) {
      for (int ox = 0; ox < ow; ++ox) {
        double sum = bias.empty() ? 0 : bias[o];
        for (int i = 0; i < c.in; ++i) {
          for (int ky = 0; ky < c.kh; ++ky) {
            for (int kx = 0; kx < c.kw; ++kx) {
              const int iy = oy * c.sh + ky - c.pt, ix = ox * c.sw + kx - c.pl;
              if (iy < 0 || iy >= c.h || ix < 0 || ix >= c.w) continue;
              sum +=
                  static_cast<double>(weights[((o * c.in + i) * c.kh + ky) * c.kw + kx]) * x[(i * c.h + iy) * c.w + ix];
            }
          }
        }
        y.push_back(sum);
      }
    }
  }
  return y;
}

}  // namespace brainlock::compiler
