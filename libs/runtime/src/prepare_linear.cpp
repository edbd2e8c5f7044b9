#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>

#include "brainlock/ckks/encoder.hpp"
#include "loaded_program_impl.hpp"

namespace brainlock::runtime {
namespace {

using device::Buffer;
using device::Word;
using Complex = std::complex<double>;

// Shorter runs are multiplied as full vectors are.
constexpr std::uint32_t kMinRunLength = 8;

/// Collects the first error of parallel tasks.
class FirstError {
 public:
  void set(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
  }
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  std::mutex mutex_;
  std::optional<Error> error_;
};

/// Evaluation-domain words of weight vectors, in Montgomery form, by [vector][limb][run].
class EncodedVectors {
 public:
  static Result<EncodedVectors> make(const Machine& machine, const plan::Linear& linear, std::uint32_t limbs) {
    EncodedVectors out;
    const ckks::Parameters& parameters = *machine.parameters;
    const ckks::Encoder encoder(machine.parameters);
    const auto scale = ckks::Scale::from_value(linear.weight_scale);
    out.rows_ = limbs + parameters.p_count();
    out.runs_ = 2 * linear.period;
    out.words_.resize(linear.vectors.size() * out.rows_ * out.runs_);
    FirstError first;
    machine.pool->parallel_for(linear.vectors.size(), {}, [&](std::size_t v, unsigned) {
      auto coefficients = encoder.to_coefficients(linear.vectors[v].expanded(), scale);
      if (!coefficients) {
        first.set(coefficients.error().in("weight vector " + std::to_string(v)));
        return;
      }
      for (std::uint32_t l = 0; l < out.rows_; ++l) {
        const std::uint32_t index = l < limbs ? l : parameters.q_count() + (l - limbs);
        const std::span<Word> words = out.row(v, l);
        encoder.to_run_values(*coefficients, index, words);
        for (Word& word : words) word = math::to_montgomery(word, parameters.modulus(index));
      }
    });
    BRAINLOCK_TRY(first.status());
    return out;
  }
  std::span<Word> row(std::size_t vector, std::uint32_t l) {
    return {words_.data() + (vector * rows_ + l) * runs_, runs_};
  }
  std::uint32_t rows() const { return rows_; }
  std::uint32_t runs() const { return runs_; }

