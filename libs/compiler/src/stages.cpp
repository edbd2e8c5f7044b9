#include "stages.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "flatten_maps.hpp"
#include "products.hpp"
#include "stage_arithmetic.hpp"
#include "stage_maker.hpp"
#include "stage_maps.hpp"
#include "stage_polynomial.hpp"

namespace brainlock::compiler {
namespace {

// Beyond this shift |b / 2a| (for values of a few units; of larger ones in proportion) a channel counts as linear: completing the square would
// spend precision on a large constant, so the curvature is raised to this bound instead and a note says so.
constexpr double kMaxShift = 48.0;
// Where polynomials are made well conditioned if nobody says how far their inputs reach.
constexpr double kUsualRange = 4.0;
constexpr double kLeastRange = 1e-3;
constexpr double kLeastWidth = 1e-6;   // of a channel, so that none of constants is divided by zero
// The narrowest channel of a value, of its distance from zero: of a polynomial in powers of x, which is known to so many digits, nothing would be left.
constexpr double kNarrowest = 1.0 / 24;
// Channels are fitted where one is narrower than this part of what all of them reach. Others are taken apart as they are: powers stay powers, which have fewer squares.
constexpr double kNarrow = 0.25;
// A polynomial is taken apart for an interval that is wider than what samples reach, by this factor: others go further, and beyond the interval its parts grow fast.
constexpr double kRoom = 1.5;
constexpr int kReachGrid = 16;   // points on each side of zero at which the size of its parts is taken
// Far beyond what any chain of primes holds.
constexpr std::size_t kMaxStages = 4096;

/// What is known of a node of the graph.
struct NodeState {
  std::vector<Term> terms;        // a linear node that its reader takes into a sum of its own
  std::optional<Tensor> tensor;   // what readers read, otherwise
  int value = -1;                 // the stage whose value is gain * (x + shift), x being the node's output
  PerChannel gain, shift;
  int squared_for = -1;           // the quadratic that gain and shift were made for
  bool fitted = false;            // gain and shift were made for the polynomial that reads it
};

bool all_zero(const PerChannel& v) {
  return std::all_of(v.begin(), v.end(), [](double x) { return x == 0; });
}

class Builder {
 public:
  Builder(const Graph& graph, std::span<const NodeRange> ranges)
      : graph_(graph), ranges_(ranges), readers_(consumers(graph)), states_(graph.nodes.size()) {}

  Result<StagePlan> run() {
    plan_.input = graph_.nodes[0].shape;
    // After a refusal the walk goes on with stand-ins, to find all the others.
    for (int i = 0; i < static_cast<int>(graph_.nodes.size()) && !too_many_; ++i) take(i);
    if (!too_many_) take_output();
    check_image_readers();
    if (!bad_.empty()) return refusal();
    settle_ranks();
    return std::move(plan_);
  }

 private:
  void refuse(const Node& node, const std::string& why) {
    bad_ += "\n  " + node.name + " (" + std::string(op_kind_name(node.kind)) + "): " + why;
  }
  Error refusal() const { return Error{ErrorCode::kUnsupported, "these layers cannot be packed:" + bad_}; }

  // The first layer's windows are made by the client, for one layer only.
  void check_image_readers() {
    int readers = 0;
    bool windows = false;
    for (const Stage& stage : plan_.stages) {
      if (!stage.reads.empty()) continue;
      ++readers;
      windows |= !stage.is_dense;
    }
    if (readers > 1 && windows)
      refuse(graph_.nodes[0], "the image is read by " + std::to_string(readers) +
                                  " layers; let one convolution read it and branch behind that");
  }

  const Node& node(int i) const { return graph_.nodes[static_cast<std::size_t>(i)]; }
  NodeState& state(int i) { return states_[static_cast<std::size_t>(i)]; }
  const std::vector<int>& readers(int i) const { return readers_[static_cast<std::size_t>(i)]; }
  bool only_read_by(int i, OpKind kind) const { return graph_.output != i && readers(i).size() == 1 && node(readers(i)[0]).kind == kind; }

