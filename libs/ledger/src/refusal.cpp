#include "brainlock/ledger/ledger.hpp"

namespace brainlock::ledger {

std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "none";
    case Refusal::kSubnetUnknown:
      return "subnet_unknown";
    case Refusal::kNotRegistered:
      return "not_registered";
    case Refusal::kAlreadyRegistered:
      return "already_registered";
    case Refusal::kRegistrationClosed:
      return "registration_closed";
    case Refusal::kSubnetFull:
      return "subnet_full";
    case Refusal::kNotEnoughBalance:
      return "not_enough_balance";
    case Refusal::kStakeTooLow:
      return "stake_too_low";
    case Refusal::kNoPermit:
      return "no_permit";
    case Refusal::kTooSoon:
      return "too_soon";
    case Refusal::kVersionTooOld:
      return "version_too_old";
    case Refusal::kNoWeights:
      return "no_weights";
    case Refusal::kTooFewWeights:
      return "too_few_weights";
    case Refusal::kWeightTooLarge:
      return "weight_too_large";
    case Refusal::kDuplicateUid:
      return "duplicate_uid";
    case Refusal::kUnknownUid:
      return "unknown_uid";
    case Refusal::kBadAddress:
      return "bad_address";
    case Refusal::kBadPort:
      return "bad_port";
    case Refusal::kCommitRevealOnly:
      return "commit_reveal_only";
    case Refusal::kOther:
      return "other";
  }
  return "unknown";
}

std::string_view refusal_sentence(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "Accepted.";
    case Refusal::kSubnetUnknown:
      return "The ledger has no subnet of this number.";
    case Refusal::kNotRegistered:
      return "The hotkey is not registered in the subnet.";
    case Refusal::kAlreadyRegistered:
      return "The hotkey is already registered in the subnet.";
    case Refusal::kRegistrationClosed:
      return "The subnet takes no registrations now.";
    case Refusal::kSubnetFull:
      return "Every place in the subnet is taken by a neuron that is still immune.";
    case Refusal::kNotEnoughBalance:
      return "The coldkey cannot pay the cost of registration.";
    case Refusal::kStakeTooLow:
      return "The stake is below the threshold for setting weights.";
    case Refusal::kNoPermit:
      return "The neuron has no validator permit; permits are given at each epoch to the largest stakes.";
    case Refusal::kTooSoon:
      return "The rate limit has not passed since the last time.";
    case Refusal::kVersionTooOld:
      return "The subnet wants weights from a newer version of the software.";
    case Refusal::kNoWeights:
      return "The vote names nobody.";
    case Refusal::kTooFewWeights:
      return "The vote names fewer neurons than the subnet's minimum.";
    case Refusal::kWeightTooLarge:
      return "One weight takes a larger part of the vote than the subnet allows.";
    case Refusal::kDuplicateUid:
      return "The vote names one neuron twice.";
    case Refusal::kUnknownUid:
      return "The vote names a neuron that does not exist.";
    case Refusal::kBadAddress:
      return "The ledger does not take this address.";
    case Refusal::kBadPort:
      return "The port must be 1 to 65535.";
    case Refusal::kCommitRevealOnly:
      return "The subnet takes committed weights only.";
    case Refusal::kOther:
      return "The ledger refused for a reason that has no name here.";
  }
  return "Unknown refusal.";
}

}  // namespace brainlock::ledger
