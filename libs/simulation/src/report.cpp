// What a report looks like: CSV, SVG and a few lines of text.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "brainlock/simulation/simulation.hpp"
#include "svg.hpp"

namespace brainlock::simulation {
namespace {

constexpr MinerKind kKinds[] = {MinerKind::kHonest, MinerKind::kSelector, MinerKind::kPartCheater,
                                MinerKind::kFlaky,  MinerKind::kCheater,  MinerKind::kDying};

std::string number(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.9g", value);
  return buffer;
}

std::string percent(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.1f", value * 100.0);
  return buffer;
}

void append_row(std::string& out, const std::vector<std::string>& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) out += ',';
    out += cells[i];
  }
  out += '\n';
}

double income_of(const Report& report, MinerKind kind) {
  double income = 0.0;
  for (const Miner& miner : report.miners) income += miner.kind == kind ? miner.income : 0.0;
  return income;
}

std::string income_over_speed(const Report& report) {
  svg::Chart::Points honest;
  double largest = 0.0;
  double smallest = 1.0;
  for (const Miner& miner : report.miners) {
    if (miner.kind != MinerKind::kHonest || miner.income <= 0.0) continue;
    honest.emplace_back(miner.median_s, miner.income);
    largest = std::max(largest, miner.income);
    smallest = std::min(smallest, miner.income);
  }
  svg::Chart chart(80, 50, 480, 330, "Does faster pay? Income of the honest over their speed",
                   {"median response time, s", 3.0, 110.0, true},
                   {"part of all income", smallest / 2, largest * 4, true});
  if (!honest.empty()) {
    const auto [t, income] = honest[honest.size() / 2];
    chart.line({{3.0, income * std::pow(t / 3.0, 3.0)}, {110.0, income * std::pow(t / 110.0, 3.0)}}, "#999", "cube law",
               true);
  }
  chart.dots(honest, svg::colour(0), "honest miners");
  return chart.render();
}

std::string income_over_time(const Report& report) {
  double largest = 0.0;
  for (const TempoRow& row : report.tempos) {
    for (double value : row.income_by_kind) largest = std::max(largest, value);
  }
  svg::Chart chart(680, 50, 480, 330, "Income per miner and tempo",
                   {"tempo", 0.0, static_cast<double>(report.tempos.size()), false},
                   {"part of all income, mean of the kind", largest * 1e-4, largest * 30.0, true});
  const std::size_t step = std::max<std::size_t>(1, report.tempos.size() / 400);
  for (MinerKind kind : kKinds) {
    svg::Chart::Points points;
    for (std::size_t i = 0; i < report.tempos.size(); i += step) {
      points.emplace_back(static_cast<double>(report.tempos[i].tempo),
                          report.tempos[i].income_by_kind[static_cast<std::size_t>(kind)]);
    }
    chart.line(points, svg::colour(static_cast<std::size_t>(kind)), std::string(miner_kind_name(kind)));
  }
  return chart.render();
}

std::string what_failing_brings(const Report& report) {
  double largest = 1.2;
  for (MinerKind kind : {MinerKind::kSelector, MinerKind::kPartCheater, MinerKind::kFlaky}) {
    for (const Comparison& point : compare_by_parameter(report, kind))
      largest = std::max(largest, point.relative_income);
  }
  svg::Chart chart(80, 480, 480, 330, "Do dropping slow queries and cheating pay?",
                   {"part of the queries dropped, faked or failed", 0.0, 0.5, false},
                   {"income relative to an honest twin", 0.0, largest * 1.15, false});
  chart.line({{0.0, 1.0}, {0.5, 1.0}}, "#999", "honest twin", true);
  for (MinerKind kind : {MinerKind::kSelector, MinerKind::kPartCheater, MinerKind::kFlaky}) {
    svg::Chart::Points points;
    for (const Comparison& point : compare_by_parameter(report, kind))
      points.emplace_back(point.parameter, point.relative_income);
    const auto colour = svg::colour(static_cast<std::size_t>(kind));
    chart.line(points, colour, std::string(miner_kind_name(kind)));
    chart.dots(points, colour, "");
  }
  return chart.render();
}

