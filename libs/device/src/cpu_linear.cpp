// The core of a linear layer, limb by limb and block by block: every rotated column of a block is made in L2, then
// the weights are applied there as a small matrix product.
//
//   for each limb l, each block of coefficients b                       (many blocks to a task)
//     for each rotation r: key block read once, for each input of r:
//       column = permute_r( sum_d digit[d] * key_r[d] + (c0, 0) )       -> panel[poly][column][block]
//     for each output o, each polynomial: acc[o][g] = sum_k W[o][l][run][k][g] * panel[k]
//
// Kernels may take weights in a form of their own, which is made once for several blocks.
//
// Units of 64 words are visited along the cycles of unit_order.hpp, in which digits and keys are also stored: a set of
// neighbouring rotations then needs a sliding window of source units, which stays in L2, and each step brings in only
// one new unit of each input, from where memory was read last.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <bit>
#include <cassert>
#include <cstring>
#include <numeric>

#include "cpu_backend.hpp"

namespace brainlock::device {
namespace {

constexpr std::size_t kLineWords = 16;
constexpr std::size_t kRowWords = kUnitWords + 16;  // rows of the panel do not share cache sets
constexpr std::size_t kMostWindowBytes = std::size_t{1} << 20;  // half of the second cache of processors whose kernels prepare weights

/// How the rotations of a layer move along the cycles.
struct Walk {
  std::vector<std::uint32_t> ranks;       ///< units in the order of the walk
  std::vector<bool> leading;              ///< per rotation: its source unit was not in the window one step before
};

/// Units of one run that a walk visits one after the other, so that what is made of its weights serves all of them: a power of two. Each is in a window
/// of its own, and all windows are in the second cache.
std::uint32_t lanes_of_walk(const LinearCore& core, std::uint32_t digits) {
  const std::size_t window = core.column_count * (digits + 1) * kUnitWords * sizeof(Word);
  return static_cast<std::uint32_t>(std::bit_floor(std::clamp<std::size_t>(kMostWindowBytes / window, 1, core.run_length / kUnitWords)));
}

Walk plan_walk(const LinearCore& core, const UnitOrder& order, std::uint32_t lanes) {
  Walk out;
  const std::uint32_t cycle = order.cycle();
  // Only differences of shifts matter.
  std::vector<bool> seen(cycle);
  std::vector<std::uint32_t> shifts;
  std::uint32_t step = cycle;
  for (const LinearCore::Rotation& rotation : core.rotations) {
    const std::uint32_t shift = rotation.key == nullptr ? 0 : order.shift(rotation.key->galois_element);
    shifts.push_back(shift);
    step = std::gcd(step, shift >= shifts[0] ? shift - shifts[0] : shifts[0] - shift);
    seen[shift] = true;
  }
  for (const std::uint32_t shift : shifts) out.leading.push_back(!seen[(shift + step) % cycle]);
  // The 2^k units of a run, and so any 2^j of them that are as far apart as can be, are every (cycle / 2^k)-th of a cycle.
  lanes = std::min(lanes, cycle);
  if (cycle / lanes % step != 0) lanes = 1;
  const std::uint32_t lane = cycle / lanes;
  for (std::size_t base = 0; base < order.units(); base += cycle) {
    for (std::uint32_t start = 0; start < step; ++start) {
      for (std::uint32_t k = start; k < lane; k += step) {
        for (std::uint32_t i = 0; i < lanes; ++i) out.ranks.push_back(static_cast<std::uint32_t>(base) + i * lane + k);
      }
    }
  }
  return out;
}

/// Copies n words (a multiple of 16, both ends 64-byte aligned) past the caches: for results that are not read soon.
void store_past_caches(Word* out, const Word* in, std::size_t n) {
#if defined(__SSE2__)
  for (std::size_t i = 0; i < n; i += 4) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(out + i), _mm_load_si128(reinterpret_cast<const __m128i*>(in + i)));
  }
#else
  std::memcpy(out, in, n * sizeof(Word));
#endif
}

}  // namespace

