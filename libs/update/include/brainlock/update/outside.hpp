// All that an update asks of the world outside of its folder, so that tests can be that world.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "brainlock/base/result.hpp"
#include "brainlock/update/program.hpp"
#include "brainlock/update/settings.hpp"
#include "brainlock/update/source.hpp"
#include "brainlock/update/version.hpp"

namespace brainlock::update {

struct Outside {
  std::function<std::int64_t()> now_s;  ///< Unix time
  std::function<std::chrono::steady_clock::time_point()> steady;
  std::function<void(std::chrono::milliseconds)> wait;
  std::function<Result<std::unique_ptr<Source>>(const std::string&)> open_source;
  std::function<Result<Finished>(const std::vector<std::string>&, std::chrono::milliseconds, Output)> run;
  std::function<Result<std::string>(const std::string& address)> ask;  ///< what a service of this machine answers
  /// Schema of the store of a validator; 0: nothing in it yet. Reads only.
  std::function<Result<int>(const Service&)> store_schema;
  /// Told before each step, for people who look on: "switching to 0.2.0".
  std::function<void(const std::string& step)> say;
  std::string architecture;
  GlibcVersion glibc;
};

/// The real one; `store_schema` and `say` are the caller's to set.
Outside real_outside();

}  // namespace brainlock::update
