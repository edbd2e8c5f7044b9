#include "brainlock/package/program_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "brainlock/crypto/hash.hpp"
#include "sample_program.hpp"

namespace {
std::size_t largest_allocation = 0;   // since it was last set to zero
}

// Every allocation of this binary goes through here, so that a test can see what was asked for. Not inlined: the
// compiler would take malloc and delete for a pair that does not match.
[[gnu::noinline]] void* operator new(std::size_t size) {
  largest_allocation = std::max(largest_allocation, size);
  if (void* block = std::malloc(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace brainlock::package {
namespace {

using test::branched_program;
using test::masked_program;
using test::sample_program;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kChecksum = 32;

/// The bytes with a right checksum, so that damage reaches the parser.
Bytes resealed(Bytes bytes) {
  const auto body = std::span<const std::uint8_t>(bytes).first(bytes.size() - kChecksum);
  const crypto::Hash256 checksum = crypto::blake2b_256(body);
  std::copy(checksum.begin(), checksum.end(), bytes.end() - kChecksum);
  return bytes;
}

void expect_refused(const Bytes& bytes, ErrorCode code, const char* text) {
  const auto decoded = decode_program(bytes);
  ASSERT_FALSE(decoded.ok()) << text;
  EXPECT_EQ(decoded.error().code, code) << decoded.error().to_string();
  EXPECT_THAT(decoded.error().message, HasSubstr(text));
}

void expect_same_map(const plan::TensorMap& a, const plan::TensorMap& b) {
  EXPECT_EQ(std::tie(a.channels, a.height, a.width, a.ciphertexts, a.parts, a.limbs, a.scale, a.bound),
            std::tie(b.channels, b.height, b.width, b.ciphertexts, b.parts, b.limbs, b.scale, b.bound));
  ASSERT_EQ(a.places.size(), b.places.size());
  for (std::size_t i = 0; i < a.places.size(); ++i)
    EXPECT_EQ(std::tie(a.places[i].index, a.places[i].ciphertext, a.places[i].slot, a.places[i].part),
              std::tie(b.places[i].index, b.places[i].ciphertext, b.places[i].slot, b.places[i].part));
}

void expect_same_vector(const plan::SlotVector& a, const plan::SlotVector& b) {
  EXPECT_EQ(a.period, b.period);
  EXPECT_EQ(a.slots, b.slots);
  EXPECT_EQ(a.values, b.values);
}

void expect_survives(const plan::Program& p) {
  const auto decoded = decode_program(encode_program(p));
  ASSERT_TRUE(decoded.ok()) << decoded.error().to_string();
  const plan::Program& d = *decoded;
  EXPECT_EQ(d.model_name, "sample");
  EXPECT_EQ(d.profile, "test");
  EXPECT_EQ(d.parameters.ring_degree, p.parameters.ring_degree);
  EXPECT_EQ(d.parameters.q, p.parameters.q);
  EXPECT_EQ(d.parameters.p, p.parameters.p);
  EXPECT_EQ(d.parameters.digit_limbs, 2U);
  expect_same_map(d.input, p.input);
  expect_same_map(d.output, p.output);
  EXPECT_EQ(d.register_count, p.register_count);
  EXPECT_EQ(d.output_registers, p.output_registers);
  EXPECT_EQ(d.keys, p.keys);
  EXPECT_EQ(d.error_bound, 0.25);
  EXPECT_EQ(d.error_estimate, 0.01);
  ASSERT_EQ(d.instructions.size(), p.instructions.size());
  for (std::size_t i = 0; i < p.instructions.size(); ++i) {
    const plan::Instruction &a = d.instructions[i], &b = p.instructions[i];
    EXPECT_EQ(std::tie(a.layer, a.limbs_in, a.limbs_out, a.scale_in, a.scale_out),
              std::tie(b.layer, b.limbs_in, b.limbs_out, b.scale_in, b.scale_out));
    ASSERT_EQ(a.op.index(), b.op.index());
    if (const auto* x = std::get_if<plan::Linear>(&a.op)) {
      const auto& y = std::get<plan::Linear>(b.op);
      EXPECT_EQ(std::tie(x->name, x->inputs, x->giant_step, x->rotate_sums, x->period, x->weight_scale, x->mask_scale, x->limit),
                std::tie(y.name, y.inputs, y.giant_step, y.rotate_sums, y.period, y.weight_scale, y.mask_scale, y.limit));
      ASSERT_EQ(x->masks.size(), y.masks.size());
      for (std::size_t k = 0; k < x->masks.size(); ++k) expect_same_vector(x->masks[k], y.masks[k]);
      ASSERT_EQ(x->columns.size(), y.columns.size());
      for (std::size_t k = 0; k < x->columns.size(); ++k)
        EXPECT_EQ(std::tie(x->columns[k].input, x->columns[k].rotation), std::tie(y.columns[k].input, y.columns[k].rotation));
      ASSERT_EQ(x->vectors.size(), y.vectors.size());
      for (std::size_t k = 0; k < x->vectors.size(); ++k) expect_same_vector(x->vectors[k], y.vectors[k]);
      ASSERT_EQ(x->outputs.size(), y.outputs.size());
      for (std::size_t k = 0; k < x->outputs.size(); ++k) {
        EXPECT_EQ(std::tie(x->outputs[k].out, x->outputs[k].columns, x->outputs[k].giants, x->outputs[k].weights),
                  std::tie(y.outputs[k].out, y.outputs[k].columns, y.outputs[k].giants, y.outputs[k].weights));
        expect_same_vector(x->outputs[k].bias, y.outputs[k].bias);
      }
    } else if (const auto* s = std::get_if<plan::Split>(&a.op)) {
      EXPECT_EQ(s->in, std::get<plan::Split>(b.op).in);
      EXPECT_EQ(s->out, std::get<plan::Split>(b.op).out);
    } else if (const auto* q = std::get_if<plan::Square>(&a.op)) {
      EXPECT_EQ(q->in, std::get<plan::Square>(b.op).in);
      EXPECT_EQ(q->out, std::get<plan::Square>(b.op).out);
    } else if (const auto* drop = std::get_if<plan::Drop>(&a.op)) {
      EXPECT_EQ(drop->in, std::get<plan::Drop>(b.op).in);
      EXPECT_EQ(drop->out, std::get<plan::Drop>(b.op).out);
    } else if (const auto* add = std::get_if<plan::Add>(&a.op)) {
      EXPECT_EQ(add->terms, std::get<plan::Add>(b.op).terms);
      EXPECT_EQ(add->out, std::get<plan::Add>(b.op).out);
    } else {
      const auto &c = std::get<plan::Combine>(a.op), &e = std::get<plan::Combine>(b.op);
      EXPECT_EQ(c.out, e.out);
      ASSERT_EQ(c.terms.size(), e.terms.size());
      for (std::size_t k = 0; k < c.terms.size(); ++k)
        EXPECT_EQ(std::tie(c.terms[k].in, c.terms[k].rotation), std::tie(e.terms[k].in, e.terms[k].rotation));
    }
  }
}

TEST(ProgramCodec, EveryFieldSurvives) { expect_survives(sample_program()); }

// Branches are what version 3 added, masks version 4: programs without them are written as before.
TEST(ProgramCodec, TheVersionIsTheLeastThatHasAllInstructions) {
  const plan::Program p = branched_program();
  expect_survives(p);
  expect_survives(masked_program());
  const Bytes with = encode_program(p), without = encode_program(sample_program()), masked = encode_program(masked_program());
  EXPECT_EQ(masked[7], 4);
  EXPECT_EQ(with[7], 3);
  EXPECT_EQ(without[7], 2);
  Bytes unmasked = masked;
  unmasked[7] = 3;
  expect_refused(resealed(unmasked), ErrorCode::kMalformed, "version 3, but its instructions are those of version 4");
  Bytes claims_less = with, claims_more = without;
  claims_less[7] = 2;
  claims_more[7] = 3;
  expect_refused(resealed(claims_less), ErrorCode::kMalformed, "version 2, but its instructions are those of version 3");
  expect_refused(resealed(claims_more), ErrorCode::kMalformed, "version 3, but its instructions are those of version 2");
}

TEST(ProgramCodec, EveryFlippedByteOfABranchedAndMaskedPlanIsRefusedOrOneEncoding) {
  const Bytes good = encode_program(masked_program());
  for (std::size_t at = 8; at + kChecksum < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x41;
    bad = resealed(bad);
    const auto decoded = decode_program(bad);
    if (decoded.ok()) {
      EXPECT_EQ(encode_program(*decoded), bad) << at;
    }
  }
}

// The head and the first fields, byte by byte as docs/package.md has them.
TEST(ProgramCodec, BytesAreAsDocumented) {
  const Bytes bytes = encode_program(sample_program());
  const std::uint8_t start[] = {'B', 'L', 'P', 'L', 'A', 'N', 0, 2,                     // magic, version
                                6, 0, 0, 0, 's', 'a', 'm', 'p', 'l', 'e',               // model_name
                                4, 0, 0, 0, 't', 'e', 's', 't',                         // profile
                                0, 0x20, 0, 0,                                          // ring_degree 8192
                                4, 0, 0, 0};                                            // q: 4 primes
  ASSERT_GT(bytes.size(), sizeof start);
  EXPECT_EQ(std::memcmp(bytes.data(), start, sizeof start), 0);
  EXPECT_EQ(resealed(bytes), bytes);
}

TEST(ProgramCodec, EveryTruncationIsRefused) {
  const Bytes good = encode_program(sample_program());
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto cut = decode_program(std::span(good).first(size));
    ASSERT_FALSE(cut.ok()) << size;
    ASSERT_EQ(cut.error().code, size < 8 + kChecksum ? ErrorCode::kTruncated : ErrorCode::kCorrupted) << size;
  }
  // With a right checksum the parser itself meets the end, at every place.
  for (std::size_t size = 8 + kChecksum; size < good.size(); ++size) {
    const auto cut = decode_program(resealed({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}));
    ASSERT_FALSE(cut.ok()) << size;
    ASSERT_EQ(cut.error().code, ErrorCode::kMalformed) << size;
  }
}

TEST(ProgramCodec, BitFlipsAreRefusedOrMeanSomethingElse) {
  const Bytes good = encode_program(sample_program());
  std::mt19937_64 random(7);
  std::size_t refused = 0, accepted = 0;
  for (int i = 0; i < 6000; ++i) {
    Bytes bad = good;
    const std::size_t bit = random() % (8 * good.size());
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    const auto damaged = decode_program(bad);
    ASSERT_FALSE(damaged.ok()) << "bit " << bit;
    if (bit >= 64) {
      ASSERT_EQ(damaged.error().code, ErrorCode::kCorrupted) << "bit " << bit;
    }
    // Sealed again it may be another program (another weight); then its bytes are the only ones for it.
    const Bytes sealed = resealed(bad);
    const auto other = decode_program(sealed);
    if (other.ok()) {
      ++accepted;
      ASSERT_EQ(encode_program(*other), sealed) << "bit " << bit;
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500U);
  EXPECT_GT(accepted, 500U);
}

TEST(ProgramCodec, SeededGarbageAfterTheHeadIsRefused) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 3000; ++i) {
    Bytes bytes = encode_program(sample_program());
    bytes.resize(8 + random() % 600 + kChecksum);
    for (std::size_t k = 8; k < bytes.size(); ++k) bytes[k] = static_cast<std::uint8_t>(random() % (i % 2 == 0 ? 256 : 3));
    ASSERT_FALSE(decode_program(resealed(std::move(bytes))).ok()) << i;
  }
}

TEST(ProgramCodec, ForeignBytesAreNamed) {
  const Bytes good = encode_program(sample_program());
  expect_refused({}, ErrorCode::kTruncated, "at least 40 bytes, got 0");
  Bytes foreign(good.size(), 'x');
  expect_refused(foreign, ErrorCode::kMalformed, "not a Brainlock plan");
  for (const int version : {0, 1, 5, 255}) {
    Bytes other = good;
    other[7] = static_cast<std::uint8_t>(version);
    expect_refused(resealed(other), ErrorCode::kUnsupported, ("version " + std::to_string(version) + ", expected 2 to 4").c_str());
  }
  Bytes longer = good;
  longer.insert(longer.end() - kChecksum, {0, 0, 0});
  expect_refused(resealed(longer), ErrorCode::kMalformed, "3 bytes too many");
  Bytes damaged = good;
  damaged.back() ^= 1;
  expect_refused(damaged, ErrorCode::kCorrupted, "checksum");
}

TEST(ProgramCodec, OversizedBytesAreRefusedUnread) {
  // Never written to, so that it costs addresses and no memory.
  const std::size_t size = kMaxProgramBytes + 1;
  const std::unique_ptr<std::uint8_t, decltype(&std::free)> bytes(static_cast<std::uint8_t*>(std::calloc(size, 1)), &std::free);
  ASSERT_NE(bytes, nullptr);
  const auto decoded = decode_program({bytes.get(), size});
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code, ErrorCode::kTooLarge);
  EXPECT_THAT(decoded.error().message, HasSubstr("got 1073741825"));
}

// Every 32-bit field set to huge values: counts among them must not be believed.
TEST(ProgramCodec, HostileCountsAllocateNothing) {
  const Bytes good = encode_program(sample_program());
  for (const std::uint32_t count : {0xFFFFFFFFU, 0x7FFFFFFFU, 0x10000000U, 0x00FFFFFFU, 0x000FFFFFU, 0x0000FFFFU}) {
    for (std::size_t at = 8; at + 4 + kChecksum <= good.size(); ++at) {
      Bytes bad = good;
      std::memcpy(bad.data() + at, &count, 4);
      const Bytes sealed = resealed(std::move(bad));
      largest_allocation = 0;
      const auto decoded = decode_program(sealed);
      ASSERT_LE(largest_allocation, 16 * sealed.size()) << "count " << count << " at " << at;
      if (decoded.ok()) {
        ASSERT_EQ(encode_program(*decoded), sealed) << at;
      }
    }
  }
}

TEST(ProgramCodec, NamesMustBePrintableText) {
  for (const std::string& name : {std::string("tab\t"), std::string("\x80"), std::string("cut \xC3"), std::string("long \xC0\xAF"),
                                 std::string("half \xED\xA0\x80"), std::string("\x7F"), std::string("c1 \xC2\x85"), std::string(5000, 'a')}) {
    plan::Program p = sample_program();
    p.model_name = name;
    expect_refused(encode_program(p), ErrorCode::kMalformed, "not printable");
    p = sample_program();
    p.instructions[2].layer = name;
    expect_refused(encode_program(p), ErrorCode::kMalformed, "instruction 2: layer name");
  }
  plan::Program p = sample_program();
  p.model_name = "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x88";
  EXPECT_TRUE(decode_program(encode_program(p)).ok());
}

}  // namespace
}  // namespace brainlock::package
