#include "weight_rounding.hpp"

#include <algorithm>

#include "brainlock/base/parallel.hpp"
#include "brainlock/ckks/encoder.hpp"
#include "brainlock/ckks/parameters.hpp"
#include "brainlock/math/modulus.hpp"
#include "brainlock/plan/slot_interpreter.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;

/// Rounding depends on no prime, but an encoder wants a whole set of parameters: the smallest.
Result<ckks::Encoder> encoder_of(std::uint32_t ring_degree) {
  const auto p = math::ntt_primes(30, 1, ring_degree);
  BRAINLOCK_ASSIGN(const auto parameters, ckks::Parameters::create({ring_degree, math::ntt_primes(28, 1, ring_degree, p), p, 1}));
  return ckks::Encoder(parameters);
}

/// The same vector with its zeros.
plan::SlotVector written_out(const plan::SlotVector& vector) {
  plan::SlotVector out;
  out.period = vector.period;
  for (const Complex& v : vector.expanded()) out.values.emplace_back(static_cast<float>(v.real()), static_cast<float>(v.imag()));
  return out;
}

/// The program with its weights and masks as encryption meets them: encoded, rounded, decoded.
Result<plan::Program> with_rounded_weights(const plan::Program& program, Rounded rounded, unsigned threads) {
  BRAINLOCK_ASSIGN(const auto encoder, encoder_of(program.parameters.ring_degree));
  plan::Program out = program;
  struct Batch {
    std::vector<std::complex<float>*> vectors;
    std::uint32_t period;
    double scale;
    Status status;
  };
  std::vector<Batch> batches;
  for (plan::Instruction& instruction : out.instructions) {
    auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    const auto add = [&](std::vector<plan::SlotVector>& vectors, double scale) {
      const std::size_t first = batches.size();   // of this layer: the scale is its own
      for (plan::SlotVector& vector : vectors) {
        if (!vector.dense()) vector = written_out(vector);
        const auto open = std::find_if(batches.begin() + static_cast<std::ptrdiff_t>(first), batches.end(), [&](const Batch& batch) {
          return batch.period == vector.period && batch.vectors.size() < ckks::Encoder::kRoundTripLanes;
        });
        Batch& batch = open != batches.end() ? *open : batches.emplace_back(Batch{{}, vector.period, scale, {}});
        batch.vectors.push_back(vector.values.data());
      }
    };
    if (rounded != Rounded::kMasks) add(linear->vectors, linear->weight_scale);
    if (rounded != Rounded::kWeights) add(linear->masks, linear->mask_scale);
  }
  parallel_for(batches.size(), threads, [&](std::size_t i) {
    Batch& batch = batches[i];
    batch.status = encoder.round_trip(batch.vectors, batch.period, ckks::Scale::from_value(batch.scale));
  });
  for (const Batch& batch : batches) BRAINLOCK_TRY(batch.status);
  return out;
}

/// For one sample.
RoundingDifferences differences_of(const plan::SlotInterpreter& clear, const plan::SlotInterpreter& off, const std::vector<float>& sample,
                                   unsigned threads) {
  RoundingDifferences exact, differences;
  plan::Noise record, compare;
  record.after_linear = [&](const plan::Instruction&, const plan::Linear::Output& output, std::span<Complex> slots) {
    exact[output.out].assign(slots.begin(), slots.end());
  };
  compare.after_linear = [&](const plan::Instruction&, const plan::Linear::Output& output, std::span<Complex> slots) {
    const std::vector<Complex>& want = exact.at(output.out);
    std::vector<Complex>& difference = differences[output.out];
    difference.resize(slots.size());
    for (std::size_t t = 0; t < slots.size(); ++t) difference[t] = slots[t] - want[t];
    std::copy(want.begin(), want.end(), slots.begin());   // the next layer reads what is exact
  };
  (void)clear.run(sample, nullptr, &record, threads);
  (void)off.run(sample, nullptr, &compare, threads);
  return differences;
}

}  // namespace

Result<RoundingDifferences> rounding_differences(const plan::Program& program, std::span<const std::vector<float>> samples, unsigned threads,
                                                 Rounded rounded) {
  BRAINLOCK_ASSIGN(const plan::Program rounded_program, with_rounded_weights(program, rounded, threads));
  const plan::SlotInterpreter clear(program), off(rounded_program);
  std::vector<RoundingDifferences> each(samples.size());
  const auto left = std::max(1U, threads / static_cast<unsigned>(samples.size()));   // threads for each where samples are few
  parallel_for(samples.size(), threads, [&](std::size_t i) { each[i] = differences_of(clear, off, samples[i], left); });
  RoundingDifferences sum;
  for (const RoundingDifferences& differences : each) {
    for (const auto& [output, slots] : differences) {
      std::vector<Complex>& to = sum[output];
      to.resize(slots.size());
      for (std::size_t t = 0; t < slots.size(); ++t) to[t] += slots[t];
    }
  }
  return sum;
}

}  // namespace brainlock::compiler