/// The walk of one task along the units of one limb.
class CpuBackend::LinearWalk {
 public:
  LinearWalk(CpuBackend& backend, const LinearCore& core, const Walk& walk, std::uint32_t l, Word* scratch)
      : backend_(backend), core_(core), walk_(walk), order_(backend.order_), l_(l), digits_(backend.ring_.digits(core.limbs)),
        modulus_(backend.modulus(backend.ring_.modulus_index(core.limbs, l))), panel_(scratch),
        results_(scratch + 2 * core.column_count * kRowWords) {
    for (auto& pointers : column_) pointers.resize(core.column_count);
    Word* made = scratch + panel_words(core);
    for (const auto& output : core.outputs) {
      const std::size_t words = prepared_words(backend.k_, core, output, modulus_);
      prepared_.push_back({words == 0 ? nullptr : made, kNoRun});
      made += words;
    }
    for (const auto& output : core.outputs) full_giants_ += output.full.size();
  }

  /// Scratch of a walk: first its panel and results, then what is made of the outputs' weights.
  static std::size_t panel_words(const LinearCore& core) {
    std::size_t giants = 0;
    for (const auto& output : core.outputs) giants = std::max<std::size_t>(giants, output.giants);
    return 2 * (core.column_count + giants) * kRowWords;
  }
  /// Words of what is made of an output's weights of one run, for the units of it that follow each other; 0: they are taken as they are.
  static std::size_t prepared_words(const math::Kernels& kernels, const LinearCore& core, const LinearCore::Output& output, const math::Modulus& m) {
    if (core.full_weights != nullptr || core.run_length < 2 * kUnitWords || kernels.prepared_words == nullptr) return 0;
    return kernels.prepared_words(output.giants, output.columns.size(), m);
  }

  /// Computes the unit at place i of the walk, which goes on to i + 1 unless `last`.
  void step(std::size_t i, bool last) {
    rank_ = walk_.ranks[i];
    begin_ = order_.unit(rank_) * kUnitWords;
    at_ = l_ * backend_.stride_ + begin_;
    fetches_.clear();
    if (!last) plan_fetches(walk_.ranks[i + 1]);
    rotate();
    for (const LinearCore::Output& output : core_.outputs) {
      core_.full_weights == nullptr ? multiply_periodic(output) : multiply_full(output);
    }
  }

 private:
  /// What the next unit will read that is in no cache: keys, full weights, and the source units that enter the window. It is asked
  /// for little by little while this unit is computed.
  void plan_fetches(std::size_t rank) {
    const std::size_t unit = order_.unit(rank);
    for (std::size_t r = 0; r < core_.rotations.size(); ++r) {
      const LinearCore::Rotation& rotation = core_.rotations[r];
      if (rotation.key == nullptr) {
        for (const LinearCore::Use& use : rotation.uses) {
          fetch(core_.inputs[use.input].c0 + l_ * backend_.stride_ + unit * kUnitWords, 1);
          fetch(core_.inputs[use.input].c1 + l_ * backend_.stride_ + unit * kUnitWords, 1);
        }
        continue;
      }
      fetch(backend_.key_unit(*rotation.key, core_.limbs, l_, rank), 2 * digits_);
      if (!walk_.leading[r]) continue;
      const std::size_t source_rank = order_.source_rank(*rotation.key->automorphism, unit);
      for (const LinearCore::Use& use : rotation.uses) {
        fetch(backend_.digit_unit(core_.inputs[use.input].digits, digits_, l_, source_rank), digits_ + 1);
      }
    }
    if (core_.full_weights != nullptr) {
      const std::size_t run = core_.full_weights->run;
      fetch(backend_.weight_unit(*core_.full_weights, l_, rank), (core_.full_weights->vectors + run - 1) / run);
    }
  }
  void fetch(const Word* words, std::size_t pieces) {
    for (std::size_t i = 0; i < pieces; ++i) fetches_.push_back(words + i * kUnitWords);
  }
  /// One more of the shares_ parts of this unit's work is done: asks for its share.
  void fetch_share() {
    ++done_;
    for (const std::size_t until = fetches_.size() * done_ / shares_; fetched_ < until; ++fetched_) {
      for (std::size_t i = 0; i < kUnitWords; i += kLineWords) __builtin_prefetch(fetches_[fetched_] + i, 0, 2);
    }
  }