  void take(int i) {
    const Node& n = node(i);
    switch (n.kind) {
      case OpKind::kInput:
        state(i).tensor = Tensor{n.shape, {{{}, false, PerChannel(static_cast<std::size_t>(n.shape.channels), 1.0)}},
                                 PerChannel(static_cast<std::size_t>(n.shape.channels), 0.0), {}};
        return;
      case OpKind::kConv:
        return take_linear(i, {Term{n.name, *state(n.inputs[0]).tensor, n.conv(), {}}});
      case OpKind::kDense:
        return take_linear(i, {Term{n.name, *state(n.inputs[0]).tensor, {}, n.dense()}});
      case OpKind::kAveragePool:
        return take_pool(i);
      case OpKind::kAdd:
        return take_linear(i, addends(n));
      case OpKind::kQuadratic:
        return take_quadratic(i);
      case OpKind::kPolynomial:
        return take_polynomial(i);
      case OpKind::kProduct:
        return;   // taken apart before
      case OpKind::kFunction:
        refuse(n, "no polynomial; approximate the model first");
        state(i).tensor = state(n.inputs[0]).tensor;
        return;
    }
  }

  std::vector<Term> addends(const Node& sum) {
    std::vector<Term> terms;
    for (int input : sum.inputs) {
      NodeState& branch = state(input);
      if (branch.terms.empty()) {
        terms.push_back({sum.name, *branch.tensor, {}, {}});
      } else {
        std::move(branch.terms.begin(), branch.terms.end(), std::back_inserter(terms));
        branch.terms.clear();
      }
    }
    return terms;
  }

  // A linear node waits if its reader can take it in; otherwise it becomes a value.
  void take_linear(int i, std::vector<Term> terms) {
    const bool waits = only_read_by(i, OpKind::kAdd) || (only_read_by(i, OpKind::kAveragePool) && terms.size() == 1 && terms[0].conv);
    if (waits) {
      state(i).terms = std::move(terms);
    } else {
      make_value(i, std::move(terms));
    }
  }

  void take_pool(int i) {
    const int input = node(i).inputs[0];
    NodeState& before = state(input);
    if (!before.terms.empty()) {   // behind a convolution: part of it
      std::vector<Term> terms = std::move(before.terms);
      before.terms.clear();
      terms[0].conv = conv_then_pool(*terms[0].conv, node(i).pool());
      return take_linear(i, std::move(terms));
    }
    state(i).tensor = before.tensor;
    state(i).tensor->pools.push_back(node(i).pool());
  }

  // --- activations -----------------------------------------------------------------------------------------------

  /// The stage that holds node i's output.
  int value_of(int i) {
    if (state(i).value < 0) make_value(i, {Term{node(i).name, *state(i).tensor, {}, {}}});
    return state(i).value;
  }

  void take_quadratic(int i) {
    const int input = node(i).inputs[0];
    const QuadraticParams& q = node(i).quadratic();
    const int value = value_of(input);
    if (too_many_) return;
    const NodeState& before = state(input);
    Tensor& out = state(i).tensor.emplace();
    out.shape = node(i).shape;
    const std::size_t channels = q.a.size();
    Reading square{{value}, true, PerChannel(channels)}, plain{{value}, false, PerChannel(channels)};
    out.constant.resize(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      const double a = static_cast<double>(q.a[c]), b = static_cast<double>(q.b[c]), k = static_cast<double>(q.c[c]);
      const double g = before.gain[c], h = before.shift[c];
      if (before.squared_for == i) {   // gain and shift leave nothing but the square
        const double curvature = raised(a, b, most_shift(input));
        square.factor[c] = exclusive(input) ? (curvature < 0 ? -1.0 : 1.0) : curvature / (g * g);
        out.constant[c] = k - curvature * h * h;
      } else {   // x = z / g - h
        square.factor[c] = a / (g * g);
        plain.factor[c] = (b - 2 * a * h) / g;
        out.constant[c] = (a * h - b) * h + k;
      }
    }
    out.readings.push_back(std::move(square));
    if (!all_zero(plain.factor)) out.readings.push_back(std::move(plain));
  }

