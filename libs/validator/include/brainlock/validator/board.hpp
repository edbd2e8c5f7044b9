// What a validator shows: a page, its data, metrics.
#pragma once

#include <memory>
#include <string>

#include "brainlock/net/server.hpp"
#include "brainlock/validator/validator.hpp"

namespace brainlock::validator {

/// Everything the page draws, as one JSON object: leaderboard, reasons of zeros, votes, times over the last `hours`, activity.
/// Errors: of the ledger and the store.
Result<std::string> board_json(Validator& validator, double hours = 24);

/// Prometheus text. Errors as board_json.
Result<std::string> board_metrics(Validator& validator);

/// GET /  the page;  GET /api/board  its data;  GET /api/status  version and activity, at no cost;  GET /metrics. Read only, for anybody who can reach the port. The data are worked
/// out at most once a second and in at most a tenth of the time. `version`: the program's. The validator must outlive the server.
std::shared_ptr<net::Application> make_board(Validator& validator, std::string version = {});

}  // namespace brainlock::validator
