#include "brainlock/compiler/compile.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "brainlock/base/parallel.hpp"
#include "brainlock/base/processors.hpp"
#include "brainlock/ckks/parameters.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "bias_correction.hpp"
#include "calibration.hpp"
#include "cost_model.hpp"
#include "levels.hpp"
#include "lowering.hpp"
#include "machine_limits.hpp"
#include "refreshes.hpp"
#include "skeleton.hpp"
#include "stages.hpp"
#include "unread.hpp"
#include "weight_rounding.hpp"

namespace brainlock::compiler {
namespace {

// A megabyte of evaluation keys is uploaded once, read from memory at every inference and held for every client:
// worth this many milliseconds of one core.
constexpr double kMsPerKeyMegabyte = 0.15;
// Of several gigabytes of keys a server holds those of few clients only; of as many more of weights few servers hold one network's.
constexpr double kManyKeyMegabytes = 2000, kManyWeightMegabytes = 6000, kMsPerMegabyteBeyond = 0.6;
// Ranges are taken from a few calibration inputs; real inputs may reach further by this factor.
constexpr double kRangeMargin = 4.0;
// Positions that no later layer reads hold whatever the layers before made of the borders: they reach further and vary more. Their
// limit is this many times what one calibration input shows there. Of 8,000 photographs one reaches 25 times that in VGG9, half of them
// once. Up to 40 times changes neither the prime count nor the predicted time of either profile by more than 2 per cent.
constexpr double kUnreadMargin = 32.0;
// Where weights repeat nowhere, their rounding errors are spread over all slots and reach the values, too, that they leave out. In odd inputs
// those are far larger than in the calibration inputs: in VGG9's profile `fast` they are, in rms, 10 times the median in one photograph in
// twenty, 50 times in one in fifty, 130 times at most. Such weights are rounded this much finer than the calibration inputs alone ask for.
constexpr double kUnreadErrorMargin = 16.0;
// The promised bound on |encrypted - clear|, in standard deviations of the error that is predicted for the calibration
// input through which noise grows most.
constexpr double kBoundDeviations = 8.0;
// A carried stage chooses its weight scale freely: its rounded weights are to be off by no more than this share of what it adds to.
constexpr double kCarriedError = 1.0 / 8192;
// Weights are rounded to about this share of the values that they make, to measure what rounding does.
constexpr double kProbeError = 1.0 / 512;
constexpr double kFinestProbe = 0x1p24;   // times the largest of them: the floats that rounded ones are kept in are no finer
// Ways to make zeros around maps are both priced with all weights unless the nominal chain says that one costs this many times the other.
constexpr double kOtherBorders = 1.5;
constexpr std::uint64_t kMostOtherBytes = 4ULL << 30;   // or that its weights take this much memory
constexpr double kLeastShare = 1.0 / 64;   // of the plain estimate that a measured one is taken for
// Where so few coefficients are rounded all of them may come out right by chance, at the scale that is measured. A single weight makes
// coefficients that are all alike: their errors add up to sqrt(period) times those of independent ones.
constexpr std::uint64_t kFewCoefficients = 64;
constexpr double kLeastShareOfFew = 0.5;   // times that
// Samples from which the ranges of polynomials' inputs and products' factors are taken.
constexpr std::size_t kRangeSamples = 8;

// Standard deviation, per real part, of a Linear's outputs for weights rounded at scale 1, if every vector were off by a polynomial
// with independent, uniform rounding errors (2 * period coefficients) and all slots were alike.
double plain_weight_noise(const plan::Linear& linear, const plan::SlotTrace& trace) {
  double worst = 0;
  for (const auto& output : linear.outputs) {
    double sum = 0;
    for (std::size_t k = 0; k < output.columns.size(); ++k)
      for (std::uint32_t g = 0; g < output.giants; ++g)
        if (output.weights[k * output.giants + g] >= 0)
          sum += trace.mean_square[linear.inputs[linear.columns[output.columns[k]].input]];
    worst = std::max(worst, sum);
  }
  return std::sqrt(worst * linear.period / 12.0 * std::exp2(static_cast<double>(linear.rotate_sums.size())));
}

// The same for masks rounded at scale 1: they have errors in all coefficients.
double plain_mask_noise(const plan::Linear& linear, const plan::SlotTrace& trace) {
  double worst = 0;
  for (const auto& output : linear.outputs) worst = std::max(worst, trace.mean_square[output.out]);
  return std::sqrt(worst * linear.masks.front().period / 12.0);
}

// What rounding does in the slots of the stage's values. Vectors with a pattern (zeros around a map, every other slot empty) have
// rounding errors with that pattern, so that the slots that count are off by more than the mean.
double measured_noise(const LoweredStage& stage, const plan::Linear& linear, const RoundingDifferences& differences) {
  double sum = 0;
  for (const plan::Place& place : stage.places) {
    const std::complex<double> d = differences.at(linear.outputs[place.ciphertext].out)[place.slot];
    const double part = place.part == 0 ? d.real() : d.imag();
    sum += part * part;
  }
  return std::sqrt(sum / static_cast<double>(stage.places.size()));
}

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
    say("stages");
    BRAINLOCK_ASSIGN(stages_, make_stages(graph_, node_ranges()));
    report_.notes = stages_.notes;
    calibration_ = calibrate(stages_, options_.calibration, threads_);
    BRAINLOCK_TRY(check_calibration());
    say("layouts");
    std::vector<LayoutChoice> shortlist = rank_layouts();
    if (shortlist.empty())
      return Error{ErrorCode::kUnsupported, "no layout of " + std::to_string(slots_) + " slots holds this network: " + refusal_ + larger_ring()};
    say("levels");
    using Refreshes = CompileOptions::Refreshes;
    if (options_.refreshes != Refreshes::kAlways) BRAINLOCK_TRY(price(shortlist, Refreshing::kNever));
    const bool needed = !found_ || !best_good_ || best_weight_megabytes_ > kManyWeightMegabytes;
    if (needed && options_.refreshes != Refreshes::kNever) BRAINLOCK_TRY(price(shortlist, Refreshing::kAllowed));
    if (shortlist.empty())
      return Error{ErrorCode::kResource, "the weights of this network take more than a plan may have (" + std::to_string(static_cast<int>(kMostPlanBytes * 0x1p-20)) +
                                             " MiB); use fewer channels, or smaller maps"};
    if (!found_)
      return Error{ErrorCode::kResource, "no modulus chain" + std::string(options_.refreshes == Refreshes::kAlways ? " with room for refreshes" : "") + " of ring degree " +
                                             std::to_string(options_.profile.ring_degree) + " holds this network's depth of " + std::to_string(stages_.ranks()) +
                                             " linear layers at 128-bit security" +
                                             (options_.refreshes == Refreshes::kWhereNeeded ? ", with or without refreshes" : "") + larger_ring()};
    if (!best_good_) note_precision();
    say("biases");
    BRAINLOCK_TRY(correct_biases(best_, best_stages_, stages_, options_.calibration, threads_));
    if (best_levels_.refresh_chain) {
      write_refreshes(best_, best_stages_, best_levels_, best_ranges_);
      best_.keys = plan::collect_keys(best_);
      note_refreshes();
    }
    BRAINLOCK_TRY(plan::validate(best_));
    return std::move(best_);
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

