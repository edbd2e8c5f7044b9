// One miner's question on its way through a round.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "brainlock/client/miner_connection.hpp"
#include "brainlock/ledger/types.hpp"
#include "brainlock/sampler/sampler.hpp"
#include "brainlock/validator/judge.hpp"
#include "brainlock/validator/task.hpp"

namespace brainlock::validator {

/// Which seats a question takes. Those who have no right answer to show do not take the others' seats.
enum class Seat { kBatch, kSlow, kFresh, kFailing };

struct Question {
  Seat seat = Seat::kBatch;
  const Task* task = nullptr;
  std::shared_ptr<const client::TaskClient> keys;   ///< the task's client of the time: a question may outlive it
  ledger::Neuron miner;
  sampler::Sample sample;
  std::vector<std::uint8_t> bytes;
  Expected expected;
  Status prepared;
  client::Call call;
  std::chrono::steady_clock::duration took{};       ///< the miner had us, answer or not; an upload that ended well is not counted
  std::chrono::steady_clock::time_point begun{}, ended{};
  std::optional<std::chrono::steady_clock::time_point> heard;   ///< the miner's last word in between
  bool withdrawn = false;                           ///< the miner was ready when the others had been asked: it is asked the next time
  Verdict verdict;
};

}  // namespace brainlock::validator
