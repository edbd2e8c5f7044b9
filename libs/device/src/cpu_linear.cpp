// The core of a linear layer, limb by limb and block by block: every rotated column of a block is made in L2, then
// the weights are applied there as a small matrix product.
//
//   for each limb l, each block of coefficients b                       (one task)
//     for each rotation r: key block read once, for each input of r:
//       column = permute_r( sum_d digit[d] * key_r[d] + (c0, 0) )       -> panel[poly][column][block]
//     for each output o, each polynomial: acc[o][g] = sum_k W[o][l][run][k][g] * panel[k]
#include <cassert>
#include <cstring>

#include "cpu_backend.hpp"

namespace brainlock::device {
namespace {

constexpr std::size_t kPanelBytes = 256 << 10;  // half of a 512 KB L2; the rest is digits, keys and weights
constexpr std::size_t kMinBlock = 64, kMaxBlock = 512;
constexpr std::size_t kLineWords = 16;
constexpr std::size_t kPanelPadding = 16;       // rows of the panel do not share cache sets

std::size_t choose_block(std::size_t columns, std::size_t degree) {
  std::size_t block = kMinBlock;
  while (block < kMaxBlock && 2 * columns * (2 * block + kPanelPadding) * sizeof(Word) <= kPanelBytes) block *= 2;
  return std::min(block, degree);
}

}  // namespace

void CpuBackend::linear_core(const Stream& stream, const LinearCore& core) {
  const std::uint32_t rows = core.limbs + ring_.p_count;
  const std::size_t block = choose_block(core.column_count, degree_);
  const std::size_t blocks = degree_ / block;
  const std::size_t panel_words = 2 * core.column_count * (block + kPanelPadding);
  pool_->parallel_for(rows * blocks, stream.stop, [&](std::size_t task, unsigned worker) {
    const auto l = static_cast<std::uint32_t>(task / blocks);
    linear_block(core, l, task % blocks * block, block, scratch(worker, panel_words));
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

  // Source blocks come in an order that no hardware prefetcher follows: the block of the next input is asked for while
  // this one is computed, and the key of the next rotation little by little meanwhile.
  const auto fetch = [](const Word* p, std::size_t words) {
    for (std::size_t i = 0; i < words; i += kLineWords) __builtin_prefetch(p + i);
  };
  const auto source_block = [&](const LinearCore::Rotation& rotation) {
    return rotation.key->automorphism->source[begin / 8] & ~(n - 1);
  };
  const auto fetch_input = [&](const LinearCore::Rotation& rotation, const LinearCore::Use& use) {
    const std::size_t source = l * stride_ + source_block(rotation);
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
    const LinearCore::Rotation* next = r + 1 < core.rotations.size() && core.rotations[r + 1].key != nullptr ? &core.rotations[r + 1] : nullptr;
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
