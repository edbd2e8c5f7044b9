// From an answer's bytes to a verdict.
#pragma once

#include <optional>
#include <mutex>
#include <vector>

#include "brainlock/protocol/reason.hpp"
#include "brainlock/validator/task.hpp"

namespace brainlock::validator {

struct Verdict {
  protocol::Reason reason = protocol::Reason::kOk;
  std::string detail;
  std::optional<double> deviation;    ///< largest |decrypted - clear|
  std::optional<double> similarity;
};

/// Decrypts and compares with what the model says in the clear. Cost: one decryption.
Verdict judge_answer(const Task& task, std::span<const double> expected, std::span<const std::uint8_t> answer);

/// Answers seen before, by the first 64 bits of their hashes: an honest answer under fresh encryption never repeats. A ring that is
/// never larger than at its start; looking through all of it takes microseconds. Safe from many threads.
class AnswerMemory {
 public:
  /// By default more than the windows of 256 miners hold (40 answers each).
  explicit AnswerMemory(std::size_t capacity = 16'384) { ring_.resize(capacity); }
  /// True if these bytes were seen before; remembers them in the place of the oldest.
  bool seen(std::span<const std::uint8_t> answer);

 private:
  std::mutex mutex_;
  std::vector<std::uint64_t> ring_;
  std::size_t next_ = 0, held_ = 0;
};

}  // namespace brainlock::validator
