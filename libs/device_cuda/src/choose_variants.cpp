#include "choose_variants.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>

#include "transform_launches.hpp"

namespace brainlock::device_cuda {
namespace {

using gpu::Word;
using Transform = Variants::Transform;
using Words = std::vector<Word>;

constexpr unsigned kFew = 10, kMany = 40;    ///< limbs of the batches that are timed: a ModDown's divisors; a key switch's digits
constexpr unsigned kBatches = 40;            ///< of a graph that is timed
constexpr unsigned kChain = 16;              ///< transforms forth and back
constexpr unsigned kRepeats = 5;             ///< the best counts: others had the device, or its clock was still low
constexpr double kGain = 0.98;               ///< of the plain way's time, at most

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

double seconds_of(Driver& driver, const Graph& graph, const std::string&) {
  driver.wait();
  const auto begin = std::chrono::steady_clock::now();
  driver.run(graph);
  driver.wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A batch of transforms with the arguments that its launches point to.
struct Batch {
  bool forward;
  gpu::NttArguments arguments;
  unsigned rows, jobs;
  TransformLaunches launches(Transform kind) const { return transform_launches(kind, forward, arguments, rows, jobs); }
};

class Trial {
 public:
  static Result<Trial> make(Driver& driver, const RingTables& tables, const device::Ring& ring, const TrialOptions& options) {
    Trial t(tables, ring, options);
    BRAINLOCK_ASSIGN(t.queue_, driver.make_sibling());
    t.pool_ = std::make_shared<DevicePool>(t.queue_, DevicePool::Options{.slab_bytes = std::size_t{1} << 20});
    for (device::Buffer* buffer : {&t.in_, &t.minuend_, &t.addend_, &t.out_}) {
      BRAINLOCK_ASSIGN(*buffer, t.pool_->allocate((buffer == &t.out_ ? t.jobs_ : 1) * t.words_));
    }
    std::mt19937 random(20);
    for (Words* words : {&t.in_words_, &t.minuend_words_, &t.addend_words_}) {
      for (const Word q : t.primes_) {
        for (std::size_t i = 0; i < ring.degree(); ++i) words->push_back(i % 16 == 15 ? q - 1 : static_cast<Word>(random() % q));
      }
    }
    t.queue_->copy_in(t.in_.data(), t.in_words_.data(), t.words_ * sizeof(Word));
    t.queue_->copy_in(t.minuend_.data(), t.minuend_words_.data(), t.words_ * sizeof(Word));
    t.queue_->copy_in(t.addend_.data(), t.addend_words_.data(), t.words_ * sizeof(Word));
    for (unsigned j = 0; j < t.jobs_; ++j) t.queue_->copy_in(t.out_.data() + j * t.words_, t.in_words_.data(), t.words_ * sizeof(Word));
    return t;
  }

  /// Whether a way's words are those of two passes. kMismatch names the transform.
  Status check(Transform way) {
    for (std::size_t i = 0; i < std::size(kCases); ++i) {
      if (references_.size() == i) {
        BRAINLOCK_ASSIGN(Words words, words_of(kCases[i], Transform::kTwoPasses));
        references_.push_back(std::move(words));
      }
      BRAINLOCK_ASSIGN(const Words words, words_of(kCases[i], way));
      if (words != references_[i]) return Error{ErrorCode::kMismatch, std::string("words are wrong (") + kCases[i].name + ")"};
    }
    return {};
  }

  /// Which of the ways, of which two passes are the first, is the fastest for about `limbs` limbs.
  Result<Variants::Choice> time_transforms(const std::vector<Transform>& ways, bool forward, unsigned limbs, LaunchOrder order) {
    const unsigned rows = std::min(rows_, limbs), jobs = std::clamp(limbs / rows, 1u, jobs_);
    const Batch b = batch(forward, rows, jobs);
    std::vector<Timed> graphs;
    for (const Transform way : ways) {
      std::vector<gpu::Launch> launches;
      for (unsigned i = 0; i < kBatches; ++i) {
        for (const gpu::Launch& launch : b.launches(way)) launches.push_back(launch);
      }
      graphs.push_back({Variants::name(way), nullptr});
      BRAINLOCK_ASSIGN(graphs.back().graph, queue_->make_graph(launches, order));
    }
    BRAINLOCK_TRY(time(graphs));
    Variants::Choice out;
    out.limbs = rows * jobs;
    double best = kGain * graphs[0].seconds;
    for (std::size_t i = 0; i < ways.size(); ++i) {
      out.seconds[static_cast<int>(ways[i])] = graphs[i].seconds / kBatches;
      if (i == 0 || graphs[i].seconds >= best) continue;
      best = graphs[i].seconds;
      out.taken = ways[i];
    }
    return out;
  }

  /// A chain of small kernels of every kind that may be taken, each of which needs the one before it. kMismatch: other words where launches overlap.
  Status time_launches(const std::vector<Transform>& ways, Variants& variants, bool timed) {
    const Batch forth = batch(true, std::min(rows_, kFew), 1), back = batch(false, std::min(rows_, kFew), 1);
    std::vector<gpu::Launch> launches;
    for (unsigned i = 0; i < kChain; ++i) {
      for (const Batch* b : {&forth, &back}) {
        for (const gpu::Launch& launch : b->launches(ways[i % ways.size()])) launches.push_back(launch);
      }
    }
    std::vector<Timed> graphs{{kPlainLaunches, nullptr}, {"dependent", nullptr}};
    Words results[2];
    for (const LaunchOrder order : {LaunchOrder::kOneByOne, LaunchOrder::kDependent}) {
      const int i = order == LaunchOrder::kDependent ? 1 : 0;
      BRAINLOCK_ASSIGN(graphs[i].graph, queue_->make_graph(launches, order));
      queue_->copy_in(out_.data(), in_words_.data(), words_ * sizeof(Word));
      queue_->run(*graphs[i].graph);
      BRAINLOCK_ASSIGN(results[i], read());
    }
    if (results[0] != results[1]) return Error{ErrorCode::kMismatch, "words are wrong where launches overlap"};
    if (!timed) return {};
    BRAINLOCK_TRY(time(graphs));
    variants.kernels = static_cast<std::uint32_t>(launches.size());
    variants.one_by_one_s = graphs[0].seconds / static_cast<double>(launches.size());
    variants.dependent_s = graphs[1].seconds / static_cast<double>(launches.size());
    variants.dependent_launches = graphs[1].seconds < kGain * graphs[0].seconds;
    return {};
  }

  /// A queue that has failed stays so.
  bool usable() const { return queue_->status().ok(); }

 private:
  Trial(const RingTables& tables, const device::Ring& ring, const TrialOptions& options)
      : tables_(&tables), time_(options.time ? options.time : seconds_of), q_count_(ring.q_count), rows_(ring.q_count + ring.p_count),
        jobs_(std::clamp(kMany / rows_, 1u, gpu::kMaxJobs)), words_(std::size_t{rows_} * ring.degree()) {
    for (unsigned row = 0; row < rows_; ++row) primes_.push_back(ring.modulus(row).q);
  }

  struct Case {
    const char* name;
    bool forward, in_place, minuend, addend, pieces;
  };
  static constexpr Case kCases[] = {{"forward", true, false, false, false, false},
                                    {"forward, difference", true, true, true, false, false},
                                    {"forward, difference and sum", true, true, true, true, false},
                                    {"forward, digits", true, true, false, false, true},
                                    {"inverse", false, false, false, false, false},
                                    {"inverse in place", false, true, false, false, false}};
  Result<Words> words_of(const Case& c, Transform way) {
    Batch b = batch(c.forward, rows_, 1);
    Words words = in_words_;
    if (c.pieces) {   // two digits for each of half as many limbs; where a limb is the digit's own it is left as it is
      b.rows = rows_ / 2 * 2;
      b.arguments.rows = gpu::row_map(0, q_count_, 2, 2, false, true);
      for (std::size_t i = 0; i < words.size(); ++i) words[i] %= primes_[i / (words_ / rows_) / 2];
    }
    queue_->copy_in(out_.data(), words.data(), words_ * sizeof(Word));
    b.arguments.jobs[0] = {c.in_place ? out_.data() : in_.data(), out_.data(), c.minuend ? minuend_.data() : nullptr, c.addend ? addend_.data() : nullptr};
    for (const gpu::Launch& launch : b.launches(way)) queue_->launch(launch);
    return read();
  }

  /// In place in `out`, in each of which the first `rows` limbs are transformed.
  Batch batch(bool forward, unsigned rows, unsigned jobs) {
    Batch b{forward, {}, rows, jobs};
    b.arguments.ring = tables_->ring;
    b.arguments.rows = gpu::row_map(0, q_count_, 1, 1, !forward, false);
    b.arguments.scalars = tables_->level[q_count_].lifted_sources;   // a factor for every row
    for (unsigned j = 0; j < jobs; ++j) b.arguments.jobs[j] = {out_.data() + j * words_, out_.data() + j * words_, nullptr, nullptr};
    return b;
  }
  Result<Words> read() {
    Words words(words_);
    queue_->copy_out(words.data(), out_.data(), words_ * sizeof(Word));
    BRAINLOCK_TRY(queue_->status());
    return words;
  }
  struct Timed {
    std::string name;
    std::shared_ptr<const Graph> graph;
    double seconds = 1e9;
  };
  /// The shortest time of each, all in turn.
  Status time(std::vector<Timed>& graphs) {
    for (unsigned i = 0; i < kRepeats; ++i) {
      for (Timed& t : graphs) t.seconds = std::min(t.seconds, time_(*queue_, *t.graph, t.name));
    }
    return queue_->status();
  }

  const RingTables* tables_;
  std::function<double(Driver&, const Graph&, const std::string&)> time_;
  std::uint32_t q_count_;
  unsigned rows_, jobs_;
  std::size_t words_;
  Words primes_;
  std::shared_ptr<Driver> queue_;
  std::shared_ptr<DevicePool> pool_;
  device::Buffer in_, minuend_, addend_, out_;
  Words in_words_, minuend_words_, addend_words_;
  std::vector<Words> references_;   ///< of two passes, by case
};

std::string told(const char* name, const std::string& value) { return std::string(name) + "=" + value; }
constexpr const char *kTransformName = "BRAINLOCK_CUDA_TRANSFORM", *kLaunchesName = "BRAINLOCK_CUDA_LAUNCHES";

/// What stands against a way without a trial; empty: nothing.
std::string against(Transform way, const Features& features) {
  const bool roomy = way == Transform::kTwoPassesRoomy || way == Transform::kClusterRoomy;
  if (is_cluster(way) && !features.against_clusters.empty()) return features.against_clusters;
  return roomy ? features.against_roomy : "";
}
/// What stands against all ways but two passes.
std::string against_other_ways(const TrialOptions& options, unsigned log_degree) {
  if (!options.why_none.empty()) return options.why_none;
  if (options.transform == kPlainTransform) return told(kTransformName, options.transform);
  if (log_degree < gpu::kLeastChoiceLog || log_degree > gpu::kMostChoiceLog) return "rings of 2^13 to 2^16 have other ways";
  return "";
}
std::string against_dependent_launches(const TrialOptions& options, const Features& features) {
  if (!options.why_none.empty()) return options.why_none;
  if (options.launches == kPlainLaunches) return told(kLaunchesName, options.launches);
  return features.against_dependent_launches;
}

Status time_transforms(const std::vector<Transform>& ways, Variants& v, Trial& trial) {
  const LaunchOrder order = v.dependent_launches ? LaunchOrder::kDependent : LaunchOrder::kOneByOne;
  Variants timed = v;
  BRAINLOCK_ASSIGN(timed.forward_few, trial.time_transforms(ways, true, kFew, order));
  BRAINLOCK_ASSIGN(timed.forward_many, trial.time_transforms(ways, true, kMany, order));
  BRAINLOCK_ASSIGN(timed.inverse_few, trial.time_transforms(ways, false, kFew, order));
  BRAINLOCK_ASSIGN(timed.inverse_many, trial.time_transforms(ways, false, kMany, order));
  v = timed;
  return {};
}

}  // namespace

TrialOptions trial_options_from_environment() {
  return {.why_none = "", .transform = environment(kTransformName), .launches = environment(kLaunchesName), .time = {}};
}

Variants choose_variants(Driver& driver, const RingTables& tables, const device::Ring& ring, const TrialOptions& options) {
  Variants v;
  const Features features = driver.features();
  std::optional<Trial> trial;
  const auto attempt = [&](const auto& work) -> Status {
    if (!trial || !trial->usable()) {
      trial.reset();
      driver.wait();   // the trial's queue does not wait for the tables
      BRAINLOCK_ASSIGN(Trial made, Trial::make(driver, tables, ring, options));
      trial.emplace(std::move(made));
    }
    return work(*trial);
  };

  // Ways that are right, and what stands against the others.
  std::vector<Transform> ways{Transform::kTwoPasses};
  std::string left_out;
  const std::string none = against_other_ways(options, tables.ring.log_degree);
  for (const Transform way : {Transform::kTwoPassesRoomy, Transform::kCluster, Transform::kClusterRoomy}) {
    if (!none.empty()) break;
    std::string why = against(way, features);
    if (why.empty()) {
      const Status status = attempt([&](Trial& t) { return t.check(way); });
      if (!status.ok()) why = status.error().message;
    }
    if (why.empty()) ways.push_back(way);
    if (!why.empty()) left_out += std::string("; ") + Variants::name(way) + " left out: " + why;
  }

  v.launches_reason = against_dependent_launches(options, features);
  if (v.launches_reason.empty()) {
    const bool is_told = options.launches == "dependent";
    const Status status = attempt([&](Trial& t) { return t.time_launches(ways, v, !is_told); });
    v.dependent_launches = status.ok() && (v.dependent_launches || is_told);
    v.launches_reason = !status.ok() ? "plain, since the trial failed: " + status.error().message : is_told ? told(kLaunchesName, options.launches) : "measured";
  }

  const auto wanted = std::find_if(ways.begin(), ways.end(), [&](Transform way) { return options.transform == Variants::name(way); });
  if (!none.empty()) {
    v.transforms_reason = none;
  } else if (wanted != ways.end()) {
    for (Variants::Choice* choice : {&v.forward_few, &v.forward_many, &v.inverse_few, &v.inverse_many}) choice->taken = *wanted;
    v.transforms_reason = told(kTransformName, options.transform);
  } else if (ways.size() == 1) {
    v.transforms_reason = "the only way" + left_out;
  } else {
    const Status status = attempt([&](Trial& t) { return time_transforms(ways, v, t); });
    v.transforms_reason = (status.ok() ? "measured" : "two passes, since the trial failed: " + status.error().message) + left_out;
  }
  return v;
}

}  // namespace brainlock::device_cuda
