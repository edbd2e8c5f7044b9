#include "brainlock/ledger/schedule.hpp"

#include <algorithm>

namespace brainlock::ledger {

std::vector<Uid> miners_of(const Metagraph& metagraph) {
  std::vector<Uid> out;
  for (const auto& neuron : metagraph.neurons) {
    if (neuron.axon) out.push_back(neuron.uid);
  }
  return out;
}

std::vector<Uid> sharing_validators(const Metagraph& metagraph, Uid self) {
  auto validators = metagraph.validators_by_rank();
  std::erase_if(validators, [&](Uid uid) { return uid != self && !metagraph.neurons[uid].active; });
  return validators;
}

std::vector<Uid> miners_in_slot(const Metagraph& metagraph, Uid self, std::uint64_t slot_blocks) {
  const auto validators = sharing_validators(metagraph, self);
  const auto place = std::find(validators.begin(), validators.end(), self);
  if (place == validators.end()) return {};
  const auto rank = static_cast<std::uint64_t>(place - validators.begin());
  const std::uint64_t slot = slot_blocks == 0 ? 0 : metagraph.block / slot_blocks;
  const std::uint64_t validator_count = validators.size();
  std::vector<Uid> out;
  const auto miners = miners_of(metagraph);
  for (std::uint64_t i = 0; i < miners.size(); ++i) {
    const bool due = slot_blocks == 0 || (i + slot) % validator_count == rank;
    if (due && miners[i] != self) out.push_back(miners[i]);
  }
  return out;
}

std::optional<Uid> validator_in_slot(const Metagraph& metagraph, Uid miner, std::uint64_t slot_blocks) {
  auto validators = metagraph.validators_by_rank();
  std::erase_if(validators, [&](Uid uid) { return !metagraph.neurons[uid].active; });
  const auto miners = miners_of(metagraph);
  const auto place = std::find(miners.begin(), miners.end(), miner);
  if (validators.empty() || place == miners.end() || slot_blocks == 0) return std::nullopt;
  const Uid validator = validators[(static_cast<std::uint64_t>(place - miners.begin()) + metagraph.block / slot_blocks) % validators.size()];
  return validator == miner ? std::nullopt : std::optional(validator);
}

}  // namespace brainlock::ledger
