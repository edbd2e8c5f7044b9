// Counters against sums by hand, and lanes: recordings replayed word for word.
#include <thread>

#include "brainlock/device/cpu_backend.hpp"
#include "brainlock/device/recorder.hpp"
#include "cuda_backend.hpp"
#include "rig.hpp"

namespace brainlock::device_cuda {
namespace {

using test::Words;

class OnDevice : public ::testing::TestWithParam<test::Machine> {
 protected:
  void SetUp() override {
    auto driver = test::make_driver(GetParam());
    if (driver == nullptr) GTEST_SKIP() << test::why_no_gpu();
    backend_ = CudaBackend::make(ring_.ring(), driver).value();
  }
  device::Buffer upload(const Words& words) {
    auto buffer = backend_->allocate(words.size()).value();
    backend_->upload_words({}, buffer.data(), words);
    return buffer;
  }
  static Words read(device::Backend& backend, const device::Buffer& buffer) {
    Words words(buffer.words());
    std::vector<device::LimbDownload> rows;
    for (std::size_t at = 0; at < words.size(); at += kDegree) rows.push_back({words.data() + at, buffer.data() + at});
    EXPECT_TRUE(backend.download({}, rows).ok());
    return words;
  }
  /// A relinearisation key of `limbs` limbs of random words.
  device::SwitchingKey make_key(std::uint32_t limbs) {
    device::SwitchingKey key;
    key.limbs = limbs;
    key.digits = ring_.ring().digits(limbs);
    key.words = backend_->allocate(backend_->key_words(limbs)).value();
    std::vector<Words> rows;
    std::vector<device::KeyTransfer> transfers;
    for (std::uint32_t l = 0; l < limbs + ring_.ring().p_count; ++l) {
      for (std::uint32_t d = 0; d < key.digits; ++d) {
        for (std::uint32_t poly = 0; poly < 2; ++poly) {
          Words row(kDegree);
          test::fill(row, ring_.modulus(ring_.ring().modulus_index(limbs, l)).q, random_);
          rows.push_back(std::move(row));
          transfers.push_back({&key, rows.back().data(), l, d, poly});
        }
      }
    }
    EXPECT_TRUE(backend_->upload_keys({}, transfers).ok());
    return key;
  }

