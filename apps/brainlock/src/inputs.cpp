#include "inputs.hpp"

#include "brainlock/sampler/calibration.hpp"
#include "brainlock/sampler/cifar10.hpp"
#include "brainlock/sampler/image.hpp"
#include "brainlock/sampler/source.hpp"
#if __has_include("brainlock/sampler/png.hpp")
#include "brainlock/sampler/png.hpp"
#define BRAINLOCK_HAVE_PNG 1
#endif

namespace brainlock::app {

void InputOptions::add_to(CLI::App& command) {
  auto* file = command.add_option("--image", image, "PNG image (resized to the model's input)");
  auto* set = command.add_option("--dataset", dataset, "CIFAR-10 folder in the standard binary layout");
  command.add_option("--index", index, "image of the data set's test batch")->needs(set);
  auto* seed = command.add_option("--synthetic", synthetic, "seed of a synthetic image")->check(CLI::NonNegativeNumber);
  file->excludes(set)->excludes(seed);
  set->excludes(seed);
}

std::string class_name(std::size_t index, std::size_t classes) {
  if (classes == sampler::kCifar10Classes) return std::string(sampler::cifar10_class_name(static_cast<int>(index)));
  return std::to_string(index);
}

Result<Input> load_input(const InputOptions& options, const plan::TensorMap& shape) {
  const int c = static_cast<int>(shape.channels), h = static_cast<int>(shape.height), w = static_cast<int>(shape.width);
  Input input;
  if (!options.image.empty()) {
#ifdef BRAINLOCK_HAVE_PNG
    BRAINLOCK_ASSIGN(sampler::Image image, sampler::read_png(options.image));
    BRAINLOCK_ASSIGN(image, sampler::with_channels(image, c));
    BRAINLOCK_ASSIGN(image, sampler::resize(image, h, w));
    input.values = image.pixels;
    input.description = options.image;
    return input;
#else
    return Error{ErrorCode::kUnsupported, "this build reads no PNG files; use --dataset or --synthetic"};
#endif
  }
  if (!options.dataset.empty()) {
    BRAINLOCK_TRY(sampler::refuse_parquet(options.dataset));
    BRAINLOCK_ASSIGN(const sampler::Cifar10 set, sampler::Cifar10::read_directory(options.dataset));
    if (options.index >= set.size())
      return Error{ErrorCode::kInvalidArgument, "--index " + std::to_string(options.index) + ": the test batch holds " + std::to_string(set.size()) + " images"};
    sampler::Image image = set.image(options.index);
    if (image.channels != c || image.height != h || image.width != w) {
      BRAINLOCK_ASSIGN(image, sampler::with_channels(image, c));
      BRAINLOCK_ASSIGN(image, sampler::resize(image, h, w));
    }
    input.values = image.pixels;
    input.label = set.label(options.index);
    input.description = "CIFAR-10 test image " + std::to_string(options.index) + " (" +
                        std::string(sampler::cifar10_class_name(*input.label)) + ")";
    return input;
  }
  const std::uint64_t seed = options.synthetic.value_or(1);
  input.values = sampler::synthetic_values(seed, c, h, w);
  input.description = "synthetic image " + std::to_string(seed);
  return input;
}

}  // namespace brainlock::app
