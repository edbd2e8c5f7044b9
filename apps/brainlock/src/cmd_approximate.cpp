// approximate: a trained model with any activations becomes one of polynomials, which can be compiled.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "brainlock/base/file.hpp"
#include "brainlock/compiler/approximate.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/sampler/calibration.hpp"
#include "brainlock/sampler/cifar10.hpp"
#include "inference.hpp"
#include "share.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

constexpr std::size_t kMaxSampleBytes = std::size_t{4} << 30;

struct Options {
  std::string model, out, dataset, samples;
  std::uint64_t synthetic = 1;
  std::size_t count = 1024, held_out = 1000;
  int degree = 0;
  double max_drop = 1.0;   // per cent
  unsigned threads = default_threads();
  bool json = false, overwrite = false;
};

/// What polynomials are fitted to, and what they are judged by.
struct Samples {
  std::vector<std::vector<float>> inputs, held_out;
  std::vector<int> labels;   // of the held-out ones, where known
  std::string description;
};

std::vector<float> record(std::span<const std::uint8_t> bytes, std::size_t index, std::size_t values) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<float> out(values);
  std::memcpy(out.data(), bytes.data() + index * values * sizeof(float), values * sizeof(float));
  return out;
}

Samples from_file(const Options& options, std::size_t values) {
  const auto bytes = must(read_file(options.samples, kMaxSampleBytes));
  const std::size_t each = values * sizeof(float), count = bytes.size() / each;
  if (bytes.size() % each != 0)
    fail({ErrorCode::kMismatch, options.samples + ": " + std::to_string(bytes.size()) + " bytes; the model takes " + std::to_string(values) +
                                    " values, so the file must be records of " + std::to_string(each) + " bytes (32-bit floats, little-endian, C, H, W)"});
  if (count < 2) fail({ErrorCode::kInvalidArgument, options.samples + ": " + std::to_string(count) + " records; some to fit polynomials to and some to judge them by are needed"});
  Samples out;
  const std::size_t fitted = std::min(options.count, count - std::max<std::size_t>(1, std::min(options.held_out, count / 3)));
  for (std::size_t i = 0; i < count && out.held_out.size() < options.held_out; ++i) {
    std::vector<float> values_of = record(bytes, i, values);
    if (!std::all_of(values_of.begin(), values_of.end(), [](float v) { return std::isfinite(v); }))
      fail({ErrorCode::kMalformed, options.samples + ": record " + std::to_string(i) + " has a value that is not finite"});
    (i < fitted ? out.inputs : out.held_out).push_back(std::move(values_of));
  }
  out.description = "records of " + options.samples;
  return out;
}

Samples from_images(const Options& options, const compiler::TensorShape& shape) {
  const auto training = must(sampler::Cifar10::read_directory(options.dataset, /*training=*/true));
  const auto test = must(sampler::Cifar10::read_directory(options.dataset));
  if (shape.size() != sampler::kCifar10PixelBytes)
    fail({ErrorCode::kMismatch, "the model takes " + to_string(shape) + " values, the data set's images are 3x32x32"});
  Samples out;
  for (std::size_t i = 0; i < std::min(options.count, training.size()); ++i) out.inputs.push_back(training.image(i).pixels);
  for (std::size_t i = 0; i < std::min(options.held_out, test.size()); ++i) {
    out.held_out.push_back(test.image(i).pixels);
    out.labels.push_back(test.label(i));
  }
  out.description = "training images of the data set, judged by its test images";
  return out;
}

Samples synthetic(const Options& options, const compiler::TensorShape& shape) {
  Samples out;
  for (std::size_t i = 0; i < options.count + options.held_out; ++i)
    (i < options.count ? out.inputs : out.held_out).push_back(sampler::synthetic_values(options.synthetic + i, shape.channels, shape.height, shape.width));
  out.description = "synthetic images";
  return out;
}

std::size_t right(const std::vector<std::size_t>& classes, const std::vector<int>& labels) {
  std::size_t hits = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) hits += classes[i] == static_cast<std::size_t>(labels[i]) ? 1 : 0;
  return hits;
}

void report_json(const Options& options, const Samples& samples, const compiler::Approximation& made, double seconds) {
  nlohmann::json functions = nlohmann::json::array();
  for (const auto& f : made.functions)
    functions.push_back({{"node", f.node}, {"degree", f.degree}, {"polynomials", f.polynomials}, {"low", f.low}, {"high", f.high}, {"relative_error", f.error}});
  nlohmann::json json = {{"model", options.out},          {"functions", functions},
                         {"inputs", made.inputs_used},
                         {"same_class", share_json(made.agreement.same_class, made.agreement.inputs)},
                         {"relative_error", made.agreement.relative_error}, {"ran_away", made.agreement.ran_away},
                         {"notes", made.notes},           {"seconds", seconds}};
  if (!samples.labels.empty()) {
    json["right_before"] = share_json(right(made.agreement.classes_before, samples.labels), samples.labels.size());
    json["right_after"] = share_json(right(made.agreement.classes_after, samples.labels), samples.labels.size());
  }
  std::printf("%s\n", json.dump(2).c_str());
}