  /// Largest |value| of each node over a few samples, where a polynomial or a product wants to know it.
  [[nodiscard]] std::vector<double> node_ranges() const {
    if (std::none_of(graph_.nodes.begin(), graph_.nodes.end(), [](const Node& n) { return n.kind == OpKind::kPolynomial || n.kind == OpKind::kProduct; })) return {};
    std::vector<double> largest(graph_.nodes.size(), 0.0);
    for (std::size_t k = 0; k < std::min(options_.calibration.size(), kRangeSamples); ++k) {
      FloatTrace trace;
      (void)run_float(graph_, options_.calibration[k], &trace);
      for (std::size_t n = 0; n < largest.size(); ++n)
        for (float v : trace.values[n]) largest[n] = std::max(largest[n], std::fabs(static_cast<double>(v)));
    }
    return largest;
  }

  // A first pass at a nominal chain and without weights, to leave the few layouts that deserve a full search.
  std::vector<LayoutChoice> rank_layouts() {
    std::vector<Ranked> ranked;
    const auto rank = [&](const std::vector<LayoutChoice>& choices) {
      std::vector<Result<Ranked>> all(choices.size(), Ranked{});
      parallel_for(choices.size(), threads_, [&](std::size_t i) { all[i] = at_nominal_chain(choices[i]); });
      for (std::size_t i = 0; i < choices.size(); ++i) {
        if (all[i].ok()) {
          ranked.push_back(*all[i]);
          continue;
        }
        refuse(choices[i], all[i].error().message);
      }
    };
    const auto sort = [&] {
      std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) { return a.value < b.value; });
    };
    rank(enumerate_choices(stages_, slots_));
    sort();
    if (ranked.empty()) return {};
    // Zeros among weights and masks cost so different things that the nominal chain cannot tell which of them is better.
    const auto other = std::find_if(ranked.begin(), ranked.end(), [&](const Ranked& r) {
      return r.choice.masks != ranked[0].choice.masks && r.value < kOtherBorders * ranked[0].value && r.weight_bytes < kMostOtherBytes;
    });
    std::optional<LayoutChoice> other_borders;
    if (other != ranked.end()) other_borders = other->choice;
    if (ranked.size() > 2) ranked.resize(2);
    // Around the best: other splits into baby and giant steps.
    std::vector<LayoutChoice> others(2, ranked.front().choice);
    others[0].baby_steps = 8;
    others[1].baby_steps = 32;
    rank(others);
    sort();
    std::vector<LayoutChoice> out{ranked[0].choice};
    if (other_borders) out.push_back(*other_borders);
    // And with a real input: the conjugation at the input's small scale may cost more precision than is there.
    if (!stages_.stages.front().is_dense) {
      out.push_back(ranked[0].choice);
      out.back().real_input = true;
    }
    return out;
  }

  void refuse(const LayoutChoice& choice, const std::string& reason) {
    refusal_ = reason;
    Candidate refused;
    refused.layout = choice.describe();
    refused.refusal = reason;
    report_.candidates.push_back(std::move(refused));
  }

  /// What a layout costs at the nominal chain; the error of lower() if it does not hold the network.
  struct Ranked {
    double value = 0;   ///< value_of()
    std::uint64_t weight_bytes = 0;
    LayoutChoice choice;
  };
  [[nodiscard]] Result<Ranked> at_nominal_chain(const LayoutChoice& choice) const {
    BRAINLOCK_ASSIGN(Lowered lowered, lower(stages_, slots_, choice, LowerDepth::kStructure));
    assign_levels(lowered, nominal_levels(choice.masks));
    return Ranked{value_of(lowered.program), weight_bytes_of(lowered.program), choice};
  }

  [[nodiscard]] LevelChoice nominal_levels(bool masks) const {
    LevelChoice nominal;
    nominal.parameters = {options_.profile.ring_degree, {}, {}, 4};
    const auto depth = static_cast<std::uint32_t>(stages_.ranks());
    std::uint32_t limbs = masks ? 2 + 2 * depth : 2 + depth + depth / 3;
    nominal.parameters.q.assign(limbs, 1U << 29);
    nominal.parameters.p.assign(4, 1U << 29);
    nominal.weight_scale_log2.assign(depth, 14);
    if (masks) nominal.mask_scale_log2.assign(depth, 14);
    for (std::uint32_t l = 0; l < depth; ++l) {
      const std::uint32_t drop = l == 0 ? 0 : (masks || l % 3 == 0 ? 2 : 1);
      nominal.limbs_in.push_back(limbs);
      nominal.drop.push_back(drop);
      limbs -= drop;
    }
    return nominal;
  }

  static std::uint64_t weight_bytes_of(const plan::Program& program) {
    std::uint64_t bytes = 0;
    for (const plan::Instruction& instruction : program.instructions) bytes += plan::count_cost(program, instruction).weight_bytes;
    return bytes;
  }

  static double value_of(const plan::Program& program) {
    return predict_ms(program) + kMsPerKeyMegabyte * predict_key_bytes(program) * 1e-6;
  }

  void note_precision() const {
    char text[160];
    std::snprintf(text, sizeof text, "no chain is as exact as the profile asks for: an rms error of %.2g %% of the logits' rms is predicted, %.2g %% was aimed at",
                  100 * report_.candidates[best_candidate_].predicted_error, 100 * options_.profile.target_error);
    report_.notes.emplace_back(text);
  }

  void note_refreshes() const {
    std::size_t count = 0;
    for (const plan::Instruction& instruction : best_.instructions) count += std::holds_alternative<plan::Raise>(instruction.op) ? 1 : 0;
    report_.notes.push_back(std::to_string(count) + " ciphertexts are refreshed on the way (bootstrapping)");
  }

  /// Layouts that turn out not to fit a plan are taken from the list.
  Status price(std::vector<LayoutChoice>& shortlist, Refreshing refreshing) {
    for (std::size_t at = 0; at < shortlist.size();) {
      const LayoutChoice choice = shortlist[at];
      // A second input ciphertext doubles the upload: only where a packed one does not reach the target.
      if (choice.real_input && best_good_) {
        ++at;
        continue;
      }
      BRAINLOCK_ASSIGN(Lowered lowered, lower(stages_, slots_, choice));
      if (plan_bytes(lowered.program) > kMostPlanBytes) {
        refuse(choice, "its weights do not fit a plan");
        shortlist.erase(shortlist.begin() + static_cast<std::ptrdiff_t>(at));
        continue;
      }
      ++at;
      assign_levels(lowered, nominal_levels(choice.masks));
      std::vector<CarriedNoise> carried;
      BRAINLOCK_ASSIGN(LevelRequest request, make_request(lowered, carried));
      for (const LoweredStage& stage : lowered.stages)   // for clients: inputs beyond these are refused
        std::get<plan::Linear>(lowered.program.instructions[stage.linear].op).limit = request.stages[stage.rank].out_max;
      const std::vector<LargestConstants> largest = largest_constants(lowered.program);
      RefreshRanges ranges;
      if (refreshing == Refreshing::kAllowed) {
        ranges = find_refresh_ranges(stages_, lowered, calibration_, options_.calibration.front(), threads_);
        allow_refreshes(ranges, request);
      }
      for (LevelChoice& levels : search_levels(request, refreshing, threads_)) {
        assign_levels(lowered, levels);
        if (!constants_fit(lowered.program, largest) || !rescales_fit(lowered.program)) continue;
        add_carried_noise(lowered, carried, levels);
        consider(lowered, choice, levels, ranges);
      }
    }
    for (std::size_t i = 0; i < report_.candidates.size(); ++i) report_.candidates[i].chosen = found_ && i == best_candidate_;
    return {};
  }

  /// Of a plan: the refreshes that are still to be written into it.
  static double refresh_bytes(const Lowered& lowered, const LevelChoice& levels) {
    double count = 0;
    for (const LoweredStage& stage : lowered.stages)
      if (levels.refreshes[stage.rank].limbs != 0) count += static_cast<double>(stage.value.size());
    return count * refresh_plan_bytes(lowered.program.parameters.ring_degree);
  }

  static void allow_refreshes(const RefreshRanges& ranges, LevelRequest& request) {
    for (std::size_t r = 0; r < request.stages.size(); ++r) {
      request.stages[r].refresh_ciphertexts = ranges.ranks[r].ciphertexts;
      request.stages[r].refresh_real = ranges.ranks[r].real;
      request.stages[r].refresh_largest = ranges.ranks[r].largest;
      request.stages[r].read_share = ranges.ranks[r].read_share;
    }
  }

  /// What rounded weights of a carried stage do, for scales that are not yet known.
  struct CarriedNoise {
    std::size_t stage = 0;
    double weight_noise = 0, weight_gain = 0;   ///< as in StageNeeds
    double mask_noise = 0, mask_gain = 0;
  };

  static const plan::Linear& linear_of(const Lowered& lowered, const LoweredStage& stage) {
    return std::get<plan::Linear>(lowered.program.instructions[stage.linear].op);
  }

  [[nodiscard]] double weight_gain(const plan::Linear& linear, std::size_t l) const {
    return linear.period < slots_ ? calibration_.stages[l].weight_gain : calibration_.stages[l].placed_weight_gain;
  }

  struct RoundingNoise {
    double weights = 0, masks = 0;
  };

  /// Of each stage: measured_weight_noise for the first calibration input, with weights rounded so that they are off by about kProbeError.
  /// Weights that happen to be exact at one scale are not at another: never far below the plain estimate.
  Result<std::vector<RoundingNoise>> rounding_noises(const Lowered& lowered, const plan::SlotTrace& trace, const UnreadEnergy& unread) const {
    plan::Program probe = lowered.program;
    std::vector<RoundingNoise> noises;
    bool masks = false;
    for (std::size_t l = 0; l < lowered.stages.size(); ++l) {
      auto& linear = std::get<plan::Linear>(probe.instructions[lowered.stages[l].linear].op);
      const double wanted = kProbeError * std::max(1e-30, calibration_.stages[l].rms);
      noises.push_back({plain_weight_noise(linear, trace), linear.masks.empty() ? 0 : plain_mask_noise(linear, trace)});
      const auto finest = [](const std::vector<plan::SlotVector>& vectors) { return kFinestProbe / std::max(1e-30, largest_slot(vectors)); };
      linear.weight_scale = std::min(std::max(1.0, noises[l].weights / wanted), finest(linear.vectors));
      if (linear.masks.empty()) continue;
      linear.mask_scale = std::min(std::max(1.0, noises[l].masks / wanted), finest(linear.masks));
      masks = true;
    }
    const std::span first = std::span(options_.calibration).first(1);
    BRAINLOCK_ASSIGN(const RoundingDifferences differences, rounding_differences(probe, first, threads_, Rounded::kWeights));
    RoundingDifferences of_masks;
    if (masks) {
      BRAINLOCK_ASSIGN(of_masks, rounding_differences(probe, first, threads_, Rounded::kMasks));
    }
    for (std::size_t l = 0; l < lowered.stages.size(); ++l) {
      const auto& linear = std::get<plan::Linear>(probe.instructions[lowered.stages[l].linear].op);
      const bool few = linear.vectors.size() * 2ULL * linear.period <= kFewCoefficients;
      const double least = few ? kLeastShareOfFew * std::sqrt(static_cast<double>(linear.period)) : kLeastShare;
      noises[l].weights = std::max(least * noises[l].weights, measured_noise(lowered.stages[l], linear, differences) * linear.weight_scale);
      noises[l].weights *= std::sqrt(1 + unread.share(lowered.stages[l].linear) * (kUnreadErrorMargin * kUnreadErrorMargin - 1));
      if (linear.masks.empty()) continue;
      noises[l].masks = std::max(kLeastShare * noises[l].masks, measured_noise(lowered.stages[l], linear, of_masks) * linear.mask_scale);
    }
    return noises;
  }

  Result<LevelRequest> make_request(Lowered& lowered, std::vector<CarriedNoise>& carried) const {
    LevelRequest request;
    request.ring_degree = options_.profile.ring_degree;
    request.max_log_qp = options_.profile.max_log_qp > 0 ? options_.profile.max_log_qp : ckks::max_log_qp_128(options_.profile.ring_degree);
    request.target_error = options_.profile.target_error;
    request.input_gain = calibration_.input_gain;
    request.split_input = lowered.program.input.parts == 2;
    request.stages.resize(stages_.ranks());
    for (StageNeeds& needs : request.stages) needs.later_gain = 0;
    UnreadEnergy unread(lowered.program);
    plan::SlotTrace trace;
    trace.lifted = [&](plan::Register r, std::span<const double> slots) { unread.see(r, slots); };
    (void)plan::SlotInterpreter(lowered.program).run(options_.calibration.front(), &trace, nullptr, threads_);
    BRAINLOCK_ASSIGN(const std::vector<RoundingNoise> noises, rounding_noises(lowered, trace, unread));
    for (std::size_t r = 0; r < request.stages.size(); ++r) request.stages[r].plain = r > 0 && stages_.plain_ranks[r];
    for (std::size_t l = 0; l < stages_.stages.size(); ++l) add_needs(lowered.program, lowered.stages[l], l, trace, noises[l], request.stages[lowered.stages[l].rank]);
    for (std::size_t l = 0; l < stages_.stages.size(); ++l) {
      LoweredStage& stage = lowered.stages[l];
      if (!stage.carried) continue;
      carried.push_back({l, noises[l].weights, weight_gain(linear_of(lowered, stage), l), noises[l].masks, calibration_.stages[l].mask_gain});
      const double error = kCarriedError * request.stages[stage.rank].out_rms;
      stage.min_weight_log2 = std::log2(std::max(noises[l].weights, 1e-30) / error);
      if (noises[l].masks > 0) stage.mask_log2 = std::log2(noises[l].masks / error);
    }
    return request;
  }

  /// Adds stage l to what its rank needs. Of stages side by side the noises add up (each with its own gain), the largest value and the
  /// largest rms count.
  void add_needs(const plan::Program& program, const LoweredStage& lowered, std::size_t l, const plan::SlotTrace& trace,
                 const RoundingNoise& noise, StageNeeds& needs) const {
    const StageStats& stats = calibration_.stages[l];
    const auto& linear = std::get<plan::Linear>(program.instructions[lowered.linear].op);
    needs.later_gain += stats.gain;
    const bool whole = !stages_.is_addend(l);   // of parts of a sum only the sum's size says how much noise matters
    if (whole) needs.out_rms = std::max(needs.out_rms, stats.rms);
    double largest = kRangeMargin * stats.largest;
    for (const auto& output : linear.outputs) largest = std::max(largest, largest_slot(output.bias));   // may be far above what is left of it
    if (lowered.rank + 1 < stages_.ranks()) {
      for (const auto& output : linear.outputs) largest = std::max(largest, kUnreadMargin * trace.largest[output.out]);
      for (std::size_t i = lowered.linear + 1; i <= lowered.last; ++i)
        largest = std::max(largest, kUnreadMargin * trace.largest[std::get<plan::Add>(program.instructions[i].op).out]);
    }
    needs.out_max = std::max(needs.out_max, largest);
    if (!lowered.carried) {
      add_noise(noise.weights, weight_gain(linear, l), needs.weight_noise, needs.weight_gain);
      add_noise(noise.masks, calibration_.stages[l].mask_gain, needs.mask_noise, needs.mask_gain);
    }
    for (std::size_t i = lowered.first; i <= lowered.linear; ++i) {
      const plan::Cost cost = plan::count_cost(program, program.instructions[i]);
      needs.macs += static_cast<double>(cost.plaintext_macs);
      needs.key_switches += static_cast<double>(cost.key_switches);
      needs.hoisted += static_cast<double>(cost.hoisted_rotations);
    }
  }

  /// Adds noise with a gain of its own to that of stages side by side.
  static void add_noise(double noise, double gain, double& sum, double& sum_gain) {
    if (noise == 0) return;
    if (sum == 0) {
      sum = noise;
      sum_gain = gain;
      return;
    }
    const double variance = sum * sum * sum_gain + noise * noise * gain;
    sum = std::max(sum, noise);
    sum_gain = variance / (sum * sum);
  }

  /// Carried stages take what weight scale is left for them: the error that this makes comes on top.
  void add_carried_noise(const Lowered& lowered, const std::vector<CarriedNoise>& carried, LevelChoice& levels) const {
    if (carried.empty()) return;
    double variance = levels.relative_error * levels.relative_error;
    for (const CarriedNoise& noise : carried) {
      const auto& linear = std::get<plan::Linear>(lowered.program.instructions[lowered.stages[noise.stage].linear].op);
      const auto add = [&](double deviation, double gain) {
        const double error = deviation / calibration_.stages.back().rms;
        variance += error * error * gain;
      };
      add(noise.weight_noise / linear.weight_scale, noise.weight_gain);
      if (noise.mask_noise > 0) add(noise.mask_noise / linear.mask_scale, noise.mask_gain);
    }
    levels.relative_error = std::sqrt(variance);
  }

  void consider(const Lowered& lowered, const LayoutChoice& choice, const LevelChoice& levels, const RefreshRanges& ranges) {
    if (levels.refresh_chain && plan_bytes(lowered.program) + refresh_bytes(lowered, levels) > kMostPlanBytes) return;
    plan::Program program = skeleton_of(lowered.program);
    if (levels.refresh_chain) {
      write_refreshes(program, lowered.stages, levels, ranges, TransformDepth::kStructure);
      program.keys = plan::collect_keys(program);
    }
    Candidate candidate;
    candidate.layout = choice.describe() + "; q " + std::to_string(levels.parameters.q.size()) + ", p " +
                       std::to_string(levels.parameters.p.size()) + ", digit " + std::to_string(levels.parameters.digit_limbs);
    candidate.predicted_ms = predict_ms(program);
    candidate.predicted_error = levels.relative_error;
    candidate.key_bytes = predict_key_bytes(program);
    report_.candidates.push_back(candidate);
    const bool good = levels.relative_error <= options_.profile.target_error;
    const double weight_megabytes = static_cast<double>(weight_bytes_of(program)) * 1e-6;
    const double value = value_of(program) + kMsPerMegabyteBeyond * (std::max(0.0, candidate.key_bytes * 1e-6 - kManyKeyMegabytes) +
                                                                     std::max(0.0, weight_megabytes - kManyWeightMegabytes));
    // Among those that meet the target the cheapest; otherwise the most precise, unless it costs far more.
    const double badness = good ? value : value * (levels.relative_error / options_.profile.target_error);
    if (found_ && (best_good_ && !good)) return;
    if (found_ && best_good_ == good && badness >= best_badness_) return;
    best_ = lowered.program;   // refreshes are written out when its biases are what they will be
    best_stages_ = lowered.stages;
    best_levels_ = levels;
    best_ranges_ = ranges;
    best_.model_name = graph_.model_name;
    best_.profile = options_.profile.name;
    best_.input.bound = 1.0;
    best_.output.bound = kRangeMargin * calibration_.stages.back().largest;
    best_.error_estimate = levels.relative_error * calibration_.stages.back().rms;
    best_.error_bound = kBoundDeviations * std::sqrt(calibration_.worst_gain_ratio) * best_.error_estimate;
    best_good_ = good;
    best_badness_ = badness;
    best_weight_megabytes_ = weight_megabytes;
    best_candidate_ = report_.candidates.size() - 1;
    report_.predicted_ms = candidate.predicted_ms;
    found_ = true;
  }

  const Graph& graph_;
  const CompileOptions& options_;
  CompileReport& report_;
  std::uint32_t slots_;
  unsigned threads_;
  StagePlan stages_;
  Calibration calibration_;
  std::string refusal_;
  plan::Program best_;
  std::vector<LoweredStage> best_stages_;
  LevelChoice best_levels_;
  RefreshRanges best_ranges_;
  bool found_ = false, best_good_ = false;
  double best_badness_ = 0, best_weight_megabytes_ = 0;
  std::size_t best_candidate_ = 0;
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
