#include "brainlock/crypto/merlin.hpp"

#include "keccak.hpp"

namespace brainlock::crypto {
namespace {

constexpr std::uint8_t kRate = 166;  // STROBE-128 on keccak-f[1600]: 200 - 2*128/8 - 2.
constexpr std::uint8_t kFlagI = 1, kFlagA = 2, kFlagC = 4, kFlagM = 16, kFlagK = 32;

std::array<std::uint8_t, 4> u32_le(std::size_t value) {
  std::array<std::uint8_t, 4> out{};
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * i));
  return out;
}

}  // namespace

MerlinTranscript::MerlinTranscript(std::string_view label) {
  constexpr std::uint8_t kHeader[] = {1, kRate + 2, 1, 0, 1, 96};
  std::size_t at = 0;
  for (std::uint8_t b : kHeader) state_[at++] = b;
  for (char c : std::string_view("STROBEv1.0.2")) state_[at++] = static_cast<std::uint8_t>(c);
  keccak_f1600(state_);
  meta_ad(as_bytes("Merlin v1.0"), false);
  append("dom-sep", label);
}

MerlinTranscript::~MerlinTranscript() { wipe(state_); }

void MerlinTranscript::append(std::string_view label, ByteView message) {
  meta_ad(as_bytes(label), false);
  meta_ad(u32_le(message.size()), true);
  begin_op(kFlagA, false);
  absorb(message);
}

void MerlinTranscript::challenge_into(std::span<std::uint8_t> out, std::string_view label) {
  meta_ad(as_bytes(label), false);
  meta_ad(u32_le(out.size()), true);
  begin_op(kFlagI | kFlagA | kFlagC, false);
  squeeze(out);
}

void MerlinTranscript::meta_ad(ByteView data, bool more) {
  begin_op(kFlagM | kFlagA, more);
  absorb(data);
}

void MerlinTranscript::begin_op(std::uint8_t flags, bool more) {
  if (more) return;  // Continues the operation begun last; the callers above never mix flags.
  const std::uint8_t old_begin = pos_begin_;
  pos_begin_ = static_cast<std::uint8_t>(pos_ + 1);
  cur_flags_ = flags;
  const std::array<std::uint8_t, 2> header{old_begin, flags};
  absorb(header);
  if ((flags & (kFlagC | kFlagK)) != 0 && pos_ != 0) run_f();
}

void MerlinTranscript::absorb(ByteView data) {
  for (std::uint8_t b : data) {
    state_[pos_] ^= b;
    if (++pos_ == kRate) run_f();
  }
}

void MerlinTranscript::squeeze(std::span<std::uint8_t> out) {
  for (std::uint8_t& b : out) {
    b = state_[pos_];
    state_[pos_] = 0;
    if (++pos_ == kRate) run_f();
  }
}

void MerlinTranscript::run_f() {
  state_[pos_] ^= pos_begin_;
  state_[pos_ + 1] ^= 0x04;
  state_[kRate + 1] ^= 0x80;
  keccak_f1600(state_);
  pos_ = 0;
  pos_begin_ = 0;
}

}  // namespace brainlock::crypto
