// The core of a linear layer, limb by limb and block by block: every rotated column of a block is made in L2, then
// the weights are applied there as a small matrix product.
//
//   for each limb l, each block of coefficients b                       (many blocks to a task)
//     for each rotation r: key block read once, for each input of r:
//       column = permute_r( sum_d digit[d] * key_r[d] + (c0, 0) )       -> panel[poly][column][block]
//     for each output o, each polynomial: acc[o][g] = sum_k W[o][l][run][k][g] * panel[k]
//
// Blocks are visited in an order that keeps the digits in L2. Word i of a limb is the value at psi^e, e = 2 brv(i) + 1,
// so a block of n words is a residue class of e modulo 2B, B = N / n blocks, and odd residues are +-5^k: rotation by r
// takes block (sign, k) from block (sign, k + r). Walking along k, a set of neighbouring rotations needs a sliding
// window of source blocks, and each step brings in only one new block of each input.
#include <unistd.h>
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

constexpr std::size_t kMinBlock = 64, kMaxBlock = 512;
constexpr std::size_t kLineWords = 16;
constexpr std::size_t kPanelPadding = 16;  // rows of the panel do not share cache sets

/// Bytes of L2 that one core's panel and window may fill; keys, weights and results stream through the rest.
std::size_t cache_budget() {
  static const std::size_t budget = [] {
    const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return (size > 0 ? static_cast<std::size_t>(size) : std::size_t{512} << 10) / 2;
  }();
  return budget;
}

/// The order of blocks, and how the rotations of a layer move along it.
struct BlockOrder {
  std::size_t block = 0;                  ///< words
  std::vector<std::uint32_t> blocks;      ///< block indices in the order of the walk
  std::size_t window = 0;                 ///< source blocks of one input alive at a time
  std::vector<bool> leading;              ///< per rotation: its source block was not in the window one step before
};

BlockOrder order_blocks(const LinearCore& core, std::size_t degree, std::size_t block) {
  BlockOrder out;
  out.block = block;
  const auto count = static_cast<std::uint32_t>(degree / block);  // B
  const int bits = std::countr_zero(count);
  const std::uint32_t mask = 2 * count - 1, cycle = std::max(1U, count / 2);
  std::vector<std::uint32_t> log(2 * count), power(cycle);
  for (std::uint32_t k = 0, e = 1; k < cycle; ++k, e = e * 5 & mask) {
    power[k] = e;
    log[e] = k;
  }
  // Shifts along k; only their differences matter.
  std::vector<bool> seen(cycle);
  std::vector<std::uint32_t> shifts;
  std::uint32_t step = cycle;
  for (const LinearCore::Rotation& rotation : core.rotations) {
    const std::uint32_t shift = rotation.key == nullptr ? 0 : log[rotation.key->galois_element & mask];
    shifts.push_back(shift);
    step = std::gcd(step, shift >= shifts[0] ? shift - shifts[0] : shifts[0] - shift);
    if (!seen[shift]) ++out.window;
    seen[shift] = true;
  }
  for (const std::uint32_t shift : shifts) out.leading.push_back(!seen[(shift + step) % cycle]);
  const auto index = [&](std::uint32_t e) { return bits == 0 ? 0 : math::reverse_bits((e - 1) / 2, bits); };
  for (std::uint32_t sign = 0; sign < (count > 1 ? 2U : 1U); ++sign) {
    for (std::uint32_t start = 0; start < step; ++start) {
      for (std::uint32_t k = start; k < cycle; k += step) {
        out.blocks.push_back(index(sign == 0 ? power[k] : 2 * count - power[k]));
      }
    }
  }
  return out;
}

