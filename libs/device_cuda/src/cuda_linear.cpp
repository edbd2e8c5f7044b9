// The core of a linear layer with periodic weights: one launch. Its lists, which say which columns a block makes and where their weights are, go to
// the device in one copy.
#include <algorithm>
#include <bit>

#include "cuda_backend.hpp"
#include "device_lists.hpp"
#include "linear_plan.hpp"

namespace brainlock::device_cuda {
namespace {

constexpr std::uint32_t kLeastRun = 4;   // weights of a tile then fit the shared memory that a kernel need not ask for

}  // namespace

Status CudaBackend::linear_core(const Stream& stream, const device::LinearCore& core) {
  if (core.outputs.empty() || stream.stopped()) return {};
  return core.full_weights != nullptr ? full_linear_core(stream, core) : periodic_linear_core(core);
}

Result<device::Buffer> CudaBackend::upload_lists(DeviceLists& lists, const std::function<void(const char* base)>& link) {
  BRAINLOCK_ASSIGN(device::Buffer memory, (lists_pool_ != nullptr ? *lists_pool_ : *pool_).allocate(lists.bytes().size() / sizeof(Word) + 1));
  link(reinterpret_cast<const char*>(memory.data()));
  meter_->copy_in(*driver_, memory.data(), lists.bytes().data(), lists.bytes().size());
  return memory;
}

Status CudaBackend::periodic_linear_core(const device::LinearCore& core) {
  if (core.run_length < kLeastRun)
    return {ErrorCode::kUnsupported, "cuda: weights that change every " + std::to_string(core.run_length) + " words, expected at least " + std::to_string(kLeastRun)};
  const auto log_run = static_cast<unsigned>(std::countr_zero(core.run_length));
  const LinearPlan plan(core, log_run);

  std::vector<gpu::LinearInput> inputs;
  for (const auto& input : core.inputs) inputs.push_back({input.c0, input.c1, input.digits});
  DeviceLists lists;
  const std::size_t at_inputs = lists.add(inputs), at_rotations = lists.add(plan.rotations), at_uses = lists.add(plan.uses);
  const std::size_t at_chunks = lists.add(plan.chunks);
  struct At {
    std::size_t entries, entry_begin, acc;
  };
  std::vector<At> at;
  for (std::size_t o = 0; o < plan.outputs.size(); ++o) {
    at.push_back({lists.add(plan.outputs[o].entries), lists.add(plan.outputs[o].entry_begin),
                  lists.add(std::vector<Word*>(core.outputs[o].acc.begin(), core.outputs[o].acc.end()))});
  }
  const std::size_t at_tiles = lists.add(std::vector<gpu::LinearTile>(plan.tile_count));
  BRAINLOCK_ASSIGN(device::Buffer memory, upload_lists(lists, [&](const char* begin) {
    std::vector<gpu::LinearTile> tiles;
    for (std::size_t o = 0; o < plan.outputs.size(); ++o) {
      const device::LinearCore::Output& output = core.outputs[o];
      for (Word first = 0; first < output.giants; first += gpu::kGiantTile) {
        tiles.push_back({output.weights, list_at<gpu::LinearEntry>(begin, at[o].entries), list_at<Word>(begin, at[o].entry_begin),
                         list_at<Word*>(begin, at[o].acc), static_cast<Word>(output.columns.size()), output.giants, first,
                         std::min(output.giants - first, Word{gpu::kGiantTile})});
      }
    }
    lists.set(at_tiles, tiles);
  }));
  const char* const base = reinterpret_cast<const char*>(memory.data());

  const unsigned blocks = (plan.tile_count + plan.adders - 1) / plan.adders;
  gpu::LinearWork work{};
  for (const gpu::LinearRotation& rotation : plan.rotations) {
    (rotation.key == nullptr ? work.plain_columns : work.uses) += rotation.use_count;
    if (rotation.key != nullptr) ++work.key_loads;
  }
  for (const device::LinearCore::Output& output : core.outputs) {
    work.giants += output.giants;
    work.products += std::uint64_t{output.giants} * output.columns.size();
  }
  work.weight_words = work.products * (degree_ >> log_run);
  const gpu::LinearArguments arguments{.ring = tables_.ring, .inputs = list_at<gpu::LinearInput>(base, at_inputs),
                                       .rotations = list_at<gpu::LinearRotation>(base, at_rotations), .uses = list_at<gpu::LinearUse>(base, at_uses),
                                       .chunks = list_at<gpu::LinearChunk>(base, at_chunks), .tiles = list_at<gpu::LinearTile>(base, at_tiles),
                                       .chunk_count = static_cast<Word>(plan.chunks.size()), .tile_count = plan.tile_count, .limbs = core.limbs,
                                       .digits = ring_.digits(core.limbs), .log_run = log_run, .log_slots = plan.log_slots, .makers = plan.makers};
  launch(gpu::Kernel::kLinearLayer, 0, {static_cast<unsigned>(degree_ / gpu::kLinearTile), core.limbs + ring_.p_count, blocks},
         (plan.makers + plan.adders) * gpu::kLinearTile, plan.shared_bytes, arguments, work);
  lists_launched(std::move(memory));
  return driver_->status();
}

}  // namespace brainlock::device_cuda