  static constexpr std::uint64_t kDegree = 1024;
  std::mt19937 random_{7};
  test::TestRing ring_{kDegree, 5, 2, 2};   // digits of limbs {0, 1}, {2, 3}, {4}
  std::shared_ptr<device::Backend> backend_;
};

TEST_P(OnDevice, NothingIsCountedUnlessAsked) {
  const device::Buffer in = upload(test::polynomial(ring_.ring(), 3, false, random_));
  device::Buffer out = backend_->allocate(backend_->poly_words(3, true)).value();
  const device::Lift job{in.data(), out.data()};
  backend_->lift({}, 3, {&job, 1});
  EXPECT_EQ(backend_->counters()->kernels, 0U);
  backend_->count(true);
  backend_->lift({}, 3, {&job, 1});
  EXPECT_EQ(backend_->counters()->kernels, 1U);
  backend_->count(false);
  backend_->lift({}, 3, {&job, 1});
  EXPECT_EQ(backend_->counters()->kernels, 1U);
  backend_->count(true);
  EXPECT_EQ(backend_->counters()->kernels, 0U);
}

TEST_P(OnDevice, WordsOfPointwiseOperations) {
  const device::Buffer z = upload(test::polynomial(ring_.ring(), 4, false, random_)), zbar = upload(test::polynomial(ring_.ring(), 4, true, random_));
  device::Buffer out = backend_->allocate(backend_->poly_words(4, true)).value(), other = backend_->allocate(backend_->poly_words(4, true)).value();
  device::Buffer third = backend_->allocate(backend_->poly_words(4, true)).value();
  std::uint64_t words = 0;
  backend_->count(true);
  const auto expect = [&](std::uint64_t more, std::uint64_t launches, std::uint32_t distinct) {
    words += more;
    const device::Counters c = *backend_->counters();
    EXPECT_EQ(c.memory_bytes, 4 * kDegree * words);
    EXPECT_EQ(c.launches, launches);
    EXPECT_EQ(c.kernels, launches);
    EXPECT_EQ(c.distinct_kernels, distinct);
    EXPECT_GT(c.submit_s, 0);
  };
  const device::Lift lift{z.data(), out.data()};
  backend_->lift({}, 4, {&lift, 1});
  expect(4 + 6, 1, 1);
  device::Buffer sums = backend_->allocate(17 * backend_->poly_words(4, true)).value();
  std::vector<device::Add> adds;   // one more than a launch takes
  for (int i = 0; i < 17; ++i) adds.push_back({sums.data() + i * backend_->poly_words(4, true), zbar.data(), zbar.data()});
  backend_->add({}, 4, true, adds);
  expect(17 * 3 * 6, 3, 2);
  const device::Add copy{out.data(), zbar.data(), nullptr};
  backend_->add({}, 3, false, {&copy, 1});
  expect(2 * 3, 4, 2);
  std::vector<device::Multiply> products;   // by one factor, one more than a launch takes
  for (const device::Add& sum : adds) products.push_back({sum.out, sum.out, zbar.data()});
  const std::uint64_t before_products = backend_->counters()->integer_operations;
  backend_->multiply({}, 4, true, products);
  expect(17 * 3 * 6, 6, 3);
  backend_->multiply({}, 3, false, {products.data(), 1});
  expect(3 * 3, 7, 3);
  // A product to 64 bits, its reduction, and the factor that takes back what that divided by.
  EXPECT_EQ(backend_->counters()->integer_operations - before_products, kDegree * (17 * 6 + 3) * (2 + 6 + 5));
  const device::SplitParts split{z.data(), zbar.data(), out.data(), other.data()};
  backend_->split_parts({}, 4, {&split, 1});
  expect(4 + 6 + 2 * 6, 8, 4);
  const device::TensorSquare square{z.data(), z.data(), nullptr, nullptr, false, out.data(), other.data(), third.data()};
  backend_->tensor_square({}, 4, {&square, 1});
  expect(2 * 4 + 3 * 4, 9, 5);
  const std::uint64_t before = backend_->counters()->integer_operations;
  EXPECT_GT(before, 4 * kDegree);
  backend_->add({}, 3, false, {&copy, 1});
  EXPECT_EQ(backend_->counters()->integer_operations, before);   // a copy computes nothing
}

TEST_P(OnDevice, WordsOfAKeySwitchAndOfARescale) {
  const device::SwitchingKey key = make_key(5);
  const device::Buffer c0 = upload(test::polynomial(ring_.ring(), 5, false, random_)), c1 = upload(test::polynomial(ring_.ring(), 5, false, random_));
  device::Buffer out0 = backend_->allocate(backend_->poly_words(5, true)).value(), out1 = backend_->allocate(backend_->poly_words(5, true)).value();
  backend_->count(true);
  const device::SwitchOnce once{c0.data(), c1.data(), false, &key, nullptr, nullptr, 0, out0.data(), out1.data()};
  ASSERT_TRUE(backend_->switch_once({}, 5, {&once, 1}).ok());
  constexpr std::uint64_t kLimbs = 5, kRows = 7, kDigits = 3;
  const std::uint64_t made = kDigits * kRows - kLimbs;   // limbs of digits, but their own
  std::uint64_t words = 2 * 2 * kLimbs                   // inverse transform, two passes
                        + kLimbs + made                  // conversion
                        + 2 * 2 * made                   // forward transforms
                        + kRows * (kDigits + 2 * kDigits + 2) + kLimbs;   // digits, key, results; c0 times P on the q limbs
  device::Counters c = *backend_->counters();
  EXPECT_EQ(c.memory_bytes, 4 * kDegree * words);
  EXPECT_EQ(c.launches, 6U);
  EXPECT_EQ(c.distinct_kernels, 6U);
  // 10 operations a butterfly, 10 stages; the scaling; conversions of 2, 2 and 1 sources; two inner products, their reductions, c0.
  const std::uint64_t conversions = 2 * (7 - 2) * (3 * 2 + 6) + (7 - 1) * (2 * 2 + 6);
  EXPECT_EQ(c.integer_operations, kDegree * (kLimbs * (5 * 10 + 5) + conversions + made * 5 * 10 + kRows * (2 * 3 * 2 + 2 * 6) + kLimbs * (2 + 5)));

  // Twice at a time: the key once.
  backend_->count(true);
  device::Buffer more0 = backend_->allocate(backend_->poly_words(5, true)).value(), more1 = backend_->allocate(backend_->poly_words(5, true)).value();
  device::SwitchOnce both[] = {once, once};
  both[1].out0 = more0.data();
  both[1].out1 = more1.data();
  ASSERT_TRUE(backend_->switch_once({}, 5, both).ok());
  EXPECT_EQ(backend_->counters()->memory_bytes, 4 * kDegree * (2 * words - kRows * 2 * kDigits));
  EXPECT_EQ(backend_->counters()->launches, 6U);

  backend_->count(true);
  device::Buffer down = backend_->allocate(backend_->poly_words(4, false)).value();
  const device::ModDown job{out0.data(), down.data(), c0.data()};
  ASSERT_TRUE(backend_->mod_down({}, 5, 1, {&job, 1}).ok());
  words = 2 * 2 * 3 + (3 + 4) + 2 * 2 * 4 + 2 * 4;   // three divisors, four limbs left; minuend and addend
  c = *backend_->counters();
  EXPECT_EQ(c.memory_bytes, 4 * kDegree * words);
  EXPECT_EQ(c.launches, 5U);
}

TEST_P(OnDevice, WordsOfARaise) {
  const device::Buffer in = upload(test::polynomial(ring_.ring(), 1, false, random_));
  std::vector<device::Buffer> outputs;
  std::vector<device::Raise> jobs;  // one more than a launch takes
  for (int i = 0; i < 17; ++i) {
    outputs.push_back(backend_->allocate(backend_->poly_words(5, false)).value());
    jobs.push_back({in.data(), outputs.back().data()});
  }
  backend_->count(true);
  ASSERT_TRUE(backend_->raise({}, 5, {jobs.data(), 1}).ok());
  constexpr std::uint64_t kWords = 2                       // the copy
                                   + 2 * 2                 // inverse transform, two passes
                                   + 1 + 4                 // conversion
                                   + 2 * 2 * 4;            // forward transforms
  constexpr std::uint64_t kOperations = 5 * 10 + 5         // butterflies, scaling
                                        + 4 * (2 * 2 + 6)  // four targets of one source
                                        + 4 * 5 * 10;
  device::Counters c = *backend_->counters();
  EXPECT_EQ(c.memory_bytes, 4 * kDegree * kWords);
  EXPECT_EQ(c.integer_operations, kDegree * kOperations);
  EXPECT_EQ(c.launches, 6U);
  EXPECT_EQ(c.copies_to_device, 0U);

  ASSERT_TRUE(backend_->raise({}, 5, jobs).ok());
  c = *backend_->counters();
  EXPECT_EQ(c.memory_bytes, 4 * kDegree * kWords * 18);
  EXPECT_EQ(c.integer_operations, kDegree * kOperations * 18);
  EXPECT_EQ(c.launches, 18U);

  ASSERT_TRUE(backend_->raise({}, 1, {jobs.data(), 1}).ok());  // the copy alone
  c = *backend_->counters();
  EXPECT_EQ(c.memory_bytes, 4 * kDegree * (kWords * 18 + 2));
  EXPECT_EQ(c.integer_operations, kDegree * kOperations * 18);
  EXPECT_EQ(c.launches, 19U);

  ASSERT_TRUE(backend_->raise({}, 5, {}).ok());
  std::stop_source source;
  source.request_stop();
  ASSERT_TRUE(backend_->raise({source.get_token()}, 5, jobs).ok());
  EXPECT_EQ(backend_->counters()->launches, 19U);
}

TEST_P(OnDevice, WordsOfALinearLayer) {
  const device::SwitchingKey key = make_key(3);
  constexpr std::uint64_t kLimbs = 3, kRows = 5, kDigits = 2, kGiants = 9, kRun = 64;
  const device::Buffer c0 = upload(test::polynomial(ring_.ring(), 3, true, random_)), c1 = upload(test::polynomial(ring_.ring(), 3, true, random_));
  device::Buffer digits = backend_->allocate(backend_->digit_words(3)).value();
  const device::Decompose decompose{c0.data(), c1.data(), true, digits.data()};
  ASSERT_TRUE(backend_->decompose({}, 3, {&decompose, 1}).ok());
  const std::vector<std::uint32_t> columns{0, 1, 2, 3, 4, 5};
  const device::Buffer weights = upload(Words(kRows * (kDegree / kRun) * columns.size() * kGiants, 1));
  std::vector<device::Buffer> outputs;
  std::vector<Word*> acc;
  for (std::size_t i = 0; i < 2 * kGiants; ++i) {
    outputs.push_back(backend_->allocate(backend_->poly_words(3, true)).value());
    acc.push_back(outputs.back().data());
  }
  const std::vector<device::LinearCore::Input> inputs{{c0.data(), c1.data(), digits.data()}};
  const std::vector<device::LinearCore::Use> plain{{0, 0}}, turned{{0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}};   // two loads of the key
  const std::vector<device::LinearCore::Rotation> rotations{{nullptr, plain}, {&key, turned}};
  const std::vector<device::LinearCore::Output> core_outputs{{.columns = columns, .giants = kGiants, .weights = weights.data(), .full = {}, .acc = acc}};
  backend_->count(true);
  ASSERT_TRUE(backend_->linear_core({}, {.limbs = kLimbs, .column_count = 6, .run_length = kRun, .inputs = inputs, .rotations = rotations,
                                         .outputs = core_outputs}).ok());
  const std::uint64_t words = kRows * (2 * 2 * kDigits + 5 * (kDigits + 1) + 2)   // key, digits and c0, the plain column
                              + kRows * 2 * kGiants;                               // results
  const device::Counters c = *backend_->counters();
  EXPECT_EQ(c.memory_bytes, 4 * (kDegree * words + kRows * (kDegree / kRun) * 6 * kGiants));
  EXPECT_EQ(c.launches, 1U);
  EXPECT_EQ(c.copies_to_device, 1U);   // the lists
  EXPECT_GT(c.bytes_to_device, 6 * 2 * sizeof(Word*));
}

TEST_P(OnDevice, BytesCopied) {
  const Words words = test::polynomial(ring_.ring(), 3, false, random_);
  device::Buffer buffer = backend_->allocate(words.size()).value();
  Words back(words.size());
  backend_->count(true);
  std::vector<device::LimbTransfer> in;
  std::vector<device::LimbDownload> out;
  for (std::uint32_t l = 0; l < 3; ++l) {
    in.push_back({buffer.data() + l * kDegree, words.data() + l * kDegree});
    out.push_back({back.data() + l * kDegree, buffer.data() + l * kDegree});
  }
  std::swap(in[0], in[2]);   // the order of the list does not matter
  backend_->upload({}, in);
  ASSERT_TRUE(backend_->download({}, out).ok());
  device::Counters c = *backend_->counters();
  EXPECT_EQ(back, words);
  EXPECT_EQ(c.copies_to_device, 1U);   // neighbours here and there
  EXPECT_EQ(c.bytes_to_device, 3 * kDegree * 4);
  EXPECT_EQ(c.copies_from_device, 1U);
  EXPECT_EQ(c.bytes_from_device, 3 * kDegree * 4);
  EXPECT_EQ(c.kernels, 0U);

  // Limbs that change places are neighbours on one side only.
  std::swap(out[0].host, out[1].host);
  ASSERT_TRUE(backend_->download({}, out).ok());
  c = *backend_->counters();
  EXPECT_EQ(c.copies_from_device, 4U);
  EXPECT_EQ(c.bytes_from_device, 6 * kDegree * 4);
  EXPECT_TRUE(std::equal(back.begin(), back.begin() + kDegree, words.begin() + kDegree));
  EXPECT_TRUE(std::equal(back.begin() + kDegree, back.begin() + 2 * kDegree, words.begin()));
  EXPECT_TRUE(std::equal(back.begin() + 2 * kDegree, back.end(), words.begin() + 2 * kDegree));
}

TEST_P(OnDevice, ARecordingIsDoneAgainOnOtherInputs) {
  const device::Buffer factor = upload(test::polynomial(ring_.ring(), 3, true, random_));   // read by recordings as keys and weights are
  auto lane = backend_->make_recorder().value();
  ASSERT_NE(lane, nullptr);
  device::Buffer in = lane->noting().allocate(backend_->poly_words(3, false)).value(), out = lane->noting().allocate(backend_->poly_words(3, true)).value();
  const Words first = test::polynomial(ring_.ring(), 3, false, random_), second = test::polynomial(ring_.ring(), 3, false, random_);
  lane->doing().upload_words({}, in.data(), first);
  {
    const device::Lift job{in.data(), out.data()};
    lane->noting().lift({}, 3, {&job, 1});
    const std::vector<device::Add> twice{{out.data(), out.data(), out.data()}};
    lane->noting().add({}, 3, true, twice);
    const std::vector<device::Multiply> product{{out.data(), out.data(), factor.data()}};
    lane->noting().multiply({}, 3, true, product);
  }
  const auto recording = lane->take().value();
  EXPECT_EQ(recording->kernels(), 3U);

  device::Buffer expected = backend_->allocate(backend_->poly_words(3, true)).value();
  // The lane's memory is in use by what was recorded, whoever holds a buffer.
  { const device::Buffer idle = lane->noting().allocate(std::size_t{32} << 20).value(); }
  const std::uint64_t free_bytes = backend_->memory_budget()->free_bytes;
  lane->noting().trim();
  lane->doing().trim();
  // A GPU's memory is that of all its users.
  if (GetParam() == test::Machine::kEmulated) {
    EXPECT_EQ(backend_->memory_budget()->free_bytes, free_bytes);
  }
  backend_->count(true);
  for (const Words* input : {&first, &second, &first}) {
    lane->doing().upload_words({}, in.data(), *input);
    recording->replay();
    const device::Buffer plain = upload(*input);
    const device::Lift job{plain.data(), expected.data()};
    backend_->lift({}, 3, {&job, 1});
    const device::Add twice{expected.data(), expected.data(), expected.data()};
    backend_->add({}, 3, true, {&twice, 1});
    const device::Multiply product{expected.data(), expected.data(), factor.data()};
    backend_->multiply({}, 3, true, {&product, 1});
    EXPECT_EQ(read(lane->doing(), out), read(*backend_, expected));
  }
  const device::Counters c = *backend_->counters();
  EXPECT_EQ(c.replays, 3U);
  EXPECT_EQ(c.launches, 9U);
  EXPECT_EQ(c.kernels, 18U);
  EXPECT_EQ(c.memory_bytes, 4 * kDegree * 6 * (3 + 5 + 3 * 5 + 3 * 5));
  EXPECT_EQ(c.distinct_kernels, 3U);
}

TEST_P(OnDevice, TheKernelsOfARecordingAreTimed) {
  auto lane = backend_->make_recorder().value();
  device::Buffer in = lane->noting().allocate(backend_->poly_words(3, false)).value(), out = lane->noting().allocate(backend_->poly_words(3, true)).value();
  const Words input = test::polynomial(ring_.ring(), 3, false, random_);
  {
    const device::Lift job{in.data(), out.data()};
    lane->noting().lift({}, 3, {&job, 1});
    const device::Add twice{out.data(), out.data(), out.data()};
    for (int i = 0; i < 3; ++i) lane->noting().add({}, 3, true, {&twice, 1});
  }
  const auto recording = lane->take().value();
  lane->doing().upload_words({}, in.data(), input);
  recording->replay();
  const Words expected = read(lane->doing(), out);
  backend_->count(true);
  const auto times = recording->kernel_times();
  ASSERT_TRUE(times.ok()) << times.error().to_string();
  ASSERT_EQ(times->size(), 2U);
  EXPECT_GE((*times)[0].seconds, (*times)[1].seconds);
  for (const device::KernelTime& k : *times) {
    EXPECT_GT(k.seconds, 0) << k.kernel;
    EXPECT_EQ(k.launches, k.kernel == "add" ? 3U : 1U) << k.kernel;
    EXPECT_EQ(k.memory_bytes, 4 * kDegree * (k.kernel == "add" ? 3 * 3 * 5 : 3 + 5)) << k.kernel;
    EXPECT_GT(k.integer_operations, 0U) << k.kernel;
  }
  EXPECT_EQ(backend_->counters()->kernels, 0U) << "a measurement is not counted";
  lane->doing().upload_words({}, in.data(), input);
  recording->replay();
  EXPECT_EQ(read(lane->doing(), out), expected);
}

TEST_P(OnDevice, ARaiseIsRecordedBetweenOtherOperations) {
  auto lane = backend_->make_recorder().value();
  device::Buffer in = lane->noting().allocate(2 * kDegree).value(), low = lane->noting().allocate(2 * kDegree).value();
  std::vector<device::Buffer> out;  // of a pair of polynomials, as bootstrapping has them
  for (int i = 0; i < 2; ++i) out.push_back(lane->noting().allocate(backend_->poly_words(5, false)).value());
  const auto pair = [&](device::Backend& backend, const device::Buffer& from, device::Buffer& sum,
                        std::vector<device::Buffer>& to) {
    const device::Add sums[] = {{sum.data(), from.data(), from.data() + kDegree},
                                {sum.data() + kDegree, from.data(), nullptr}};
    backend.add({}, 1, false, sums);
    const device::Raise jobs[] = {{sum.data(), to[0].data()}, {sum.data() + kDegree, to[1].data()}};
    EXPECT_TRUE(backend.raise({}, 5, jobs).ok());
    const device::Multiply product{to[0].data(), to[0].data(), to[1].data()};
    backend.multiply({}, 5, false, {&product, 1});
  };
  pair(lane->noting(), in, low, out);
  const auto recording = lane->take().value();
  EXPECT_EQ(recording->kernels(), 8U);

  device::Buffer sum = backend_->allocate(2 * kDegree).value();
  std::vector<device::Buffer> expected;
  for (int i = 0; i < 2; ++i) expected.push_back(backend_->allocate(backend_->poly_words(5, false)).value());
  for (int i = 0; i < 3; ++i) {
    Words words(2 * kDegree);
    test::fill(words, ring_.modulus(0).q, random_);
    lane->doing().upload_words({}, in.data(), words);
    recording->replay();
    const device::Buffer plain = upload(words);
    pair(*backend_, plain, sum, expected);
    for (std::size_t p = 0; p < 2; ++p) EXPECT_EQ(read(lane->doing(), out[p]), read(*backend_, expected[p]));
  }
}

TEST_P(OnDevice, WhatCannotBeNotedIsSaid) {
  auto lane = backend_->make_recorder().value();
  device::Buffer buffer = lane->noting().allocate(kDegree).value();
  Words words(kDegree);
  const device::LimbDownload row{words.data(), buffer.data()};
  EXPECT_FALSE(lane->noting().download({}, {&row, 1}).ok());
  const auto recording = lane->take();
  ASSERT_FALSE(recording.ok());
  EXPECT_EQ(recording.error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(lane->take().ok());   // begins anew
  const auto nested = lane->noting().make_recorder();
  ASSERT_FALSE(nested.ok());
}

INSTANTIATE_TEST_SUITE_P(Machines, OnDevice, ::testing::Values(test::Machine::kEmulated, test::Machine::kGpu), test::machine_name);

TEST(Counters, AClusterLoadsAndStoresOnce) {
  // What follows the transform counts alike.
  const test::TestRing ring(1u << 13, 4, 2, 2);
  const auto words = [&](const char* way) {
    TrialOptions options;
    options.transform = way;
    options.launches = "plain";
    const auto backend = CudaBackend::make(ring.ring(), make_emulated_driver({.clusters = true}), options).value();
    device::Buffer in = backend->allocate(backend->poly_words(4, true)).value(), out = backend->allocate(backend->poly_words(3, false)).value();
    backend->upload_words({}, in.data(), Words(in.words(), 5));
    backend->upload_words({}, out.data(), Words(out.words(), 7));
    backend->count(true);
    const device::ModDown job{in.data(), out.data(), nullptr};
    EXPECT_TRUE(backend->mod_down({}, 4, 1, {&job, 1}).ok());
    return *backend->counters();
  };
  const device::Counters two_passes = words("two-pass"), cluster = words("cluster");
  EXPECT_EQ(two_passes.kernels, 5U);
  EXPECT_EQ(cluster.kernels, 3U);
  EXPECT_EQ(two_passes.memory_bytes - cluster.memory_bytes, 4U * (1u << 13) * 2 * (3 + 3));   // three divisors, three limbs left
  EXPECT_EQ(two_passes.integer_operations, cluster.integer_operations);
}

TEST(Counters, TheCpuHasNone) {
  const test::TestRing ring(1024, 2, 1, 1);
  const auto cpu = device::make_cpu_backend(ring.ring(), std::make_shared<device::ThreadPool>(1U)).value();
  cpu->count(true);
  EXPECT_FALSE(cpu->counters().has_value());
  EXPECT_FALSE(cpu->peaks().has_value());
  EXPECT_EQ(cpu->make_recorder().value(), nullptr);
}

TEST(Counters, AnEmulatedDeviceHasNoPeaks) {
  const test::TestRing ring(1024, 2, 1, 1);
  EXPECT_FALSE(make_emulated_backend(ring.ring()).value()->peaks().has_value());
}

}  // namespace
}  // namespace brainlock::device_cuda
