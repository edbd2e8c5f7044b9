// A table that keeps what was touched last and cannot grow beyond a size.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <string>
#include <string_view>

namespace brainlock::net {

/// Values by name. A tree, not a hash table: peers choose names, and might choose them to collide. One thread at a time.
template <typename Value>
class RecentTable {
 public:
  explicit RecentTable(std::size_t most) : most_(most) {}

  /// Null if there is none. Does not touch it.
  [[nodiscard]] Value* find(const std::string& name) {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : &at->second->second;
  }
  /// The value of that name, now the most recent one; a new one is `fresh` and takes the place of the oldest in a full table.
  Value& touch(const std::string& name, const Value& fresh) {
    const auto at = by_name_.find(name);
    if (at != by_name_.end()) {
      entries_.splice(entries_.begin(), entries_, at->second);
    } else {
      if (entries_.size() >= most_) drop_oldest();
      entries_.emplace_front(name, fresh);
      by_name_.emplace(entries_.front().first, entries_.begin());
    }
    return entries_.front().second;
  }
  /// Null if the table is empty.
  [[nodiscard]] const Value* oldest() const { return entries_.empty() ? nullptr : &entries_.back().second; }
  void drop_oldest() {
    if (entries_.empty()) return;
    by_name_.erase(entries_.back().first);
    entries_.pop_back();
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  using Entries = std::list<std::pair<std::string, Value>>;   ///< the most recent first
  const std::size_t most_;
  Entries entries_;
  std::map<std::string_view, typename Entries::iterator> by_name_;   ///< names lie in the entries
};

}  // namespace brainlock::net
