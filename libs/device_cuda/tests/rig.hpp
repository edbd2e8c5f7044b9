// What the tests run kernels on: the emulation always, a GPU where there is one.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <stdexcept>
#include <span>
#include <vector>

#include "brainlock/device/backend.hpp"
#include "brainlock/math/kernels.hpp"
#include "cuda/cuda_driver.hpp"
#include "emulation/emulated_driver.hpp"
#include "ring_tables.hpp"

namespace brainlock::device_cuda::test {

using device::Word;

/// "Emulated" or "Gpu": the parameter of every suite that runs kernels.
enum class Machine { kEmulated, kGpu };
inline std::string machine_name(const ::testing::TestParamInfo<Machine>& info) { return info.param == Machine::kGpu ? "Gpu" : "Emulated"; }

/// Null if there is none. A GPU that is there and cannot be opened is a failure.
inline std::shared_ptr<Driver> make_driver(Machine machine) {
  if (machine == Machine::kEmulated) return make_emulated_driver();
  if (!list_devices()) return nullptr;
  auto driver = make_cuda_driver(0);
  if (!driver) throw std::runtime_error(driver.error().to_string());   // fails the test
  return *driver;
}
inline std::string why_no_gpu() { return list_devices().error().message; }

/// A ring with primes of several sizes: 27 to 30 bits, the largest that the arithmetic takes among them.
class TestRing {
 public:
  TestRing(std::uint32_t degree, std::uint32_t q_count, std::uint32_t p_count, std::uint32_t digit_limbs) {
    std::vector<std::uint32_t> taken;
    const auto add = [&](int bits) {
      const auto prime = math::ntt_primes(bits, 1, degree, taken);
      if (prime.empty()) {
        ADD_FAILURE() << "no prime of " << bits << " bits";
        return;
      }
      taken.push_back(prime[0]);
      tables_.push_back(math::make_ntt_tables(degree, prime[0]));
      ring_.tables.push_back(tables_.back().get());
    };
    for (std::uint32_t i = 0; i < q_count; ++i) add(27 + static_cast<int>(i % 4));
    for (std::uint32_t i = 0; i < p_count; ++i) add(30 - static_cast<int>(i % 2));
    ring_.q_count = q_count;
    ring_.p_count = p_count;
    ring_.digit_limbs = digit_limbs;
  }
  const device::Ring& ring() const { return ring_; }
  const math::NttTables& table(std::uint32_t index) const { return *ring_.tables[index]; }
  const math::Modulus& modulus(std::uint32_t index) const { return ring_.modulus(index); }

 private:
  std::vector<std::shared_ptr<const math::NttTables>> tables_;
  device::Ring ring_;
};

using Words = math::AlignedVector<Word>;

/// Words below a modulus: random, with runs of the largest and of zero.
inline void fill(std::span<Word> words, Word q, std::mt19937& random) {
  std::uniform_int_distribution<Word> below(0, q - 1);
  for (Word& word : words) word = below(random);
  for (std::size_t i = 0; i < words.size() / 8; ++i) words[i] = i % 3 == 0 ? 0 : q - 1;
}
/// Rows of a polynomial at limb count `limbs`, N words apart.
inline Words polynomial(const device::Ring& ring, std::uint32_t limbs, bool lifted, std::mt19937& random) {
  const std::size_t n = ring.degree();
  const std::uint32_t rows = limbs + (lifted ? ring.p_count : 0);
  Words out(rows * n);
  for (std::uint32_t l = 0; l < rows; ++l) fill(std::span(out).subspan(l * n, n), ring.modulus(ring.modulus_index(limbs, l)).q, random);
  return out;
}

/// Words in device memory, freed at the end of the test.
class DeviceWords {
 public:
  DeviceWords(Driver& driver, const Words& words) : driver_(driver), count_(words.size()) {
    auto memory = driver.allocate(count_ * sizeof(Word));
    if (!memory) {
      ADD_FAILURE() << memory.error().to_string();
      return;
    }
    memory_ = static_cast<Word*>(*memory);
    driver.copy_in(memory_, words.data(), count_ * sizeof(Word));
  }
  DeviceWords(const DeviceWords&) = delete;
  DeviceWords& operator=(const DeviceWords&) = delete;
  ~DeviceWords() { driver_.release(memory_); }
  Word* data() const { return memory_; }
  Words read() const {
    Words out(count_);
    driver_.copy_out(out.data(), memory_, count_ * sizeof(Word));
    return out;
  }

 private:
  Driver& driver_;
  std::size_t count_;
  Word* memory_ = nullptr;
};

}  // namespace brainlock::device_cuda::test
