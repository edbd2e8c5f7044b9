#include "brainlock/package/program_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "allocations.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/hash.hpp"
#include "resealed.hpp"
#include "sample_program.hpp"

namespace brainlock::package::test {
std::size_t largest_allocation = 0;
}
using brainlock::package::test::largest_allocation;

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
using test::fanned_program;
using test::kChecksum;
using test::masked_program;
using test::raised_program;
using test::resealed;
using test::sample_program;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

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
  EXPECT_EQ(a.rest, b.rest);
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
      EXPECT_EQ(std::tie(x->name, x->inputs, x->giant_step, x->giant_fan, x->rotate_sums, x->period, x->weight_scale, x->mask_scale, x->limit),
                std::tie(y.name, y.inputs, y.giant_step, y.giant_fan, y.rotate_sums, y.period, y.weight_scale, y.mask_scale, y.limit));
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
      EXPECT_EQ(q->real_part, std::get<plan::Square>(b.op).real_part);
    } else if (const auto* drop = std::get_if<plan::Drop>(&a.op)) {
      EXPECT_EQ(drop->in, std::get<plan::Drop>(b.op).in);
      EXPECT_EQ(drop->out, std::get<plan::Drop>(b.op).out);
    } else if (const auto* raise = std::get_if<plan::Raise>(&a.op)) {
      const auto& other = std::get<plan::Raise>(b.op);
      EXPECT_EQ(std::tie(raise->in, raise->out, raise->limit), std::tie(other.in, other.out, other.limit));
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

TEST(ProgramCodec, SquaresOfRealPartsAreVersion6) {
  plan::Program p = sample_program();
  p.instructions[2].op = plan::Square{3, {4}, true};
  p.instructions[3].op = plan::Combine{{{4, 1}, {4, 0}}, 5};
  auto& last = std::get<plan::Linear>(p.instructions[4].op);
  last.inputs = {5};
  last.outputs[0].out = 6;
  p.output_registers = {6};
  p.register_count = 7;
  p.keys = plan::collect_keys(p);
  expect_survives(p);
  Bytes claims_less = encode_program(p), claims_more = encode_program(sample_program());
  EXPECT_EQ(claims_less[7], 6);
  claims_less[7] = 5;
  claims_more[7] = 6;
  expect_refused(resealed(claims_less), ErrorCode::kMalformed, "version 5, but its instructions are those of version 6");
  expect_refused(resealed(claims_more), ErrorCode::kMalformed, "version 6, but its instructions are those of version 2");
  std::get<plan::Square>(p.instructions[2].op).out.push_back(5);
  expect_refused(encode_program(p), ErrorCode::kMalformed, "the square of a real part has one output");
}

plan::Linear& linear(plan::Program& p, std::size_t instruction) {
  return std::get<plan::Linear>(p.instructions[instruction].op);
}

// As docs/package.md has it: 10 and the fan, then the instruction as it would be without.
TEST(ProgramCodec, GiantFansAreVersion7) {
  const plan::Program p = fanned_program();
  expect_survives(p);
  const Bytes bytes = encode_program(p);
  EXPECT_EQ(bytes[7], 7);
  plan::Program horner = p;
  linear(horner, 1).giant_fan = 0;
  horner.keys = plan::collect_keys(horner);
  const Bytes plain = encode_program(horner);
  EXPECT_EQ(plain[7], 2);
  const Bytes with{10, 2, 0, 0, 0, 3, 5, 0, 0, 0, 'f', 'i', 'r', 's', 't'};
  const auto at = std::search(bytes.begin(), bytes.end(), with.begin(), with.end());
  ASSERT_NE(at, bytes.end());
  const auto prefix = at - bytes.begin();
  EXPECT_TRUE(std::equal(bytes.begin() + 8, at, plain.begin() + 8));
  EXPECT_TRUE(std::equal(with.begin() + 5, with.end(), plain.begin() + prefix));

  Bytes claims_less = bytes, claims_more = plain;
  claims_less[7] = 6;
  claims_more[7] = 7;
  expect_refused(resealed(claims_less), ErrorCode::kMalformed, "version 6, but its instructions are those of version 7");
  expect_refused(resealed(claims_more), ErrorCode::kMalformed, "version 7, but its instructions are those of version 2");
  Bytes zero = bytes, split = bytes, twice = bytes;
  zero[static_cast<std::size_t>(prefix) + 1] = 0;
  expect_refused(resealed(zero), ErrorCode::kMalformed, "a giant fan of 0");
  split[static_cast<std::size_t>(prefix) + 5] = 0;
  expect_refused(resealed(split), ErrorCode::kMalformed, "a giant fan of 2 before an instruction of kind 0");
  twice.insert(twice.begin() + prefix, {10, 2, 0, 0, 0});
  expect_refused(resealed(twice), ErrorCode::kMalformed, "unknown instruction kind 10");
  Bytes large = bytes;
  large[static_cast<std::size_t>(prefix) + 1] = 5;
  expect_refused(resealed(large), ErrorCode::kMalformed, "giant fan out of range");

  // With masks, and with numbers in double precision.
  plan::Program masked = masked_program(), precise = raised_program();
  for (auto* program : {&masked, &precise}) {
    for (auto& instruction : program->instructions) {
      auto* found = std::get_if<plan::Linear>(&instruction.op);
      if (found == nullptr || found->giant_step == 0) continue;
      found->outputs[0].giants = 3;
      found->outputs[0].weights.assign(found->outputs[0].columns.size() * 3, 0);
      found->giant_fan = 2;
    }
    program->keys = plan::collect_keys(*program);
    expect_survives(*program);
    EXPECT_EQ(encode_program(*program)[7], 7);
  }
}

/// What may be in double precision, each Linear's in turn: its vectors, masks and biases.
std::vector<plan::SlotVector*> slot_vectors(plan::Program& p) {
  std::vector<plan::SlotVector*> out;
  for (auto& instruction : p.instructions)
    if (auto* linear = std::get_if<plan::Linear>(&instruction.op)) {
      for (auto& vector : linear->vectors) out.push_back(&vector);
      for (auto& mask : linear->masks) out.push_back(&mask);
      for (auto& output : linear->outputs) out.push_back(&output.bias);
    }
  return out;
}

TEST(ProgramCodec, RaisesAndNumbersInDoublePrecisionAreVersion5) {
  const plan::Program p = raised_program();
  expect_survives(p);
  const Bytes bytes = encode_program(p);
  EXPECT_EQ(bytes[7], 5);
  Bytes claims_less = bytes, claims_more = encode_program(masked_program());
  claims_less[7] = 4;
  claims_more[7] = 5;
  expect_refused(resealed(claims_less), ErrorCode::kMalformed,
                 "version 4, but its instructions are those of version 5");
  expect_refused(resealed(claims_more), ErrorCode::kMalformed,
                 "version 5, but its instructions are those of version 4");
  // A Raise alone.
  plan::Program raise = p;
  for (auto* vector : slot_vectors(raise)) vector->rest.clear();
  expect_survives(raise);
  EXPECT_EQ(encode_program(raise)[7], 5);
  // One vector alone, one mask, one bias: of a program that had no other reason for the version.
  plan::Program masked = masked_program();
  const std::size_t count = slot_vectors(masked).size();
  ASSERT_EQ(count, 12U) << "4 + 1 + 1 of the first layer, 2 + 1 + 1 of the second, 1 + 0 + 1 of the shortcut";
  for (std::size_t i = 0; i < count; ++i) {
    plan::Program precise = masked;
    plan::SlotVector& vector = *slot_vectors(precise)[i];
    vector.rest.assign(vector.values.size(), {0x1p-30F, -0x1p-31F});
    expect_survives(precise);
    EXPECT_EQ(encode_program(precise)[7], 5) << i;
  }
}

// As docs/package.md has them: kind 7, and kind 8 with its lists of rests behind the masks.
TEST(ProgramCodec, BytesOfVersion5AreAsDocumented) {
  plan::Program p = raised_program();
  const auto contains = [](const Bytes& bytes, const Bytes& part) {
    return std::search(bytes.begin(), bytes.end(), part.begin(), part.end()) != bytes.end();
  };
  const Bytes raise{7,                                                         // kind
                    0, 0, 0, 0, 1, 0, 0, 0,                                    // in, out
                    0, 0, 0, 0, 0, 0, 0xE8, 0x3F,                              // limit 0.75
                    7, 0, 0, 0, 'r', 'e', 'f', 'r', 'e', 's', 'h',             // layer
                    1, 0, 0, 0, 4, 0, 0, 0};                                   // limbs_in, limbs_out
  EXPECT_TRUE(contains(encode_program(p), raise));
  EXPECT_TRUE(contains(encode_program(p), {8, 5, 0, 0, 0, 'f', 'i', 'r', 's', 't'}));
  EXPECT_TRUE(contains(encode_program(p), {8, 4, 0, 0, 0, 'l', 'a', 's', 't'}));
  // The last layer again, with rests of one number each.
  auto& last = linear(p, 4);
  last.period = 1;
  last.vectors = {{1, {}, {{1, 0}}, {{0x1p-30F, 0}}}, {1, {}, {{1, 0}}, {}}};
  last.masks = {{1, {}, {{1, 0}}, {{0x1p-31F, 0}}}};
  last.outputs[0].bias = {1, {}, {{1, 0}}, {{0, 0x1p-32F}}};
  ASSERT_TRUE(plan::validate(p).ok()) << plan::validate(p).error().to_string();
  const Bytes behind{1, 0, 0, 0,                                                        // masks: one
                     1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0,  // period 1, no slots, 1 + 0i
                     0, 0, 0, 0, 0, 0, 0x90, 0x40,                                      // mask_scale 2^10
                     1, 0, 0, 0, 0, 0, 0x80, 0x30, 0, 0, 0, 0,                          // the first vector's: 2^-30
                     0, 0, 0, 0,                                                        // the second's: none
                     1, 0, 0, 0, 0, 0, 0, 0x30, 0, 0, 0, 0,                             // the mask's: 2^-31
                     1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x2F,                          // the bias's: 2^-32 i
                     4, 0, 0, 0, 'l', 'a', 's', 't', 3, 0, 0, 0, 2, 0, 0, 0};           // layer, limbs_in, limbs_out
  EXPECT_TRUE(contains(encode_program(p), behind));
}

/// Where the kind of the linear of this name is.
std::size_t kind_at(const Bytes& bytes, const std::string& name) {
  Bytes text{static_cast<std::uint8_t>(name.size()), 0, 0, 0};
  text.insert(text.end(), name.begin(), name.end());
  for (auto from = bytes.begin();;) {
    const auto at = std::search(from, bytes.end(), text.begin(), text.end());
    if (at == bytes.end()) {
      ADD_FAILURE() << name;
      return 0;
    }
    const auto kind = at - 1;
    if (*kind == 3 || *kind == 6 || *kind == 8) return static_cast<std::size_t>(kind - bytes.begin());
    from = at + 1;
  }
}

TEST(ProgramCodec, ALinearOfAKindThatItDoesNotNeedIsRefused) {
  // Of kind 8, but all of its rests are empty: 4 + 1 lists, and no masks.
  plan::Program p = raised_program();
  auto& first = linear(p, 2);
  for (auto& vector : first.vectors) vector.rest.clear();
  first.outputs[0].bias.rest.clear();
  Bytes bytes = encode_program(p);
  const std::size_t kind = kind_at(bytes, "first");
  ASSERT_EQ(bytes[kind], 3);
  // Behind its own fields comes the layer's name.
  const Bytes layer{7, 0, 0, 0, 'r', 'e', 'f', 'r', 'e', 's', 'h'};
  const auto end =
      std::search(bytes.begin() + static_cast<std::ptrdiff_t>(kind), bytes.end(), layer.begin(), layer.end());
  ASSERT_NE(end, bytes.end());
  bytes[kind] = 8;
  bytes.insert(end, 4 + 8 + 5 * 4, 0);
  expect_refused(resealed(bytes), ErrorCode::kMalformed, "a linear of kind 8 without what that kind is for");

  // With a mask and no rest: kind 6 it must be. Its mask is there already; 4 + 1 + 1 empty lists are not.
  plan::Program masked = masked_program();
  bytes = encode_program(masked);
  const std::size_t at = kind_at(bytes, "first");
  ASSERT_EQ(bytes[at], 6);
  const Bytes own{5, 0, 0, 0, 'f', 'i', 'r', 's', 't', 4, 0, 0, 0, 3, 0, 0, 0};  // the layer, at limbs 4 and 3
  const auto masks_end =
      std::search(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(), own.begin(), own.end());
  ASSERT_NE(masks_end, bytes.end());
  bytes[at] = 8;
  bytes[7] = 5;
  bytes.insert(masks_end, 6 * 4, 0);
  expect_refused(resealed(bytes), ErrorCode::kMalformed, "a linear of kind 8 without what that kind is for");

  // Kind 6 without masks, as it has always been.
  bytes = encode_program(sample_program());
  const std::size_t plain = kind_at(bytes, "first");
  const auto fields_end =
      std::search(bytes.begin() + static_cast<std::ptrdiff_t>(plain), bytes.end(), own.begin(), own.end());
  ASSERT_NE(fields_end, bytes.end());
  bytes[plain] = 6;
  bytes[7] = 4;
  bytes.insert(fields_end, 4 + 8, 0);
  expect_refused(resealed(bytes), ErrorCode::kMalformed, "a linear of kind 6 without what that kind is for");

  bytes = encode_program(sample_program());
  bytes[kind_at(bytes, "first")] = 10;
  expect_refused(resealed(bytes), ErrorCode::kMalformed, "unknown instruction kind 10");
}

// What was written before version 5, byte for byte.
TEST(ProgramCodec, ProgramsWithoutNewsHaveTheBytesTheyHad) {
  const auto hash = [](const plan::Program& p) { return crypto::hex_encode(crypto::blake2b_256(encode_program(p))); };
  EXPECT_EQ(hash(sample_program()), "ecfeeca27fbad2f672de5a152a15f69f2d4999d19b810bc093dc3d247970eb88");
  EXPECT_EQ(hash(branched_program()), "e4cada8ea82ed161010173311252724d21b7577d7dc0ef823a5a34612a6ff637");
  EXPECT_EQ(hash(masked_program()), "8d4439412353524bc5861fb71b2bf0fb99c31467549cd409ce093203db683a46");
}

TEST(ProgramCodec, EveryFlippedByteOfAPlanOfAllInstructionsIsRefusedOrOneEncoding) {
  for (const plan::Program& program : {masked_program(), raised_program()}) {
    const Bytes good = encode_program(program);
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
  for (const Bytes& good : {encode_program(sample_program()), encode_program(raised_program())}) {
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
  for (const int version : {0, 1, 8, 255}) {
    Bytes other = good;
    other[7] = static_cast<std::uint8_t>(version);
    expect_refused(resealed(other), ErrorCode::kUnsupported,
                   ("version " + std::to_string(version) + ", expected 2 to 7; " + (version < 2 ? "compile the model again" : "it comes from a newer program")).c_str());
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
  for (const Bytes& good : {encode_program(sample_program()), encode_program(raised_program())}) {
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