BlockOrder choose_order(const LinearCore& core, std::size_t degree, std::uint32_t digits) {
  BlockOrder best = order_blocks(core, degree, std::min(kMinBlock, degree));
  for (std::size_t block = 2 * kMinBlock; block <= std::min(kMaxBlock, degree); block *= 2) {
    BlockOrder order = order_blocks(core, degree, block);
    const std::size_t words = block * (2 * core.column_count + core.inputs.size() * (digits + 1) * order.window);
    if (words * sizeof(Word) > cache_budget()) break;
    best = std::move(order);
  }
  return best;
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

/// The walk of one task along the blocks of one limb.
class CpuBackend::LinearWalk {
 public:
  LinearWalk(CpuBackend& backend, const LinearCore& core, const BlockOrder& order, std::uint32_t l, Word* scratch)
      : backend_(backend), core_(core), order_(order), l_(l), n_(order.block), row_stride_(n_ + kPanelPadding),
        rows_(core.limbs + backend.ring_.p_count), digits_(backend.ring_.digits(core.limbs)),
        modulus_(backend.modulus(backend.ring_.modulus_index(core.limbs, l))), panel_(scratch),
        results_(scratch + panel_words(core, order)) {
    for (auto& pointers : column_) pointers.resize(core.column_count);
  }

  static std::size_t panel_words(const LinearCore& core, const BlockOrder& order) {
    return 2 * core.column_count * (order.block + kPanelPadding);
  }
  static std::size_t scratch_words(const LinearCore& core, const BlockOrder& order) {
    std::size_t giants = 0;
    for (const auto& output : core.outputs) giants = std::max<std::size_t>(giants, output.giants);
    return panel_words(core, order) + giants * (order.block + kPanelPadding);
  }

  /// Computes the block at place i of the order; the walk goes on to i + 1 unless `last`.
  void step(std::size_t i, bool last) {
    begin_ = order_.blocks[i] * n_;
    at_ = l_ * backend_.stride_ + begin_;
    streams_.clear();
    if (!last) plan_fetches(order_.blocks[i + 1] * n_);
    rotate();
    for (const LinearCore::Output& output : core_.outputs) {
      for (std::uint32_t poly = 0; poly < 2; ++poly) {
        output.weights != nullptr ? multiply_periodic(output, poly) : multiply_full(output, poly);
      }
    }
  }

 private:
  /// What the next block will read that is in no cache: keys, and the source blocks that enter the window. No hardware
  /// prefetcher follows these jumps, so they are asked for while this block is computed.
  void plan_fetches(std::size_t begin) {
    for (std::size_t r = 0; r < core_.rotations.size(); ++r) {
      const LinearCore::Rotation& rotation = core_.rotations[r];
      std::size_t source = l_ * backend_.stride_ + begin;
      if (rotation.key != nullptr) {
        source = l_ * backend_.stride_ + (rotation.key->automorphism->source[begin / 8] & ~(n_ - 1));
        for (std::uint32_t d = 0; d < digits_; ++d) {
          streams_.push_back(key(*rotation.key, d, 0) + begin);
          streams_.push_back(key(*rotation.key, d, 1) + begin);
        }
      }
      for (const LinearCore::Use& use : rotation.uses) {
        const LinearCore::Input& input = core_.inputs[use.input];
        if (rotation.key == nullptr) streams_.push_back(input.c1 + source);
        if (!order_.leading[r]) continue;
        streams_.push_back(input.c0 + source);
        if (input.digits == nullptr) continue;
        for (std::uint32_t d = 0; d < digits_; ++d) streams_.push_back(input.digits + d * rows_ * backend_.stride_ + source);
      }
    }
  }

  const Word* key(const SwitchingKey& key, std::uint32_t d, std::uint32_t b) const {
    return backend_.key_limb(key, core_.limbs, l_, d, b);
  }

  void rotate() {
    const Word* digit[kMaxDigits];
    const Word* key0[kMaxDigits];
    const Word* key1[kMaxDigits];
    std::size_t done = 0, fetched = 0;
    for (const LinearCore::Rotation& rotation : core_.rotations) {
      if (rotation.key != nullptr) {
        for (std::uint32_t d = 0; d < digits_; ++d) {
          key0[d] = key(*rotation.key, d, 0) + begin_;
          key1[d] = key(*rotation.key, d, 1) + begin_;
        }
      }
      for (const LinearCore::Use& use : rotation.uses) {
        const LinearCore::Input& input = core_.inputs[use.input];
        for (const std::size_t until = streams_.size() * ++done / core_.column_count; fetched < until; ++fetched) {
          for (std::size_t i = 0; i < n_; i += kLineWords) __builtin_prefetch(streams_[fetched] + i, 0, 2);
        }
        if (rotation.key == nullptr) {
          column_[0][use.column] = input.c0 + at_;
          column_[1][use.column] = input.c1 + at_;
          continue;
        }
        for (std::uint32_t d = 0; d < digits_; ++d) digit[d] = input.digits + (d * rows_ + l_) * backend_.stride_;
        Word* const out0 = panel_ + 2 * use.column * row_stride_;
        Word* const out1 = out0 + row_stride_;
        backend_.k_.inner_product_gathered(out0, out1, digit, key0, key1, digits_, input.c0 + l_ * backend_.stride_,
                                           *rotation.key->automorphism, begin_, n_, modulus_);
        column_[0][use.column] = out0;
        column_[1][use.column] = out1;
      }
    }
  }

  void multiply_periodic(const LinearCore::Output& output, std::uint32_t poly) {
    const std::size_t k = output.columns.size();
    x_.resize(k);
    for (std::size_t i = 0; i < k; ++i) x_[i] = column_[poly][output.columns[i]];
    out_.resize(output.giants);
    for (std::uint32_t g = 0; g < output.giants; ++g) out_[g] = results_ + g * row_stride_;
    const std::size_t run_words = k * output.giants;
    const std::size_t runs = backend_.degree_ / core_.run_length;
    const Word* weights = output.weights + (l_ * runs + begin_ / core_.run_length) * run_words;
    backend_.k_.gemm_periodic(out_.data(), output.giants, x_.data(), k, weights, run_words, output.giants,
                              std::min<std::size_t>(core_.run_length, n_), false, modulus_, n_);
    for (std::uint32_t g = 0; g < output.giants; ++g) store_past_caches(output.acc[2 * g + poly] + at_, out_[g], n_);
  }

  void multiply_full(const LinearCore::Output& output, std::uint32_t poly) {
    for (std::uint32_t g = 0; g < output.giants; ++g) {
      Word* const acc = output.acc[2 * g + poly] + at_;
      const std::vector<LinearCore::FullTerm>& terms = output.full[g];
      if (terms.empty()) {
        std::memset(acc, 0, n_ * sizeof(Word));
        continue;
      }
      x_.clear();
      w_.clear();
      for (const LinearCore::FullTerm& term : terms) {
        x_.push_back(column_[poly][term.column]);
        w_.push_back(term.weights + at_);
      }
      backend_.k_.mac_full(acc, w_.data(), x_.data(), terms.size(), false, modulus_, n_);
    }
  }

  CpuBackend& backend_;
  const LinearCore& core_;
  const BlockOrder& order_;
  const std::uint32_t l_;
  const std::size_t n_, row_stride_;
  const std::uint32_t rows_, digits_;
  const math::Modulus& modulus_;
  Word* const panel_;     // [column][poly][row_stride_]
  Word* const results_;   // [giant][row_stride_]
  std::size_t begin_ = 0, at_ = 0;
  std::vector<const Word*> streams_;              // n_ words each, to be prefetched
  std::vector<const Word*> column_[2];            // of each column, per polynomial: its n_ words
  std::vector<const Word*> x_, w_;
  std::vector<Word*> out_;
};

void CpuBackend::linear_core(const Stream& stream, const LinearCore& core) {
  const std::uint32_t rows = core.limbs + ring_.p_count;
  const BlockOrder order = choose_order(core, degree_, ring_.digits(core.limbs));
  const std::size_t words = LinearWalk::scratch_words(core, order);
  // Long walks use the window, short ones balance the threads.
  const std::size_t blocks = order.blocks.size();
  std::size_t chunk = blocks;
  while (chunk > 8 && rows * (blocks / chunk) < 12 * threads()) chunk /= 2;
  const std::size_t chunks = blocks / chunk;
  pool_->parallel_for(rows * chunks, stream.stop, [&](std::size_t task, unsigned worker) {
    LinearWalk walk(*this, core, order, static_cast<std::uint32_t>(task / chunks), scratch(worker, words));
    const std::size_t first = task % chunks * chunk;
    for (std::size_t i = first; i < first + chunk && !stream.stopped(); ++i) walk.step(i, i + 1 == first + chunk);
  });
}

}  // namespace brainlock::device
