#include "linear.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>

namespace brainlock::runtime {
namespace {

using ckks::DeviceCiphertext;

/// Adds the life time of the object, and of the device's work begun in it, to a counter (which may be absent).
class Timer {
 public:
  Timer(double* total, const ckks::KeySwitcher& switcher)
      : total_(total), switcher_(switcher), start_(std::chrono::steady_clock::now()) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() {
    if (total_ == nullptr) return;
    (void)switcher_.backend().finish(switcher_.stream());  // a failure stays and comes back with the run's next step
    *total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double* total_;
  const ckks::KeySwitcher& switcher_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace

Status LinearRun::multiply(std::span<const device::LinearCore::Input> inputs) {
  const Timer timer(profile_ == nullptr ? nullptr : &profile_->core_seconds, switcher_);
  std::vector<device::LinearCore::Rotation> rotations;
  for (const PreparedLinear::Rotation& rotation : prepared_.rotations) {
    const auto* key = rotation.galois_element == 1 ? nullptr : keys_.find(rotation.galois_element);
    assert(key != nullptr || rotation.galois_element == 1);
    rotations.push_back({key, rotation.uses});
  }
  std::vector<std::vector<device::Word*>> acc(linear_.outputs.size());
  std::vector<device::LinearCore::Output> outputs;
  for (std::size_t o = 0; o < linear_.outputs.size(); ++o) {
    const plan::Linear::Output& output = linear_.outputs[o];
    std::vector<DeviceCiphertext>& giants = accumulators_.emplace_back();
    for (std::uint32_t g = 0; g < output.giants; ++g) {
      BRAINLOCK_ASSIGN(DeviceCiphertext ciphertext, switcher_.allocate(instruction_.limbs_in, true));
      acc[o].push_back(ciphertext.c0());
      acc[o].push_back(ciphertext.c1());
      giants.push_back(std::move(ciphertext));
    }
    const PreparedWeights::Output& weights = prepared_.weights->outputs[o];
    outputs.push_back({.columns = output.columns, .giants = output.giants, .weights = weights.periodic.data(),
                       .full = weights.full, .acc = acc[o]});
  }
  const device::LinearCore core{.limbs = instruction_.limbs_in,
                                .column_count = static_cast<std::uint32_t>(linear_.columns.size()),
                                .run_length = prepared_.weights->run_length,
                                .full_weights = prepared_.weights->full.words.empty() ? nullptr : &prepared_.weights->full,
                                .inputs = inputs,
                                .rotations = rotations,
                                .outputs = outputs};
  BRAINLOCK_TRY(switcher_.backend().linear_core(switcher_.stream(), core));
  return switcher_.check_stop();
}

Status LinearRun::sum_giants() {
  for (const std::uint32_t element : prepared_.giant_elements) {
    std::size_t most = 0;
    for (const auto& giants : accumulators_) most = std::max(most, giants.size());
    BRAINLOCK_TRY(giant_round(element, linear_.giant_fan == 0 ? most : linear_.giant_fan));
  }
  return switcher_.check_stop();
}

Status LinearRun::giant_round(std::uint32_t galois_element, std::size_t fan) {
  const auto* key = keys_.find(galois_element);
  // A giant step of zero is legal, if pointless: then the sum needs no rotation.
  const bool rotates = galois_element != 1;
  assert(key != nullptr || !rotates);
  for (std::size_t place = fan - 1; place > 0; --place) {   // of all groups that are so long
    std::vector<const DeviceCiphertext*> in;
    std::vector<DeviceCiphertext*> onto;
    for (auto& giants : accumulators_) {
      for (std::size_t g = place; g < giants.size(); g += fan) {
        in.push_back(&giants[g]);
        onto.push_back(&giants[g - 1]);
      }
    }
    if (in.empty()) continue;
    if (rotates) {
      BRAINLOCK_TRY(switcher_.rotate_onto(onto, in, *key));
    } else {
      std::vector<device::Add> jobs;
      for (std::size_t i = 0; i < in.size(); ++i) {
        jobs.push_back({onto[i]->c0(), onto[i]->c0(), in[i]->c0()});
        jobs.push_back({onto[i]->c1(), onto[i]->c1(), in[i]->c1()});
      }
      switcher_.backend().add(switcher_.stream(), instruction_.limbs_in, true, jobs);
    }
    for (auto& giants : accumulators_) {
      for (std::size_t g = place; g < giants.size(); g += fan) giants[g] = {};
    }
  }
  for (auto& giants : accumulators_) {
    std::vector<DeviceCiphertext> sums;
    for (std::size_t g = 0; g < giants.size(); g += fan) sums.push_back(std::move(giants[g]));
    giants = std::move(sums);
  }
  return {};
}

Status LinearRun::rotate_sums() {
  for (const std::uint32_t element : prepared_.sum_elements) {
    std::vector<const DeviceCiphertext*> in;
    for (const auto& giants : accumulators_) in.push_back(&giants[0]);
    if (element == 1) return {ErrorCode::kMalformed, "a rotation of a sum is a whole turn"};
    const auto* key = keys_.find(element);
    assert(key != nullptr);
    BRAINLOCK_ASSIGN(std::vector<DeviceCiphertext> sums, switcher_.rotate(in, *key, in));
    for (std::size_t o = 0; o < sums.size(); ++o) accumulators_[o][0] = std::move(sums[o]);
  }
  return {};
}

void LinearRun::apply_masks() {
  std::vector<device::Multiply> jobs;
  for (std::size_t o = 0; o < accumulators_.size(); ++o) {
    const device::Buffer& mask = prepared_.weights->outputs[o].mask;
    if (mask.empty()) return;
    DeviceCiphertext& sum = accumulators_[o][0];
    jobs.push_back({sum.c0(), sum.c0(), mask.data()});
    jobs.push_back({sum.c1(), sum.c1(), mask.data()});
  }
  if (!jobs.empty()) switcher_.backend().multiply(switcher_.stream(), instruction_.limbs_in, true, jobs);
}

Result<std::vector<DeviceCiphertext>> LinearRun::finish() {
  {
    const Timer timer(profile_ == nullptr ? nullptr : &profile_->giant_seconds, switcher_);
    BRAINLOCK_TRY(sum_giants());
    BRAINLOCK_TRY(rotate_sums());
  }
  const Timer timer(profile_ == nullptr ? nullptr : &profile_->rescale_seconds, switcher_);
  apply_masks();
  std::vector<const DeviceCiphertext*> in;
  std::vector<const device::Word*> biases;
  for (std::size_t o = 0; o < accumulators_.size(); ++o) {
    in.push_back(&accumulators_[o][0]);
    biases.push_back(prepared_.biases[o].data());
  }
  return switcher_.rescale(in, instruction_.limbs_in - instruction_.limbs_out, biases);
}

}  // namespace brainlock::runtime
