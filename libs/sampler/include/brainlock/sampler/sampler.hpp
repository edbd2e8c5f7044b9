// Sampler: the inputs of a validator, each made again from its seed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "brainlock/base/result.hpp"
#include "brainlock/sampler/augment.hpp"
#include "brainlock/sampler/image.hpp"
#include "brainlock/sampler/source.hpp"

namespace brainlock::sampler {

struct SamplerOptions {
  int channels = 3;
  int height = 32;
  int width = 32;
  /// Part of the samples that are synthetic; the others come from the source. Without a source all are synthetic.
  double synthetic_share = 0.5;
  /// How pictures of the source are changed (synthetic ones are new as they are).
  AugmentOptions augmentation;
};

/// A picture and its origin.
struct Sample {
  Image image;
  std::string kind;  ///< "synthetic" or "dataset"
  std::uint64_t seed = 0;
  std::optional<std::size_t> source_index;
  std::optional<int> label;  ///< of the source's picture, where it has classes
};

/// Const and safe from many threads.
class Sampler {
 public:
  /// kInvalidArgument for a shape that the synthetic generator does not make or a share outside [0, 1]. `source` may be
  /// null.
  static Result<Sampler> make(const SamplerOptions& options, std::shared_ptr<const ImageSource> source);

  /// The sample of a seed: kind, picture and changes all follow from it (and from the options and the source), so that
  /// a recorded seed makes the input of a disputed verdict again. Draw seeds from the operating system's generator: who
  /// can foresee a seed can foresee the input. Errors of reading the source.
  [[nodiscard]] Result<Sample> draw(std::uint64_t seed) const;

  [[nodiscard]] const SamplerOptions& options() const { return options_; }
  /// One line for people.
  [[nodiscard]] std::string describe() const;

 private:
  Sampler(const SamplerOptions& options, std::shared_ptr<const ImageSource> source)
      : options_(options), source_(std::move(source)) {}
  SamplerOptions options_;
  std::shared_ptr<const ImageSource> source_;
};

}  // namespace brainlock::sampler
