#include "cpu_backend.hpp"

#include <algorithm>
#include <cstring>

namespace brainlock::device {
namespace {

// One cache line beyond N: limbs of a polynomial then do not share cache sets.
constexpr std::size_t kStridePadding = 16;

}  // namespace

Result<std::shared_ptr<Backend>> make_cpu_backend(Ring ring, std::shared_ptr<ThreadPool> pool) {
  BRAINLOCK_TRY(check_ring(ring));
  return std::shared_ptr<Backend>(std::make_shared<CpuBackend>(std::move(ring), std::move(pool)));
}

CpuBackend::CpuBackend(Ring ring, std::shared_ptr<ThreadPool> pool)
    : ring_(std::move(ring)), pool_(std::move(pool)), k_(math::kernels()), constants_(ring_), degree_(ring_.degree()),
      stride_(degree_ + kStridePadding), order_(degree_), memory_(std::make_shared<MemoryPool>()), scratch_(pool_->threads()) {}

void CpuBackend::upload(const Stream& stream, std::span<const LimbTransfer> batch) {
  pool_->parallel_for(batch.size(), stream.stop,
                      [&](std::size_t i, unsigned) { std::memcpy(batch[i].device, batch[i].host, degree_ * sizeof(Word)); });
}

Status CpuBackend::upload_keys(const Stream& stream, std::span<const KeyTransfer> batch) {
  pool_->parallel_for(batch.size(), stream.stop, [&](std::size_t i, unsigned worker) {
    const KeyTransfer& t = batch[i];
    const math::Modulus& m = modulus(ring_.modulus_index(t.key->limbs, t.limb));
    Word* in_place = scratch(worker, 2 * degree_);
    std::memcpy(in_place, t.host, degree_ * sizeof(Word));  // host memory may have any alignment
    const Scalar r = make_scalar(m.r1, m);
    k_.mul_scalar(in_place, in_place, r.value, r.shoup, m, degree_);
    if (t.key->automorphism != nullptr) {
      k_.permute(in_place + degree_, in_place, *t.key->automorphism, degree_);
      in_place += degree_;
    }
    const std::uint32_t pieces = 2 * t.key->digits;
    scatter(t.key->words.data() + t.limb * degree_ * pieces, pieces, 2 * t.digit + t.poly, in_place);
  });
  return {};
}

void CpuBackend::upload_full_weights(const Stream& stream, std::span<const WeightTransfer> batch) {
  pool_->parallel_for(batch.size(), stream.stop, [&](std::size_t i, unsigned) {
    const WeightTransfer& t = batch[i];
    FullWeights& weights = *t.weights;
    scatter(weights.words.data() + t.limb * (degree_ / weights.run) * weights.vectors, weights.vectors, t.vector, t.host, weights.run);
  });
}

void CpuBackend::scatter(Word* limb, std::uint32_t pieces, std::uint32_t piece, const Word* in, std::uint32_t run) const {
  const std::size_t words = kUnitWords / run;
  for (std::size_t rank = 0; rank < order_.units(); ++rank) {
    std::memcpy(limb + (rank * pieces + piece) * words, in + order_.unit(rank) * words, words * sizeof(Word));
  }
}

Status CpuBackend::download(const Stream& stream, std::span<const LimbDownload> batch) {
  pool_->parallel_for(batch.size(), stream.stop,
                      [&](std::size_t i, unsigned) { std::memcpy(batch[i].host, batch[i].device, degree_ * sizeof(Word)); });
  return {};
}

void CpuBackend::upload_words(const Stream&, Word* device, std::span<const Word> host) {
  std::memcpy(device, host.data(), host.size_bytes());
}

void CpuBackend::lift(const Stream& stream, std::uint32_t limbs, std::span<const Lift> batch) {
  const std::uint32_t rows = limbs + ring_.p_count;
  pool_->parallel_for(batch.size() * rows, stream.stop, [&](std::size_t task, unsigned) {
    const Lift& job = batch[task / rows];
    const auto l = static_cast<std::uint32_t>(task % rows);
    Word* out = job.out + l * stride_;
    if (l < limbs) {
      k_.mul_scalar(out, job.in + l * stride_, constants_.p[l].value, constants_.p[l].shoup, modulus(l), degree_);
    } else {
      std::memset(out, 0, degree_ * sizeof(Word));
    }
  });
}

void CpuBackend::add(const Stream& stream, std::uint32_t limbs, bool lifted, std::span<const Add> batch) {
  const std::uint32_t rows = limbs + (lifted ? ring_.p_count : 0);
  pool_->parallel_for(batch.size() * rows, stream.stop, [&](std::size_t task, unsigned) {
    const Add& job = batch[task / rows];
    const auto l = static_cast<std::uint32_t>(task % rows);
    const std::size_t at = l * stride_;
    if (job.b == nullptr) {
      std::memcpy(job.out + at, job.a + at, degree_ * sizeof(Word));
    } else {
      k_.add(job.out + at, job.a + at, job.b + at, modulus(ring_.modulus_index(limbs, l)), degree_);
    }
  });
}

void CpuBackend::multiply(const Stream& stream, std::uint32_t limbs, bool lifted, std::span<const Multiply> batch) {
  const std::uint32_t rows = limbs + (lifted ? ring_.p_count : 0);
  pool_->parallel_for(batch.size() * rows, stream.stop, [&](std::size_t task, unsigned) {
    const Multiply& job = batch[task / rows];
    const auto l = static_cast<std::uint32_t>(task % rows);
    const std::size_t at = l * stride_;
    k_.mul(job.out + at, job.a + at, job.factor + at, modulus(ring_.modulus_index(limbs, l)), degree_);
  });
}

void CpuBackend::split_parts(const Stream& stream, std::uint32_t limbs, std::span<const SplitParts> batch) {
  const std::uint32_t rows = limbs + ring_.p_count;
  pool_->parallel_for(batch.size() * rows, stream.stop, [&](std::size_t task, unsigned worker) {
    const SplitParts& job = batch[task / rows];
    const auto l = static_cast<std::uint32_t>(task % rows);
    const std::uint32_t index = ring_.modulus_index(limbs, l);
    const math::Modulus& m = modulus(index);
    const Word* zbar = job.zbar + l * stride_;
    Word* real = job.real + l * stride_;
    Word* imaginary = job.imaginary + l * stride_;
    const Word root = table(index).w[1];  // the imaginary unit, see Kernels::mul_halves
    if (l < limbs) {
      Word* lifted = scratch(worker, degree_);
      k_.mul_scalar(lifted, job.z + l * stride_, constants_.p[l].value, constants_.p[l].shoup, m, degree_);
      k_.sub(imaginary, lifted, zbar, m, degree_);
      k_.mul_halves(imaginary, imaginary, m.q - root, root, m, degree_);
      k_.add(real, lifted, zbar, m, degree_);
    } else {
      k_.mul_halves(imaginary, zbar, root, m.q - root, m, degree_);
      if (real != zbar) std::memcpy(real, zbar, degree_ * sizeof(Word));
    }
  });
}

void CpuBackend::touch(std::size_t words) {
  constexpr std::size_t kPageWords = 1024, kPieceWords = 512 * kPageWords;   // 4 KB, and 2 MB: a huge page is one thread's
  auto buffer = memory_->allocate(words);
  if (!buffer.ok()) return;
  Word* const begin = buffer->data();
  pool_->parallel_for((words + kPieceWords - 1) / kPieceWords, {}, [&](std::size_t piece, unsigned) {
    for (std::size_t at = piece * kPieceWords, end = std::min(at + kPieceWords, words); at < end; at += kPageWords) begin[at] = 0;
  });
}

void CpuBackend::tensor_square(const Stream& stream, std::uint32_t limbs, std::span<const TensorSquare> batch) {
  const std::size_t block = std::min<std::size_t>(degree_, 2048);
  const std::size_t blocks = degree_ / block;
  for_pieces(batch.size() * limbs * blocks, stream, [&](std::size_t task, unsigned worker) {
    const TensorSquare& job = batch[task / (limbs * blocks)];
    const auto l = static_cast<std::uint32_t>(task / blocks % limbs);
    const std::size_t at = l * stride_ + task % blocks * block;
    const math::Modulus& m = modulus(l);
    const Word* a0 = job.z0 + at;
    const Word* a1 = job.z1 + at;
    Word* d0 = job.p_d0 + at;
    Word* d1 = job.p_d1 + at;
    if (job.zbar0 != nullptr) {
      Word* s0 = scratch(worker, 2 * block);
      Word* s1 = s0 + block;
      const auto combine = job.minus ? k_.sub : k_.add;
      combine(s0, a0, job.zbar0 + at, m, block);
      combine(s1, a1, job.zbar1 + at, m, block);
      a0 = s0;
      a1 = s1;
    }
    k_.square(d0, d1, job.d2 + at, a0, a1, m, block);
    const Scalar p = constants_.p[l];
    k_.mul_scalar(d0, d0, p.value, p.shoup, m, block);
    k_.mul_scalar(d1, d1, p.value, p.shoup, m, block);
  });
}

}  // namespace brainlock::device
