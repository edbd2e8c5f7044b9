// Handles are numbers that are never used twice, in the shape of pointers: one that is closed, or was none, is found
// out instead of followed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "border.hpp"

namespace brainlock::client_c {

/// The number of the next handle, of whatever kind, so that one of another kind is found out as well.
std::uintptr_t next_handle();

/// Open handles of one kind. `Handle` is the public, incomplete type. Safe from many threads; what is found lives as
/// long as somebody uses it.
template <typename Handle, typename Object>
class Registry {
 public:
  Handle* add(std::shared_ptr<Object> object) {
    const std::uintptr_t number = next_handle();
    const std::lock_guard lock(mutex_);
    open_.emplace(number, std::move(object));
    return reinterpret_cast<Handle*>(number);
  }
  /// Null: closed, or never opened.
  [[nodiscard]] std::shared_ptr<Object> find(const Handle* handle) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(reinterpret_cast<std::uintptr_t>(handle));
    return found == open_.end() ? nullptr : found->second;
  }
  /// What has to be released, outside of the lock. Null as find().
  std::shared_ptr<Object> remove(const Handle* handle) {
    const std::lock_guard lock(mutex_);
    const auto node = open_.extract(reinterpret_cast<std::uintptr_t>(handle));
    return node.empty() ? nullptr : std::move(node.mapped());
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::uintptr_t, std::shared_ptr<Object>> open_;
};

/// For a handle that was not found.
Outcome bad_handle(const void* handle, const char* what);

/// The body of a close function.
template <typename Handle, typename Object>
brainlock_status close_handle(Registry<Handle, Object>& registry, Handle* handle, const char* what) {
  return guarded(Act::kAnything, [&]() -> Outcome {
    if (handle == nullptr || registry.remove(handle) != nullptr) return {};
    return bad_handle(handle, what);
  });
}

}  // namespace brainlock::client_c
