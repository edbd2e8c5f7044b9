// The core of a linear layer with full weights, some limbs at a time: their rotated columns, then the weights.
//
//   for each chunk of limbs whose columns fit the last cache
//     rotate_columns:      panel[column][poly][limb] = permute(sum_d digit[d] * key[d] + (c0, 0))
//     weight_columns_full: acc[o][g] = sum of W * column over the terms
#include <algorithm>
#include <bit>

#include "cuda_backend.hpp"
#include "device_lists.hpp"
#include "linear_plan.hpp"

namespace brainlock::device_cuda {
namespace {

constexpr std::size_t kPanelWords = std::size_t{32} << 18;   // 32 MB: well within the last cache of an A100 or H100

}  // namespace

Status CudaBackend::full_linear_core(const Stream& stream, const device::LinearCore& core) {
  const std::uint32_t rows = core.limbs + ring_.p_count, run = core.full_weights->run;
  std::vector<gpu::LinearRotation> rotations;
  std::vector<gpu::LinearUse> uses;
  list_rotations(core, false, rotations, uses);
  const std::size_t limb_words = 2 * uses.size() * degree_;
  const auto chunk = static_cast<std::uint32_t>(std::clamp<std::size_t>(kPanelWords / std::max<std::size_t>(limb_words, 1), 1, rows));
  BRAINLOCK_ASSIGN(device::Buffer panel, pool_->allocate(std::max<std::size_t>(limb_words * chunk, 1)));

  // Columns differ from chunk to chunk in first_limb alone; one list for each.
  const std::uint32_t chunks = (rows + chunk - 1) / chunk;
  std::vector<gpu::LinearColumn> columns(std::size_t{chunks} * core.column_count);
  for (std::uint32_t c = 0; c < chunks; ++c) {
    gpu::LinearColumn* const list = columns.data() + std::size_t{c} * core.column_count;
    for (const device::LinearCore::Rotation& rotation : core.rotations) {
      if (rotation.key != nullptr) continue;
      for (const auto& use : rotation.uses) {   // read only
        list[use.column] = {{const_cast<Word*>(core.inputs[use.input].c0), const_cast<Word*>(core.inputs[use.input].c1)}, 0};
      }
    }
    for (std::size_t u = 0; u < uses.size(); ++u) {
      Word* const poly0 = panel.data() + u * 2 * chunk * degree_;
      list[uses[u].column] = {{poly0, poly0 + chunk * degree_}, c * chunk};
    }
  }

  std::vector<gpu::LinearInput> inputs;
  for (const auto& input : core.inputs) inputs.push_back({input.c0, input.c1, input.digits});
  DeviceLists lists;
  const std::size_t at_inputs = lists.add(inputs), at_rotations = lists.add(rotations), at_uses = lists.add(uses), at_columns = lists.add(columns);
  std::vector<gpu::LinearTerm> terms;
  struct At {
    std::size_t acc, term_begin;
  };
  std::vector<At> at;
  gpu::LinearWork work{};
  std::uint32_t most_giants = 0;
  for (const device::LinearCore::Output& output : core.outputs) {
    std::vector<Word> term_begin;
    for (std::uint32_t g = 0; g < output.giants; ++g) {
      term_begin.push_back(static_cast<Word>(terms.size()));
      for (const auto& term : output.full[g]) {
        terms.push_back({core.full_weights->words.data() + std::size_t{term.vector} * rows * (degree_ / run), term.column});
      }
    }
    term_begin.push_back(static_cast<Word>(terms.size()));
    at.push_back({lists.add(std::vector<Word*>(output.acc.begin(), output.acc.end())), lists.add(term_begin)});
    most_giants = std::max(most_giants, output.giants);
    work.giants += output.giants;
  }
  work.key_loads = rotations.size();
  work.uses = uses.size();
  work.plain_columns = core.column_count - uses.size();
  work.products = terms.size();
  work.weight_words = work.products * (degree_ / run);
  const std::size_t at_terms = lists.add(terms), at_outputs = lists.add(std::vector<gpu::FullOutput>(core.outputs.size()));
  BRAINLOCK_ASSIGN(device::Buffer memory, upload_lists(lists, [&](const char* begin) {
    std::vector<gpu::FullOutput> outputs;
    for (std::size_t o = 0; o < at.size(); ++o) {
      outputs.push_back({list_at<Word*>(begin, at[o].acc), list_at<Word>(begin, at[o].term_begin), core.outputs[o].giants});
    }
    lists.set(at_outputs, outputs);
  }));
  const char* const base = reinterpret_cast<const char*>(memory.data());

  for (std::uint32_t c = 0; c < chunks; ++c) {
    if (stream.stopped()) return {};
    const std::uint32_t first = c * chunk, limbs = std::min(chunk, rows - first);
    const auto* const chunk_columns = list_at<gpu::LinearColumn>(base, at_columns) + std::size_t{c} * core.column_count;
    if (!rotations.empty()) {
      const gpu::RotateArguments rotate{.ring = tables_.ring, .rotations = list_at<gpu::LinearRotation>(base, at_rotations),
                                        .uses = list_at<gpu::LinearUse>(base, at_uses), .inputs = list_at<gpu::LinearInput>(base, at_inputs),
                                        .columns = chunk_columns, .limbs = core.limbs, .digits = ring_.digits(core.limbs), .first_limb = first};
      launch_words(gpu::Kernel::kRotateColumns, limbs, rotations.size(), rotate, 0, work);
    }
    if (most_giants == 0) continue;
    const gpu::FullWeightArguments weight{.ring = tables_.ring, .columns = chunk_columns, .outputs = list_at<gpu::FullOutput>(base, at_outputs),
                                          .terms = list_at<gpu::LinearTerm>(base, at_terms), .limbs = core.limbs, .first_limb = first,
                                          .most_giants = most_giants, .log_run = static_cast<Word>(std::countr_zero(run))};
    launch_words(gpu::Kernel::kWeightColumnsFull, limbs * most_giants, core.outputs.size(), weight, 0, work);
  }
  lists_launched(std::move(memory));
  return driver_->status();
}

}  // namespace brainlock::device_cuda
