#include "brainlock/validator/judge.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/score/score.hpp"

namespace brainlock::validator {

using protocol::Reason;

namespace {

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

}  // namespace

Verdict judge_answer(const Task& task, const client::TaskClient& client, const Expected& expected, std::span<const std::uint8_t> answer) {
  Verdict verdict;
  const auto& clear = expected.clear;
  const auto outputs = client.decrypt(answer);
  if (!outputs.ok()) {
    switch (outputs.error().code) {
      case ErrorCode::kInsecure: verdict.reason = Reason::kTrivialAnswer; break;
      case ErrorCode::kTooLarge: verdict.reason = Reason::kAnswerTooLarge; break;
      case ErrorCode::kIo:
      case ErrorCode::kResource:
      case ErrorCode::kInternal: verdict.reason = Reason::kValidatorError; break;
      default: verdict.reason = Reason::kMalformedAnswer; break;
    }
    verdict.detail = outputs.error().message;
    return verdict;
  }
  if (outputs->size() != clear.size()) {
    verdict.reason = Reason::kMalformedAnswer;
    verdict.detail = std::to_string(outputs->size()) + " outputs, expected " + std::to_string(clear.size());
    return verdict;
  }
  double deviation = 0;
  for (std::size_t i = 0; i < clear.size(); ++i) {
    const double difference = std::fabs((*outputs)[i] - clear[i]);
    // Written so that NaN is the largest deviation there is.
    if (!(difference <= deviation)) deviation = std::isnan(difference) ? HUGE_VAL : difference;
  }
  if (std::isfinite(deviation)) verdict.deviation = deviation;
  if (const auto cosine = score::cosine_similarity(*outputs, clear); cosine.ok()) verdict.similarity = *cosine;

  if (expected.foretold) {
    if (const double ratio = expected.foretold->ratio(*outputs); std::isfinite(ratio)) verdict.noise_ratio = ratio;
  }

  if (task.judged_by_cosine) {
    if (!verdict.similarity || *verdict.similarity < task.least_similarity) {
      verdict.reason = Reason::kWrongOutput;
      verdict.detail = "similarity " + (verdict.similarity ? number(*verdict.similarity) : std::string("undefined")) + ", at least " + number(task.least_similarity) + " is wanted";
    }
  } else if (!(deviation <= task.error_bound)) {
    verdict.reason = Reason::kWrongOutput;
    verdict.detail = "deviates by " + number(deviation) + ", allowed are " + number(task.error_bound);
  } else if (expected.foretold && !(verdict.noise_ratio && *verdict.noise_ratio <= kMostNoiseRatio)) {
    verdict.reason = Reason::kWrongOutput;
    verdict.detail = "differs from the foretold answer by " + (verdict.noise_ratio ? number(*verdict.noise_ratio) : std::string("any")) +
                     " times what the scheme's errors make, allowed are " + number(kMostNoiseRatio);
  }
  return verdict;
}

double NoiseMemory::most(std::size_t answers, double outputs) {
  const double many = kMostMeanSquare + std::max(0.0, 1.5 / std::max(1.0, outputs) - 0.3);
  if (answers >= kFew) return many;
  return many + (kMostNoiseRatio * kMostNoiseRatio - many) / static_cast<double>(std::max<std::size_t>(1, answers));
}

std::optional<double> NoiseMemory::add(const ledger::AccountId& miner, const protocol::ContentId& package, double noise_ratio, double outputs) {
  const std::lock_guard lock(mutex_);
  Mean& mean = means_[{miner, package}];
  mean.count = std::min(mean.count + 1, kMemory);
  mean.value += (noise_ratio * noise_ratio - mean.value) / static_cast<double>(mean.count);
  mean.outputs += (outputs - mean.outputs) / static_cast<double>(mean.count);
  return mean.value > most(mean.count, mean.outputs) ? std::optional(mean.value) : std::nullopt;
}

void NoiseMemory::forget(const std::function<bool(const ledger::AccountId&)>& gone) {
  const std::lock_guard lock(mutex_);
  std::erase_if(means_, [&](const auto& entry) { return gone(entry.first.first); });
}

bool AnswerMemory::seen(std::span<const std::uint8_t> answer) {
  const auto hash = crypto::blake2b_256(answer);
  std::uint64_t id = 0;
  std::memcpy(&id, hash.data(), sizeof id);
  const std::lock_guard lock(mutex_);
  const auto end = ring_.begin() + static_cast<std::ptrdiff_t>(held_);
  if (std::find(ring_.begin(), end, id) != end) return true;
  ring_[next_] = id;
  next_ = (next_ + 1) % ring_.size();
  held_ = std::max(held_, next_ == 0 ? ring_.size() : next_);
  return false;
}

}  // namespace brainlock::validator
