#include "brainlock/ckks/uniform.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <span>

#include "brainlock/crypto/chacha20.hpp"

namespace brainlock::ckks {

void uniform_limb(const Seed& seed, std::uint64_t stream, std::uint32_t q, std::uint32_t* out, std::size_t ring_degree) {
  static_assert(std::endian::native == std::endian::little, "the keystream is read as little-endian words");
  constexpr std::size_t kChunkWords = 4096;
  std::array<std::uint32_t, kChunkWords> words;
  std::array<std::uint8_t, 12> nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[i] = static_cast<std::uint8_t>(stream >> (8 * i));
  const std::uint32_t mask = (std::bit_ceil(q)) - 1;
  std::uint32_t block = 0;
  std::size_t done = 0;
  while (done < ring_degree) {
    // Whole blocks, just enough for the common case; what is left over of the last chunk is thrown away.
    const std::size_t wanted = std::min(kChunkWords, (ring_degree - done + 31) / 16 * 16);
    crypto::chacha20_keystream(seed, nonce, block,
                               {reinterpret_cast<std::uint8_t*>(words.data()), wanted * sizeof(std::uint32_t)});
    block += static_cast<std::uint32_t>(wanted / 16);
    std::size_t i = 0;
    // Branch-free while a chunk cannot overrun the output: a rejected word is overwritten by the next.
    const std::size_t safe = std::min(wanted, ring_degree - done);
    for (; i < safe; ++i) {
      const std::uint32_t word = words[i] & mask;
      out[done] = word;
      done += word < q ? 1 : 0;
    }
    for (; i < wanted && done < ring_degree; ++i) {
      const std::uint32_t word = words[i] & mask;
      if (word < q) out[done++] = word;
    }
  }
}

namespace {
void expand_limbs(Words& out, const Seed& seed, std::uint32_t limbs, const Parameters& parameters) {
  const std::size_t n = parameters.ring_degree();
  out.resize(limbs * n);
  for (std::uint32_t l = 0; l < limbs; ++l) uniform_limb(seed, l, parameters.modulus(l).q, out.data() + l * n, n);
}
}  // namespace

void expand(Ciphertext& ciphertext, const Parameters& parameters) {
  if (!ciphertext.c1.empty()) return;
  assert(ciphertext.seed.has_value());
  expand_limbs(ciphertext.c1, *ciphertext.seed, ciphertext.limbs, parameters);
}

void expand(PublicKey& key, const Parameters& parameters) {
  if (!key.a.empty()) return;
  assert(key.seed.has_value());
  expand_limbs(key.a, *key.seed, parameters.q_count(), parameters);
}

void expand(EvaluationKey& key, const Parameters& parameters) {
  if (!key.a.empty()) return;
  assert(key.seed.has_value());
  const std::size_t n = parameters.ring_degree();
  const std::uint32_t limbs = key.limbs, row = limbs + parameters.p_count();
  key.a.resize(std::size_t{parameters.digits(limbs)} * row * n);
  for (std::uint32_t d = 0; d < parameters.digits(limbs); ++d) {
    for (std::uint32_t l = 0; l < row; ++l) {
      const std::uint32_t index = l < limbs ? l : parameters.q_count() + (l - limbs);
      const std::uint64_t stream = std::uint64_t{d} * row + l;
      uniform_limb(*key.seed, stream, parameters.modulus(index).q, key.a.data() + stream * n, n);
    }
  }
}

}  // namespace brainlock::ckks
