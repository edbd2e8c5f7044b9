// Where the store is (from the environment), and the cleaning of foreign text.
#include <algorithm>
#include <charconv>

#include "brainlock/store/store.hpp"

namespace brainlock::store {

Result<StoreAddress> store_address_from_environment(const std::function<const char*(const char*)>& lookup,
                                                    const std::filesystem::path& fallback) {
  const auto get = [&](const char* name) -> std::string {
    const char* value = lookup(name);
    return value != nullptr ? value : "";
  };
  PostgresAddress address;
  const std::string host = get("POSTGRES_HOST");
  address.user = get("POSTGRES_USER");
  if (host.empty() && address.user.empty()) return StoreAddress(fallback);
  if (!host.empty()) address.host = host;
  address.password = get("POSTGRES_PASSWORD");
  if (const std::string name = get("POSTGRES_DB"); !name.empty()) address.database = name;
  if (address.user.empty()) return Error{ErrorCode::kInvalidArgument, "POSTGRES_HOST is set, but POSTGRES_USER is not"};
  if (address.password.empty())
    return Error{ErrorCode::kInvalidArgument, "POSTGRES_USER is set, but POSTGRES_PASSWORD is not"};
  if (const std::string port = get("POSTGRES_PORT"); !port.empty()) {
    unsigned value = 0;
    const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (failure != std::errc{} || end != port.data() + port.size() || value == 0 || value > 65535) {
      return Error{ErrorCode::kInvalidArgument,
                   "POSTGRES_PORT: expected 1 to 65535, got \"" + clean_text(port, 40) + "\""};
    }
    address.port = static_cast<std::uint16_t>(value);
  }
  return StoreAddress(std::move(address));
}

Result<std::unique_ptr<Store>> open_store(const StoreAddress& address) {
  if (const auto* path = std::get_if<std::filesystem::path>(&address)) {
    BRAINLOCK_ASSIGN(auto database, open_sqlite(*path));
    return Store::open(std::move(database));
  }
  BRAINLOCK_ASSIGN(auto database, open_postgres(std::get<PostgresAddress>(address)));
  return Store::open(std::move(database));
}

namespace {

/// Length of the valid UTF-8 sequence at the start of `text`, or 0 (RFC 3629: no overlong forms, no surrogates).
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                             : (first & 0xf0) == 0xe0         ? 3
                             : first >= 0xf0 && first <= 0xf4 ? 4
                                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const std::uint8_t second = byte(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
      (first == 0xf4 && second > 0x8f)) {
    return 0;
  }
  return length;
}

}  // namespace

std::string clean_text(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto first = static_cast<std::uint8_t>(text[0]);
    const bool control = length == 1 && (first < 0x20 || first == 0x7f);
    const bool c1_control = length == 2 && first == 0xc2 && static_cast<std::uint8_t>(text[1]) < 0xa0;
    const std::string_view piece =
        length == 0 || control || c1_control ? std::string_view("?") : text.substr(0, length);
    if (out.size() + piece.size() > limit) break;
    out += piece;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace brainlock::store
