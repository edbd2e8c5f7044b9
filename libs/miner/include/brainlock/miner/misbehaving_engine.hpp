// Engines that do what a miner must not: for test networks and the suite of adversaries.
#pragma once

#include "brainlock/miner/engine.hpp"

namespace brainlock::miner {

enum class Misbehaviour {
  kSlow,       ///< right answers, late: each takes `slow_factor` times as long as it took to compute, and at least `delay_ms` longer
  kReplay,     ///< computes one answer per key, keeps it, and gives it to every later question
  kEcho,       ///< sends the question back
  kZeros,      ///< an answer of the right length, all zero bytes after its header
  kNoise,      ///< flips bits in the middle of the right answer
  kTruncate,   ///< leaves out the last byte
  kOversize,   ///< doubles the answer
  kEmpty,
};

std::string_view misbehaviour_name(Misbehaviour kind);
/// kNotFound for another name; the message lists all.
Result<Misbehaviour> misbehaviour_from_name(std::string_view name);

/// Wraps an engine.
std::unique_ptr<Engine> make_misbehaving_engine(std::unique_ptr<Engine> inner, Misbehaviour kind, std::int64_t delay_ms, double slow_factor = 1);

}  // namespace brainlock::miner
