#include "brainlock/simulation/simulation.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "brainlock/base/parallel.hpp"
#include "brainlock/base/processors.hpp"
#include "brainlock/ledger/yuma.hpp"
#include "observer.hpp"
#include "population.hpp"

namespace brainlock::simulation {
namespace {

using ledger::BlockNumber;
using ledger::EpochInput;
using ledger::EpochShare;
using ledger::Uid;
using ledger::Weight;

constexpr std::size_t kKinds = 6;

Status check(const Options& options) {
  const auto refuse = [](const std::string& text) { return Error{ErrorCode::kInvalidArgument, text}; };
  if (options.miners < 16) return refuse("expected at least 16 miners, got " + std::to_string(options.miners));
  if (options.validators < 1) return refuse("expected at least 1 validator");
  if (options.miners > 60'000 || options.validators > 60'000 || options.miners + options.validators > 60'000) {
    return refuse("expected at most 60000 miners and validators");
  }
  if (options.tempos < 1 || options.tempos > 1'000'000) return refuse("expected 1 to 1000000 tempos");
  if (options.queries_per_tempo < 1 || options.queries_per_tempo > 1000)
    return refuse("expected 1 to 1000 queries a tempo");
  if (!(options.detection >= 0.0 && options.detection <= 1.0)) return refuse("expected a detection from 0 to 1");
  if (options.rule.window_requests < 1) return refuse("expected a window of at least 1 request");
  return {};
}

/// Validators first, then miners.
EpochInput make_subnet(const Report& report) {
  EpochInput input;
  input.parameters.tempo = kTempoBlocks;
  input.parameters.max_allowed_validators = static_cast<std::uint16_t>(report.validators.size());
  input.emission_rao = 820'000'000ULL * kTempoBlocks;
  input.neurons.resize(report.validators.size() + report.miners.size());
  for (auto& neuron : input.neurons) neuron.registered_at = 1;
  for (std::size_t v = 0; v < report.validators.size(); ++v) {
    input.neurons[v].stake_rao = static_cast<std::uint64_t>(report.validators[v].stake * 1e15);
    input.neurons[v].validator_permit = true;
  }
  return input;
}

std::vector<Weight> vote_for(const std::vector<double>& scores, std::size_t first_miner) {
  auto weights = ledger::quantise_weights(scores);
  if (!weights.ok()) return {};  // scores are finite and not negative by construction
  for (Weight& weight : *weights) weight.uid = static_cast<Uid>(weight.uid + first_miner);
  return std::move(weights).value();
}

double speed_exponent(const std::vector<Miner>& miners) {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const Miner& miner : miners) {
    if (miner.kind != MinerKind::kHonest || miner.income <= 0.0) continue;
    const double x = -std::log(miner.median_s);
    const double y = std::log(miner.income);
    n += 1, sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  const double spread = n * sxx - sx * sx;
  return n < 2 || spread == 0.0 ? 0.0 : (n * sxy - sx * sy) / spread;
}

/// Sums of emission while the run goes on.
class Ledger {
 public:
  explicit Ledger(Report& report) : report_(report), last_paid_(report.miners.size()) {}

  void add(std::size_t tempo, const std::vector<EpochShare>& shares) {
    const std::size_t first = report_.validators.size();
    TempoRow row{tempo, std::vector<double>(kKinds)};
    std::vector<double> members(kKinds);
    double paid = 0.0;
    for (std::size_t m = 0; m < report_.miners.size(); ++m) paid += static_cast<double>(shares[first + m].emission_rao);
    const bool counted = tempo >= report_.options.tempos / 2;
    for (std::size_t m = 0; m < report_.miners.size(); ++m) {
      const auto emission = static_cast<double>(shares[first + m].emission_rao);
      const auto kind = static_cast<std::size_t>(report_.miners[m].kind);
      members[kind] += 1.0;
      if (paid > 0.0) row.income_by_kind[kind] += emission / paid;
      if (shares[first + m].incentive > 0) last_paid_[m] = tempo + 1;
      if (counted) report_.miners[m].income += emission;
    }
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      if (members[kind] > 0.0) row.income_by_kind[kind] /= members[kind];
    }
    if (counted) {
      for (std::size_t v = 0; v < first; ++v)
        report_.validators[v].income += static_cast<double>(shares[v].emission_rao);
    }
    report_.tempos.push_back(std::move(row));
  }

