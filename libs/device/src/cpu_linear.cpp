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
    return (size > 0 ? static_cast<std::size_t>(size) : std::size_t{512} << 10) / 4 * 3;
  }();
  return budget;
}

/// The order of blocks, and how the rotations of a layer move along it.
struct BlockOrder {
  std::size_t block = 0;                  ///< words
  std::vector<std::uint32_t> blocks;      ///< block indices in the order of the walk
  std::size_t window = 0;                 ///< source blocks of one input alive at a time
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
  std::uint32_t step = cycle, first = cycle;
  for (const LinearCore::Rotation& rotation : core.rotations) {
    const std::uint32_t shift = rotation.key == nullptr ? 0 : log[rotation.key->galois_element & mask];
    if (first == cycle) first = shift;
    step = std::gcd(step, shift >= first ? shift - first : first - shift);
    if (!seen[shift]) ++out.window;
    seen[shift] = true;
  }
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

}  // namespace

void CpuBackend::linear_core(const Stream& stream, const LinearCore& core) {
  const std::uint32_t rows = core.limbs + ring_.p_count;
  const BlockOrder order = choose_order(core, degree_, ring_.digits(core.limbs));
  const std::size_t panel_words = 2 * core.column_count * (order.block + kPanelPadding);
  // Long walks use the window, short ones balance the threads.
  const std::size_t blocks = order.blocks.size();
  std::size_t chunk = blocks;
  while (chunk > 8 && rows * (blocks / chunk) < 12 * threads()) chunk /= 2;
  const std::size_t chunks = blocks / chunk;
  pool_->parallel_for(rows * chunks, stream.stop, [&](std::size_t task, unsigned worker) {
    const auto l = static_cast<std::uint32_t>(task / chunks);
    for (std::size_t i = task % chunks * chunk; i < (task % chunks + 1) * chunk && !stream.stopped(); ++i) {
      linear_block(core, l, order.blocks[i] * order.block, order.block, scratch(worker, panel_words));
    }
  });
}

void CpuBackend::linear_block(const LinearCore& core, std::uint32_t l, std::size_t begin, std::size_t n, Word* panel) {
  const std::uint32_t limbs = core.limbs;
  const std::uint32_t rows = limbs + ring_.p_count;
  const std::uint32_t digits = ring_.digits(limbs);
  const math::Modulus& m = modulus(ring_.modulus_index(limbs, l));
  const std::size_t row_stride = n + kPanelPadding;
  const std::size_t at = l * stride_ + begin;

  thread_local std::vector<const Word*> column[2];  // of each column, per polynomial: its n words
  for (auto& pointers : column) pointers.assign(core.column_count, nullptr);

  // No hardware prefetcher follows these jumps: the block of the next input is asked for while this one is computed,
  // and the key of the next rotation little by little meanwhile.
  const auto fetch = [](const Word* p, std::size_t words) {
    for (std::size_t i = 0; i < words; i += kLineWords) __builtin_prefetch(p + i);
  };
  const auto fetch_input = [&](const LinearCore::Rotation& rotation, const LinearCore::Use& use) {
    const std::size_t source = l * stride_ + (rotation.key->automorphism->source[begin / 8] & ~(n - 1));
    const LinearCore::Input& input = core.inputs[use.input];
    for (std::uint32_t d = 0; d < digits; ++d) fetch(input.digits + d * rows * stride_ + source, n);
    fetch(input.c0 + source, n);
  };

  const Word* digit[kMaxDigits];
  const Word* key0[kMaxDigits];
  const Word* key1[kMaxDigits];
  for (std::size_t r = 0; r < core.rotations.size(); ++r) {
    const LinearCore::Rotation& rotation = core.rotations[r];
    if (rotation.key == nullptr) {
      for (const LinearCore::Use& use : rotation.uses) {
        column[0][use.column] = core.inputs[use.input].c0 + at;
        column[1][use.column] = core.inputs[use.input].c1 + at;
      }
      continue;
    }
    for (std::uint32_t d = 0; d < digits; ++d) {
      key0[d] = key_limb(*rotation.key, limbs, l, d, 0) + begin;
      key1[d] = key_limb(*rotation.key, limbs, l, d, 1) + begin;
    }
    const LinearCore::Rotation* next =
        r + 1 < core.rotations.size() && core.rotations[r + 1].key != nullptr ? &core.rotations[r + 1] : nullptr;
    // The block of the next key, [digit][poly] pieces of n words, in as many shares as this rotation has uses.
    const std::size_t key_lines = 2 * digits * (n / kLineWords);
    std::size_t fetched_lines = 0;
    for (std::size_t u = 0; u < rotation.uses.size(); ++u) {
      const LinearCore::Use& use = rotation.uses[u];
      const LinearCore::Input& input = core.inputs[use.input];
      if (u + 1 < rotation.uses.size()) {
        fetch_input(rotation, rotation.uses[u + 1]);
      } else if (next != nullptr) {
        fetch_input(*next, next->uses[0]);
      }
      if (next != nullptr) {
        const Word* const block = key_limb(*next->key, limbs, l, 0, 0) + begin;
        const std::size_t until = key_lines * (u + 1) / rotation.uses.size();
        for (; fetched_lines < until; ++fetched_lines) {
          const std::size_t piece = fetched_lines / (n / kLineWords), line = fetched_lines % (n / kLineWords);
          __builtin_prefetch(block + piece * stride_ + line * kLineWords);
        }
      }
      for (std::uint32_t d = 0; d < digits; ++d) digit[d] = input.digits + (d * rows + l) * stride_;
      Word* const out0 = panel + 2 * use.column * row_stride;
      Word* const out1 = out0 + row_stride;
      k_.inner_product_gathered(out0, out1, digit, key0, key1, digits, input.c0 + l * stride_,
                                *rotation.key->automorphism, begin, n, m);
      column[0][use.column] = out0;
      column[1][use.column] = out1;
    }
  }

  thread_local std::vector<const Word*> x;
  thread_local std::vector<const Word*> w;
  thread_local std::vector<Word*> out;
  for (const LinearCore::Output& output : core.outputs) {
    for (std::uint32_t poly = 0; poly < 2; ++poly) {
      if (output.weights != nullptr) {
        const std::size_t k = output.columns.size();
        x.resize(k);
        for (std::size_t i = 0; i < k; ++i) x[i] = column[poly][output.columns[i]];
        out.resize(output.giants);
        for (std::uint32_t g = 0; g < output.giants; ++g) out[g] = output.acc[2 * g + poly] + at;
        const std::size_t run_words = k * output.giants;
        const std::size_t runs = degree_ / core.run_length;
        const Word* weights = output.weights + (l * runs + begin / core.run_length) * run_words;
        k_.gemm_periodic(out.data(), output.giants, x.data(), k, weights, run_words, output.giants,
                         std::min<std::size_t>(core.run_length, n), false, m, n);
        continue;
      }
      for (std::uint32_t g = 0; g < output.giants; ++g) {
        Word* const acc = output.acc[2 * g + poly] + at;
        const std::vector<LinearCore::FullTerm>& terms = output.full[g];
        if (terms.empty()) {
          std::memset(acc, 0, n * sizeof(Word));
          continue;
        }
        x.clear();
        w.clear();
        for (const LinearCore::FullTerm& term : terms) {
          x.push_back(column[poly][term.column]);
          w.push_back(term.weights + at);
        }
        k_.mac_full(acc, w.data(), x.data(), terms.size(), false, m, n);
      }
    }
  }
}

}  // namespace brainlock::device
