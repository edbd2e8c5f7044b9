#include "svg.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace brainlock::simulation::svg {
namespace {

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, pattern, values...);
  return buffer;
}

/// Tick values: powers of ten with 2 and 5 between (logarithmic), or a round step (linear).
std::vector<double> tick_values(const Axis& axis) {
  std::vector<double> ticks;
  if (axis.logarithmic) {
    const bool few = std::log10(axis.high / axis.low) < 2.5;
    for (double decade = std::pow(10.0, std::floor(std::log10(axis.low))); decade <= axis.high; decade *= 10.0) {
      for (double factor : {1.0, 2.0, 5.0}) {
        const double value = decade * factor;
        if ((factor == 1.0 || few) && value >= axis.low * 0.999 && value <= axis.high * 1.001) ticks.push_back(value);
      }
    }
    return ticks;
  }
  const double rough = (axis.high - axis.low) / 6.0;
  const double magnitude = std::pow(10.0, std::floor(std::log10(rough)));
  double step = magnitude;
  for (double factor : {2.0, 5.0, 10.0}) {
    if (rough > step) step = magnitude * factor;
  }
  for (double value = std::ceil(axis.low / step - 1e-9) * step; value <= axis.high * 1.0001; value += step) {
    ticks.push_back(std::abs(value) < step * 1e-6 ? 0.0 : value);
  }
  return ticks;
}

}  // namespace

std::string_view colour(std::size_t index) {
  static constexpr std::string_view kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                  "#000000", "#e69f00", "#56b4e9"};
  return kColours[index % std::size(kColours)];
}

std::string escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Chart::Chart(double left, double top, double width, double height, std::string title, Axis x, Axis y)
    : left_(left),
      top_(top),
      width_(width),
      height_(height),
      title_(std::move(title)),
      x_(std::move(x)),
      y_(std::move(y)) {
  for (Axis* axis : {&x_, &y_}) {
    if (axis->logarithmic) axis->low = std::max(axis->low, 1e-300);
    if (!(axis->high > axis->low)) axis->high = axis->logarithmic ? axis->low * 10.0 : axis->low + 1.0;
  }
}

double Chart::px(double x) const {
  const double part = x_.logarithmic ? std::log(std::max(x, 1e-300) / x_.low) / std::log(x_.high / x_.low)
                                     : (x - x_.low) / (x_.high - x_.low);
  return left_ + width_ * std::clamp(part, -1.0, 2.0);
}

double Chart::py(double y) const {
  const double part = y_.logarithmic ? std::log(std::max(y, 1e-300) / y_.low) / std::log(y_.high / y_.low)
                                     : (y - y_.low) / (y_.high - y_.low);
  return top_ + height_ * (1.0 - std::clamp(part, -1.0, 2.0));
}

void Chart::line(const Points& points, std::string_view stroke, std::string name, bool dashed) {
  std::string path;
  for (const auto& [x, y] : points) path += format("%s%.2f,%.2f", path.empty() ? "M" : " L", px(x), py(y));
  body_ += "<path d=\"" + path + "\" fill=\"none\" stroke-width=\"1.6\" stroke=\"" + std::string(stroke) + "\"" +
           (dashed ? " stroke-dasharray=\"5 4\"" : "") + "/>\n";
  if (!name.empty()) legend_entry(stroke, std::move(name));
}

void Chart::dots(const Points& points, std::string_view fill, std::string name) {
  for (const auto& [x, y] : points) {
    body_ += format("<circle cx=\"%.2f\" cy=\"%.2f\" r=\"3\" fill=\"", px(x), py(y)) + std::string(fill) +
             "\" fill-opacity=\"0.75\"/>\n";
  }
  if (!name.empty()) legend_entry(fill, std::move(name));
}

void Chart::bars(const std::vector<double>& heights, const std::vector<std::string_view>& colours) {
  for (std::size_t i = 0; i < heights.size(); ++i) {
    const double begin = px(static_cast<double>(i) - 0.4);
    const double end = px(static_cast<double>(i) + 0.4);
    const double top = py(heights[i]);
    body_ += format("<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"", begin, top, end - begin,
                    std::max(top_ + height_ - top, 0.0)) +
             std::string(colours[i]) + "\"/>\n";
  }
}

void Chart::legend_entry(std::string_view swatch, std::string name) { legend_.emplace_back(swatch, std::move(name)); }

std::string Chart::ticks(const Axis& axis, bool horizontal) const {
  std::string out;
  for (double value : tick_values(axis)) {
    const std::string text = format("%.4g", value);
    if (horizontal) {
      const double x = px(value);
      out +=
          format("<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" class=\"grid\"/>", x, top_, x, top_ + height_);
      out += format("<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"middle\">%s</text>\n", x, top_ + height_ + 16,
                    text.c_str());
    } else {
      const double y = py(value);
      out +=
          format("<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" class=\"grid\"/>", left_, y, left_ + width_, y);
      out += format("<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"end\">%s</text>\n", left_ - 6, y + 4, text.c_str());
    }
  }
  return out;
}

std::string Chart::render() const {
  const std::string clip = format("clip%d_%d", static_cast<int>(left_), static_cast<int>(top_));
  std::string out = "<g>\n";
  out +=
      "<clipPath id=\"" + clip + "\">" +
      format("<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/></clipPath>\n", left_, top_, width_, height_);
  out += format("<text x=\"%.2f\" y=\"%.2f\" class=\"title\">", left_, top_ - 12) + escape(title_) + "</text>\n";
  out += ticks(x_, true) + ticks(y_, false);
  out += format("<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"none\" stroke=\"#444\"/>\n", left_,
                top_, width_, height_);
  out += "<g clip-path=\"url(#" + clip + ")\">\n" + body_ + "</g>\n";
  out += format("<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"middle\">", left_ + width_ / 2, top_ + height_ + 34) +
         escape(x_.label) + "</text>\n";
  out += format("<text transform=\"translate(%.2f %.2f) rotate(-90)\" text-anchor=\"middle\">", left_ - 52,
                top_ + height_ / 2) +
         escape(y_.label) + "</text>\n";
  for (std::size_t i = 0; i < legend_.size(); ++i) {
    const double y = top_ + 14 + 16 * static_cast<double>(i);
    out += format("<rect x=\"%.2f\" y=\"%.2f\" width=\"10\" height=\"10\" fill=\"", left_ + width_ - 150, y - 9) +
           legend_[i].first + "\"/>";
    out += format("<text x=\"%.2f\" y=\"%.2f\" class=\"halo\">", left_ + width_ - 135, y) + escape(legend_[i].second) +
           "</text>\n";
  }
  return out + "</g>\n";
}

std::string document(double width, double height, const std::vector<std::string>& parts) {
  std::string out =
      format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n",
             width, height, width, height);
  out +=
      "<style>text{font:12px sans-serif;fill:#222}.title{font-size:15px;font-weight:bold}.grid{stroke:#ddd}"
      ".halo{paint-order:stroke;stroke:#fff;stroke-width:3px}</style>\n";
  out += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  for (const auto& part : parts) out += part;
  return out + "</svg>\n";
}

}  // namespace brainlock::simulation::svg