  /// The curvature that a channel is given, whose shift may be `most`.
  static double raised(double a, double b, double most) {
    if (std::fabs(b) > 2 * most * std::fabs(a)) return std::copysign(std::fabs(b) / (2 * most), a == 0 ? 1.0 : a);
    return a;
  }

  /// The largest shift of a square of node i's value.
  [[nodiscard]] double most_shift(int i) const { return kMaxShift * std::max(1.0, range_of(i).largest() / kUsualRange); }

  /// Whether the one quadratic that reads node i is all that does: its gain may then be anything, zero too.
  bool exclusive(int i) const { return readers(i).size() == 1 && graph_.output != i; }

  /// Gain and shift of node i's value: those of the first quadratic that reads it.
  void choose_gain(int i) {
    NodeState& s = state(i);
    const auto channels = static_cast<std::size_t>(node(i).shape.channels);
    s.gain.assign(channels, 1.0);
    s.shift.assign(channels, 0.0);
    if (graph_.output == i) return;
    for (int reader : readers(i))
      if (node(reader).kind == OpKind::kQuadratic && s.squared_for < 0) s.squared_for = reader;
    if (s.squared_for < 0) return fit_to_polynomial(i);
    const Node& activation = node(s.squared_for);
    const QuadraticParams& q = activation.quadratic();
    int raised_channels = 0;
    const double most = most_shift(i);
    for (std::size_t c = 0; c < channels; ++c) {
      const double b = static_cast<double>(q.b[c]), a = raised(static_cast<double>(q.a[c]), b, most);
      raised_channels += a != static_cast<double>(q.a[c]) ? 1 : 0;
      s.shift[c] = a == 0 ? 0.0 : b / (2 * a);
      if (exclusive(i)) s.gain[c] = std::sqrt(std::fabs(a));
    }
    if (raised_channels > 0)
      plan_.notes.push_back(activation.name + ": " + std::to_string(raised_channels) + " of " + std::to_string(channels) +
                            " channels are nearly linear; their curvature was raised to |b| / " + std::to_string(2 * static_cast<int>(most)));
  }

  [[nodiscard]] NodeRange range_of(int i) const { return ranges_.empty() ? NodeRange::around_zero(kUsualRange) : ranges_[static_cast<std::size_t>(i)]; }

  /// A value that one polynomial alone reads is brought to the interval from -1 to 1 (with room), channel by channel, if some channel keeps to one side (a variance,
  /// say) or to a narrow part of what the others reach. Taken apart around zero, its polynomial would have to be well conditioned where nothing is, and where it may have grown large.
  void fit_to_polynomial(int i) {
    if (!exclusive(i) || ranges_.empty() || node(readers(i)[0]).kind != OpKind::kPolynomial) return;
    const NodeRange& range = ranges_[static_cast<std::size_t>(i)];
    NodeState& s = state(i);
    double narrowest = HUGE_VAL;
    for (std::size_t c = 0; c < s.gain.size(); ++c) narrowest = std::min(narrowest, range.of_channel(c).half_width());
    s.fitted = narrowest < kNarrow * range.largest();
    for (std::size_t c = 0; s.fitted && c < s.gain.size(); ++c) {
      const Interval& channel = range.of_channel(c);
      s.shift[c] = -channel.centre();
      s.gain[c] = 1 / (kRoom * std::max({channel.half_width(), kNarrowest * std::fabs(channel.centre()), kLeastWidth * range.largest(), kLeastWidth}));
    }
  }

  /// The largest |f(channel, x)| for |x| up to `range`.
  template <typename F>
  static double largest_of(std::size_t channels, double range, const F& f) {
    double largest = 0;
    if (range == 0) return largest;
    for (std::size_t c = 0; c < channels; ++c)
      for (int k = -kReachGrid; k <= kReachGrid; ++k) largest = std::max(largest, std::fabs(f(c, range * k / kReachGrid)));
    return largest;
  }

