// ImageSource: pictures from a disk, by number.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/sampler/image.hpp"

namespace brainlock::sampler {

/// A fixed list of labelled pictures. Const and safe from many threads.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  /// One line for people: what and where.
  [[nodiscard]] virtual std::string describe() const = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;
  /// Class of picture `index` < size(), or -1 if the source has no classes.
  [[nodiscard]] virtual int label(std::size_t index) const = 0;
  [[nodiscard]] virtual std::string class_name(int label) const = 0;
  /// The picture in its own size. kInvalidArgument for an index out of range; errors of reading it.
  [[nodiscard]] virtual Result<Image> image(std::size_t index) const = 0;
};

/// Most files that an image folder may hold.
inline constexpr std::size_t kMaxFolderFiles = 1'000'000;

/// Folder of PNG files: either `folder/CLASS/*.png` (classes are the sub-folders, in name order) or `folder/*.png` (no
/// classes). Files are in name order, so that an index means the same picture everywhere; they are read when asked
/// for. Other files are passed over. kNotFound if there is no PNG, kTooLarge above kMaxFolderFiles.
Result<std::shared_ptr<const ImageSource>> open_image_folder(const std::filesystem::path& folder);

/// kUnsupported, with what to do, if this is a parquet file by its name or its first bytes: Debian has no parquet reader for C++.
Status refuse_parquet(const std::filesystem::path& path);

/// Whatever lies at `path`: CIFAR-10 binary batches (the folder, or one .bin file) or an image folder. As
/// refuse_parquet for a parquet file, or a folder that holds nothing else.
Result<std::shared_ptr<const ImageSource>> open_image_source(const std::filesystem::path& path);

}  // namespace brainlock::sampler
