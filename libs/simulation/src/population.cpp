#include "population.hpp"

#include <cmath>

namespace brainlock::simulation {
namespace {

constexpr double kFastest = 4.0;
constexpr double kSlowest = 80.0;
constexpr double kSteps[] = {0.0, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.50};

}  // namespace

std::string_view miner_kind_name(MinerKind kind) {
  switch (kind) {
    case MinerKind::kHonest:
      return "honest";
    case MinerKind::kSelector:
      return "selector";
    case MinerKind::kPartCheater:
      return "part_cheater";
    case MinerKind::kFlaky:
      return "flaky";
    case MinerKind::kCheater:
      return "cheater";
    case MinerKind::kDying:
      return "dying";
  }
  return "unknown";
}

std::string_view validator_kind_name(ValidatorKind kind) {
  switch (kind) {
    case ValidatorKind::kHonest:
      return "honest";
    case ValidatorKind::kCopier:
      return "copier";
    case ValidatorKind::kColluder:
      return "colluder";
    case ValidatorKind::kIdle:
      return "idle";
  }
  return "unknown";
}

std::vector<Miner> make_miners(const Options& options) {
  std::vector<Miner> miners;
  const std::size_t group = options.miners / 8;
  const std::size_t honest = options.miners - 5 * group;
  for (std::size_t i = 0; i < honest; ++i) {
    Miner miner;
    const double place = honest > 1 ? static_cast<double>(i) / static_cast<double>(honest - 1) : 0.5;
    miner.median_s = kFastest * std::pow(kSlowest / kFastest, place);
    miners.push_back(miner);
  }
  for (MinerKind kind : {MinerKind::kSelector, MinerKind::kPartCheater, MinerKind::kFlaky}) {
    for (std::size_t i = 0; i < group; ++i) {
      Miner miner;
      miner.kind = kind;
      miner.parameter = kSteps[i % std::size(kSteps)];
      miner.spread = 0.3;  // selection needs something to select from; the twins with parameter 0 spread as much
      miners.push_back(miner);
    }
  }
  for (MinerKind kind : {MinerKind::kCheater, MinerKind::kDying}) {
    for (std::size_t i = 0; i < group; ++i) {
      Miner miner;
      miner.kind = kind;
      miners.push_back(miner);
    }
  }
  return miners;
}

std::vector<Validator> make_validators(const Options& options) {
  std::vector<Validator> validators(options.validators);
  double total = 0.0;
  for (std::size_t i = 0; i < validators.size(); ++i) {
    validators[i].stake = std::pow(static_cast<double>(i + 1), -0.7);
    total += validators[i].stake;
  }
  for (Validator& validator : validators) validator.stake /= total;
  if (validators.size() >= 8) {
    validators[validators.size() - 3].kind = ValidatorKind::kCopier;
    validators[validators.size() - 2].kind = ValidatorKind::kColluder;
    validators[validators.size() - 1].kind = ValidatorKind::kIdle;
  }
  return validators;
}

}  // namespace brainlock::simulation
