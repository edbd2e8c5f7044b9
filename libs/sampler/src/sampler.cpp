#include "brainlock/sampler/sampler.hpp"

#include "brainlock/sampler/synthetic.hpp"

namespace brainlock::sampler {
namespace {

// Streams of one seed: what kind, which picture and how it changes, and the synthetic picture.
constexpr std::uint64_t kChoiceStream = 1;
constexpr std::uint64_t kSyntheticStream = 2;

}  // namespace

Result<Sampler> Sampler::make(const SamplerOptions& options, std::shared_ptr<const ImageSource> source) {
  if (!(options.synthetic_share >= 0.0 && options.synthetic_share <= 1.0)) {
    return Error{ErrorCode::kInvalidArgument,
                 "synthetic_share: expected 0 to 1, got " + std::to_string(options.synthetic_share)};
  }
  // One picture of each kind shows at once whether shape, options and source go together.
  const auto synthetic = synthetic_image(0, options.channels, options.height, options.width);
  if (!synthetic.ok()) return synthetic.error();
  Random random(0);
  const auto changed = augment(*synthetic, random, options.augmentation);
  if (!changed.ok()) return changed.error();
  if (source != nullptr && source->size() == 0) source.reset();
  return Sampler(options, std::move(source));
}

Result<Sample> Sampler::draw(std::uint64_t seed) const {
  Random random(derive_seed(seed, kChoiceStream));
  Sample sample;
  sample.seed = seed;
  if (source_ == nullptr || random.chance(options_.synthetic_share)) {
    sample.kind = "synthetic";
    BRAINLOCK_ASSIGN(sample.image, synthetic_image(derive_seed(seed, kSyntheticStream), options_.channels,
                                                   options_.height, options_.width));
    return sample;
  }
  sample.kind = "dataset";
  const auto index = static_cast<std::size_t>(random.below(source_->size()));
  sample.source_index = index;
  if (const int label = source_->label(index); label >= 0) sample.label = label;
  BRAINLOCK_ASSIGN(const Image found, source_->image(index));
  BRAINLOCK_ASSIGN(const Image coloured, with_channels(found, options_.channels));
  BRAINLOCK_ASSIGN(const Image sized, resize(coloured, options_.height, options_.width));
  BRAINLOCK_ASSIGN(sample.image, augment(sized, random, options_.augmentation));
  return sample;
}

std::string Sampler::describe() const {
  if (source_ == nullptr) return "synthetic images";
  const int percent = static_cast<int>(options_.synthetic_share * 100.0 + 0.5);
  return std::to_string(percent) + " % synthetic images, the rest from " + source_->describe();
}

}  // namespace brainlock::sampler
