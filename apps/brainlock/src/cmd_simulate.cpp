// `brainlock simulate`: what the score and the consensus reward, tried out on made-up miners.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "brainlock/base/file.hpp"
#include "brainlock/simulation/simulation.hpp"
#include "commands.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

struct SimulateFlags {
  simulation::Options options;
  std::string csv;
  std::string tempos_csv;
  std::string svg;
  bool json = false;
};

void write_report(const std::string& path, const std::string& text) {
  if (!path.empty()) must(write_file(path, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, {.overwrite = true}));
}

nlohmann::json to_json(const simulation::Report& report) {
  nlohmann::json out = {{"miners", report.miners.size()},
                        {"validators", report.validators.size()},
                        {"tempos", report.tempos.size()},
                        {"speed_exponent", report.speed_exponent},
                        {"tempos_to_zero", report.tempos_to_zero}};
  for (const auto kind :
       {simulation::MinerKind::kSelector, simulation::MinerKind::kPartCheater, simulation::MinerKind::kFlaky}) {
    auto& rows = out["relative_income"][std::string(simulation::miner_kind_name(kind))];
    rows = nlohmann::json::array();
    for (const auto& point : simulation::compare_by_parameter(report, kind)) {
      rows.push_back({{"parameter", point.parameter}, {"relative_income", point.relative_income}});
    }
  }
  for (const auto& miner : report.miners) {
    auto& total = out["income_by_kind"][std::string(simulation::miner_kind_name(miner.kind))];
    total = (total.is_null() ? 0.0 : total.get<double>()) + miner.income;
  }
  for (const auto& validator : report.validators) {
    out["validator_incomes"].push_back({{"kind", simulation::validator_kind_name(validator.kind)},
                                        {"stake", validator.stake},
                                        {"income", validator.income}});
  }
  return out;
}

void run_simulate(const SimulateFlags& flags) {
  Progress progress("tempo", flags.json);
  const auto report = must(simulation::run(flags.options, [&](std::size_t done) { progress.update(done, flags.options.tempos); }));
  write_report(flags.csv, simulation::participants_csv(report));
  write_report(flags.tempos_csv, simulation::tempos_csv(report));
  write_report(flags.svg, simulation::report_svg(report));
  if (flags.json) {
    std::printf("%s\n", to_json(report).dump().c_str());
  } else {
    std::printf("%s", simulation::report_text(report).c_str());
  }
}

}  // namespace

void add_simulate_commands(CLI::App& app) {
  auto flags = std::make_shared<SimulateFlags>();
  simulation::Options& options = flags->options;
  CLI::App* command =
      app.add_subcommand("simulate", "Try out what the score and the consensus reward, on made-up miners");
  command->add_option("--miners", options.miners, "Number of miners")->capture_default_str();
  command->add_option("--validators", options.validators, "Number of validators")->capture_default_str();
  command->add_option("--tempos", options.tempos, "Number of epochs (72 minutes each on the chain)")
      ->capture_default_str();
  command->add_option("--queries", options.queries_per_tempo, "Queries of each validator to each miner in a tempo")
      ->capture_default_str();
  command->add_option("--detection", options.detection, "Chance that a wrong answer is found out, 0 to 1")
      ->capture_default_str();
  command->add_option("--seed", options.seed, "Seed of the made-up response times")->capture_default_str();
  command->add_option("--threads", options.threads, "Threads, 0 for all")->capture_default_str();
  command->add_option("--csv", flags->csv, "Write one row per miner and validator to this file, replaced if it is there");
  command->add_option("--tempos-csv", flags->tempos_csv, "Write the income of each kind in each tempo to this file, replaced if it is there");
  command->add_option("--svg", flags->svg, "Write the charts to this file, replaced if it is there");
  command->add_flag("--json", flags->json, "Print one JSON object instead of text");
  command->callback([flags] { run_simulate(*flags); });
}

}  // namespace brainlock::app
