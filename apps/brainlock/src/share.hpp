// Shares of images, with the interval in which the true one lies.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>

namespace brainlock::app {

/// "hits", "of", "share" and Wilson's score interval at 95 %, "low95" and "high95".
nlohmann::json share_json(std::size_t hits, std::size_t n);
/// The same as a line; nothing where n is 0.
void print_share(const char* what, std::size_t hits, std::size_t n);

}  // namespace brainlock::app
