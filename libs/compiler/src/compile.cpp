#include "brainlock/compiler/compile.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>

#include "brainlock/base/parallel.hpp"
#include "brainlock/base/processors.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "bias_correction.hpp"
#include "calibration.hpp"
#include "candidates.hpp"
#include "giant_fans.hpp"
#include "layout_ranking.hpp"
#include "level_needs.hpp"
#include "refreshes.hpp"
#include "stages.hpp"

namespace brainlock::compiler {
namespace {

// The promised bound on |encrypted - clear|, in standard deviations of the error that is predicted for the calibration
// input through which noise grows most.
constexpr double kBoundDeviations = 8.0;
// Samples of the calibration from which the ranges of nodes' values are taken.
constexpr std::size_t kRangeSamples = 8;

class Compiler {
 public:
  Compiler(const Graph& graph, const CompileOptions& options, CompileReport& report)
      : graph_(graph), options_(options), report_(report), slots_(options.profile.ring_degree / 2),
        threads_(options.threads != 0 ? options.threads : usable_processors()) {}

  Result<plan::Program> run() {
    if (options_.calibration.empty()) return Error{ErrorCode::kInvalidArgument, "compile needs at least one calibration input"};
    for (const auto& sample : options_.calibration)
      if (sample.size() != graph_.nodes[0].shape.size())
        return Error{ErrorCode::kInvalidArgument, "a calibration input does not have the model's input shape"};
    for (const auto& sample : options_.range_inputs)
      if (sample.size() != graph_.nodes[0].shape.size()) return Error{ErrorCode::kInvalidArgument, "an input for ranges does not have the model's input shape"};
    say("stages");
    BRAINLOCK_ASSIGN(stages_, make_stages(graph_, node_ranges()));
    report_.notes = stages_.notes;
    calibration_ = calibrate(stages_, options_.calibration, threads_);
    BRAINLOCK_TRY(check_calibration());
    say("layouts");
    BRAINLOCK_ASSIGN(const std::vector<LayoutChoice> shortlist, shortlisted());
    say("levels");
    BRAINLOCK_ASSIGN(Chosen chosen, choose(shortlist));
    say("biases");
    plan::Program& program = chosen.lowered.program;
    describe(program, chosen.levels);
    BRAINLOCK_TRY(correct_biases(program, chosen.lowered.stages, stages_, options_.calibration, threads_));
    if (chosen.levels.refresh_chain) {
      write_refreshes(program, chosen.lowered.stages, chosen.levels, chosen.ranges);
      choose_giant_fans(program);
      note_refreshes(program);
    }
    BRAINLOCK_TRY(plan::validate(program));
    return std::move(program);
  }

 private:
  void say(const std::string& text) const {
    if (options_.progress) options_.progress(text);
  }

  /// Everything behind this counts on finite numbers.
  [[nodiscard]] Status check_calibration() const {
    const auto refuse = [&](std::size_t l, const std::string& what) {
      return Error{ErrorCode::kUnsupported, stages_.stages[l].name + ": " + what + " grow beyond all bounds for the calibration inputs; " +
                                                "is the model trained, and its input scaled as it was in training?"};
    };
    const auto& stats = calibration_.stages;
    for (std::size_t l = 0; l < stats.size(); ++l)
      if (!std::isfinite(stats[l].rms)) return refuse(l, "values");
    for (std::size_t l = stats.size(); l-- > 0;)
      if (!std::isfinite(stats[l].gain) || !std::isfinite(stats[l].weight_gain) || !std::isfinite(stats[l].placed_weight_gain) ||
          !std::isfinite(stats[l].mask_gain))
        return refuse(l, "errors behind it");
    return {};
  }

  /// What to try next.
  [[nodiscard]] std::string larger_ring() const {
    const Profile* next = nullptr;
    for (const Profile& profile : profiles())
      if (profile.ring_degree > options_.profile.ring_degree && (next == nullptr || profile.ring_degree < next->ring_degree)) next = &profile;
    return next == nullptr ? "; there is no profile with a larger ring" : "; try the profile " + next->name + ", whose ring is larger";
  }

  /// What each node gives for a few samples.
  [[nodiscard]] std::vector<NodeRange> node_ranges() const {
    constexpr Interval kNothing{HUGE_VAL, -HUGE_VAL};
    std::vector<NodeRange> ranges(graph_.nodes.size(), NodeRange{kNothing, {}});
    for (const Node& node : graph_.nodes)
      if (node.kind == OpKind::kPolynomial) ranges[static_cast<std::size_t>(node.inputs[0])].channels.assign(static_cast<std::size_t>(node.shape.channels), kNothing);
    std::vector<const std::vector<float>*> inputs;
    for (std::size_t k = 0; k < std::min(options_.calibration.size(), kRangeSamples); ++k) inputs.push_back(&options_.calibration[k]);
    for (const auto& input : options_.range_inputs) inputs.push_back(&input);
    std::mutex mutex;
    parallel_for(inputs.size(), threads_, [&](std::size_t k) {
      FloatTrace trace;
      (void)run_float(graph_, *inputs[k], &trace);
      const std::lock_guard lock(mutex);
      for (std::size_t n = 0; n < ranges.size(); ++n) widen(ranges[n], trace.values[n], static_cast<std::size_t>(graph_.nodes[n].shape.channels));
    });
    return ranges;
  }