void report(const Options& options, const Samples& samples, const compiler::Approximation& made, double seconds) {
  std::printf("%s: %zu functions are polynomials now, fitted to %zu %s; %s\n", options.out.c_str(), made.functions.size(), made.inputs_used,
              samples.description.c_str(), human_seconds(seconds).c_str());
  std::printf("  %-40s %6s %11s %10s %10s %10s\n", "operator", "degree", "polynomials", "from", "to", "rms error");
  for (const auto& f : made.functions) std::printf("  %-40.40s %6d %11zu %10.4g %10.4g %8.2f %%\n", f.node.c_str(), f.degree, f.polynomials, f.low, f.high, 100 * f.error);
  print_share("class as before", made.agreement.same_class, made.agreement.inputs);
  if (!samples.labels.empty()) {
    print_share("right before", right(made.agreement.classes_before, samples.labels), samples.labels.size());
    print_share("right now", right(made.agreement.classes_after, samples.labels), samples.labels.size());
  }
  std::printf("  outputs: rms error %.2f %%\n", 100 * made.agreement.relative_error);
  if (made.agreement.ran_away > 0)
    std::printf("  ran away: %zu of %zu inputs, whose values left what the polynomials were fitted to; none of these can be run encrypted. More inputs (--count) or lower degrees help\n",
                made.agreement.ran_away, made.agreement.inputs);
  for (const std::string& note : made.notes) std::printf("  note       %s\n", note.c_str());
  std::printf("Next: brainlock compile %s -o PACKAGE --profile deep\n", options.out.c_str());
}

void run(const Options& options) {
  const Stopwatch watch;
  // Before the work, not after it.
  if (!options.overwrite && std::filesystem::exists(options.out)) fail({ErrorCode::kDenied, options.out + ": exists and is not overwritten unless that is asked for (--overwrite)"});
  const auto bytes = must(read_file(options.model, package::kMaxModelBytes));
  const auto onnx = std::as_bytes(std::span(bytes));
  const compiler::TensorShape shape = must(compiler::import_with_functions(onnx)).nodes.front().shape;
  Samples samples = !options.samples.empty()   ? from_file(options, shape.size())
                    : !options.dataset.empty() ? from_images(options, shape)
                                               : synthetic(options, shape);
  compiler::ApproximateOptions how;
  how.degree = options.degree;
  how.max_drop = options.max_drop / 100;
  how.inputs = std::move(samples.inputs);
  how.held_out = std::move(samples.held_out);
  how.threads = options.threads;
  Progress progress("approximating", options.json);
  how.progress = [&](std::size_t done, std::size_t total, const std::string& what) { progress.update(done, total, what); };
  compiler::Approximation made = must(compiler::approximate_onnx(onnx, how));
  if (options.samples.empty() && options.dataset.empty())
    made.notes.push_back("synthetic images may not be what the model will meet; give it some of those (--samples, --dataset)");
  must(write_file(options.out, {reinterpret_cast<const std::uint8_t*>(made.onnx.data()), made.onnx.size()}, {.overwrite = options.overwrite}));
  (options.json ? report_json : report)(options, samples, made, watch.seconds());
}

}  // namespace

void add_approximate_command(CLI::App& app) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("approximate", "put polynomials in place of a trained model's activations, without training, so that it can be compiled");
  command->add_option("model", options->model, "ONNX file")->required();
  command->add_option("-o,--output,--out", options->out, "ONNX file to write")->required();
  auto* set = command->add_option("--dataset", options->dataset, "CIFAR-10 folder: polynomials are fitted to training images and judged by test images");
  command->add_option("--samples", options->samples, "file of inputs, one after the other: 32-bit floats, little-endian, C, H, W; the first --count of them, at most two thirds or what --held-out leaves, are for fitting, the next --held-out for judging")->excludes(set);
  command->add_option("--synthetic", options->synthetic, "without either: synthetic images, from this seed on")->capture_default_str();
  command->add_option("--count", options->count, "inputs to fit to")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  command->add_option("--held-out", options->held_out, "inputs to judge by")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  command->add_option("--degree", options->degree, "of every polynomial, 2 to 8; without it for each operator the smallest of 2, 4 and 8 with which the model keeps --max-drop")->check(CLI::Range(2, 8));
  command->add_option("--max-drop", options->max_drop, "per cent of the inputs whose largest output may become another")->capture_default_str()->check(CLI::Range(0.0, 100.0));
  command->add_option("--threads", options->threads, "threads to compute with")->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_flag("--overwrite", options->overwrite, "replace the file if it is there");
  command->add_flag("--json", options->json, "report as JSON");
  command->callback([options] { run(*options); });
}

}  // namespace brainlock::app
