#include "brainlock/ckks/evaluator.hpp"

#include <cassert>

namespace brainlock::ckks {

using device::Buffer;

const device::SwitchingKey& Evaluator::conjugation_key() const {
  const auto* key = keys_.find(conjugation_element(switcher_.backend().ring().degree()));
  assert(key != nullptr);
  return *key;
}

Result<std::vector<DeviceCiphertext>> Evaluator::conjugate(CiphertextRefs in) const {
  return switcher_.rotate(in, conjugation_key(), {});
}

Result<std::vector<DeviceCiphertext>> Evaluator::split(CiphertextRefs in, std::uint32_t parts) const {
  device::Backend& backend = switcher_.backend();
  std::vector<DeviceCiphertext> out;
  if (in.empty()) return out;
  const std::uint32_t limbs = in[0]->limbs;
  if (parts == 1) {
    std::vector<device::Lift> lifts;
    for (const DeviceCiphertext* c : in) {
      BRAINLOCK_ASSIGN(DeviceCiphertext result, switcher_.allocate(limbs, true));
      lifts.push_back({c->c0(), result.c0()});
      lifts.push_back({c->c1(), result.c1()});
      out.push_back(std::move(result));
    }
    backend.lift(switcher_.stream(), limbs, lifts);
  } else {
    BRAINLOCK_ASSIGN(std::vector<DeviceCiphertext> conjugates, conjugate(in));
    std::vector<device::SplitParts> jobs;
    for (std::size_t i = 0; i < in.size(); ++i) {
      BRAINLOCK_ASSIGN(DeviceCiphertext imaginary, switcher_.allocate(limbs, true));
      DeviceCiphertext& real = conjugates[i];
      jobs.push_back({in[i]->c0(), real.c0(), real.c0(), imaginary.c0()});
      jobs.push_back({in[i]->c1(), real.c1(), real.c1(), imaginary.c1()});
      out.push_back(std::move(real));
      out.push_back(std::move(imaginary));
    }
    backend.split_parts(switcher_.stream(), limbs, jobs);
  }
  BRAINLOCK_TRY(switcher_.check_stop());
  return out;
}

Result<std::vector<DeviceCiphertext>> Evaluator::square(CiphertextRefs in, Squared what) const {
  device::Backend& backend = switcher_.backend();
  std::vector<DeviceCiphertext> out;
  if (in.empty()) return out;
  const std::uint32_t limbs = in[0]->limbs;
  const auto* relinearisation = keys_.find(0);
  assert(relinearisation != nullptr);

  const std::uint32_t parts = what == Squared::kBothParts ? 2 : 1;
  std::vector<DeviceCiphertext> conjugates;
  if (what != Squared::kWhole) {
    BRAINLOCK_ASSIGN(const std::vector<DeviceCiphertext> lifted, conjugate(in));
    BRAINLOCK_ASSIGN(conjugates, switcher_.rescale(refs(lifted), 0, {}));
  }
  std::vector<Buffer> d2;
  std::vector<device::TensorSquare> squares;
  for (std::size_t i = 0; i < in.size(); ++i) {
    for (std::uint32_t part = 0; part < parts; ++part) {
      BRAINLOCK_ASSIGN(DeviceCiphertext result, switcher_.allocate(limbs, true));
      BRAINLOCK_ASSIGN(Buffer quadratic, backend.allocate(backend.poly_words(limbs, false)));
      device::TensorSquare job{.z0 = in[i]->c0(), .z1 = in[i]->c1(), .minus = part == 1, .p_d0 = result.c0(),
                               .p_d1 = result.c1(), .d2 = quadratic.data()};
      if (what != Squared::kWhole) {
        job.zbar0 = conjugates[i].c0();
        job.zbar1 = conjugates[i].c1();
      }
      squares.push_back(job);
      out.push_back(std::move(result));
      d2.push_back(std::move(quadratic));
    }
  }
  backend.tensor_square(switcher_.stream(), limbs, squares);

  std::vector<device::SwitchOnce> jobs;  // onto the q limbs that the tensor square wrote; the P limbs are new
  for (std::size_t i = 0; i < out.size(); ++i) {
    jobs.push_back({.c1 = d2[i].data(), .key = relinearisation, .base0 = out[i].c0(), .base1 = out[i].c1(),
                    .base_limbs = limbs, .out0 = out[i].c0(), .out1 = out[i].c1()});
  }
  BRAINLOCK_TRY(backend.switch_once(switcher_.stream(), limbs, jobs));
  BRAINLOCK_TRY(switcher_.check_stop());
  return out;
}

Result<std::vector<DeviceCiphertext>> Evaluator::sums(std::span<const std::vector<RotatedTerm>> all) const {
  assert(!all.empty() && !all[0].empty());
  device::Backend& backend = switcher_.backend();
  const std::uint32_t limbs = all[0][0].in->limbs;
  const std::uint32_t rows = limbs + backend.ring().p_count;
  struct Partial {
    const device::Word* c0 = nullptr;   // the only term so far, or the sum itself; null: no term yet
    const device::Word* c1 = nullptr;
    std::vector<const RotatedTerm*> rotated;
  };
  std::vector<Partial> partials(all.size());
  std::vector<DeviceCiphertext> out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    BRAINLOCK_ASSIGN(DeviceCiphertext sum, switcher_.allocate(limbs, true));
    Partial& partial = partials[i];
    for (const RotatedTerm& term : all[i]) {  // plain terms first: the others add to them in passing
      if (term.key != nullptr) {
        partial.rotated.push_back(&term);
      } else if (partial.c0 == nullptr) {
        partial.c0 = term.in->c0();
        partial.c1 = term.in->c1();
      } else {
        const device::Add jobs[] = {{sum.c0(), partial.c0, term.in->c0()}, {sum.c1(), partial.c1, term.in->c1()}};
        backend.add(switcher_.stream(), limbs, true, jobs);
        partial.c0 = sum.c0();
        partial.c1 = sum.c1();
      }
    }
    out.push_back(std::move(sum));
  }
  for (std::size_t round = 0;; ++round) {  // one rotated term of each sum at a time
    std::vector<device::SwitchKey> jobs;
    for (std::size_t i = 0; i < all.size(); ++i) {
      Partial& partial = partials[i];
      if (round >= partial.rotated.size()) continue;
      const RotatedTerm& term = *partial.rotated[round];
      device::SwitchKey job{.digits = term.digits->data(), .key = term.key, .add_c0 = true, .out0 = out[i].c0(), .out1 = out[i].c1()};
      if (partial.c0 != nullptr) {
        job.base0 = partial.c0;
        job.base1 = partial.c1;
        job.base_limbs = rows;
      }
      jobs.push_back(job);
      partial.c0 = out[i].c0();
      partial.c1 = out[i].c1();
    }
    if (jobs.empty()) break;
    backend.switch_keys(switcher_.stream(), limbs, jobs);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (partials[i].c0 == out[i].c0()) continue;
    const device::Add jobs[] = {{out[i].c0(), partials[i].c0, nullptr}, {out[i].c1(), partials[i].c1, nullptr}};
    backend.add(switcher_.stream(), limbs, true, jobs);
  }
  BRAINLOCK_TRY(switcher_.check_stop());
  return out;
}

