// A vote as its table has it.
#pragma once

#include "brainlock/store/database.hpp"
#include "brainlock/store/store.hpp"

namespace brainlock::store {

inline constexpr const char* kVoteColumns = "vote_id, time_ms, block, netuid, accepted, reason, detail, confirmed_block";

/// Of kVoteColumns; without its weights.
inline VoteRow vote_of(const Row& row) {
  VoteRow vote;
  vote.id = row[0].as_text();
  vote.time_ms = row[1].as_int();
  vote.block = static_cast<std::uint64_t>(row[2].as_int());
  vote.netuid = static_cast<std::uint16_t>(row[3].as_int());
  vote.accepted = row[4].as_int() != 0;
  vote.reason = row[5].as_text();
  vote.detail = row[6].as_text();
  if (!row[7].is_null()) vote.confirmed_block = static_cast<std::uint64_t>(row[7].as_int());
  return vote;
}

}  // namespace brainlock::store
