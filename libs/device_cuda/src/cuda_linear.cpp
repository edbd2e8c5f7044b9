// The core of a linear layer, some limbs at a time: their rotated columns, then the weights.
//
//   for each chunk of limbs whose columns fit the last cache
//     rotate_columns: panel[column][poly][limb] = permute(sum_d digit[d] * key[d] + (c0, 0))
//     weight_columns: acc[o][g] = sum_k W[o][l][run][k][g] * column[k]
#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "cuda_backend.hpp"

namespace brainlock::device_cuda {
namespace {

constexpr std::size_t kPanelWords = std::size_t{32} << 18;   // 32 MB: well within the last cache of an A100 or H100

constexpr std::uint32_t kLeastRun = 4;                        // weights of a tile then fit the shared memory that a kernel need not ask for

/// Host image of lists that go to the device in one copy. Pointers are known beforehand: the memory is allocated for the sum of the sizes.
class Lists {
 public:
  template <typename T>
  std::size_t add(const std::vector<T>& values) {
    const std::size_t at = (bytes_.size() + 15) / 16 * 16;
    bytes_.resize(at + values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(bytes_.data() + at, values.data(), values.size() * sizeof(T));
    return at;
  }
  template <typename T>
  void set(std::size_t at, const std::vector<T>& values) {
    std::memcpy(bytes_.data() + at, values.data(), values.size() * sizeof(T));
  }
  const std::vector<char>& bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
};

}  // namespace

/// A linear layer as the kernels read it.
struct CudaBackend::LinearLists {
  std::vector<gpu::LinearInput> inputs;
  std::vector<gpu::LinearRotation> rotations;   // all but that by zero
  std::vector<gpu::LinearUse> uses;
  std::vector<bool> rotated;                    // per column
  std::vector<std::uint32_t> panel_place;       // of rotated columns, among them
  std::vector<std::pair<const Word*, const Word*>> plain;   // c0, c1 of the others
  std::uint32_t rotated_count = 0;

  explicit LinearLists(const device::LinearCore& core)
      : rotated(core.column_count), panel_place(core.column_count), plain(core.column_count) {
    for (const auto& input : core.inputs) inputs.push_back({input.c0, input.c1, input.digits});
    for (const device::LinearCore::Rotation& rotation : core.rotations) {
      if (rotation.key == nullptr) {
        for (const auto& use : rotation.uses) plain[use.column] = {core.inputs[use.input].c0, core.inputs[use.input].c1};
        continue;
      }
      rotations.push_back({rotation.key->words.data(), rotation.key->limbs, rotation.key->digits, rotation.key->galois_element,
                           static_cast<Word>(uses.size()), static_cast<Word>(rotation.uses.size())});
      for (const auto& use : rotation.uses) {
        uses.push_back({use.input, use.column});
        rotated[use.column] = true;
        panel_place[use.column] = rotated_count++;
      }
    }
  }
};

Status CudaBackend::linear_core(const Stream& stream, const device::LinearCore& core) {
  if (core.run_length < kLeastRun && !core.outputs.empty() && core.outputs[0].weights != nullptr)
    return {ErrorCode::kUnsupported, "cuda: weights that change every " + std::to_string(core.run_length) + " words, expected at least " + std::to_string(kLeastRun)};
  const std::uint32_t rows = core.limbs + ring_.p_count;
  const LinearLists lists(core);
  const std::size_t limb_words = std::size_t{2} * lists.rotated_count * degree_;
  const auto chunk = static_cast<std::uint32_t>(std::clamp<std::size_t>(kPanelWords / std::max<std::size_t>(limb_words, 1), 1, rows));
  BRAINLOCK_ASSIGN(device::Buffer panel, pool_->allocate(std::max<std::size_t>(limb_words * chunk, 1)));

  // Columns differ from chunk to chunk in first_limb alone; one list for each.
  const std::uint32_t chunks = (rows + chunk - 1) / chunk;
  std::vector<gpu::LinearColumn> columns;
  for (std::uint32_t c = 0; c < chunks; ++c) {
    for (std::uint32_t k = 0; k < core.column_count; ++k) {
      if (lists.rotated[k]) {
        Word* const poly0 = panel.data() + std::size_t{lists.panel_place[k]} * 2 * chunk * degree_;
        columns.push_back({{poly0, poly0 + chunk * degree_}, c * chunk});
      } else {  // read only
        columns.push_back({{const_cast<Word*>(lists.plain[k].first), const_cast<Word*>(lists.plain[k].second)}, 0});
      }
    }
  }
  Lists host;
  const std::size_t at_inputs = host.add(lists.inputs), at_rotations = host.add(lists.rotations), at_uses = host.add(lists.uses);
  const std::size_t at_columns = host.add(columns);
  const bool full = !core.outputs.empty() && core.outputs[0].weights == nullptr;
  std::vector<gpu::LinearOutput> outputs(core.outputs.size());
  std::vector<gpu::LinearTerm> terms;
  struct At {
    std::size_t columns, acc, term_begin;
  };
  std::vector<At> at;
  std::uint32_t most_giants = 0;
  for (const device::LinearCore::Output& output : core.outputs) {
    assert((output.weights == nullptr) == full);
    std::vector<Word> term_begin;
    if (full) {
      for (std::uint32_t g = 0; g < output.giants; ++g) {
        term_begin.push_back(static_cast<Word>(terms.size()));
        for (const auto& term : output.full[g]) terms.push_back({term.weights, term.column});
      }
      term_begin.push_back(static_cast<Word>(terms.size()));
    }
    at.push_back({host.add(std::vector<Word>(output.columns.begin(), output.columns.end())),
                  host.add(std::vector<Word*>(output.acc.begin(), output.acc.end())), host.add(term_begin)});
    most_giants = std::max(most_giants, output.giants);
  }
  const std::size_t at_terms = host.add(terms), at_outputs = host.add(outputs);

  BRAINLOCK_ASSIGN(device::Buffer memory, (lists_pool_ != nullptr ? *lists_pool_ : *pool_).allocate(host.bytes().size() / sizeof(Word) + 1));
  const char* const base = reinterpret_cast<const char*>(memory.data());
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    outputs[o] = {reinterpret_cast<const Word*>(base + at[o].columns), core.outputs[o].weights,
                  reinterpret_cast<Word* const*>(base + at[o].acc), reinterpret_cast<const Word*>(base + at[o].term_begin),
                  static_cast<Word>(core.outputs[o].columns.size()), core.outputs[o].giants};
  }
  host.set(at_outputs, outputs);
  meter_->copy_in(*driver_, memory.data(), host.bytes().data(), host.bytes().size());
  if (lists_pool_ != nullptr) kept_lists_.push_back(std::move(memory));

