#include "brainlock/ckks/key_switching.hpp"

#include <cassert>

namespace brainlock::ckks {

using device::Buffer;
using device::Word;

std::vector<const DeviceCiphertext*> refs(const std::vector<DeviceCiphertext>& ciphertexts) {
  std::vector<const DeviceCiphertext*> out;
  for (const auto& c : ciphertexts) out.push_back(&c);
  return out;
}

std::vector<const Buffer*> refs(const std::vector<Buffer>& buffers) {
  std::vector<const Buffer*> out;
  for (const auto& b : buffers) out.push_back(&b);
  return out;
}

Status KeySwitcher::check_stop() const {
  if (stream_.stopped()) return {ErrorCode::kCancelled, "stopped on request"};
  return {};
}

Result<DeviceCiphertext> KeySwitcher::allocate(std::uint32_t limbs, bool lifted) const {
  DeviceCiphertext out;
  out.limbs = limbs;
  out.lifted = lifted;
  BRAINLOCK_ASSIGN(out.words, backend_.allocate(2 * backend_.poly_words(limbs, lifted)));
  return out;
}

Result<DeviceCiphertext> KeySwitcher::upload(const Ciphertext& in) const {
  BRAINLOCK_ASSIGN(DeviceCiphertext out, allocate(in.limbs, false));
  const std::size_t n = backend_.ring().degree();
  std::vector<device::LimbTransfer> transfers;
  for (std::uint32_t l = 0; l < in.limbs; ++l) {
    transfers.push_back({out.c0() + l * backend_.limb_stride(), in.c0.data() + l * n});
    transfers.push_back({out.c1() + l * backend_.limb_stride(), in.c1.data() + l * n});
  }
  backend_.upload(stream_, transfers);
  BRAINLOCK_TRY(check_stop());
  return out;
}

Result<Ciphertext> KeySwitcher::download(const DeviceCiphertext& in, Scale scale) const {
  assert(!in.lifted);
  Ciphertext out;
  out.limbs = in.limbs;
  out.scale = scale;
  const std::size_t n = backend_.ring().degree();
  out.c0.resize(in.limbs * n);
  out.c1.resize(in.limbs * n);
  std::vector<device::LimbDownload> transfers;
  for (std::uint32_t l = 0; l < in.limbs; ++l) {
    transfers.push_back({out.c0.data() + l * n, in.c0() + l * backend_.limb_stride()});
    transfers.push_back({out.c1.data() + l * n, in.c1() + l * backend_.limb_stride()});
  }
  BRAINLOCK_TRY(backend_.download(stream_, transfers));
  BRAINLOCK_TRY(check_stop());
  return out;
}

Result<std::vector<Buffer>> KeySwitcher::digits(CiphertextRefs in) const {
  std::vector<Buffer> out;
  if (in.empty()) return out;
  const std::uint32_t limbs = in[0]->limbs;
  std::vector<device::Decompose> jobs;
  for (const DeviceCiphertext* c : in) {
    assert(c->limbs == limbs);
    BRAINLOCK_ASSIGN(Buffer buffer, backend_.allocate(backend_.digit_words(limbs)));
    out.push_back(std::move(buffer));
    jobs.push_back({c->c0(), c->c1(), c->lifted, out.back().data()});
  }
  BRAINLOCK_TRY(backend_.decompose(stream_, limbs, jobs));
  BRAINLOCK_TRY(check_stop());
  return out;
}

Result<std::vector<DeviceCiphertext>> KeySwitcher::rotate(CiphertextRefs in, const device::SwitchingKey& key,
                                                          CiphertextRefs base) const {
  std::vector<DeviceCiphertext> out;
  if (in.empty()) return out;
  const std::uint32_t limbs = in[0]->limbs;
  std::vector<device::SwitchOnce> jobs;
  for (std::size_t i = 0; i < in.size(); ++i) {
    assert(in[i]->limbs == limbs);
    BRAINLOCK_ASSIGN(DeviceCiphertext result, allocate(limbs, true));
    device::SwitchOnce job{.c0 = in[i]->c0(), .c1 = in[i]->c1(), .lifted = in[i]->lifted, .key = &key};
    if (i < base.size() && base[i] != nullptr) {
      job.base0 = base[i]->c0();
      job.base1 = base[i]->c1();
      job.base_limbs = limbs + backend_.ring().p_count;
    }
    job.out0 = result.c0();
    job.out1 = result.c1();
    jobs.push_back(job);
    out.push_back(std::move(result));
  }
  BRAINLOCK_TRY(backend_.switch_once(stream_, limbs, jobs));
  BRAINLOCK_TRY(check_stop());
  return out;
}

Status KeySwitcher::rotate_onto(std::span<DeviceCiphertext* const> onto, CiphertextRefs in,
                                const device::SwitchingKey& key) const {
  if (in.empty()) return {};
  const std::uint32_t limbs = in[0]->limbs;
  std::vector<device::SwitchOnce> jobs;
  for (std::size_t i = 0; i < in.size(); ++i) {
    assert(in[i]->limbs == limbs && onto[i]->lifted && onto[i]->limbs == limbs && onto[i] != in[i]);
    jobs.push_back({.c0 = in[i]->c0(), .c1 = in[i]->c1(), .lifted = in[i]->lifted, .key = &key, .base0 = onto[i]->c0(),
                    .base1 = onto[i]->c1(), .base_limbs = limbs + backend_.ring().p_count, .out0 = onto[i]->c0(),
                    .out1 = onto[i]->c1()});
  }
  BRAINLOCK_TRY(backend_.switch_once(stream_, limbs, jobs));
  return check_stop();
}

Result<std::vector<DeviceCiphertext>> KeySwitcher::rescale(CiphertextRefs in, std::uint32_t drop,
                                                           std::span<const Word* const> addend) const {
  std::vector<DeviceCiphertext> out;
  if (in.empty()) return out;
  const std::uint32_t limbs = in[0]->limbs;
  std::vector<device::ModDown> jobs;
  for (std::size_t i = 0; i < in.size(); ++i) {
    assert(in[i]->lifted && in[i]->limbs == limbs);
    BRAINLOCK_ASSIGN(DeviceCiphertext result, allocate(limbs - drop, false));
    jobs.push_back({in[i]->c0(), result.c0(), i < addend.size() ? addend[i] : nullptr});
    jobs.push_back({in[i]->c1(), result.c1(), nullptr});
    out.push_back(std::move(result));
  }
  BRAINLOCK_TRY(backend_.mod_down(stream_, limbs, drop, jobs));
  BRAINLOCK_TRY(check_stop());
  return out;
}

}  // namespace brainlock::ckks
