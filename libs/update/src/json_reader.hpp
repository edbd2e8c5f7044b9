// JSON from outside: bounded, strict about types, lenient about fields that are not known.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "brainlock/base/result.hpp"

namespace brainlock::update {

/// An object of at most `max_bytes`, nested at most `max_depth` deep. kTooLarge, kMalformed.
inline Result<nlohmann::json> read_json(std::string_view text, std::size_t max_bytes, int max_depth = 6) {
  using nlohmann::json;
  if (text.size() > max_bytes) {
    return {ErrorCode::kTooLarge, std::to_string(text.size()) + " bytes, limit " + std::to_string(max_bytes)};
  }
  bool too_deep = false;
  // Nesting costs stack in the parser.
  const auto guard = [&](int depth, json::parse_event_t, json&) {
    if (depth > max_depth) too_deep = true;
    return !too_deep;
  };
  json value = json::parse(text, guard, /*allow_exceptions=*/false);
  if (too_deep || value.is_discarded() || !value.is_object()) return {ErrorCode::kMalformed, "no JSON object"};
  return value;
}

inline Error wrong_field(std::string_view field) {
  return {ErrorCode::kMalformed, "field \"" + std::string(field) + "\" is missing or not as expected"};
}

/// A whole number from `least` to `most`.
template <typename T>
Status take_number(const nlohmann::json& object, const char* field, T& out, std::int64_t least, std::int64_t most) {
  const auto it = object.find(field);
  if (it == object.end() || !it->is_number_integer()) return wrong_field(field);
  if (it->is_number_unsigned() &&
      it->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return wrong_field(field);
  const auto value = it->get<std::int64_t>();
  if (value < least || value > most) return wrong_field(field);
  out = static_cast<T>(value);
  return {};
}

/// Printable ASCII, which people are shown, of at most `limit` characters; with `lines`, line feeds too.
inline Status take_text(const nlohmann::json& object, const char* field, std::string& out, std::size_t limit,
                        bool lines = false) {
  const auto it = object.find(field);
  if (it == object.end() || !it->is_string()) return wrong_field(field);
  out = it->get<std::string>();
  if (out.size() > limit) return wrong_field(field);
  for (const char c : out) {
    if ((c < 0x20 || c > 0x7e) && !(lines && c == '\n')) return wrong_field(field);
  }
  return {};
}

/// Seconds since 1970 until the year 9999.
inline constexpr std::int64_t kLastSecond = 253'402'300'799;

}  // namespace brainlock::update
