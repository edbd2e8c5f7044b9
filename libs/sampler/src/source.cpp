#include "brainlock/sampler/source.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <string_view>

#include "brainlock/sampler/cifar10.hpp"
#include "brainlock/sampler/png.hpp"

namespace brainlock::sampler {
namespace {

namespace fs = std::filesystem;

Error out_of_range(std::size_t index, std::size_t size) {
  return Error{ErrorCode::kInvalidArgument,
               "expected an index below " + std::to_string(size) + ", got " + std::to_string(index)};
}

class Cifar10Source final : public ImageSource {
 public:
  Cifar10Source(Cifar10 data, std::string where) : data_(std::move(data)), where_(std::move(where)) {}
  std::string describe() const override {
    return "CIFAR-10 batches in " + where_ + " (" + std::to_string(data_.size()) + " images)";
  }
  std::size_t size() const override { return data_.size(); }
  int label(std::size_t index) const override { return index < size() ? data_.label(index) : -1; }
  std::string class_name(int label) const override { return std::string(cifar10_class_name(label)); }
  Result<Image> image(std::size_t index) const override {
    if (index >= size()) return out_of_range(index, size());
    return data_.image(index);
  }

 private:
  Cifar10 data_;
  std::string where_;
};

bool is_png_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png";
}

class FolderSource final : public ImageSource {
 public:
  FolderSource(std::string where, std::vector<std::string> classes, std::vector<std::pair<fs::path, int>> files)
      : where_(std::move(where)), classes_(std::move(classes)), files_(std::move(files)) {}
  std::string describe() const override {
    return "image folder " + where_ + " (" + std::to_string(files_.size()) + " images, " +
           std::to_string(classes_.size()) + " classes)";
  }
  std::size_t size() const override { return files_.size(); }
  int label(std::size_t index) const override { return index < size() ? files_[index].second : -1; }
  std::string class_name(int label) const override {
    return label >= 0 && static_cast<std::size_t>(label) < classes_.size() ? classes_[static_cast<std::size_t>(label)]
                                                                           : "unknown";
  }
  Result<Image> image(std::size_t index) const override {
    if (index >= size()) return out_of_range(index, size());
    return read_png(files_[index].first);
  }

 private:
  std::string where_;
  std::vector<std::string> classes_;
  std::vector<std::pair<fs::path, int>> files_;
};

/// Sorted PNG files directly in `folder`.
Result<std::vector<fs::path>> png_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    std::error_code ignored;
    if (!is_png_name(entry->path()) || !entry->is_regular_file(ignored)) continue;
    if (files.size() == kMaxFolderFiles) {
      return Error{ErrorCode::kTooLarge,
                   folder.string() + " holds more than " + std::to_string(kMaxFolderFiles) + " images"};
    }
    files.push_back(entry->path());
  }
  if (failure) return Error{ErrorCode::kIo, "cannot list " + folder.string() + ": " + failure.message()};
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Result<std::shared_ptr<const ImageSource>> open_image_folder(const fs::path& folder) {
  std::error_code failure;
  if (!fs::is_directory(folder, failure)) return Error{ErrorCode::kNotFound, "no folder " + folder.string()};
  std::vector<fs::path> classes;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    std::error_code ignored;
    if (entry->is_directory(ignored)) classes.push_back(entry->path());
  }
  if (failure) return Error{ErrorCode::kIo, "cannot list " + folder.string() + ": " + failure.message()};
  std::sort(classes.begin(), classes.end());

  std::vector<std::string> names;
  std::vector<std::pair<fs::path, int>> files;
  for (const fs::path& path : classes) {
    BRAINLOCK_ASSIGN(const auto found, png_files(path));
    if (found.empty()) continue;
    if (files.size() + found.size() > kMaxFolderFiles) {
      return Error{ErrorCode::kTooLarge,
                   folder.string() + " holds more than " + std::to_string(kMaxFolderFiles) + " images"};
    }
    for (const fs::path& file : found) files.emplace_back(file, static_cast<int>(names.size()));
    names.push_back(path.filename().string());
  }
  if (files.empty()) {
    BRAINLOCK_ASSIGN(const auto found, png_files(folder));
    for (const fs::path& file : found) files.emplace_back(file, -1);
  }
  if (files.empty()) return Error{ErrorCode::kNotFound, "no PNG file in " + folder.string() + " or its sub-folders"};
  return std::shared_ptr<const ImageSource>(
      std::make_shared<FolderSource>(folder.string(), std::move(names), std::move(files)));
}

Status refuse_parquet(const fs::path& path) {
  std::error_code ignored;
  bool parquet = path.extension() == ".parquet";
  if (!parquet && fs::is_regular_file(path, ignored)) {
    char magic[4] = {};
    std::ifstream in(path, std::ios::binary);
    parquet = in.read(magic, sizeof magic) && std::string_view(magic, sizeof magic) == "PAR1";
  }
  if (!parquet) return {};
  return {ErrorCode::kUnsupported, path.string() +
                                       ": parquet files are not read (Debian 12 has no parquet library for C++); convert the data set to "
                                       "CIFAR-10 binary batches or to a folder of PNG files, CLASS/NAME.png: docs/operation.md shows how"};
}

Result<std::shared_ptr<const ImageSource>> open_image_source(const fs::path& path) {
  std::error_code failure;
  if (!fs::exists(path, failure)) return Error{ErrorCode::kNotFound, "nothing at " + path.string()};
  if (fs::is_regular_file(path, failure)) {
    BRAINLOCK_TRY(refuse_parquet(path));
    BRAINLOCK_ASSIGN(Cifar10 data, Cifar10::read_file(path));
    return std::shared_ptr<const ImageSource>(std::make_shared<Cifar10Source>(std::move(data), path.string()));
  }
  auto cifar = Cifar10::read_directory(path);
  if (!cifar.ok() && cifar.error().code == ErrorCode::kNotFound) cifar = Cifar10::read_directory(path, true);
  if (cifar.ok()) {
    return std::shared_ptr<const ImageSource>(std::make_shared<Cifar10Source>(std::move(cifar).value(), path.string()));
  }
  if (cifar.error().code != ErrorCode::kNotFound) return cifar.error();
  auto folder = open_image_folder(path);
  if (!folder.ok() && folder.error().code == ErrorCode::kNotFound) {
    for (fs::recursive_directory_iterator entry(path, failure), end; !failure && entry != end;
         entry.increment(failure)) {
      BRAINLOCK_TRY(refuse_parquet(entry->path()));
    }
  }
  return folder;
}

}  // namespace brainlock::sampler
