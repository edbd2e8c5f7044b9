#include "linear_plan.hpp"

#include <algorithm>

namespace brainlock::device_cuda {
namespace {

constexpr std::size_t kMostSharedBytes = std::size_t{44} << 10;   // a kernel that asks for no more gets 48 KB

/// See LinearTileMemory.
std::size_t shared_bytes_of(unsigned log_slots, unsigned adders, unsigned log_run) {
  const std::size_t slots = std::size_t{1} << log_slots, runs = ((gpu::kLinearTile - 1) >> log_run) + 1;
  return 2 * sizeof(gpu::Word) * (slots * 2 * gpu::kLinearTile + adders * (runs * slots * gpu::kGiantTile + slots));
}

}  // namespace

void list_rotations(const device::LinearCore& core, bool zero, std::vector<gpu::LinearRotation>& rotations, std::vector<gpu::LinearUse>& uses) {
  for (const device::LinearCore::Rotation& rotation : core.rotations) {
    if (rotation.key == nullptr && !zero) continue;
    for (std::size_t first = 0; first < rotation.uses.size(); first += gpu::kUsesAtOnce) {
      const std::size_t count = std::min<std::size_t>(gpu::kUsesAtOnce, rotation.uses.size() - first);
      gpu::LinearRotation listed{};
      if (rotation.key != nullptr) {
        listed = {rotation.key->words.data(), rotation.key->limbs, rotation.key->digits, rotation.key->galois_element, 0, 0};
      }
      listed.first_use = static_cast<gpu::Word>(uses.size());
      listed.use_count = static_cast<gpu::Word>(count);
      rotations.push_back(listed);
      for (const auto& use : rotation.uses.subspan(first, count)) uses.push_back({use.input, use.column});
    }
  }
}

LinearPlan::LinearPlan(const device::LinearCore& core, unsigned log_run) {
  list_rotations(core, true, rotations, uses);
  for (const device::LinearCore::Output& output : core.outputs) {
    Output& planned = outputs.emplace_back();
    planned.tiles = (output.giants + gpu::kGiantTile - 1) / gpu::kGiantTile;
    tile_count += planned.tiles;
  }
  // As many adders as there is work for, all blocks alike, and makers in all other groups that a multiprocessor has registers for. A maker has about
  // as much to do for a column as one adder and waits more: a key's words come from memory, and the fewer inputs share them, the more of them must be
  // on their way at a time.
  const unsigned blocks = std::max((tile_count + gpu::kMostAdders - 1) / gpu::kMostAdders, 1u);
  adders = std::max((tile_count + blocks - 1) / blocks, 1u);
  makers = gpu::kMostLinearGroups - adders;
  log_slots = gpu::kMostLogSlots;
  while (shared_bytes_of(log_slots, adders, log_run) > kMostSharedBytes) --log_slots;
  shared_bytes = shared_bytes_of(log_slots, adders, log_run);

  // Rotations in their order, as many as there are places for, and the same number for each maker.
  const std::size_t slots = std::size_t{1} << log_slots;
  gpu::Word most_uses = 1;
  for (const gpu::LinearRotation& rotation : rotations) most_uses = std::max(most_uses, rotation.use_count);
  const std::size_t fitting = slots / most_uses, most_rotations = std::max<std::size_t>(fitting / makers * makers, 1);
  struct Set {   ///< of rotations
    std::size_t first, count;
  };
  struct Place {
    std::size_t set = 0;
    gpu::Word slot = 0;
  };
  std::vector<Set> sets;
  std::vector<Place> places(core.column_count);
  for (std::size_t first = 0; first < rotations.size(); first += most_rotations) {
    const std::size_t count = std::min<std::size_t>(most_rotations, rotations.size() - first);
    gpu::Word slot = 0;
    for (std::size_t r = first; r < first + count; ++r) {
      for (gpu::Word u = 0; u < rotations[r].use_count; ++u) {
        gpu::LinearUse& use = uses[rotations[r].first_use + u];
        places[use.column] = {sets.size(), slot};
        use.column = slot++;
      }
    }
    sets.push_back({first, count});
  }

  std::vector<std::vector<std::vector<gpu::LinearEntry>>> entries(outputs.size(), std::vector<std::vector<gpu::LinearEntry>>(sets.size()));
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    for (gpu::Word k = 0; k < core.outputs[o].columns.size(); ++k) {
      const Place& place = places[core.outputs[o].columns[k]];
      entries[o][place.set].push_back({place.slot, k});
    }
    outputs[o].entry_begin.push_back(0);
  }
  for (std::size_t s = 0; s < sets.size(); ++s) {
    std::size_t most = 0;
    for (const auto& of_output : entries) most = std::max(most, of_output[s].size());
    for (std::size_t first = 0; first < most; first += slots) {
      chunks.push_back({static_cast<gpu::Word>(sets[s].first), static_cast<gpu::Word>(sets[s].count)});
      for (std::size_t o = 0; o < outputs.size(); ++o) {
        const auto& all = entries[o][s];
        const std::size_t begin = std::min(first, all.size()), end = std::min(first + slots, all.size());
        outputs[o].entries.insert(outputs[o].entries.end(), all.data() + begin, all.data() + end);
        outputs[o].entry_begin.push_back(static_cast<gpu::Word>(outputs[o].entries.size()));
      }
    }
  }
}

}  // namespace brainlock::device_cuda
