#include "weight_rounding.hpp"

#include <algorithm>
#include <utility>

#include "brainlock/base/parallel.hpp"
#include "brainlock/ckks/parameters.hpp"
#include "brainlock/math/modulus.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;

// Outputs of a Linear are looked at together as long as their weights, written out, take no more than this.
constexpr std::size_t kPartBytes = std::size_t{64} << 20;

/// Room for the same vector with its zeros.
plan::SlotVector written_out(const plan::SlotVector& vector) {
  if (vector.dense()) return {vector.period, {}, vector.values, {}};
  plan::SlotVector out{vector.period, {}, std::vector<std::complex<float>>(vector.period), {}};
  for (std::size_t i = 0; i < vector.values.size(); ++i) out.values[vector.slots[i]] = vector.values[i];
  return out;
}

std::size_t bytes_written_out(const plan::Linear& linear, const plan::Linear::Output& output) {
  const auto vectors =
      std::count_if(output.weights.begin(), output.weights.end(), [](std::int32_t w) { return w >= 0; });
  return static_cast<std::size_t>(vectors) * linear.period * sizeof(std::complex<float>);
}

/// The first output behind those that are looked at together with `first`.
std::size_t end_of_part(const plan::Linear& linear, std::size_t first) {
  std::size_t bytes = 0, last = first;
  do {
    bytes += bytes_written_out(linear, linear.outputs[last++]);
  } while (last < linear.outputs.size() && bytes + bytes_written_out(linear, linear.outputs[last]) <= kPartBytes);
  return last;
}

}  // namespace

Result<WeightRounding> WeightRounding::create(std::uint32_t ring_degree) {
  // Rounding depends on no prime, but an encoder wants a whole set of parameters: the smallest.
  const auto p = math::ntt_primes(30, 1, ring_degree);
  BRAINLOCK_ASSIGN(const auto parameters,
                   ckks::Parameters::create({ring_degree, math::ntt_primes(28, 1, ring_degree, p), p, 1}));
  return WeightRounding(ckks::Encoder(parameters));
}

Result<std::vector<plan::SlotVector>> WeightRounding::rounded(const std::vector<const plan::SlotVector*>& vectors,
                                                              double scale, unsigned threads) const {
  constexpr std::size_t kLanes = ckks::Encoder::kRoundTripLanes;
  std::vector<std::vector<std::size_t>> batches;  // of vectors of one period
  std::map<std::uint32_t, std::size_t> open;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const auto [it, is_new] = open.try_emplace(vectors[i]->period, batches.size());
    if (!is_new && batches[it->second].size() == kLanes) it->second = batches.size();
    if (it->second == batches.size()) batches.emplace_back();
    batches[it->second].push_back(i);
  }
  std::vector<plan::SlotVector> out(vectors.size());
  std::vector<Status> statuses(batches.size());
  parallel_for(batches.size(), threads, [&](std::size_t b) {
    std::vector<std::complex<float>*> values;
    for (const std::size_t i : batches[b]) {
      out[i] = written_out(*vectors[i]);
      values.push_back(out[i].values.data());
    }
    statuses[b] = encoder_.round_trip(values, vectors[batches[b].front()]->period, ckks::Scale::from_value(scale));
  });
  for (const Status& status : statuses) BRAINLOCK_TRY(status);
  return out;
}

Result<plan::Linear> WeightRounding::rounded_part(const plan::Linear& linear, std::size_t first, std::size_t last,
                                                  Rounded what, unsigned threads) const {
  plan::Linear part;
  part.inputs = linear.inputs;
  part.columns = linear.columns;
  part.giant_step = linear.giant_step;
  part.rotate_sums = linear.rotate_sums;
  part.period = linear.period;
  std::vector<const plan::SlotVector*> vectors, masks;
  std::map<std::int32_t, std::int32_t> index;  // in the part, of a weight vector
  for (std::size_t o = first; o < last; ++o) {
    const plan::Linear::Output& output = linear.outputs[o];
    part.outputs.push_back({output.out, output.columns, output.giants, output.weights, {}});
    for (std::int32_t& w : part.outputs.back().weights) {
      if (w < 0) continue;
      const auto [it, is_new] = index.try_emplace(w, static_cast<std::int32_t>(vectors.size()));
      if (is_new) vectors.push_back(&linear.vectors[static_cast<std::size_t>(w)]);
      w = it->second;
    }
    if (const plan::SlotVector* mask = linear.mask(o)) masks.push_back(mask);
  }
  const auto as_they_are = [](const std::vector<const plan::SlotVector*>& from, std::vector<plan::SlotVector>& to) {
    for (const plan::SlotVector* vector : from) to.push_back(*vector);
  };
  if (what == Rounded::kMasks) {
    as_they_are(vectors, part.vectors);
  } else {
    BRAINLOCK_ASSIGN(part.vectors, rounded(vectors, linear.weight_scale, threads));
  }
  if (what == Rounded::kWeights) {
    as_they_are(masks, part.masks);
  } else {
    BRAINLOCK_ASSIGN(part.masks, rounded(masks, linear.mask_scale, threads));
  }
  return part;
}

Result<RoundingDifferences> WeightRounding::differences(const plan::Program& program, const LayerRuns& runs,
                                                        Rounded what, unsigned threads) const {
  const auto& linear = std::get<plan::Linear>(program.instructions[runs.at()].op);
  RoundingDifferences sums;
  for (std::size_t first = 0, last = 0; first < linear.outputs.size(); first = last) {
    last = end_of_part(linear, first);
    BRAINLOCK_ASSIGN(plan::Linear part, rounded_part(linear, first, last, what, threads));
    std::vector<plan::Instruction> instructions;
    instructions.push_back({std::move(part), {}, 0, 0, 0, 0});
    const Fragment fragment(program.parameters.ring_degree, program.register_count, std::move(instructions));
    // Some samples at a time, so that not all of their differences are kept; the sum is made in their order.
    const std::size_t together = std::max(1U, threads);
    for (std::size_t from = 0; from < runs.samples(); from += together) {
      std::vector<RoundingDifferences> each(std::min(together, runs.samples() - from));
      const auto left =
          std::max(1U, threads / static_cast<unsigned>(each.size()));  // threads for each where samples are few
      parallel_for(each.size(), threads, [&](std::size_t i) {
        Fragment::Watch watch;
        watch.made = [&](plan::Register r, std::span<const Complex> slots) {
          const std::vector<Complex>& want = runs.made(from + i).at(r);
          std::vector<Complex>& difference = each[i][r];
          difference.resize(slots.size());
          for (std::size_t t = 0; t < slots.size(); ++t) difference[t] = slots[t] - want[t];
        };
        fragment.run(runs.values(from + i), watch, left);
      });
      for (const RoundingDifferences& differences : each) {
        for (const auto& [output, slots] : differences) {
          std::vector<Complex>& to = sums[output];
          to.resize(slots.size());
          for (std::size_t t = 0; t < slots.size(); ++t) to[t] += slots[t];
        }
      }
    }
  }
  return sums;
}

}  // namespace brainlock::compiler
