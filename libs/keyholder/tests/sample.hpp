// A package small enough for milliseconds, and a folder that goes away.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "brainlock/package/package.hpp"
#include "brainlock/package/program_codec.hpp"
#include "sample_program.hpp"

namespace brainlock::keyholder::test {

inline std::shared_ptr<const package::Package> package_of(const plan::Program& program) {
  auto package = package::Package::from_bytes(package::encode_program(program), {});
  if (!package.ok()) ADD_FAILURE() << package.error().to_string();
  return *package;
}
inline std::shared_ptr<const package::Package> sample() { return package_of(package::test::sample_program()); }

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "keyholder-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "no folder";
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace brainlock::keyholder::test