  int with_reach(int stage, double reach) {
    if (stage >= 0 && reach > 0) plan_.stages[static_cast<std::size_t>(stage)].reach = reach;
    return stage;
  }

  /// The value of a polynomial, one of a degree at most 2 per channel, of stage `value`, which has numbers up to `range` (0: nobody knows).
  int quadratic_value(const Node& activation, int value, double range, const std::vector<Coefficients>& p, int rank, bool negated) {
    Term term{activation.name, Tensor{activation.shape, {}, PerChannel(p.size()), {}}, {}, {}};
    Reading square{{value}, true, PerChannel(p.size())}, plain{{value}, false, PerChannel(p.size())};
    for (std::size_t c = 0; c < p.size(); ++c) {
      term.from.constant[c] = p[c][0];
      plain.factor[c] = p[c][1];
      square.factor[c] = p[c][2];
    }
    if (!all_zero(square.factor)) term.from.readings.push_back(std::move(square));
    if (!all_zero(plain.factor) || term.from.readings.empty()) term.from.readings.push_back(std::move(plain));
    return with_reach(emit(activation, {std::move(term)}, {}, {}, rank, negated), largest_of(p.size(), range, [&](std::size_t c, double x) { return evaluate(p[c], x); }));
  }

  /// The value of the sum of signed squares of `squares`, plus a constant per channel; numbers up to `reach` (0: nobody knows).
  int sum_value(const Node& activation, std::vector<int> squares, PerChannel constant, double reach, bool negated) {
    const std::size_t channels = constant.size();
    Term term{activation.name, Tensor{activation.shape, {{std::move(squares), true, PerChannel(channels, 1.0)}}, std::move(constant), {}}, {}, {}};
    return with_reach(emit(activation, {std::move(term)}, {}, {}, 0, negated), reach);
  }

  void take_polynomial(int i) {
    const Node& n = node(i);
    const int input = n.inputs[0];
    const int value = value_of(input);
    if (too_many_) return;
    if (const std::size_t degree = n.polynomial().coefficients.size() - 1; degree > kMaxActivationDegree) {
      refuse(n, "an activation of degree " + std::to_string(degree) + "; use degree " + std::to_string(kMaxActivationDegree) +
                    " or less, or two activations one after the other");
      state(i).tensor = state(input).tensor;
      return;
    }
    const NodeState& before = state(input);
    const auto channels = static_cast<std::size_t>(n.shape.channels);
    const NodeRange reach = range_of(input);
    std::vector<Coefficients> p(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t k = 0; k < n.polynomial().coefficients.size(); ++k) p[c].push_back(n.polynomial().at(k, c));
      p[c] = substitute(p[c], 1 / before.gain[c], -before.shift[c]);   // in the value, which is gain (x + shift)
    }
    double range = 0;   // of the value
    for (std::size_t c = 0; c < channels; ++c) range = std::max(range, std::fabs(before.gain[c]) * Interval{reach.of_channel(c).low + before.shift[c], reach.of_channel(c).high + before.shift[c]}.largest());
    range = std::max(range, kLeastRange);
    if (before.fitted) {
      range *= kRoom;
      with_reach(value, range);
    }
    const double known = before.fitted ? range : 0;