 private:
  std::uint32_t rows_ = 0, runs_ = 0;
  std::vector<Word> words_;
};

void group_rotations(const Machine& machine, const plan::Linear& linear, PreparedLinear& out) {
  const std::uint32_t degree = machine.parameters->ring_degree();
  out.input_rotates.assign(linear.inputs.size(), false);
  std::map<std::uint32_t, std::size_t> position;
  for (std::uint32_t c = 0; c < linear.columns.size(); ++c) {
    const plan::Linear::Column& column = linear.columns[c];
    const std::uint32_t element = ckks::rotation_element(degree, column.rotation);
    const auto [it, added] = position.emplace(element, out.rotations.size());
    if (added) out.rotations.push_back({element, {}});
    out.rotations[it->second].uses.push_back({column.input, c});
    if (element != 1) out.input_rotates[column.input] = true;
  }
  for (const std::int64_t r : plan::giant_rotations(linear)) out.giant_elements.push_back(ckks::rotation_element(degree, static_cast<std::int32_t>(r)));
  for (const std::int32_t r : linear.rotate_sums) out.sum_elements.push_back(ckks::rotation_element(degree, r));
}

/// [limb][run][column][giant]
Result<Buffer> arrange_periodic(const Machine& machine, const plan::Linear::Output& output, EncodedVectors& encoded) {
  const std::size_t columns = output.columns.size(), giants = output.giants;
  const std::size_t runs = encoded.runs(), rows = encoded.rows();
  BRAINLOCK_ASSIGN(Buffer buffer, machine.backend->allocate(rows * runs * columns * giants));
  std::vector<Word> host(runs * columns * giants);
  for (std::uint32_t l = 0; l < rows; ++l) {
    machine.pool->parallel_for(columns, {}, [&](std::size_t k, unsigned) {
      for (std::size_t g = 0; g < giants; ++g) {
        const std::int32_t v = output.weights[k * giants + g];
        const std::span<const Word> values = v < 0 ? std::span<const Word>{} : encoded.row(static_cast<std::size_t>(v), l);
        for (std::size_t r = 0; r < runs; ++r) host[(r * columns + k) * giants + g] = v < 0 ? 0 : values[r];
      }
    });
    machine.backend->upload_words({}, buffer.data() + l * host.size(), host);
  }
  return buffer;
}

/// The terms of every output's giants, with vectors numbered in the order of their first use. `order`: which vectors of the program those are.
void list_terms(const plan::Linear& linear, PreparedWeights& out, std::vector<std::size_t>& order) {
  std::map<std::int32_t, std::uint32_t> number;
  for (std::size_t o = 0; o < linear.outputs.size(); ++o) {
    const plan::Linear::Output& output = linear.outputs[o];
    auto& terms = out.outputs[o].full;
    terms.resize(output.giants);
    for (std::uint32_t g = 0; g < output.giants; ++g) {
      for (std::size_t k = 0; k < output.columns.size(); ++k) {
        const std::int32_t v = output.weights[k * output.giants + g];
        if (v < 0) continue;
        const auto [it, added] = number.emplace(v, static_cast<std::uint32_t>(order.size()));
        if (added) order.push_back(static_cast<std::size_t>(v));
        terms[g].push_back({output.columns[k], it->second});
      }
    }
  }
}

Result<device::FullWeights> store_full(const Machine& machine, const std::vector<std::size_t>& order, std::uint32_t limbs, EncodedVectors& encoded) {
  device::FullWeights out{.words = {}, .limbs = limbs, .vectors = static_cast<std::uint32_t>(order.size()),
                          .run = machine.parameters->ring_degree() / encoded.runs()};
  BRAINLOCK_ASSIGN(out.words, machine.backend->allocate(machine.backend->full_weight_words(limbs, out.vectors, out.run)));
  for (std::uint32_t l = 0; l < encoded.rows(); ++l) {
    std::vector<device::WeightTransfer> transfers;
    for (std::size_t v = 0; v < order.size(); ++v) transfers.push_back({&out, encoded.row(order[v], l).data(), l, static_cast<std::uint32_t>(v)});
    machine.backend->upload_full_weights({}, transfers);
  }
  return out;
}

/// Over Q*P, for sums that have not been divided by P yet.
Result<Buffer> store_mask(const Machine& machine, const plan::SlotVector& mask, double scale, std::uint32_t limbs) {
  const ckks::Parameters& parameters = *machine.parameters;
  const ckks::Encoder encoder(machine.parameters);
  BRAINLOCK_ASSIGN(const auto coefficients, encoder.to_coefficients(mask.expanded(), ckks::Scale::from_value(scale)));
  BRAINLOCK_ASSIGN(Buffer buffer, machine.backend->allocate(machine.backend->poly_words(limbs, true)));
  const std::uint32_t rows = limbs + parameters.p_count();
  const std::size_t degree = parameters.ring_degree(), runs = 2 * std::size_t{mask.period};
  std::vector<Word> words(rows * degree);
  machine.pool->parallel_for(rows, {}, [&](std::size_t l, unsigned) {
    Word* const row = words.data() + l * degree;
    const auto index = static_cast<std::uint32_t>(l < limbs ? l : parameters.q_count() + (l - limbs));
    encoder.to_run_values(coefficients, index, std::span(row, runs));
    for (std::size_t t = degree; t-- > 0;) row[t] = row[t / (degree / runs)];   // from behind: run values lie in front
  });
  std::vector<device::LimbTransfer> transfers;
  for (std::uint32_t l = 0; l < rows; ++l) transfers.push_back({buffer.data() + l * machine.backend->limb_stride(), words.data() + l * degree});
  machine.backend->upload({}, transfers);
  return buffer;
}

/// Modulo q[0] alone: before a refresh only the sum with what it is added to has to fit the modulus.
Result<ckks::Words> encode_to_one_limb(const ckks::Encoder& encoder, const plan::SlotVector& bias, ckks::Scale scale) {
  BRAINLOCK_ASSIGN(const auto coefficients, encoder.to_coefficients(bias.expanded(), scale));
  const std::size_t degree = encoder.parameters().ring_degree(), runs = coefficients.size();
  ckks::Words words(degree);
  encoder.to_run_values(coefficients, 0, std::span(words.data(), runs));
  for (std::size_t t = degree; t-- > 0;) words[t] = words[t / (degree / runs)];   // from behind: run values lie in front
  return words;
}

Result<Buffer> store_bias(const Machine& machine, const plan::SlotVector& bias, double scale_value, std::uint32_t limbs) {
  const ckks::Encoder encoder(machine.parameters);
  const auto scale = ckks::Scale::from_value(scale_value);
  BRAINLOCK_ASSIGN(const ckks::Words words, limbs == 1 ? encode_to_one_limb(encoder, bias, scale) : encoder.encode(bias.expanded(), scale, limbs));
  BRAINLOCK_ASSIGN(Buffer buffer, machine.backend->allocate(machine.backend->poly_words(limbs, false)));
  std::vector<device::LimbTransfer> transfers;
  for (std::uint32_t l = 0; l < limbs; ++l) {
    transfers.push_back({buffer.data() + l * machine.backend->limb_stride(),
                         words.data() + std::size_t{l} * machine.parameters->ring_degree()});
  }
  machine.backend->upload({}, transfers);
  return buffer;
}

Result<std::shared_ptr<const PreparedWeights>> prepare_weights(const Machine& machine, const plan::Linear& linear, std::uint32_t limbs,
                                                              std::size_t& weight_bytes) {
  const auto out = std::make_shared<PreparedWeights>();
  BRAINLOCK_ASSIGN(EncodedVectors encoded, EncodedVectors::make(machine, linear, limbs));
  out->run_length = machine.parameters->ring_degree() / encoded.runs();
  const bool full = out->run_length < kMinRunLength;
  const auto count = [&](const Buffer& buffer) { weight_bytes += buffer.words() * sizeof(Word); };
  out->outputs.resize(linear.outputs.size());
  if (full) {
    std::vector<std::size_t> order;
    list_terms(linear, *out, order);
    BRAINLOCK_ASSIGN(out->full, store_full(machine, order, limbs, encoded));
    count(out->full.words);
  }
  for (std::size_t o = 0; o < linear.outputs.size(); ++o) {
    PreparedWeights::Output& prepared = out->outputs[o];
    if (!full) {
      BRAINLOCK_ASSIGN(prepared.periodic, arrange_periodic(machine, linear.outputs[o], encoded));
      count(prepared.periodic);
    }
    if (const plan::SlotVector* mask = linear.mask(o)) {
      BRAINLOCK_ASSIGN(prepared.mask, store_mask(machine, *mask, linear.mask_scale, limbs));
      count(prepared.mask);
    }
  }
  return std::shared_ptr<const PreparedWeights>(out);
}

}  // namespace

Result<PreparedLinear> prepare_linear(const Machine& machine, const plan::Instruction& instruction, const plan::Linear& linear,
                                      std::shared_ptr<const PreparedWeights> weights, std::size_t& weight_bytes) {
  PreparedLinear out;
  group_rotations(machine, linear, out);
  if (weights == nullptr) {
    BRAINLOCK_ASSIGN(weights, prepare_weights(machine, linear, instruction.limbs_in, weight_bytes));
  }
  out.weights = std::move(weights);
  for (const plan::Linear::Output& output : linear.outputs) {
    Buffer& bias = out.biases.emplace_back();
    if (output.bias.values.empty()) continue;
    BRAINLOCK_ASSIGN(bias, store_bias(machine, output.bias, instruction.scale_out, instruction.limbs_out));
    weight_bytes += bias.words() * sizeof(Word);
  }
  return out;
}

}  // namespace brainlock::runtime