std::string what_validators_earn(const Report& report) {
  std::vector<double> heights;
  std::vector<std::string_view> colours;
  for (const Validator& validator : report.validators) {
    heights.push_back(validator.stake > 0.0 ? validator.income / validator.stake : 0.0);
    colours.push_back(svg::colour(static_cast<std::size_t>(validator.kind)));
  }
  const double largest = *std::max_element(heights.begin(), heights.end());
  svg::Chart chart(680, 480, 480, 330, "What validators earn per stake",
                   {"validator, by stake", -0.6, static_cast<double>(heights.size()) - 0.4, false},
                   {"part of income / part of stake", 0.0, std::max(largest, 0.1) * 1.4, false});
  chart.bars(heights, colours);
  for (ValidatorKind kind :
       {ValidatorKind::kHonest, ValidatorKind::kCopier, ValidatorKind::kColluder, ValidatorKind::kIdle}) {
    chart.legend_entry(svg::colour(static_cast<std::size_t>(kind)), std::string(validator_kind_name(kind)));
  }
  return chart.render();
}

}  // namespace

std::string participants_csv(const Report& report) {
  std::string out = "role,kind,parameter,median_s,spread,stake,income\n";
  for (const Miner& miner : report.miners) {
    append_row(out, {"miner", std::string(miner_kind_name(miner.kind)), number(miner.parameter), number(miner.median_s),
                     number(miner.spread), "", number(miner.income)});
  }
  for (const Validator& validator : report.validators) {
    append_row(out, {"validator", std::string(validator_kind_name(validator.kind)), "", "", "", number(validator.stake),
                     number(validator.income)});
  }
  return out;
}

std::string tempos_csv(const Report& report) {
  std::string out;
  std::vector<std::string> cells = {"tempo"};
  for (MinerKind kind : kKinds) cells.emplace_back(miner_kind_name(kind));
  append_row(out, cells);
  for (const TempoRow& row : report.tempos) {
    cells = {std::to_string(row.tempo)};
    for (double value : row.income_by_kind) cells.push_back(number(value));
    append_row(out, cells);
  }
  return out;
}

std::string report_svg(const Report& report) {
  return svg::document(
      1200, 870,
      {income_over_speed(report), income_over_time(report), what_failing_brings(report), what_validators_earn(report)});
}

std::string report_text(const Report& report) {
  std::string out = std::to_string(report.miners.size()) + " miners, " + std::to_string(report.validators.size()) +
                    " validators, " + std::to_string(report.tempos.size()) + " tempos\n\n";
  out += "Does faster pay?     income grows like speed to the power " +
         number(std::round(report.speed_exponent * 1000) / 1000) + "\n";
  out += "Does cheating pay?   cheaters earn " + percent(income_of(report, MinerKind::kCheater)) + " % of all income\n";
  for (MinerKind kind : {MinerKind::kPartCheater, MinerKind::kSelector, MinerKind::kFlaky}) {
    out += "                     " + std::string(miner_kind_name(kind)) + ", relative to an honest twin:";
    for (const Comparison& point : compare_by_parameter(report, kind)) {
      char text[48];
      std::snprintf(text, sizeof text, "  %.0f %%: %.3g", point.parameter * 100.0, point.relative_income);
      out += text;
    }
    out += "\n";
  }
  out += "Does silence pay?    a miner that falls silent earns nothing after " + std::to_string(report.tempos_to_zero) +
         " tempos\n";
  out += "Validators per stake:";
  for (ValidatorKind kind :
       {ValidatorKind::kHonest, ValidatorKind::kCopier, ValidatorKind::kColluder, ValidatorKind::kIdle}) {
    double stake = 0.0;
    double income = 0.0;
    for (const Validator& validator : report.validators) {
      if (validator.kind != kind) continue;
      stake += validator.stake;
      income += validator.income;
    }
    if (stake <= 0.0) continue;
    char text[48];
    std::snprintf(text, sizeof text, "  %s %.3f", std::string(validator_kind_name(kind)).c_str(), income / stake);
    out += text;
  }
  return out + "\n";
}

}  // namespace brainlock::simulation
