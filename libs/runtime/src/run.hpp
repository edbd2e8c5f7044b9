// One request in flight: registers, instructions in batches, profile.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "brainlock/ckks/evaluator.hpp"
#include "brainlock/plan/op_name.hpp"
#include "brainlock/runtime/executor.hpp"
#include "batches.hpp"
#include "linear.hpp"
#include "loaded_program_impl.hpp"

namespace brainlock::runtime {

/// One thread at a time. What it refers to must outlive it.
class Run {
 public:
  /// On the program's own backend, or on another one of the same device (a lane's, recorder.hpp).
  Run(const LoadedProgram& program, const ckks::LoadedKeys& keys, const RunOptions& options, RunProfile* profile, device::Backend& backend)
      : program_(program.program()), impl_(program.impl()), keys_(keys), options_(options), profile_(profile), stream_{options.stop},
        switcher_(backend, stream_), evaluator_(switcher_, keys), registers_(program_.register_count), digits_(program_.register_count) {}

  /// From ciphertexts of the host to ciphertexts of the host; the inputs are freed on the way.
  Result<std::vector<ckks::Ciphertext>> operator()(std::vector<ckks::Ciphertext>& inputs) {
    const auto start = Clock::now();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      BRAINLOCK_ASSIGN(registers_[i], switcher_.upload(inputs[i]));
      inputs[i] = ckks::Ciphertext{};
    }
    BRAINLOCK_TRY(instructions());
    std::vector<ckks::Ciphertext> out;
    const auto scale = ckks::Scale::from_value(program_.output.scale);
    for (const plan::Register r : program_.output_registers) {
      BRAINLOCK_ASSIGN(ckks::Ciphertext ciphertext, switcher_.download(registers_[r], scale));
      out.push_back(std::move(ciphertext));
    }
    if (profile_ != nullptr) profile_->seconds = seconds_since(start);
    return out;
  }

  /// Input registers with nothing in them.
  Status allocate_inputs() {
    for (std::uint32_t i = 0; i < program_.input.ciphertexts; ++i) {
      BRAINLOCK_ASSIGN(registers_[i], switcher_.allocate(program_.input.limbs, false));
    }
    return {};
  }
  ckks::DeviceCiphertext& input(std::uint32_t i) { return registers_[i]; }
  /// A program may name a register twice among its outputs, so they stay where they are.
  std::vector<ckks::DeviceCiphertext>& registers() { return registers_; }

