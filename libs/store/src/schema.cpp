#include "schema.hpp"

namespace brainlock::store {

std::span<const Migration> store_migrations() {
  static const std::vector<Migration> kMigrations = {
      {1,
       {
           R"(CREATE TABLE requests (
                id {ID},
                uuid TEXT NOT NULL UNIQUE,
                validator {BLOB} NOT NULL,
                miner {BLOB} NOT NULL,
                miner_uid BIGINT NOT NULL,
                package TEXT NOT NULL,
                input_kind TEXT NOT NULL,
                input_seed BIGINT NOT NULL,
                started_ms BIGINT NOT NULL,
                finished_ms BIGINT NOT NULL,
                success BIGINT NOT NULL,
                reason TEXT NOT NULL,
                detail TEXT NOT NULL,
                response_s {REAL} NOT NULL,
                network_s {REAL} NOT NULL,
                bytes_sent BIGINT NOT NULL,
                bytes_received BIGINT NOT NULL,
                deviation {REAL},
                similarity {REAL}))",
           "CREATE INDEX requests_by_miner ON requests (miner, finished_ms)",
           "CREATE INDEX requests_by_time ON requests (finished_ms)",
           R"(CREATE TABLE votes (
                id {ID},
                vote_id TEXT NOT NULL UNIQUE,
                time_ms BIGINT NOT NULL,
                block BIGINT NOT NULL,
                netuid BIGINT NOT NULL,
                accepted BIGINT NOT NULL,
                reason TEXT NOT NULL,
                detail TEXT NOT NULL,
                confirmed_block BIGINT))",
           R"(CREATE TABLE vote_weights (
                vote_id TEXT NOT NULL REFERENCES votes (vote_id),
                uid BIGINT NOT NULL,
                value BIGINT NOT NULL,
                PRIMARY KEY (vote_id, uid)))",
           R"(CREATE TABLE nonces (
                signer {BLOB} NOT NULL,
                nonce TEXT NOT NULL,
                expires_ms BIGINT NOT NULL,
                PRIMARY KEY (signer, nonce)))",
           "CREATE INDEX nonces_by_expiry ON nonces (expires_ms)",
           R"(CREATE TABLE settings (
                scope TEXT NOT NULL,
                name TEXT NOT NULL,
                value {BLOB} NOT NULL,
                PRIMARY KEY (scope, name)))",
       }},
      // Counting reasons without it sorts every row of the history in memory.
      {2, {"CREATE INDEX requests_by_reason ON requests (miner, reason, finished_ms)"}},
      // Replays are kept off by a miner's fence, which is no database.
      {3, {"DROP TABLE nonces"}},
  };
  return kMigrations;
}

}  // namespace brainlock::store
