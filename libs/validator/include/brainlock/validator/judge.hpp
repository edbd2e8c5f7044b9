// From an answer's bytes to a verdict.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "brainlock/ledger/types.hpp"
#include "brainlock/protocol/reason.hpp"
#include "brainlock/validator/task.hpp"

namespace brainlock::validator {

/// What a question's answer is compared with.
struct Expected {
  std::vector<double> clear;                      ///< what the model says in the clear
  std::optional<package::Foretold> foretold = {};   ///< what an honest answer looks like, where that is known
};

/// Largest difference from the foretold answer, in units of what the scheme's errors make: of 2,600 encrypted and 47,000
/// simulated answers of twelve packages none was above 3.1.
inline constexpr double kMostNoiseRatio = 4;

struct Verdict {
  protocol::Reason reason = protocol::Reason::kOk;
  std::string detail;
  std::optional<double> deviation;    ///< largest |decrypted - clear|
  std::optional<double> similarity;
  std::optional<double> noise_ratio;  ///< rms difference from the foretold answer over the errors' own
};

/// Decrypts with `client` (of the task; keys change) and compares: no output further from the clear one than the package promises, and
/// all of them together no further from the foretold answer than the scheme's errors take them. Cost: one decryption.
Verdict judge_answer(const Task& task, const client::TaskClient& client, const Expected& expected, std::span<const std::uint8_t> answer);

/// What single answers do not show: somebody whose answers are all a little off computes something else. Means of the squares of noise
/// ratios by miner and package, over about as many answers as kMemory. Safe from many threads.
class NoiseMemory {
 public:
  static constexpr std::size_t kMemory = 20;
  static constexpr std::size_t kFew = 16;
  static constexpr double kMostMeanSquare = 2; ///< honest miners of those packages are at 0.1 to 1.1, and above 2 in no 10^5 such means

  /// Largest mean of so many answers of so many (independent) outputs. Few outputs err less evenly: 2.08 for four, 3.2 for one. Below kFew answers more is allowed, from
  /// the square of kMostNoiseRatio for one answer down (the sum of n may exceed 2 n by 14), which befalls less than one honest miner in a thousand where the
  /// package's estimate of the error is right.
  static double most(std::size_t answers, double outputs);

  /// Takes an answer that is right by itself. The mean with it if that is too large, otherwise nothing.
  std::optional<double> add(const ledger::AccountId& miner, const protocol::ContentId& package, double noise_ratio, double outputs);
  /// Drops what `gone` says yes to.
  void forget(const std::function<bool(const ledger::AccountId&)>& gone);

 private:
  struct Mean {
    double value = 0, outputs = 0;
    std::size_t count = 0;
  };
  std::mutex mutex_;
  std::map<std::pair<ledger::AccountId, protocol::ContentId>, Mean> means_;
};

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
