// Yuma consensus: what an epoch makes of stakes and votes. A pure function in the chain's fixed-point arithmetic.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/ledger/types.hpp"

namespace brainlock::ledger {

/// One neuron as the epoch sees it.
struct EpochNeuron {
  std::uint64_t stake_rao = 0;
  bool validator_permit = false;  ///< of the previous epoch: that is what its votes are judged by
  BlockNumber last_update = 0;
  BlockNumber registered_at = 0;
  std::vector<Weight> weights;
  std::vector<Weight> bonds;  ///< as the previous epoch left them
};

struct EpochInput {
  BlockNumber block = 0;
  Hyperparameters parameters;  ///< used: tempo, kappa, bonds_moving_average, activity_cutoff, max_allowed_validators,
                               ///< stake_threshold_rao
  std::optional<Uid> owner;    ///< may vote for itself and below the threshold, and keeps a permit
  std::uint64_t emission_rao = 0;    ///< to be paid out to neurons
  std::vector<EpochNeuron> neurons;  ///< index == uid
};

/// What the epoch gives one neuron. Fractions: 65535 = 1.
struct EpochShare {
  bool validator_permit = false;  ///< for the time until the next epoch
  bool active = false;
  std::uint16_t consensus = 0;
  std::uint16_t incentive = 0;
  std::uint16_t dividends = 0;
  std::uint16_t validator_trust = 0;
  std::uint64_t emission_rao = 0;
  std::vector<Weight> bonds;  ///< column maximum scaled to 65535
};

/// Runs one epoch.
///
///   stake     -> normalised; below the threshold counts as 0
///   votes     -> rows without permit, votes for oneself and votes older than the voted-for neuron are dropped; rows
///   sum to 1 consensus -> per neuron, the smallest weight that validators with more than 1 - kappa of the stake do not
///   exceed clipped   -> min(weight, consensus); its row sums are the validators' trust incentive -> stake-weighted
///   column sums of the clipped votes, normalised bonds     -> moving average of clipped votes times stake, columns
///   normalised dividends -> bonds times incentive, normalised emission  -> incentive and dividends over their common
///   sum; by stake if nobody earned anything
///
/// Arithmetic is signed 32.32 fixed point, truncating, as the chain's: published results are met to the unit.
/// kInvalidArgument for more than 65536 neurons or a weight of an unknown uid. Cost: (number of weights) *
/// log(validators).
Result<std::vector<EpochShare>> run_epoch(const EpochInput& input);

}  // namespace brainlock::ledger
