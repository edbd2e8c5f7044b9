// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace brainlock::doctor {

/// "12.3 GB", "840 MB".
std::string bytes_text(std::uint64_t bytes);
/// "3.2 s", "5 min", "2 h", "3 days"; of the absolute value.
std::string duration_text(std::int64_t ms);
/// Rao as TAO: "12.5".
std::string tao_text(std::uint64_t rao);

}  // namespace brainlock::doctor
