#include "layout.hpp"

namespace brainlock::compiler {

std::string GridLayout::describe() const {
  return "phases " + std::to_string(fy) + "x" + std::to_string(fx) + ", strides " + std::to_string(sy) + "/" +
         std::to_string(sx) + ", " + std::to_string(parts) + " part(s)";
}

std::int64_t next_power_of_two(std::int64_t x) {
  std::int64_t p = 1;
  while (p < x) p *= 2;
  return p;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  const std::int64_t q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}

}  // namespace brainlock::compiler
