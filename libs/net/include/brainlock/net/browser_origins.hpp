// Which pages in browsers may ask: their origins, as browsers write them (CORS).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/net/http.hpp"

namespace brainlock::net {

/// Origins of pages. To be among them gives no right: it has browsers show answers to these pages, and keeps nobody else from asking. Safe from many threads.
class BrowserOrigins {
 public:
  BrowserOrigins() = default;   ///< none
  /// Each "https://app.example.org" or "http://localhost:8000", in the one spelling that browsers have: nothing behind host and port, lower case, no port that is
  /// the scheme's own. "*" is every origin. kInvalidArgument names what was expected.
  static Result<BrowserOrigins> parse(std::span<const std::string> origins);

  /// What an answer to a request with these headers says in Access-Control-Allow-Origin: "*", or the request's origin. Empty unless it has one Origin and no second
  /// one, and that is among ours byte for byte. A view of this object, never of the headers.
  [[nodiscard]] std::string_view allowed(const Headers& headers) const;

 private:
  std::vector<std::string> origins_;
};

/// What a server tells browsers.
struct BrowserAccess {
  BrowserOrigins origins;
  std::string answer_headers;   ///< names of the headers that pages may read besides the usual ones, with commas between
};

}  // namespace brainlock::net
