#include "candidates.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "cost_model.hpp"
#include "giant_fans.hpp"
#include "refreshes.hpp"
#include "skeleton.hpp"

namespace brainlock::compiler {
namespace {

// Of several gigabytes of keys a server holds those of few clients only; of as many more of weights few servers hold
// one network's.
constexpr double kManyKeyMegabytes = 2000, kManyWeightMegabytes = 6000, kMsPerMegabyteBeyond = 0.6;

/// Of a plan: the refreshes that are still to be written into it.
double refresh_bytes(const Lowered& lowered, const LevelChoice& levels) {
  double count = 0;
  for (const LoweredStage& stage : lowered.stages)
    if (levels.refreshes[stage.rank].limbs != 0) count += static_cast<double>(stage.value.size());
  return count * refresh_plan_bytes(lowered.program.parameters.ring_degree);
}

/// For clients: inputs beyond these are refused.
void set_limits(plan::Program& program, const std::vector<LoweredStage>& stages, const LevelRequest& request) {
  for (const LoweredStage& stage : stages)
    std::get<plan::Linear>(program.instructions[stage.linear].op).limit = request.stages[stage.rank].out_max;
}

}  // namespace

Candidates::Candidates(const StagePlan& stages, const Calibration& calibration, const CompileOptions& options,
                       unsigned threads, CompileReport& report, const std::vector<LayoutChoice>& shortlist)
    : stages_(stages), calibration_(calibration), options_(options), threads_(threads), report_(report) {
  for (const LayoutChoice& choice : shortlist) layouts_.push_back({choice, false, {}});
}

bool Candidates::all_too_large() const {
  return std::all_of(layouts_.begin(), layouts_.end(), [](const Layout& layout) { return layout.refused; });
}

bool Candidates::too_many_weights() const { return best_ && best_->weight_megabytes > kManyWeightMegabytes; }

void Candidates::refuse(Layout& layout, const std::string& reason) {
  layout.refused = true;
  Candidate refused;
  refused.layout = layout.choice.describe();
  refused.refusal = reason;
  report_.candidates.push_back(std::move(refused));
}

Status Candidates::study(std::size_t i, bool may_hold) {
  Layout& layout = layouts_[i];
  const std::uint32_t slots = options_.profile.ring_degree / 2;
  BRAINLOCK_ASSIGN(Lowered lowered, lower(stages_, slots, layout.choice, LowerDepth::kWeights, threads_));
  Study study;
  study.plan_bytes = plan_bytes(lowered.program);
  if (study.plan_bytes > kMostPlanBytes) {
    refuse(layout, "its weights do not fit a plan");
    return {};
  }
  if (!may_hold) return {};
  assign_levels(lowered, nominal_levels(stages_, slots, layout.choice.masks));
  BRAINLOCK_ASSIGN(study.needs,
                   measure_needs(stages_, lowered, calibration_, options_.profile, options_.calibration, threads_));
  set_limits(lowered.program, lowered.stages, study.needs.request);
  study.largest = largest_constants(lowered.program);
  study.skeleton = {skeleton_of(lowered.program), std::move(lowered.stages), std::move(lowered.plain_ranks)};
  layout.study = std::move(study);
  kept_ = Weights{i, std::move(lowered.program)};
  return {};
}

Status Candidates::price(Refreshing refreshing) {
  // Networks that are far too deep are not measured for nothing: with refreshes fewer layouts may be worth it.
  const bool may_hold =
      refreshing == Refreshing::kAllowed || plain_chain_may_hold(most_log_qp(options_.profile), stages_.ranks());
  for (std::size_t i = 0; i < layouts_.size(); ++i) {
    Layout& layout = layouts_[i];
    // A second input ciphertext doubles the upload: only where a packed one does not reach the target.
    if (layout.refused || (layout.choice.real_input && good())) continue;
    std::optional<Weights> before;
    if (!layout.study) {
      before = std::exchange(kept_, std::nullopt);
      BRAINLOCK_TRY(study(i, may_hold));
    }
    if (layout.study) {
      for (LevelChoice& levels : search_levels(layout.study->needs.request, refreshing, threads_)) {
        plan::Program& program = layout.study->skeleton.program;
        assign_levels(layout.study->skeleton, levels);
        if (!constants_fit(program, layout.study->largest) || !rescales_fit(program)) continue;
        add_carried_noise(layout.study->skeleton, layout.study->needs.carried, calibration_, levels);
        consider(i, levels);
      }
    }
    if (before && (!best_ || best_->layout != i)) kept_ = std::move(before);
  }
  for (std::size_t i = 0; i < report_.candidates.size(); ++i)
    report_.candidates[i].chosen = best_ && i == best_->candidate;
  return {};
}

void Candidates::consider(std::size_t i, const LevelChoice& levels) {
  const Study& study = *layouts_[i].study;
  const Lowered& lowered = study.skeleton;
  plan::Program refreshed;
  if (levels.refresh_chain) {
    if (study.plan_bytes + refresh_bytes(lowered, levels) > kMostPlanBytes) return;
    refreshed = lowered.program;
    write_refreshes(refreshed, lowered.stages, levels, study.needs.ranges, TransformDepth::kStructure);
    choose_giant_fans(refreshed);
  }
  const plan::Program& program = levels.refresh_chain ? refreshed : lowered.program;
  Candidate candidate;
  candidate.layout = layouts_[i].choice.describe() + "; q " + std::to_string(levels.parameters.q.size()) + ", p " +
                     std::to_string(levels.parameters.p.size()) + ", digit " +
                     std::to_string(levels.parameters.digit_limbs);
  candidate.predicted_ms = predict_ms(program);
  candidate.predicted_error = levels.relative_error;
  candidate.key_bytes = predict_key_bytes(program);
  report_.candidates.push_back(candidate);
  const bool good = levels.relative_error <= options_.profile.target_error;
  const double weight_megabytes = static_cast<double>(weight_bytes_of(program)) * 1e-6;
  const double value =
      value_of(program) + kMsPerMegabyteBeyond * (std::max(0.0, candidate.key_bytes * 1e-6 - kManyKeyMegabytes) +
                                                  std::max(0.0, weight_megabytes - kManyWeightMegabytes));
  // Among those that meet the target the cheapest; otherwise the most precise, unless it costs far more.
  const double badness = good ? value : value * (levels.relative_error / options_.profile.target_error);
  if (best_ && best_->good && !good) return;
  if (best_ && best_->good == good && badness >= best_->badness) return;
  best_ = Best{i, levels, good, badness, weight_megabytes, report_.candidates.size() - 1};
  report_.predicted_ms = candidate.predicted_ms;
}

Result<Chosen> Candidates::take() {
  Layout& layout = layouts_[best_->layout];
  Study& study = *layout.study;
  Chosen out{{}, std::move(best_->levels), std::move(study.needs.ranges)};
  if (kept_ && kept_->layout == best_->layout) {
    out.lowered.program = std::move(kept_->program);
  } else {
    kept_.reset();
    BRAINLOCK_ASSIGN(out.lowered,
                     lower(stages_, options_.profile.ring_degree / 2, layout.choice, LowerDepth::kWeights, threads_));
    set_limits(out.lowered.program, out.lowered.stages, study.needs.request);
  }
  out.lowered.stages = std::move(study.skeleton.stages);  // carried ones know their scales
  out.lowered.plain_ranks = std::move(study.skeleton.plain_ranks);
  assign_levels(out.lowered, out.levels);
  return out;
}

}  // namespace brainlock::compiler
