// Just enough SVG for a page of charts: axes (linear or logarithmic), points, lines, bars, a legend.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace brainlock::simulation::svg {

struct Axis {
  std::string label;
  double low = 0.0;
  double high = 1.0;
  bool logarithmic = false;  // low must be above 0
};

/// Colours that people with colour blindness tell apart (Okabe and Ito).
std::string_view colour(std::size_t index);

/// One chart in a rectangle of the page. Series are drawn in the order of the calls; values outside the axes are
/// clipped.
class Chart {
 public:
  Chart(double left, double top, double width, double height, std::string title, Axis x, Axis y);

  using Points = std::vector<std::pair<double, double>>;
  void line(const Points& points, std::string_view colour, std::string name, bool dashed = false);
  void dots(const Points& points, std::string_view colour, std::string name);
  /// Upright bars at x = 0, 1, 2, ...; each with its own colour and a text below.
  void bars(const std::vector<double>& heights, const std::vector<std::string_view>& colours);
  void legend_entry(std::string_view colour, std::string name);

  [[nodiscard]] std::string render() const;

 private:
  [[nodiscard]] double px(double x) const;
  [[nodiscard]] double py(double y) const;
  [[nodiscard]] std::string ticks(const Axis& axis, bool horizontal) const;

  double left_, top_, width_, height_;
  std::string title_;
  Axis x_, y_;
  std::string body_;
  std::vector<std::pair<std::string, std::string>> legend_;  // (colour, name)
};

/// A whole document from rendered charts.
std::string document(double width, double height, const std::vector<std::string>& parts);

std::string escape(std::string_view text);

}  // namespace brainlock::simulation::svg
