// Little-endian integers in and out of buffers, and the parts that all kinds share. Private to the library.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "brainlock/ckks/objects.hpp"
#include "brainlock/wire/bit_packing.hpp"
#include "brainlock/wire/header.hpp"

namespace brainlock::wire {

using Id = std::array<std::uint8_t, 32>;

inline Id id_of(const ckks::Parameters& parameters) {
  Id id{};
  std::copy_n(parameters.id().begin(), id.size(), id.begin());
  return id;
}

class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}
  void u16(std::uint16_t v) { little(v, 2); }
  void u32(std::uint32_t v) { little(v, 4); }
  void u64(std::uint64_t v) { little(v, 8); }
  /// The bit pattern of an IEEE 754 double.
  void f64(double v) { u64(std::bit_cast<std::uint64_t>(v)); }
  void bytes(ByteView v) {
    // Not insert(): GCC 12 sees an overflow in it that is not there.
    const std::size_t at = out_.size();
    out_.resize(at + v.size());
    if (!v.empty()) std::memcpy(out_.data() + at, v.data(), v.size());
  }
  /// One packed limb modulo q. False: a word is not below q, and nothing was written.
  bool limb(std::span<const std::uint32_t> words, std::uint32_t q);

 private:
  void little(std::uint64_t v, int count) {
    for (int i = 0; i < count; ++i) out_.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
  }
  Bytes& out_;
};

/// Reads on behalf of a parser that knows how many bytes there are; running dry sets a flag and gives zeros.
class Reader {
 public:
  explicit Reader(ByteView in) : in_(in) {}
  std::uint16_t u16() { return static_cast<std::uint16_t>(little(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(little(4)); }
  std::uint64_t u64() { return little(8); }
  double f64() { return std::bit_cast<double>(u64()); }
  ByteView take(std::uint64_t count) {
    if (count > in_.size()) {
      short_ = true;
      in_ = {};
      return {};
    }
    const auto size = static_cast<std::size_t>(count);
    const auto out = in_.first(size);
    in_ = in_.subspan(size);
    return out;
  }
  Id id() {
    Id out{};
    const auto from = take(out.size());
    std::copy(from.begin(), from.end(), out.begin());
    return out;
  }
  [[nodiscard]] std::size_t left() const { return in_.size(); }
  [[nodiscard]] bool ran_dry() const { return short_; }

 private:
  std::uint64_t little(std::size_t count) {
    const auto from = take(count);
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < from.size(); ++i) v |= std::uint64_t{from[i]} << (8 * i);
    return v;
  }
  ByteView in_;
  bool short_ = false;
};

/// Bytes of a polynomial over the moduli first..first+count.
std::uint64_t polynomial_bytes(const ckks::Parameters& parameters, std::uint32_t first, std::uint32_t count);

/// Header for `covered` (the bytes its checksum is to cover) of a body of `body_bytes`, header first.
Bytes make_header(Kind kind, const Id& parameters_id, std::uint64_t body_bytes, ByteView covered, Id* checksum = nullptr);

/// BLAKE2b-256 of the header's first 48 bytes and `covered`.
Id header_checksum(ByteView header, ByteView covered);

/// The body of a whole object in a buffer. In this order: header, kind, parameters (unless null), size limit, exact
/// length, checksum. The parameters come before the size because a foreign object is often of a foreign size too.
Result<ByteView> open_body(ByteView bytes, Kind kind, const ckks::Parameters* parameters, std::uint64_t max_bytes,
                           Header& header);

Status check_kind(const Header& header, Kind kind);
Status check_parameters_id(const Header& header, const ckks::Parameters& parameters);

std::string hex_prefix(ByteView bytes);

}  // namespace brainlock::wire