  /// One inner product of a step.
  struct Column {
    const Word* digits;                           ///< source unit, `digits_` + 1 pieces
    const Word* key;                              ///< 2 * digits_ pieces
    std::size_t source;                           ///< first word of the source unit in its limb
    const math::AutomorphismTable* automorphism;
    std::uint32_t column;
  };

  void rotate() {
    columns_.clear();
    for (const LinearCore::Rotation& rotation : core_.rotations) {
      if (rotation.key == nullptr) {
        for (const LinearCore::Use& use : rotation.uses) {
          // To its place in the panel, so that all columns lie a constant distance apart.
          Word* const out = panel_ + 2 * use.column * kRowWords;
          std::memcpy(out, core_.inputs[use.input].c0 + at_, kUnitWords * sizeof(Word));
          std::memcpy(out + kRowWords, core_.inputs[use.input].c1 + at_, kUnitWords * sizeof(Word));
          column_[0][use.column] = out;
          column_[1][use.column] = out + kRowWords;
        }
        continue;
      }
      const math::AutomorphismTable& automorphism = *rotation.key->automorphism;
      const std::size_t source_rank = order_.source_rank(automorphism, order_.unit(rank_));
      const std::size_t source = order_.unit(source_rank) * kUnitWords;
      const Word* const key = backend_.key_unit(*rotation.key, core_.limbs, l_, rank_);
      for (const LinearCore::Use& use : rotation.uses) {
        columns_.push_back({backend_.digit_unit(core_.inputs[use.input].digits, digits_, l_, source_rank), key, source,
                            &automorphism, use.column});
      }
    }
    shares_ = columns_.size() + full_giants_;
    fetched_ = done_ = 0;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      // From L2 to L1 for the next inner product, from memory to L2 for the next step.
      if (c + 1 < columns_.size()) {
        for (std::size_t i = 0; i < (digits_ + 1) * kUnitWords; i += kLineWords) __builtin_prefetch(columns_[c + 1].digits + i);
      }
      fetch_share();
      const Column& column = columns_[c];
      Word* const out0 = panel_ + 2 * column.column * kRowWords;
      Word* const out1 = out0 + kRowWords;
      column_[0][column.column] = out0;
      column_[1][column.column] = out1;
      backend_.k_.inner_product_unit(out0, out1, limb_of(column.digits, column.source), column.key, digits_, *column.automorphism, begin_, modulus_);
    }
  }

  void multiply_periodic(const LinearCore::Output& output) {
    const std::size_t k = output.columns.size();
    x_.resize(2 * k);
    out_.resize(2 * std::size_t{output.giants});
    for (std::size_t poly = 0; poly < 2; ++poly) {
      for (std::size_t i = 0; i < k; ++i) x_[poly * k + i] = column_[poly][output.columns[i]];
    }
    for (std::size_t i = 0; i < out_.size(); ++i) out_[i] = results_ + i * kRowWords;
    const std::size_t run_words = k * output.giants;
    const std::size_t runs = backend_.degree_ / core_.run_length;
    const std::size_t run = begin_ / core_.run_length;
    const Word* weights = output.weights + (l_ * runs + run) * run_words;
    if (Prepared& prepared = prepared_[static_cast<std::size_t>(&output - core_.outputs.data())]; prepared.words != nullptr) {
      if (prepared.run != run) backend_.k_.prepare_weights(prepared.words, output.giants, k, weights, output.giants, modulus_);
      prepared.run = run;
      backend_.k_.gemm_prepared(out_.data(), output.giants, x_.data(), k, 2, prepared.words, modulus_, kUnitWords);
    } else {
      backend_.k_.gemm_periodic(out_.data(), output.giants, x_.data(), k, 2, weights, run_words, output.giants,
                                std::min<std::size_t>(core_.run_length, kUnitWords), false, modulus_, kUnitWords);
    }
    for (std::uint32_t g = 0; g < output.giants; ++g) {
      for (std::uint32_t poly = 0; poly < 2; ++poly) store_past_caches(output.acc[2 * g + poly] + at_, out_[poly * output.giants + g], kUnitWords);
    }
  }

  void multiply_full(const LinearCore::Output& output) {
    const Word* const weights = backend_.weight_unit(*core_.full_weights, l_, rank_);
    const std::size_t run = core_.full_weights->run, unit_weights = kUnitWords / run;
    for (std::uint32_t g = 0; g < output.giants; ++g) {
      const std::vector<LinearCore::FullTerm>& terms = output.full[g];
      w_.clear();
      x_.clear();
      for (const LinearCore::FullTerm& term : terms) w_.push_back(weights + term.vector * unit_weights);
      for (const auto& column : column_) {
        for (const LinearCore::FullTerm& term : terms) x_.push_back(column[term.column]);
      }
      Word* const acc0 = output.acc[2 * g] + at_;
      Word* const acc1 = output.acc[2 * g + 1] + at_;
      backend_.k_.mac_full(acc0, acc1, w_.data(), x_.data(), x_.data() + terms.size(), terms.size(), modulus_, kUnitWords, run);
      fetch_share();
    }
  }

  static constexpr std::size_t kNoRun = ~std::size_t{0};
  struct Prepared {
    Word* words;       ///< null: weights are taken as they are
    std::size_t run;   ///< whose weights they were made of
  };

  CpuBackend& backend_;
  const LinearCore& core_;
  const Walk& walk_;
  const UnitOrder& order_;
  const std::uint32_t l_, digits_;
  const math::Modulus& modulus_;
  Word* const panel_;     // [column][poly][kRowWords]
  Word* const results_;   // [poly][giant][kRowWords]
  std::size_t rank_ = 0, begin_ = 0, at_ = 0;
  std::vector<Column> columns_;
  std::vector<const Word*> fetches_;              // units to be prefetched
  std::size_t full_giants_ = 0;                   // of all outputs
  std::size_t fetched_ = 0, done_ = 0, shares_ = 0;
  std::vector<Prepared> prepared_;                // by output
  std::vector<const Word*> column_[2];            // of each column, per polynomial: its unit
  std::vector<const Word*> x_, w_;
  std::vector<Word*> out_;
};