  static void widen(NodeRange& range, const std::vector<float>& values, std::size_t channels) {
    const auto by = [](Interval& interval, double v) { interval = {std::min(interval.low, v), std::max(interval.high, v)}; };
    const std::size_t plane = values.size() / channels;
    for (std::size_t e = 0; e < values.size(); ++e) {
      by(range.all, static_cast<double>(values[e]));
      if (!range.channels.empty()) by(range.channels[e / plane], static_cast<double>(values[e]));
    }
  }

  Result<std::vector<LayoutChoice>> shortlisted() {
    LayoutRanking ranking = rank_layouts(stages_, slots_, threads_);
    for (const LayoutRanking::Refusal& refusal : ranking.refused) {
      Candidate refused;
      refused.layout = refusal.choice.describe();
      refused.refusal = refusal.reason;
      report_.candidates.push_back(std::move(refused));
    }
    if (!ranking.shortlist.empty()) return std::move(ranking.shortlist);
    const std::string reason = ranking.refused.empty() ? "" : ranking.refused.back().reason;
    return Error{ErrorCode::kUnsupported, "no layout of " + std::to_string(slots_) + " slots holds this network: " + reason + larger_ring()};
  }

  /// The best layout with the best chain of primes.
  Result<Chosen> choose(const std::vector<LayoutChoice>& shortlist) {
    using Refreshes = CompileOptions::Refreshes;
    Candidates candidates(stages_, calibration_, options_, threads_, report_, shortlist);
    if (options_.refreshes != Refreshes::kAlways) BRAINLOCK_TRY(candidates.price(Refreshing::kNever));
    const bool needed = !candidates.good() || candidates.too_many_weights();
    if (needed && options_.refreshes != Refreshes::kNever) BRAINLOCK_TRY(candidates.price(Refreshing::kAllowed));
    if (candidates.all_too_large())
      return Error{ErrorCode::kResource, "the weights of this network take more than a plan may have (" + std::to_string(static_cast<int>(kMostPlanBytes * 0x1p-20)) +
                                             " MiB); use fewer channels, or smaller maps"};
    if (!candidates.found())
      return Error{ErrorCode::kResource, "no modulus chain" + std::string(options_.refreshes == Refreshes::kAlways ? " with room for refreshes" : "") + " of ring degree " +
                                             std::to_string(options_.profile.ring_degree) + " holds this network's depth of " + std::to_string(stages_.ranks()) +
                                             " linear layers at 128-bit security" +
                                             (options_.refreshes == Refreshes::kWhereNeeded ? ", with or without refreshes" : "") + larger_ring()};
    if (!candidates.good()) note_precision(candidates.predicted_error());
    return candidates.take();
  }

  void describe(plan::Program& program, const LevelChoice& levels) const {
    program.model_name = graph_.model_name;
    program.profile = options_.profile.name;
    program.input.bound = 1.0;
    program.output.bound = kRangeMargin * calibration_.stages.back().largest;
    program.error_estimate = levels.relative_error * calibration_.stages.back().rms;
    program.error_bound = kBoundDeviations * std::sqrt(calibration_.worst_gain_ratio) * program.error_estimate;
  }

  void note_precision(double predicted_error) const {
    char text[160];
    std::snprintf(text, sizeof text, "no chain is as exact as the profile asks for: an rms error of %.2g %% of the logits' rms is predicted, %.2g %% was aimed at",
                  100 * predicted_error, 100 * options_.profile.target_error);
    report_.notes.emplace_back(text);
  }

  void note_refreshes(const plan::Program& program) const {
    const auto count = std::count_if(program.instructions.begin(), program.instructions.end(),
                                     [](const plan::Instruction& i) { return std::holds_alternative<plan::Raise>(i.op); });
    report_.notes.push_back(std::to_string(count) + " ciphertexts are refreshed on the way (bootstrapping)");
  }

  const Graph& graph_;
  const CompileOptions& options_;
  CompileReport& report_;
  std::uint32_t slots_;
  unsigned threads_;
  StagePlan stages_;
  Calibration calibration_;
};

}  // namespace

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> all{{"precise", 1U << 15, 0.006}, {"fast", 1U << 14, 0.04}, {"deep", 1U << 16, 0.006}};
  return all;
}

Result<Profile> find_profile(const std::string& name) {
  for (const Profile& profile : profiles())
    if (profile.name == name) return profile;
  return Error{ErrorCode::kInvalidArgument, "unknown profile '" + name + "': expected precise, fast or deep"};
}

Result<plan::Program> compile(const Graph& graph, const CompileOptions& options, CompileReport* report) {
  CompileReport local;
  return Compiler(graph, options, report != nullptr ? *report : local).run();
}

}  // namespace brainlock::compiler
