// The inputs from which a compiler takes its ranges and errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace brainlock::sampler {

/// Values (C, H, W, each in [0, 1]) of the synthetic picture of `seed`, or independent uniform ones where no picture has that shape (plain
/// vectors). Sides are positive. Deterministic; costs what synthetic_image does; safe from many threads.
std::vector<float> synthetic_values(std::uint64_t seed, int channels, int height, int width);

/// `count` (at least 1) synthetic inputs that stand for all: four times as many are drawn, sorted by their energy (sum of squares), and cut into
/// `count` equal parts, of which each gives one from its middle. Few drawn at random may all happen to be dark, and in a network of squares
/// ranges and errors follow powers of the brightness. The one with the most energy comes first. The same at every call; on at most
/// `threads` threads.
std::vector<std::vector<float>> calibration_inputs(std::size_t count, int channels, int height, int width, unsigned threads);

}  // namespace brainlock::sampler
