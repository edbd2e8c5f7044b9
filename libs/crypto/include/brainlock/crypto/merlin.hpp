// Merlin transcripts over STROBE-128: the Fiat-Shamir layer of sr25519 (merlin.cool, strobe.sourceforge.io).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "brainlock/crypto/bytes.hpp"

namespace brainlock::crypto {

/// A transcript that messages are appended to and challenges are drawn from. Both sides that append the same
/// things draw the same challenges. Wiped on destruction, since derivation appends secret keys.
/// Cost: one keccak-f[1600] per 166 bytes and per challenge. Not thread-safe; copy it to branch.
class MerlinTranscript {
 public:
  explicit MerlinTranscript(std::string_view label);
  MerlinTranscript(const MerlinTranscript&) = default;
  MerlinTranscript& operator=(const MerlinTranscript&) = default;
  ~MerlinTranscript();

  void append(std::string_view label, ByteView message);
  void append(std::string_view label, std::string_view message) { append(label, as_bytes(message)); }
  void challenge_into(std::span<std::uint8_t> out, std::string_view label);

 private:
  void begin_op(std::uint8_t flags, bool more);
  void absorb(ByteView data);
  void squeeze(std::span<std::uint8_t> out);
  void run_f();
  void meta_ad(ByteView data, bool more);

  std::array<std::uint8_t, 200> state_{};
  std::uint8_t pos_ = 0;
  std::uint8_t pos_begin_ = 0;
  std::uint8_t cur_flags_ = 0;
};

}  // namespace brainlock::crypto