    const std::size_t degree = n.polynomial().coefficients.size() - 1;
    std::vector<Coefficients> parts[5];
    PerChannel constant(channels), q_constant(channels), m_constant(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      if (c > 0 && p[c] == p[c - 1]) {   // one polynomial for all channels
        for (auto& part : parts)
          if (!part.empty()) part.push_back(Coefficients(part.back()));
        for (PerChannel* v : {&constant, &q_constant, &m_constant}) (*v)[c] = (*v)[c - 1];
      } else if (degree <= 4) {
        SquareDifference split = split_quartic(p[c], range);
        parts[0].push_back(std::move(split.first));
        parts[1].push_back(std::move(split.second));
        constant[c] = split.constant;
      } else {
        OcticSplit split = split_octic(p[c], range);
        parts[0].push_back(std::move(split.q.first));
        parts[1].push_back(std::move(split.q.second));
        parts[2].push_back(std::move(split.m));
        parts[3].push_back(std::move(split.r.first));
        parts[4].push_back(std::move(split.r.second));
        q_constant[c] = split.q.constant;
        m_constant[c] = split.m_constant;
        constant[c] = split.r.constant;
      }
    }
    std::vector<int> squares;
    const auto add_square = [&](const std::vector<Coefficients>& part, int rank, bool negated) {
      const bool none = std::all_of(part.begin(), part.end(), [](const Coefficients& c) { return all_zero(c); });
      if (!none) squares.push_back(quadratic_value(n, value, known, part, rank, negated));   // x^4 is one square, not a difference
    };
    add_square(parts[0], 0, false);
    add_square(parts[1], 0, true);
    if (degree > 4 && !too_many_) {
      const auto square = [](const std::vector<Coefficients>& part, std::size_t c, double x) { return std::pow(evaluate(part[c], x), 2); };
      const int m = quadratic_value(n, value, known, parts[2], 0, false);
      const int q = sum_value(n, squares, q_constant, largest_of(channels, known, [&](std::size_t c, double x) { return square(parts[0], c, x) - square(parts[1], c, x) + q_constant[c]; }), false);
      squares = {q, sum_value(n, {m}, m_constant, largest_of(channels, known, [&](std::size_t c, double x) { return square(parts[2], c, x) + m_constant[c]; }), true)};
      const int rank = plan_.stages[static_cast<std::size_t>(q)].rank;
      add_square(parts[3], rank, false);
      add_square(parts[4], rank, true);
    }
    if (too_many_) return;
    state(i).tensor = Tensor{n.shape, {{std::move(squares), true, PerChannel(channels, 1.0)}}, std::move(constant), {}};
  }

  // --- values ----------------------------------------------------------------------------------------------------

  void make_value(int i, std::vector<Term> terms) {
    choose_gain(i);
    NodeState& s = state(i);
    s.value = emit(node(i), std::move(terms), s.gain, s.shift, 0, false);
    if (s.value < 0 || s.tensor) return;   // an activation's or pool's own tensor is nearer
    const std::size_t channels = s.gain.size();
    Tensor plain{node(i).shape, {{{s.value}, false, PerChannel(channels)}}, PerChannel(channels), {}};
    for (std::size_t c = 0; c < channels; ++c) {
      plain.readings[0].factor[c] = s.gain[c] == 0 ? 0.0 : 1 / s.gain[c];
      plain.constant[c] = -s.shift[c];
    }
    s.tensor = std::move(plain);
  }

  void take_output() {
    const int out = graph_.output;
    if (state(out).value < 0) (void)value_of(out);
  }

  int rank_of(const Reading& reading) const {
    int rank = -1;
    for (int stage : reading.stages) rank = std::max(rank, plan_.stages[static_cast<std::size_t>(stage)].rank);
    return rank;
  }

