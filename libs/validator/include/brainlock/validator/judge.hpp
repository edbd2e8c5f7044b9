// From an answer's bytes to a verdict.
#pragma once

#include <optional>
#include <set>
#include <deque>
#include <mutex>

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

/// Answers seen before, by hash: an honest answer under fresh encryption never repeats. Bounded: the oldest are forgotten. Safe
/// from many threads.
class AnswerMemory {
 public:
  /// By default more than the windows of 256 miners hold (40 answers each).
  explicit AnswerMemory(std::size_t capacity = 16'384) : capacity_(capacity) {}
  /// True if these bytes were seen before; remembers them.
  bool seen(std::span<const std::uint8_t> answer);

 private:
  std::size_t capacity_;
  std::mutex mutex_;
  std::set<protocol::ContentId> known_;
  std::deque<protocol::ContentId> order_;
};

}  // namespace brainlock::validator