  const auto log_run = static_cast<unsigned>(std::countr_zero(core.run_length));
  gpu::LinearWork work{.key_loads = 0, .uses = lists.uses.size(), .columns = core.column_count, .weight_words = 0, .products = 0, .giants = 0};
  for (const gpu::LinearRotation& rotation : lists.rotations) work.key_loads += (rotation.use_count + gpu::kUsesAtOnce - 1) / gpu::kUsesAtOnce;
  for (const device::LinearCore::Output& output : core.outputs) {
    work.giants += output.giants;
    if (!full) work.products += std::uint64_t{output.giants} * output.columns.size();
  }
  if (full) work.products = terms.size();
  work.weight_words = work.products * (full ? degree_ : degree_ >> log_run);
  const unsigned giant_tiles = full ? most_giants : (most_giants + gpu::kGiantTile - 1) / gpu::kGiantTile;
  for (std::uint32_t c = 0; c < chunks; ++c) {
    if (stream.stopped()) return {};
    const std::uint32_t first = c * chunk, limbs = std::min(chunk, rows - first);
    const auto* const chunk_columns = reinterpret_cast<const gpu::LinearColumn*>(base + at_columns) + std::size_t{c} * core.column_count;
    if (!lists.rotations.empty()) {
      const gpu::RotateArguments rotate{.ring = tables_.ring, .rotations = reinterpret_cast<const gpu::LinearRotation*>(base + at_rotations),
                                        .uses = reinterpret_cast<const gpu::LinearUse*>(base + at_uses),
                                        .inputs = reinterpret_cast<const gpu::LinearInput*>(base + at_inputs), .columns = chunk_columns,
                                        .limbs = core.limbs, .digits = ring_.digits(core.limbs), .first_limb = first};
      launch_words(gpu::Kernel::kRotateColumns, limbs, lists.rotations.size(), rotate, 0, work);
    }
    if (giant_tiles == 0) continue;
    const gpu::WeightArguments weight{.ring = tables_.ring, .columns = chunk_columns,
                                      .outputs = reinterpret_cast<const gpu::LinearOutput*>(base + at_outputs),
                                      .terms = reinterpret_cast<const gpu::LinearTerm*>(base + at_terms), .limbs = core.limbs,
                                      .first_limb = first, .log_run = log_run, .giant_tiles = giant_tiles};
    if (full) {
      launch_words(gpu::Kernel::kWeightColumnsFull, limbs * giant_tiles, outputs.size(), weight, 0, work);
    } else {
      const unsigned runs = ((gpu::kWeightThreads - 1) >> log_run) + 1;
      launch(gpu::Kernel::kWeightColumns, 0,
             {static_cast<unsigned>(degree_ / gpu::kWeightThreads), limbs * giant_tiles, static_cast<unsigned>(outputs.size())}, gpu::kWeightThreads,
             runs * gpu::kColumnChunk * gpu::kGiantTile * sizeof(Word) + 2 * gpu::kColumnChunk * sizeof(const Word*), weight, work);
    }
  }
  return driver_->status();
}

}  // namespace brainlock::device_cuda
