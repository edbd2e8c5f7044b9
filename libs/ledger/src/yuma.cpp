#include "brainlock/ledger/yuma.hpp"

#include <algorithm>
#include <string>

#include "fixed.hpp"

namespace brainlock::ledger {
namespace {

struct Entry {
  Uid column = 0;
  Fixed value;
};
using SparseRow = std::vector<Entry>;
using SparseMatrix = std::vector<SparseRow>;  // index == row

Fixed sum(const std::vector<Fixed>& values) {
  Fixed total;
  for (Fixed value : values) total += value;
  return total;
}

void normalise(std::vector<Fixed>& values) {
  const Fixed total = sum(values);
  if (total.raw == 0) return;
  for (Fixed& value : values) value = value / total;
}

void normalise_rows(SparseMatrix& matrix) {
  for (SparseRow& row : matrix) {
    Fixed total;
    for (const Entry& entry : row) total += entry.value;
    if (total.raw == 0) continue;
    for (Entry& entry : row) entry.value = entry.value / total;
  }
}

void normalise_columns(SparseMatrix& matrix) {
  std::vector<Fixed> totals(matrix.size());
  for (const SparseRow& row : matrix) {
    for (const Entry& entry : row) totals[entry.column] += entry.value;
  }
  for (SparseRow& row : matrix) {
    for (Entry& entry : row) {
      if (totals[entry.column].raw != 0) entry.value = entry.value / totals[entry.column];
    }
  }
}

SparseMatrix matrix_of(const std::vector<EpochNeuron>& neurons, std::vector<Weight> EpochNeuron::*field) {
  SparseMatrix matrix(neurons.size());
  for (std::size_t i = 0; i < neurons.size(); ++i) {
    for (const Weight& weight : neurons[i].*field) {
      if (weight.value != 0) matrix[i].push_back({weight.uid, Fixed::from_int(weight.value)});
    }
    std::sort(matrix[i].begin(), matrix[i].end(), [](const Entry& a, const Entry& b) { return a.column < b.column; });
  }
  return matrix;
}

/// Stakes as parts of their sum, truncated; in integers first, since rao do not fit 32 integer bits.
std::vector<Fixed> stake_parts(const std::vector<EpochNeuron>& neurons, const EpochInput& input) {
  Wide total = 0;
  std::vector<std::uint64_t> counted(neurons.size());
  for (std::size_t i = 0; i < neurons.size(); ++i) {
    const bool owner = input.owner && *input.owner == i;
    if (owner || neurons[i].stake_rao >= input.parameters.stake_threshold_rao) counted[i] = neurons[i].stake_rao;
    total += counted[i];
  }
  std::vector<Fixed> parts(neurons.size());
  if (total == 0) return parts;
  for (std::size_t i = 0; i < neurons.size(); ++i) {
    parts[i].raw = static_cast<std::int64_t>((static_cast<Wide>(counted[i]) << 32) / total);
  }
  return parts;
}

/// Per column, the smallest value w such that validators holding more than (total - majority) of the stake gave at most
/// w.
std::vector<Fixed> weighted_median(const std::vector<Fixed>& stake, const SparseMatrix& weights, Fixed majority) {
  const std::size_t n = weights.size();
  std::vector<Fixed> use = stake;
  normalise(use);
  const Fixed minority = sum(use) - majority;
  std::vector<std::vector<std::pair<Fixed, Fixed>>> columns(n);  // (weight, stake) of those who gave something
  std::vector<Fixed> given(n);                                   // stake of those
  for (std::size_t i = 0; i < n; ++i) {
    if (use[i].raw == 0) continue;
    for (const Entry& entry : weights[i]) {
      columns[entry.column].emplace_back(entry.value, use[i]);
      given[entry.column] += use[i];
    }
  }
  const Fixed everyone = sum(use);
  std::vector<Fixed> median(n);
  for (std::size_t j = 0; j < n; ++j) {
    auto& column = columns[j];
    Fixed covered = everyone - given[j];  // those who gave it nothing
    if (column.empty() || covered > minority) continue;
    std::sort(column.begin(), column.end());
    for (const auto& [value, held] : column) {
      covered += held;
      if (covered > minority) {
        median[j] = value;
        break;
      }
    }
  }
  return median;
}

std::vector<bool> largest_stakes(const std::vector<Fixed>& stake, std::size_t count) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < stake.size(); ++i) {
    if (stake[i].raw > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return stake[a] > stake[b]; });
  std::vector<bool> chosen(stake.size());
  for (std::size_t k = 0; k < std::min(count, order.size()); ++k) chosen[order[k]] = true;
  return chosen;
}

/// alpha * fresh + (1 - alpha) * old, over the union of their entries.
SparseMatrix blend(const SparseMatrix& fresh, const SparseMatrix& old, Fixed alpha) {
  const Fixed rest = Fixed::from_int(1) - alpha;
  SparseMatrix out(fresh.size());
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    auto a = fresh[i].begin();
    auto b = old[i].begin();
    while (a != fresh[i].end() || b != old[i].end()) {
      Entry entry;
      const bool from_a = a != fresh[i].end() && (b == old[i].end() || a->column <= b->column);
      const bool from_b = b != old[i].end() && (a == fresh[i].end() || b->column <= a->column);
      entry.column = from_a ? a->column : b->column;
      if (from_a) entry.value += alpha * (a++)->value;
      if (from_b) entry.value += rest * (b++)->value;
      if (entry.value.raw > 0) out[i].push_back(entry);
    }
  }
  return out;
}

