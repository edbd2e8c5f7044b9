// Key sets in memory, most recently used first.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "brainlock/miner/engine.hpp"
#include "brainlock/miner/key_registry.hpp"

namespace brainlock::miner {

/// Safe from many threads. One set is loaded at a time, outside the lock, once for all who wait for it: memory holds
/// `limit` sets, that one included, and those that running requests still use.
class LoadedKeyCache {
 public:
  /// `engine` outlives the cache.
  LoadedKeyCache(std::size_t limit, Engine& engine);

  /// The set of that name, read from `file` if it is not there. `validator`: what its owner is; ordinary users' sets make
  /// room first, then those of the validator who holds most. Where the engine has no memory left (kResource), all other
  /// sets are given up and it is tried once more. Otherwise errors of Engine::load_keys(), of which nothing is remembered.
  [[nodiscard]] Result<std::shared_ptr<const Engine::Keys>> get(const KeyName& name, bool validator, const std::filesystem::path& file);
  void drop(const KeyName& name);
  /// Sets and their bytes.
  [[nodiscard]] std::pair<std::size_t, std::uint64_t> held() const;

 private:
  struct Set {
    KeyName name;
    bool validator;
    std::shared_ptr<const Engine::Keys> keys;
  };
  void make_room_locked(const KeyName& name, bool validator);

  const std::size_t limit_;
  Engine& engine_;
  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  bool loading_ = false;
  std::list<Set> sets_;
};

}  // namespace brainlock::miner