  void finish() {
    const auto scale = [](auto& all) {
      double total = 0.0;
      for (const auto& one : all) total += one.income;
      for (auto& one : all) one.income = total > 0.0 ? one.income / total : 0.0;
    };
    scale(report_.miners);
    scale(report_.validators);
    report_.speed_exponent = speed_exponent(report_.miners);
    const std::size_t death = report_.options.tempos / 2;
    for (std::size_t m = 0; m < report_.miners.size(); ++m) {
      if (report_.miners[m].kind == MinerKind::kDying && last_paid_[m] > death) {
        report_.tempos_to_zero = std::max(report_.tempos_to_zero, last_paid_[m] - death);
      }
    }
  }

 private:
  Report& report_;
  std::vector<std::size_t> last_paid_;  // one past the last tempo with an incentive
};

}  // namespace

Result<Report> run(const Options& options, const std::function<void(std::size_t)>& progress) {
  BRAINLOCK_TRY(check(options));
  Report report;
  report.options = options;
  report.miners = make_miners(options);
  report.validators = make_validators(options);

  std::vector<double> limits_s;
  for (const Miner& miner : report.miners) {
    limits_s.push_back(miner.kind == MinerKind::kSelector
                           ? selection_limit_s(miner, sampler::derive_seed(options.seed, 7))
                           : HUGE_VAL);
  }
  std::vector<Observer> observers;
  for (std::size_t v = 0; v < report.validators.size(); ++v) {
    observers.emplace_back(report.options, report.miners, limits_s, sampler::derive_seed(options.seed, 1000 + v));
  }
  const std::size_t first_miner = report.validators.size();
  const std::size_t favourite = [&] {
    for (std::size_t m = 0; m < report.miners.size(); ++m) {
      if (report.miners[m].kind == MinerKind::kCheater) return m;
    }
    return std::size_t{0};
  }();
  const unsigned threads =
      options.threads != 0 ? options.threads : usable_processors();

  EpochInput subnet = make_subnet(report);
  std::vector<double> consensus(report.miners.size());
  Ledger books(report);
  for (std::size_t tempo = 0; tempo < options.tempos; ++tempo) {
    subnet.block = (tempo + 1) * static_cast<BlockNumber>(kTempoBlocks);
    parallel_for(report.validators.size(), threads, [&](std::size_t v) {
      auto& neuron = subnet.neurons[v];
      switch (report.validators[v].kind) {
        case ValidatorKind::kHonest:
          neuron.weights = vote_for(observers[v].measure(tempo), first_miner);
          break;
        case ValidatorKind::kCopier:
          neuron.weights = vote_for(consensus, first_miner);
          break;
        case ValidatorKind::kColluder:
          neuron.weights = {{static_cast<Uid>(first_miner + favourite), 65535}};
          break;
        case ValidatorKind::kIdle:
          if (tempo > 0) return;
          neuron.weights = vote_for(observers[v].measure(tempo), first_miner);
          break;
      }
      neuron.last_update = subnet.block - 1;
    });
    BRAINLOCK_ASSIGN(std::vector<EpochShare> shares, ledger::run_epoch(subnet));
    for (std::size_t m = 0; m < report.miners.size(); ++m) consensus[m] = shares[first_miner + m].consensus;
    books.add(tempo, shares);
    for (std::size_t i = 0; i < shares.size(); ++i) {
      subnet.neurons[i].bonds = std::move(shares[i].bonds);
      subnet.neurons[i].validator_permit = shares[i].validator_permit;
    }
    if (progress) progress(tempo + 1);
  }
  books.finish();
  return report;
}

std::vector<Comparison> compare_by_parameter(const Report& report, MinerKind kind) {
  std::map<double, std::pair<double, double>> groups;  // parameter -> (income, members)
  for (const Miner& miner : report.miners) {
    if (miner.kind != kind) continue;
    groups[miner.parameter].first += miner.income;
    groups[miner.parameter].second += 1.0;
  }
  std::vector<Comparison> out;
  if (groups.empty() || groups.begin()->first != 0.0) return out;
  const auto [twin_income, twins] = groups.begin()->second;
  if (twin_income <= 0.0) return out;
  for (const auto& [parameter, group] : groups) {
    out.push_back({parameter, (group.first / group.second) / (twin_income / twins)});
  }
  return out;
}

}  // namespace brainlock::simulation
