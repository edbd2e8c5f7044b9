// web/leaderboard.html, embedded at build time.
#pragma once

#include <string_view>

namespace brainlock::validator {

std::string_view leaderboard_page();

}  // namespace brainlock::validator
