// Lists that kernels read, put together on the host.
#pragma once

#include <cstring>
#include <vector>

namespace brainlock::device_cuda {

/// Host image of lists that go to the device in one copy. Lists of pointers into it are added as they are and set when its address is known: that
/// of the sum of all sizes.
class DeviceLists {
 public:
  /// Where the list begins, in bytes.
  template <typename T>
  std::size_t add(const std::vector<T>& values) {
    const std::size_t at = (bytes_.size() + 15) / 16 * 16;
    bytes_.resize(at + values.size() * sizeof(T));
    set(at, values);
    return at;
  }
  template <typename T>
  void set(std::size_t at, const std::vector<T>& values) {
    if (!values.empty()) std::memcpy(bytes_.data() + at, values.data(), values.size() * sizeof(T));
  }
  const std::vector<char>& bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
};

/// A list in device memory that begins `at` bytes behind `base`.
template <typename T>
const T* list_at(const char* base, std::size_t at) {
  return reinterpret_cast<const T*>(base + at);
}

}  // namespace brainlock::device_cuda
