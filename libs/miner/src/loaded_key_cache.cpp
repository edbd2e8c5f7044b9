#include "loaded_key_cache.hpp"

#include <algorithm>

namespace brainlock::miner {

LoadedKeyCache::LoadedKeyCache(std::size_t limit, Engine& engine)
    : limit_(std::max<std::size_t>(1, limit)), engine_(engine) {}

Result<std::shared_ptr<const Engine::Keys>> LoadedKeyCache::get(const KeyName& name, bool validator,
                                                                const std::filesystem::path& file) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto found = std::find_if(sets_.begin(), sets_.end(), [&](const auto& set) { return set.name == name; });
    if (found != sets_.end()) {
      sets_.splice(sets_.begin(), sets_, found);
      return sets_.front().keys;
    }
    if (!loading_) break;
    loaded_.wait(lock);
  }
  loading_ = true;
  // Room first: the old set must not stand beside the new one while that is read.
  while (sets_.size() >= limit_) make_room_locked(name, validator);
  lock.unlock();
  auto keys = engine_.load_keys(name.package, file);
  lock.lock();
  if (!keys.ok() && keys.error().code == ErrorCode::kResource && !sets_.empty()) {
    auto given_up = std::move(sets_);
    sets_.clear();
    lock.unlock();
    given_up.clear();
    keys = engine_.load_keys(name.package, file);
    lock.lock();
  }
  if (keys.ok()) sets_.push_front({name, validator, *keys});
  loading_ = false;
  loaded_.notify_all();
  return keys;
}

// Of the ordinary users', if there is one, the set that was used longest ago. Among validators the owner of most sets gives one up, the
// one who asks counted with what it wants: who cycles through many keys pushes out its own.
void LoadedKeyCache::make_room_locked(const KeyName& name, bool validator) {
  const auto held = [&](const protocol::AccountId& owner) {
    const auto count = std::count_if(sets_.begin(), sets_.end(), [&](const Set& set) { return set.validator && set.name.owner == owner; });
    return count + (validator && owner == name.owner ? 1 : 0);
  };
  auto victim = sets_.end();
  std::ptrdiff_t most = 0;
  for (auto it = sets_.end(); it != sets_.begin();) {   // the oldest first
    --it;
    if (!it->validator) {
      victim = it;
      break;
    }
    if (const auto count = held(it->name.owner); count > most) {
      most = count;
      victim = it;
    }
  }
  sets_.erase(victim);
}

void LoadedKeyCache::drop(const KeyName& name) {
  const std::lock_guard lock(mutex_);
  sets_.remove_if([&](const auto& set) { return set.name == name; });
}

std::pair<std::size_t, std::uint64_t> LoadedKeyCache::held() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (const auto& set : sets_) bytes += set.keys->memory_bytes();
  return {sets_.size(), bytes};
}

}  // namespace brainlock::miner
