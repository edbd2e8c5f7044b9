// The binary form of a compiled program (plan.bin). Little-endian; grammar in docs/package.md.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::package {

inline constexpr std::uint64_t kMaxProgramBytes = 1ULL << 30;
/// Version 2 added Linear::limit, version 3 the instructions Drop and Add, version 4 masks, version 5 Raise and
/// SlotVector::rest, version 6 Square::real_part, version 7 Linear::giant_fan. A program is written in the least version that has all that it uses, so that it has one encoding.
inline constexpr std::uint8_t kOldestProgramVersion = 2, kBranchesVersion = 3, kMasksVersion = 4, kRaiseVersion = 5,
                              kRealPartVersion = 6, kGiantFanVersion = 7, kProgramVersion = kGiantFanVersion;
/// That version.
std::uint8_t program_version(const plan::Program& program);

/// "BLPLAN" magic, version, fields in declaration order, BLAKE2b-256 of all before it.
std::vector<std::uint8_t> encode_program(const plan::Program& program);

/// The door for plans: length limits before any allocation, checksum, then plan::validate(). kTruncated, kMalformed,
/// kTooLarge, kCorrupted, kUnsupported (another version) say what was expected and what came. What is accepted has one
/// encoding: encode_program() of it gives the bytes back. Memory: at most some eight times the bytes.
Result<plan::Program> decode_program(std::span<const std::uint8_t> bytes);

}  // namespace brainlock::package
