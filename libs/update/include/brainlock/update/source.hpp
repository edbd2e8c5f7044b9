// Where releases are published: an address of HTTP or HTTPS, or a folder. Read, and nothing else.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "brainlock/base/result.hpp"
#include "brainlock/net/download.hpp"

namespace brainlock::update {

/// One source. Names are relative: "release.json", "files/HEX". One thread at a time.
class Source {
 public:
  virtual ~Source() = default;
  /// Gives the bytes of `name`, at most `max_bytes`, in pieces. kNotFound, kTooLarge, kTimeout, kUnavailable, kIo;
  /// errors of the sink.
  virtual Status fetch(const std::string& name, std::uint64_t max_bytes, std::int64_t within_s,
                       const net::DownloadSink& sink, std::stop_token stop) = 0;
};

/// kInvalidArgument for what is neither. Connects only when something is fetched.
Result<std::unique_ptr<Source>> open_source(const std::string& address);

/// A whole small file as text.
Result<std::string> fetch_text(Source& source, const std::string& name, std::uint64_t max_bytes,
                               std::stop_token stop = {});

}  // namespace brainlock::update
