// ranges: how far the values of many images go, layer by layer, against the limits that a package states.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "brainlock/package/value_range.hpp"
#include "brainlock/sampler/calibration.hpp"
#include "brainlock/sampler/cifar10.hpp"
#include "for_images.hpp"
#include "inference.hpp"

namespace brainlock::app {
namespace {

struct RangesOptions {
  std::string package, dataset;
  std::optional<std::uint64_t> synthetic;
  std::size_t count = 1000, offset = 0;
  unsigned threads = default_threads();
  bool json = false;
};

/// The images to look at; `values(i)` is safe from many threads.
class Images {
 public:
  Images(const RangesOptions& options, const plan::TensorMap& shape) : shape_(shape) {
    if (options.dataset.empty()) {
      first_ = options.synthetic.value_or(1);
      count_ = options.count;
      description = std::to_string(count_) + " synthetic images, seeds from " + std::to_string(first_);
      return;
    }
    set_ = must(sampler::Cifar10::read_directory(options.dataset));
    first_ = std::min(options.offset, set_->size());
    count_ = std::min(options.count, set_->size() - static_cast<std::size_t>(first_));
    if (count_ == 0) fail({ErrorCode::kInvalidArgument, "--offset " + std::to_string(options.offset) + ": the test batch holds " + std::to_string(set_->size()) + " images"});
    if (const std::size_t values = std::size_t{shape.channels} * shape.height * shape.width; set_->image(0).pixels.size() != values)
      fail({ErrorCode::kMismatch, "the package takes " + std::to_string(values) + " values, the data set's images have " + std::to_string(sampler::kCifar10PixelBytes)});
    description = std::to_string(count_) + " images of the data set, from " + std::to_string(first_);
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::uint64_t name(std::size_t i) const { return first_ + i; }
  [[nodiscard]] std::vector<float> values(std::size_t i) const {
    if (set_) return set_->image(static_cast<std::size_t>(name(i))).pixels;
    return sampler::synthetic_values(name(i), static_cast<int>(shape_.channels), static_cast<int>(shape_.height), static_cast<int>(shape_.width));
  }
  std::string description;

 private:
  plan::TensorMap shape_;
  std::optional<sampler::Cifar10> set_;
  std::uint64_t first_ = 0;   // seed, or place in the data set
  std::size_t count_ = 0;
};

/// One layer over all images.
struct LayerSummary {
  std::string layer;
  double limit = 0, median = 0, high = 0, largest = 0;   // high: 99.9 % are below
  std::size_t beyond = 0;
};

LayerSummary summarize(const std::vector<package::ValueRange>& ranges, std::size_t layer) {
  LayerSummary out{.layer = ranges.front().layers[layer].layer, .limit = ranges.front().layers[layer].limit};
  std::vector<double> largest;
  for (const auto& range : ranges) {
    const package::LayerRange& one = range.layers[layer];
    largest.push_back(std::isnan(one.largest) ? HUGE_VAL : one.largest);
    if (!one.inside()) ++out.beyond;
  }
  std::sort(largest.begin(), largest.end());
  out.median = largest[largest.size() / 2];
  out.high = largest[static_cast<std::size_t>(std::ceil(0.999 * static_cast<double>(largest.size()))) - 1];
  out.largest = largest.back();
  return out;
}

void run_ranges(const RangesOptions& options) {
  const auto package = must(package::Package::load(options.package));
  const plan::Program& program = package->program();
  const Images images(options, program.input);
  const package::RangeChecker checker(package);
  std::vector<package::ValueRange> ranges(images.count());
  for_images("ranges", options.json, ranges.size(), options.threads, [&](std::size_t i) { ranges[i] = checker.check(images.values(i)); });

  std::vector<LayerSummary> layers;
  for (std::size_t l = 0; l < ranges.front().layers.size(); ++l) layers.push_back(summarize(ranges, l));
  std::vector<std::uint64_t> outside;
  std::size_t wraps = 0;
  double wrap = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (!ranges[i].inside()) outside.push_back(images.name(i));
    if (ranges[i].wraps()) ++wraps;
    wrap = ranges[i].wrap > wrap || std::isnan(ranges[i].wrap) ? ranges[i].wrap : wrap;
  }
  if (options.json) {
    nlohmann::json rows = nlohmann::json::array();
    for (const LayerSummary& layer : layers)
      rows.push_back({{"layer", layer.layer}, {"limit", layer.limit}, {"median", layer.median}, {"quantile_999", layer.high}, {"largest", layer.largest}, {"beyond", layer.beyond}});
    const nlohmann::json json = {{"package", package->hash_hex()}, {"profile", program.profile}, {"images", ranges.size()}, {"outside", outside},
                                 {"may_wrap", wraps},              {"largest_wrap", wrap},       {"layers", rows}};
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%s, profile %s: %s; the largest |value| of an image\n", program.model_name.c_str(), program.profile.c_str(), images.description.c_str());
  std::printf("  %-16s %10s %10s %10s %10s %8s %7s\n", "layer", "limit", "median", "99.9 %", "largest", "margin", "beyond");
  for (const LayerSummary& layer : layers) {
    if (layer.limit == 0) continue;   // the steps of a refresh
    std::printf("  %-16s %10.4g %10.4g %10.4g %10.4g %7.2fx %7zu\n", layer.layer.c_str(), layer.limit, layer.median, layer.high, layer.largest,
                layer.largest > 0 ? layer.limit / layer.largest : 0.0, layer.beyond);
  }
  std::printf("  inside every limit: %zu of %zu; answers that may wrap around: %zu (at most %.2g of the room is used)\n", ranges.size() - outside.size(),
              ranges.size(), wraps, wrap);
  if (!outside.empty()) {
    std::printf("  outside:");
    for (std::size_t i = 0; i < std::min<std::size_t>(outside.size(), 20); ++i) std::printf(" %llu", static_cast<unsigned long long>(outside[i]));
    std::printf("%s\n", outside.size() > 20 ? " ..." : "");
  }
}

}  // namespace

void add_ranges_command(CLI::App& app) {
  auto ranges = std::make_shared<RangesOptions>();
  auto* command = app.add_subcommand("ranges", "largest values of many images, layer by layer, against the limits that a package states");
  command->add_option("package", ranges->package, "package folder")->required();
  auto* set = command->add_option("--dataset", ranges->dataset, "CIFAR-10 folder in the standard binary layout");
  command->add_option("--offset", ranges->offset, "first image of the data set")->needs(set);
  command->add_option("--synthetic", ranges->synthetic, "synthetic images, from this seed on (1, if there is no data set)")->excludes(set);
  command->add_option("--count", ranges->count, "images")->capture_default_str()->check(CLI::Range(1, 10'000'000));
  command->add_option("--threads", ranges->threads, "threads to compute with")->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_flag("--json", ranges->json, "report as JSON");
  command->callback([ranges] { run_ranges(*ranges); });
}

}  // namespace brainlock::app
