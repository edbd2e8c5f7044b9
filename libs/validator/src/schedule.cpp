#include "brainlock/validator/schedule.hpp"

#include <algorithm>

namespace brainlock::validator {

std::vector<ledger::Uid> miners_of(const ledger::Metagraph& metagraph) {
  std::vector<ledger::Uid> out;
  for (const auto& neuron : metagraph.neurons) {
    if (neuron.axon) out.push_back(neuron.uid);
  }
  return out;
}

std::vector<ledger::Uid> sharing_validators(const ledger::Metagraph& metagraph, ledger::Uid self) {
  auto validators = metagraph.validators_by_rank();
  std::erase_if(validators, [&](ledger::Uid uid) { return uid != self && !metagraph.neurons[uid].active; });
  return validators;
}

std::vector<ledger::Uid> miners_in_slot(const ledger::Metagraph& metagraph, ledger::Uid self, std::uint64_t slot_blocks) {
  const auto validators = sharing_validators(metagraph, self);
  const auto place = std::find(validators.begin(), validators.end(), self);
  if (place == validators.end()) return {};
  const auto rank = static_cast<std::uint64_t>(place - validators.begin());
  const std::uint64_t slot = slot_blocks == 0 ? 0 : metagraph.block / slot_blocks;
  const std::uint64_t validator_count = validators.size();
  std::vector<ledger::Uid> out;
  const auto miners = miners_of(metagraph);
  for (std::uint64_t i = 0; i < miners.size(); ++i) {
    const bool due = slot_blocks == 0 || (i + slot) % validator_count == rank;
    if (due && miners[i] != self) out.push_back(miners[i]);
  }
  return out;
}

}  // namespace brainlock::validator