Status CpuBackend::linear_core(const Stream& stream, const LinearCore& core) {
  const std::uint32_t rows = core.limbs + ring_.p_count;
  std::size_t prepared_words = 0;
  for (std::uint32_t l = 0; l < rows; ++l) {
    std::size_t of_limb = 0;
    for (const auto& output : core.outputs) of_limb += LinearWalk::prepared_words(k_, core, output, modulus(ring_.modulus_index(core.limbs, l)));
    prepared_words = std::max(prepared_words, of_limb);
  }
  const Walk walk = plan_walk(core, order_, prepared_words == 0 ? 1 : lanes_of_walk(core, ring_.digits(core.limbs)));
  const std::size_t words = LinearWalk::panel_words(core) + prepared_words;
  // Long walks use the window, short ones balance the threads.
  const std::size_t units = walk.ranks.size();
  std::size_t chunk = units;
  while (chunk > 8 && rows * (units / chunk) < 12 * threads()) chunk /= 2;
  const std::size_t chunks = units / chunk;
  pool_->parallel_for(rows * chunks, stream.stop, [&](std::size_t task, unsigned worker) {
    LinearWalk steps(*this, core, walk, static_cast<std::uint32_t>(task / chunks), scratch(worker, words));
    const std::size_t first = task % chunks * chunk;
    for (std::size_t i = first; i < first + chunk && !stream.stopped(); ++i) steps.step(i, i + 1 == first + chunk);
  });
  return {};
}

}  // namespace brainlock::device
