// Augmentation: the small changes that make a known picture a new one.
#pragma once

#include "brainlock/base/result.hpp"
#include "brainlock/sampler/image.hpp"
#include "brainlock/sampler/random.hpp"

namespace brainlock::sampler {

/// How far each change may go; all are drawn uniformly within their bounds. A bound of 0 switches a change off.
struct AugmentOptions {
  double flip_probability = 0.5;  ///< left to right
  double rotation_degrees = 5.0;  ///< either way
  double shift = 0.05;            ///< of the side, either way, on each axis
  double zoom = 0.05;             ///< factor 1 - zoom .. 1 + zoom
  double brightness = 0.1;        ///< factor on everything
  double contrast = 0.1;          ///< factor about the mean luminance
  double saturation = 0.1;        ///< factor about grey; for three channels only
};

/// A changed copy of the same size: one bilinear resampling for all of the geometry (what comes from outside repeats
/// the border), then colour, then clamping to [0, 1] and rounding to multiples of 1/255. The generator's next numbers
/// decide. kInvalidArgument for options that are negative, not finite, or a zoom of 1 and above.
Result<Image> augment(const Image& image, Random& random, const AugmentOptions& options = {});

}  // namespace brainlock::sampler