  Status instructions() {
    for (std::size_t begin = 0; begin < program_.instructions.size();) {
      const std::size_t end = batch_end(program_, begin);
      const auto batch_start = Clock::now();
      BRAINLOCK_TRY(execute(begin, end));
      forget(end - 1);
      if (profile_ != nullptr) BRAINLOCK_TRY(switcher_.backend().finish(stream_));  // its time belongs to this batch
      record(begin, end, seconds_since(batch_start));
      begin = end;
    }
    return {};
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

  Status execute(std::size_t begin, std::size_t end) {
    const plan::Instruction& first = program_.instructions[begin];
    if (std::holds_alternative<plan::Combine>(first.op)) return run_combinations(begin, end);
    if (const auto* linear = std::get_if<plan::Linear>(&first.op)) return run_linear(begin, *linear);
    if (const auto* drop = std::get_if<plan::Drop>(&first.op)) {
      BRAINLOCK_ASSIGN(registers_[drop->out], evaluator_.drop(registers_[drop->in], first.limbs_out));
      return {};
    }
    if (const auto* add = std::get_if<plan::Add>(&first.op)) return run_add(*add);
    if (const auto* raise = std::get_if<plan::Raise>(&first.op)) return run_raise(*raise, first.limbs_out);
    std::vector<const ckks::DeviceCiphertext*> in;
    std::vector<plan::Register> out;
    const auto* square = std::get_if<plan::Square>(&first.op);
    for (std::size_t i = begin; i < end; ++i) {
      const auto& op = program_.instructions[i].op;
      in.push_back(&registers_[square != nullptr ? std::get<plan::Square>(op).in : std::get<plan::Split>(op).in]);
      const auto& outs = square != nullptr ? std::get<plan::Square>(op).out : std::get<plan::Split>(op).out;
      out.insert(out.end(), outs.begin(), outs.end());
    }
    const auto parts = static_cast<std::uint32_t>(out.size() / in.size());
    using Squared = ckks::Evaluator::Squared;
    const auto what = [&] { return square->real_part ? Squared::kRealPart : parts == 2 ? Squared::kBothParts : Squared::kWhole; };
    BRAINLOCK_ASSIGN(auto results, square != nullptr ? evaluator_.square(in, what()) : evaluator_.split(in, parts));
    for (std::size_t i = 0; i < out.size(); ++i) registers_[out[i]] = std::move(results[i]);
    return {};
  }

  Status ensure_digits(const std::vector<plan::Register>& wanted) {
    std::vector<plan::Register> missing;
    std::vector<const ckks::DeviceCiphertext*> in;
    for (const plan::Register r : wanted) {
      if (!digits_[r].empty() || std::find(missing.begin(), missing.end(), r) != missing.end()) continue;
      missing.push_back(r);
      in.push_back(&registers_[r]);
    }
    const auto start = Clock::now();
    BRAINLOCK_ASSIGN(auto made, switcher_.digits(in));
    if (profile_ != nullptr) BRAINLOCK_TRY(switcher_.backend().finish(stream_));
    if (profile_ != nullptr) profile_->decompose_seconds += seconds_since(start);
    for (std::size_t i = 0; i < missing.size(); ++i) digits_[missing[i]] = std::move(made[i]);
    return {};
  }

  Status run_combinations(std::size_t begin, std::size_t end) {
    const std::uint32_t degree = program_.parameters.ring_degree;
    const auto combine_at = [&](std::size_t i) -> const plan::Combine& { return std::get<plan::Combine>(program_.instructions[i].op); };
    std::vector<plan::Register> rotated;
    for (std::size_t i = begin; i < end; ++i) {
      for (const auto& term : combine_at(i).terms) {
        if (term.rotation != 0) rotated.push_back(term.in);
      }
    }
    BRAINLOCK_TRY(ensure_digits(rotated));
    std::vector<std::vector<ckks::RotatedTerm>> all;
    for (std::size_t i = begin; i < end; ++i) {
      auto& terms = all.emplace_back();
      for (const auto& term : combine_at(i).terms) {
        if (term.rotation == 0) {
          terms.push_back({&registers_[term.in], nullptr, nullptr});
        } else {
          terms.push_back({&registers_[term.in], &digits_[term.in], keys_.find(ckks::rotation_element(degree, term.rotation))});
        }
      }
    }
    BRAINLOCK_ASSIGN(auto sums, evaluator_.sums(all));
    for (std::size_t i = begin; i < end; ++i) registers_[combine_at(i).out] = std::move(sums[i - begin]);
    return {};
  }

  Status run_add(const plan::Add& add) {
    std::vector<const ckks::DeviceCiphertext*> terms;
    for (const plan::Register r : add.terms) terms.push_back(&registers_[r]);
    BRAINLOCK_ASSIGN(registers_[add.out], evaluator_.add(terms));
    return {};
  }

  Status run_raise(const plan::Raise& raise, std::uint32_t limbs) {
    const ckks::DeviceCiphertext* const in = &registers_[raise.in];
    BRAINLOCK_ASSIGN(auto raised, evaluator_.raise({&in, 1}, limbs));
    registers_[raise.out] = std::move(raised.front());
    return {};
  }

  Status run_linear(std::size_t i, const plan::Linear& linear) {
    const plan::Instruction& instruction = program_.instructions[i];
    const PreparedLinear& prepared = impl_.linear[i];
    std::vector<plan::Register> rotated;
    for (std::size_t k = 0; k < linear.inputs.size(); ++k) {
      if (prepared.input_rotates[k]) rotated.push_back(linear.inputs[k]);
    }
    BRAINLOCK_TRY(ensure_digits(rotated));
    LinearRun run(switcher_, keys_, instruction, linear, prepared, profile_);
    {
      std::vector<device::LinearCore::Input> inputs;
      for (const plan::Register r : linear.inputs) {
        inputs.push_back({registers_[r].c0(), registers_[r].c1(), digits_[r].data()});
      }
      BRAINLOCK_TRY(run.multiply(inputs));
    }
    forget(i);  // inputs and digits are no longer needed: the rotations below want the memory
    BRAINLOCK_ASSIGN(auto outputs, run.finish());
    for (std::size_t o = 0; o < outputs.size(); ++o) registers_[linear.outputs[o].out] = std::move(outputs[o]);
    return {};
  }

  void forget(std::size_t done) {
    for (plan::Register r = 0; r < registers_.size(); ++r) {
      if (impl_.lifetimes.value[r] <= done) registers_[r] = {};
      if (impl_.lifetimes.digits[r] <= done) digits_[r] = {};
    }
  }
  void record(std::size_t begin, std::size_t end, double seconds) {
    for (std::size_t i = begin; i < end; ++i) {
      const plan::Instruction& instruction = program_.instructions[i];
      if (profile_ != nullptr) {
        const plan::Cost cost = plan::count_cost(program_, instruction);
        profile_->entries.push_back({instruction.layer, plan::op_name(instruction), seconds / static_cast<double>(end - begin),
                                     cost.key_switches, cost.hoisted_rotations, instruction.limbs_in});
      }
      if (options_.progress) options_.progress(i + 1, program_.instructions.size(), instruction.layer);
    }
  }

  const plan::Program& program_;
  const LoadedProgram::Impl& impl_;
  const ckks::LoadedKeys& keys_;
  const RunOptions& options_;
  RunProfile* profile_;
  device::Stream stream_;
  ckks::KeySwitcher switcher_;
  ckks::Evaluator evaluator_;
  std::vector<ckks::DeviceCiphertext> registers_;
  std::vector<device::Buffer> digits_;
};

}  // namespace brainlock::runtime
