// Simulation: miners and validators of many kinds over thousands of tempos, with the real score and the real consensus
// and made-up response times. It answers: does faster pay, does cheating pay, does dropping slow queries pay?
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/score/score.hpp"

namespace brainlock::simulation {

enum class MinerKind {
  kHonest,       ///< answers everything; parameter: none
  kSelector,     ///< drops queries that turn out slow; parameter: part that it drops
  kPartCheater,  ///< sends a quick wrong answer now and then; parameter: part of its answers
  kFlaky,        ///< fails now and then; parameter: part of its answers
  kCheater,      ///< sends quick wrong answers only
  kDying,        ///< honest until half of the time, then silent
};
std::string_view miner_kind_name(MinerKind kind);

enum class ValidatorKind {
  kHonest,
  kCopier,    ///< votes last epoch's consensus and measures nothing
  kColluder,  ///< gives everything to one cheating miner
  kIdle,      ///< votes once and never again
};
std::string_view validator_kind_name(ValidatorKind kind);

struct Options {
  std::size_t miners = 256;
  std::size_t validators = 16;
  std::size_t tempos = 2000;
  std::size_t queries_per_tempo = 2;  ///< of each validator to each miner
  double detection = 1.0;             ///< chance that a wrong answer is found out
  std::uint64_t seed = 1;
  unsigned threads = 0;               ///< 0: as many as the machine has
  score::Rule rule;
};

/// A miner and what became of it.
struct Miner {
  MinerKind kind = MinerKind::kHonest;
  double parameter = 0.0;
  double median_s = 20.0;  ///< of its response times
  double spread = 0.15;    ///< deviation of the logarithm of its response times
  double income = 0.0;     ///< part of all miners' emission over the second half of the run
};

struct Validator {
  ValidatorKind kind = ValidatorKind::kHonest;
  double stake = 0.0;   ///< part of all stake
  double income = 0.0;  ///< part of all validators' emission over the second half of the run
};

/// Mean income per miner of a kind in one tempo, in parts of all miners' emission. index == MinerKind.
struct TempoRow {
  std::size_t tempo = 0;
  std::vector<double> income_by_kind;
};

struct Report {
  Options options;
  std::vector<Miner> miners;
  std::vector<Validator> validators;
  std::vector<TempoRow> tempos;
  /// Slope of log(income) over log(1 / median time) of the honest: 3 if the score reaches the purse whole.
  double speed_exponent = 0.0;
  /// Tempos from a miner's silence to an income of zero; the largest over the dying ones. 0 if none died.
  std::size_t tempos_to_zero = 0;
};

/// Runs the whole. The same options give the same report on any number of threads. `progress` (may be empty) is called
/// with the number of tempos done. kInvalidArgument for fewer than 16 miners, no validator, more than 60000 of both,
/// no tempo, no query or a detection outside [0, 1]. Costs about 10 ms of one core per tempo with the defaults.
Result<Report> run(const Options& options, const std::function<void(std::size_t)>& progress = {});

/// Mean income of the miners of a kind and parameter, relative to `twin` (the same kind with parameter 0): above 1 it
/// pays.
struct Comparison {
  double parameter = 0.0;
  double relative_income = 0.0;
};
std::vector<Comparison> compare_by_parameter(const Report& report, MinerKind kind);

/// One row per miner, then one per validator, with a header: role,kind,parameter,median_s,spread,stake,income.
std::string participants_csv(const Report& report);
/// One row per tempo with a header: tempo and the mean income per miner of each kind.
std::string tempos_csv(const Report& report);
/// Four charts: income over speed, income over time, what dropping and cheating bring, what validators earn per stake.
std::string report_svg(const Report& report);
/// What the report says, in a few lines for people.
std::string report_text(const Report& report);

}  // namespace brainlock::simulation
