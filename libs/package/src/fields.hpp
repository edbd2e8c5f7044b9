// What the files of a package are written in: fields one after the other, little-endian, behind a magic and before a
// checksum.
#pragma once

#include <algorithm>
#include <bit>
#include <complex>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::package::codec {

inline constexpr std::size_t kChecksumBytes = 32;

static_assert(std::endian::native == std::endian::little, "fields are written in the byte order of this machine");

/// Appends the BLAKE2b-256 of all bytes before it: it finds damage, and is no signature.
inline void seal(std::vector<std::uint8_t>& bytes) {
  const crypto::Hash256 checksum = crypto::blake2b_256(bytes);
  bytes.insert(bytes.end(), checksum.begin(), checksum.end());
}

/// Of at least kChecksumBytes bytes: whether the last ones are seal()'s.
inline bool is_sealed(std::span<const std::uint8_t> bytes) {
  const auto body = bytes.first(bytes.size() - kChecksumBytes);
  const crypto::Hash256 checksum = crypto::blake2b_256(body);
  return std::equal(checksum.begin(), checksum.end(), bytes.begin() + static_cast<std::ptrdiff_t>(body.size()));
}

// One description of the fields serves both directions: fields(archive, object) visits them in order.
class Writer {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(const T& value) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(&value);
    bytes.insert(bytes.end(), p, p + sizeof(T));
  }
  void operator()(const std::complex<float>& value) {
    (*this)(value.real());
    (*this)(value.imag());
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    bytes.insert(bytes.end(), text.begin(), text.end());
  }
  template <typename T>
  void operator()(const std::vector<T>& items) {
    (*this)(static_cast<std::uint32_t>(items.size()));
    for (const T& item : items) {
      if constexpr (requires { fields(*this, item); })
        fields(*this, item);
      else
        (*this)(item);
    }
  }
  std::vector<std::uint8_t> bytes;
};

// After the first error every read yields zero and nothing more is allocated.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  template <typename T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(T& value) {
    if (!take(sizeof(T))) {
      value = T{};
      return;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
  }
  void operator()(std::complex<float>& value) {
    float re = 0, im = 0;
    (*this)(re);
    (*this)(im);
    value = {re, im};
  }
  void operator()(std::string& text) {
    std::uint32_t size = 0;
    (*this)(size);
    if (!take(size)) return;
    text.assign(reinterpret_cast<const char*>(rest_.data()), size);
    rest_ = rest_.subspan(size);
  }
  template <typename T>
  void operator()(std::vector<T>& items) {
    std::uint32_t size = 0;
    (*this)(size);
    if (!take(size)) return;  // every item takes at least one byte, so this bounds the allocation
    items.clear();
    for (std::uint32_t i = 0; i < size && ok(); ++i) {
      T item{};
      if constexpr (requires { fields(*this, item); })
        fields(*this, item);
      else
        (*this)(item);
      items.push_back(std::move(item));
    }
  }
  void fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
  }
  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  bool take(std::size_t need) {
    if (!ok()) return false;
    if (need <= rest_.size()) return true;
    fail("expected " + std::to_string(need) + " more bytes or items, " + std::to_string(rest_.size()) +
         " bytes are left");
    return false;
  }
  std::span<const std::uint8_t> rest_;
  std::string error_;
};

#define BRAINLOCK_FIELDS(Type, ...)  \
  template <typename A>              \
  void fields(A& a, Type& x) {       \
    __VA_ARGS__                      \
  }                                  \
  template <typename A>              \
  void fields(A& a, const Type& x) { \
    __VA_ARGS__                      \
  }

BRAINLOCK_FIELDS(plan::Place, a(x.index); a(x.ciphertext); a(x.slot); a(x.part);)
BRAINLOCK_FIELDS(plan::TensorMap, a(x.channels); a(x.height); a(x.width); a(x.ciphertexts); a(x.parts); a(x.places);
                 a(x.limbs); a(x.scale); a(x.bound);)
BRAINLOCK_FIELDS(plan::ParameterChoice, a(x.ring_degree); a(x.q); a(x.p); a(x.digit_limbs);)
BRAINLOCK_FIELDS(plan::KeyUse, a(x.kind); a(x.rotation); a(x.limbs);)

}  // namespace brainlock::package::codec
