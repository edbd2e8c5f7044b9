// Memory that is taken before it is used.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "brainlock/device/cpu_backend.hpp"
#include "brainlock/math/modulus.hpp"
#include "brainlock/math/ntt.hpp"

namespace brainlock::device {
namespace {

constexpr std::size_t kWords = std::size_t{16} << 20;   // 64 MB: 32 huge pages, or 16,384 small ones

class Touch : public ::testing::Test {
 protected:
  std::vector<std::shared_ptr<const math::NttTables>> tables_;

  std::shared_ptr<Backend> small_backend() {
    Ring ring{.tables = {}, .q_count = 2, .p_count = 1, .digit_limbs = 1};
    for (const std::uint32_t q : math::ntt_primes(28, 3, 1024)) {
      tables_.push_back(math::make_ntt_tables(1024, q));
      ring.tables.push_back(tables_.back().get());
    }
    return make_cpu_backend(std::move(ring), std::make_shared<ThreadPool>(2U)).value();
  }
};

/// Page faults of writing to a buffer of kWords.
long faults_of_use(Backend& backend) {
  Buffer buffer = backend.allocate(kWords).value();
  const auto faults = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
  };
  const long before = faults();
  for (std::size_t i = 0; i < kWords; i += 1024) buffer.data()[i] = 1;
  return faults() - before;
}

TEST_F(Touch, BuffersToComeFaultNoMore) {
  const auto fresh = small_backend(), touched = small_backend();
  touched->touch(kWords);
  EXPECT_GT(faults_of_use(*fresh), 16);
  EXPECT_LT(faults_of_use(*touched), 8);
}

TEST_F(Touch, MoreThanThereIsDoesNothing) {
  const auto backend = small_backend();
  backend->touch(std::size_t{1} << 60);
  EXPECT_TRUE(backend->allocate(1024).ok());
}

}  // namespace
}  // namespace brainlock::device