Result<std::vector<DeviceCiphertext>> Evaluator::raise(CiphertextRefs in, std::uint32_t limbs) const {
  std::vector<DeviceCiphertext> out;
  std::vector<device::Raise> jobs;
  for (const DeviceCiphertext* c : in) {
    assert(!c->lifted && c->limbs == 1);
    BRAINLOCK_ASSIGN(DeviceCiphertext raised, switcher_.allocate(limbs, false));
    jobs.push_back({c->c0(), raised.c0()});
    jobs.push_back({c->c1(), raised.c1()});
    out.push_back(std::move(raised));
  }
  BRAINLOCK_TRY(switcher_.backend().raise(switcher_.stream(), limbs, jobs));
  BRAINLOCK_TRY(switcher_.check_stop());
  return out;
}

Result<DeviceCiphertext> Evaluator::drop(const DeviceCiphertext& in, std::uint32_t limbs) const {
  assert(in.lifted && limbs <= in.limbs);
  device::Backend& backend = switcher_.backend();
  const std::size_t stride = backend.limb_stride();
  BRAINLOCK_ASSIGN(DeviceCiphertext out, switcher_.allocate(limbs, true));
  const device::Add kept[] = {{out.c0(), in.c0(), nullptr}, {out.c1(), in.c1(), nullptr}};
  backend.add(switcher_.stream(), limbs, false, kept);
  // The special limbs move up behind them. Copies ask for no modulus, so they may be named as limbs of any index.
  std::vector<device::Add> special;
  for (std::uint32_t k = 0; k < backend.ring().p_count; ++k) {
    special.push_back({out.c0() + (limbs + k) * stride, in.c0() + (in.limbs + k) * stride, nullptr});
    special.push_back({out.c1() + (limbs + k) * stride, in.c1() + (in.limbs + k) * stride, nullptr});
  }
  backend.add(switcher_.stream(), 1, false, special);
  BRAINLOCK_TRY(switcher_.check_stop());
  return out;
}

Result<DeviceCiphertext> Evaluator::add(CiphertextRefs terms) const {
  assert(terms.size() >= 2);
  device::Backend& backend = switcher_.backend();
  BRAINLOCK_ASSIGN(DeviceCiphertext out, switcher_.allocate(terms[0]->limbs, false));
  const DeviceCiphertext* so_far = terms[0];
  for (std::size_t k = 1; k < terms.size(); ++k) {
    assert(!terms[k]->lifted && terms[k]->limbs == out.limbs);
    const device::Add jobs[] = {{out.c0(), so_far->c0(), terms[k]->c0()}, {out.c1(), so_far->c1(), terms[k]->c1()}};
    backend.add(switcher_.stream(), out.limbs, false, jobs);
    so_far = &out;
  }
  BRAINLOCK_TRY(switcher_.check_stop());
  return out;
}

}  // namespace brainlock::ckks
