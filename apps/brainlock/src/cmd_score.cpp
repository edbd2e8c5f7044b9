// `brainlock score`: what a miner of a given speed and failure rate is worth.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "brainlock/score/score.hpp"
#include "commands.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

struct ScoreFlags {
  double response_s = 0.0;
  double failure_rate = 0.0;
  bool explain = false;
  bool json = false;
};

void run_score(const ScoreFlags& flags) {
  const double base = must(score::response_score(flags.response_s));
  const double divisor = must(score::failure_divisor(flags.failure_rate));
  const double final_score = must(score::penalised_score(flags.response_s, flags.failure_rate));
  if (flags.json) {
    const nlohmann::json out = {{"response_s", flags.response_s},
                                {"failure_rate", flags.failure_rate},
                                {"base_score", base},
                                {"divisor", divisor},
                                {"score", final_score}};
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%.10g\n", final_score);
  if (flags.explain) {
    std::printf("(40 s / %g s)^3 = %.10g, divided by %.10g for failures of %g %%\n", flags.response_s, base, divisor,
                flags.failure_rate * 100.0);
  }
}

}  // namespace

void add_score_commands(CLI::App& app) {
  auto flags = std::make_shared<ScoreFlags>();
  CLI::App* command = app.add_subcommand("score", "Print the score of a miner with a given speed and failure rate");
  command->add_option("--time", flags->response_s, "Median response time in seconds")->required();
  command->add_option("--failure-rate", flags->failure_rate, "Part of the recent requests that failed, 0 to 1");
  command->add_flag("--explain", flags->explain, "Show how the score comes about");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->callback([flags] { run_score(*flags); });
}

}  // namespace brainlock::app