  /// The value gain * (sum of the terms + shift) of a rank that is at least `rank`: stage of the sum, or -1 if there are too many.
  int emit(const Node& n, std::vector<Term> terms, const PerChannel& gain, const PerChannel& shift, int rank, bool negated) {
    struct Part {
      const Term* term;
      const Reading* reading;
      bool with_constant;
    };
    std::vector<Part> parts;
    for (const Term& term : terms)
      for (const Reading& reading : term.from.readings) {
        parts.push_back({&term, &reading, &reading == &term.from.readings.front()});
        rank = std::max(rank, rank_of(reading) + 1);
      }
    // First what sets the rank: the others follow it in layout and scale.
    std::stable_sort(parts.begin(), parts.end(), [&](const Part& a, const Part& b) {
      const int ra = rank_of(*a.reading), rb = rank_of(*b.reading);
      if (ra != rb) return ra > rb;
      if (a.reading->squares != b.reading->squares) return a.reading->squares;
      return (a.term->conv || a.term->dense) && !(b.term->conv || b.term->dense);
    });
    if (plan_.stages.size() + parts.size() > kMaxStages) {
      refuse(n, "the network has more than " + std::to_string(kMaxStages) + " stages; no chain of primes is that long");
      too_many_ = true;
      return -1;
    }
    for (std::size_t k = 0; k < parts.size(); ++k) {
      Result<Stage> stage = maker_.make(*parts[k].term, *parts[k].reading, parts[k].with_constant);
      if (!stage.ok()) {
        refuse(n, stage.error().message);
        Stage stand_in;
        stand_in.reads = parts[k].reading->stages;
        stand_in.out = n.shape;
        stand_in.rank = rank;
        stand_in.is_dense = true;
        plan_.stages.push_back(std::move(stand_in));
        continue;
      }
      if (!gain.empty()) scale_outputs(*stage, gain, k == 0 ? shift : PerChannel(gain.size()));
      stage->rank = rank;
      stage->negated = negated;
      if (k > 0) stage->addend = static_cast<int>(plan_.stages.size()) - 1;
      plan_.stages.push_back(std::move(*stage));
    }
    return static_cast<int>(plan_.stages.size()) - 1;
  }

  // Which ranks read values as they are, and which stages have to bring what they read to their rank.
  void settle_ranks() {
    int last = 0;
    for (const Stage& stage : plan_.stages) last = std::max(last, stage.rank);
    plan_.plain_ranks.assign(static_cast<std::size_t>(last) + 1, true);
    const auto source = [&](const Stage& stage) {
      int rank = -1;
      for (int read : stage.reads) rank = std::max(rank, plan_.stages[static_cast<std::size_t>(read)].rank);
      return rank;
    };
    for (const Stage& stage : plan_.stages)
      if (stage.reads_squares && source(stage) + 1 == stage.rank) plan_.plain_ranks[static_cast<std::size_t>(stage.rank)] = false;
    for (Stage& stage : plan_.stages)
      stage.carried = source(stage) + 1 != stage.rank || stage.reads_squares == plan_.plain_ranks[static_cast<std::size_t>(stage.rank)];
  }

  const Graph& graph_;
  std::span<const NodeRange> ranges_;
  std::vector<std::vector<int>> readers_;
  std::vector<NodeState> states_;
  StagePlan plan_;
  StageMaker maker_;
  bool too_many_ = false;
  std::string bad_;
};

}  // namespace

bool StagePlan::is_read(std::size_t i, bool as_square) const {
  return std::any_of(stages.begin(), stages.end(), [&](const Stage& stage) {
    return stage.reads_squares == as_square && std::find(stage.reads.begin(), stage.reads.end(), static_cast<int>(i)) != stage.reads.end();
  });
}

Result<StagePlan> make_stages(const Graph& graph, std::span<const NodeRange> ranges) {
  if (!has_products(graph)) return Builder(graph, ranges).run();
  BRAINLOCK_ASSIGN(WithoutProducts squares, without_products(graph, ranges));
  flatten_maps(squares.graph, squares.ranges);
  return Builder(squares.graph, squares.ranges).run();
}

std::vector<std::vector<double>> run_stages(const StagePlan& plan, std::span<const float> input) {
  const std::vector<double> wide(input.begin(), input.end());
  const LaneTensor<double> image = to_lanes(wide);
  std::vector<LaneTensor<double>> values;
  for (const Stage& stage : plan.stages) {
    values.push_back(apply_linear(stage, apply_pools(stage, read_values(plan, stage, image, values))));
    add_addend(stage, values);
  }
  std::vector<std::vector<double>> out;
  for (const auto& value : values) out.push_back(first_lane(value));
  return out;
}

}  // namespace brainlock::compiler