std::vector<std::vector<Weight>> upscale_columns(const SparseMatrix& bonds) {
  std::vector<Fixed> largest(bonds.size());
  for (const SparseRow& row : bonds) {
    for (const Entry& entry : row) largest[entry.column] = std::max(largest[entry.column], entry.value);
  }
  std::vector<std::vector<Weight>> out(bonds.size());
  for (std::size_t i = 0; i < bonds.size(); ++i) {
    for (const Entry& entry : bonds[i]) {
      const std::uint16_t value = (entry.value / largest[entry.column]).to_u16();
      if (value > 0) out[i].push_back({entry.column, value});
    }
  }
  return out;
}

std::uint64_t part_of(std::uint64_t emission, Fixed part) {
  return static_cast<std::uint64_t>((static_cast<Wide>(emission) * part.raw) >> 32);
}

Status check(const EpochInput& input) {
  const std::size_t n = input.neurons.size();
  if (n > 65536) return Error{ErrorCode::kInvalidArgument, "expected at most 65536 neurons, got " + std::to_string(n)};
  for (std::size_t i = 0; i < n; ++i) {
    for (const auto* row : {&input.neurons[i].weights, &input.neurons[i].bonds}) {
      for (const Weight& weight : *row) {
        if (weight.uid >= n) {
          return Error{ErrorCode::kInvalidArgument, "uid " + std::to_string(i) + " names uid " +
                                                        std::to_string(weight.uid) + " of " + std::to_string(n)};
        }
      }
    }
  }
  return {};
}

}  // namespace

Result<std::vector<EpochShare>> run_epoch(const EpochInput& input) {
  BRAINLOCK_TRY(check(input));
  const auto& neurons = input.neurons;
  const std::size_t n = neurons.size();
  const auto is_owner = [&](std::size_t uid) { return input.owner && *input.owner == uid; };

  // Stake, permits for the future, activity.
  const std::vector<Fixed> stake = stake_parts(neurons, input);
  const std::vector<bool> permits = largest_stakes(stake, input.parameters.max_allowed_validators);
  std::vector<Fixed> active_stake = stake;
  std::vector<EpochShare> shares(n);
  for (std::size_t i = 0; i < n; ++i) {
    shares[i].validator_permit = permits[i] || is_owner(i);
    shares[i].active = neurons[i].last_update + input.parameters.activity_cutoff >= input.block;
    if (!shares[i].active || !neurons[i].validator_permit) active_stake[i] = {};
  }
  normalise(active_stake);

  // Votes that count.
  SparseMatrix weights = matrix_of(neurons, &EpochNeuron::weights);
  for (std::size_t i = 0; i < n; ++i) {
    if (!neurons[i].validator_permit) weights[i].clear();
    std::erase_if(weights[i], [&](const Entry& entry) {
      return (entry.column == i && !is_owner(i)) || neurons[i].last_update <= neurons[entry.column].registered_at;
    });
  }
  normalise_rows(weights);

  // Consensus, clipping, trust, ranks.
  const Fixed kappa = Fixed::from_int(input.parameters.kappa) / Fixed::from_int(65535);
  const std::vector<Fixed> consensus = weighted_median(active_stake, weights, kappa);
  SparseMatrix clipped = weights;
  std::vector<Fixed> incentive(n);
  for (std::size_t i = 0; i < n; ++i) {
    Fixed trust;
    for (Entry& entry : clipped[i]) {
      entry.value = std::min(entry.value, consensus[entry.column]);
      trust += entry.value;
      incentive[entry.column] += active_stake[i] * entry.value;
    }
    shares[i].validator_trust = trust.to_u16();
  }
  normalise(incentive);

  // Bonds: old ones to a neuron that registered within the last tempo belong to somebody else.
  SparseMatrix old_bonds = matrix_of(neurons, &EpochNeuron::bonds);
  const BlockNumber last_tempo = input.block > input.parameters.tempo ? input.block - input.parameters.tempo : 0;
  for (SparseRow& row : old_bonds) {
    std::erase_if(row, [&](const Entry& entry) { return last_tempo <= neurons[entry.column].registered_at; });
  }
  normalise_columns(old_bonds);
  SparseMatrix fresh_bonds = clipped;
  for (std::size_t i = 0; i < n; ++i) {
    for (Entry& entry : fresh_bonds[i]) entry.value = entry.value * active_stake[i];
  }
  normalise_columns(fresh_bonds);
  const auto average =
      static_cast<std::int64_t>(std::min<std::uint64_t>(input.parameters.bonds_moving_average, 1'000'000));
  const Fixed alpha = Fixed::from_int(1) - Fixed::from_int(average) / Fixed::from_int(1'000'000);
  SparseMatrix bonds = blend(fresh_bonds, old_bonds, alpha);
  normalise_columns(bonds);

  std::vector<Fixed> dividends(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (const Entry& entry : bonds[i]) dividends[i] += entry.value * incentive[entry.column];
  }
  normalise(dividends);

  // Emission: half to miners and half to validators as a rule; by stake while nobody has earned anything.
  const Fixed earned = sum(incentive) + sum(dividends);
  const std::vector<Fixed>& by_stake = sum(active_stake).raw != 0 ? active_stake : stake;
  auto stored_bonds = upscale_columns(bonds);
  for (std::size_t i = 0; i < n; ++i) {
    shares[i].consensus = consensus[i].to_u16();
    shares[i].incentive = incentive[i].to_u16();
    shares[i].dividends = dividends[i].to_u16();
    shares[i].bonds = std::move(stored_bonds[i]);
    shares[i].emission_rao = earned.raw == 0 ? part_of(input.emission_rao, by_stake[i])
                                             : part_of(input.emission_rao, incentive[i] / earned) +
                                                   part_of(input.emission_rao, dividends[i] / earned);
  }
  return shares;
}

}  // namespace brainlock::ledger
