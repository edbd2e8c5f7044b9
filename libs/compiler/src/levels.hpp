// The modulus chain: how many primes each rescale drops, at which scale every layer's values live and how finely its
// weights are rounded, within the security table's budget.
//
// A square and the linear layer after it cost one rescale (lazy rescaling). With D bits dropped after layer l,
//     log2 scale(l) = 2 * log2 scale(l-1) + log2 weight_scale(l) - D(l),
// so scales may differ from layer to layer, and a rescale that drops one 28..30-bit prime can follow one that drops two:
// no rational rescaling is needed to spend about 1.5 primes a layer.
//
// The chain is made for ranks (stages.hpp): all values of one rank share limbs and scale, which follow from those of the
// rank before. A carried stage reads a value of any earlier rank: its limbs are dropped to as many as its own rescale needs
// to end at its rank's scale with weights of a sensible size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/program.hpp"
#include "lowering.hpp"
#include "refresh.hpp"

namespace brainlock::compiler {

/// What the chain has to know of one rank: of its only stage in a chain of layers, of all of them together otherwise. Noise figures are standard deviations per real part of a slot, in units of
/// the message.
struct StageNeeds {
  bool plain = false;         ///< it reads values, not squares
  double weight_noise = 0;    ///< error at the output per unit of 1 / weight_scale (rounding of encoded weights)
  double later_gain = 1;      ///< variance at the last stage's output per unit of variance at this output
  double weight_gain = 1;     ///< the same for weight_noise (see StageStats::weight_gain)
  double mask_noise = 0;      ///< error at the output per unit of 1 / mask_scale; 0: no masks
  double mask_gain = 1;
  double out_rms = 0;         ///< of the output (for the last stage: of the logits)
  double out_max = 0;         ///< largest |value| that must not wrap, with margin
  double macs = 0;            ///< plaintext MACs, key switches, hoisted rotations: weights of the cost
  double key_switches = 0;
  double hoisted = 0;
  /// What a refresh of its values has to know. No ciphertexts: values of lower ranks are read beyond it, so that it cannot be refreshed alone.
  std::uint32_t refresh_ciphertexts = 0;
  bool refresh_real = false;        ///< these and the rest: see RefreshRanges
  double refresh_largest = 0;
  double read_share = 1;
};

/// What a value has behind its refresh (refresh.hpp); no limbs: it is not refreshed.
struct RefreshedRank {
  std::uint32_t limbs = 0;
  double scale_log2 = 0;
};

struct LevelChoice {
  plan::ParameterChoice parameters;
  std::vector<std::uint32_t> limbs_in;        ///< per rank
  std::vector<std::uint32_t> drop;            ///< per rank
  std::vector<double> weight_scale_log2;      ///< per rank, for primes of exactly q_bits; without that of masks
  std::vector<double> mask_scale_log2;        ///< per rank; 0, or none at all: it has no masks
  std::vector<double> scale_log2;             ///< per rank: the scale its values should have; empty: as it comes
  std::vector<RefreshedRank> refreshes;       ///< per rank; empty: none
  std::optional<RefreshChain> refresh_chain;  ///< where there are any
  double input_scale_log2 = 0;
  double relative_error = 0;                  ///< predicted rms error of the last stage's output / its rms
  double log_qp = 0;
};

struct LevelRequest {
  std::uint32_t ring_degree = 0;
  double max_log_qp = 0;
  double target_error = 0;
  double input_gain = 0;        ///< the same for the input
  bool split_input = false;     ///< the input is conjugated at its own (small) scale
  std::vector<StageNeeds> stages;
};

/// Special primes and ciphertext primes that one rescale divides by (a base conversion has so many source limbs).
inline constexpr std::uint32_t kMostDropped = 15;

/// Whether values may be refreshed where the request allows it, as few ciphertexts as do.
enum class Refreshing : std::uint8_t { kNever, kAllowed };
/// All chains worth pricing: for each key-switching shape the cheapest that meets the target, or the most precise one. The same for any number of threads.
std::vector<LevelChoice> search_levels(const LevelRequest& request, Refreshing refreshing, unsigned threads);

/// Whether any plain chain has a limb for each of so many ranks: otherwise search_levels() without refreshes finds nothing, whatever the request says
/// else.
bool plain_chain_may_hold(double max_log_qp, std::size_t ranks);

/// Writes limbs, scales and weight scales into a lowered program, and with them giant fans and the key manifest.
void assign_levels(Lowered& lowered, const LevelChoice& choice);

}  // namespace brainlock::compiler
