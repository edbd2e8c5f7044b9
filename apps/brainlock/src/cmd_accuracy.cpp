// accuracy: how true a package's answers are, in the clear, simulated and encrypted.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "brainlock/base/file.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/package/simulator.hpp"
#include "brainlock/package/value_range.hpp"
#include "brainlock/sampler/cifar10.hpp"
#include "for_images.hpp"
#include "inference.hpp"
#include "median.hpp"
#include "share.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

struct AccuracyOptions {
  std::string package, dataset, logits;
  std::size_t clear = 1000, simulated = 200, encrypted = 0, offset = 0;
  std::uint64_t seed = 1;
  DeviceOption device;
  unsigned threads = default_threads();
  bool json = false;
};

std::size_t argmax(const auto& values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

/// Answers with errors (simulated or real) against those of the model in the clear.
struct Tally {
  std::size_t images = 0, hits = 0, same = 0, outside_bound = 0, out_of_range = 0;
  double max_error = 0, difference = 0, norm = 0, count = 0;

  void add(const std::vector<double>& logits, const std::vector<float>& clear, int label, double bound, bool in_range) {
    const Comparison c = compare(logits, clear);
    ++images;
    if (c.encrypted_class == static_cast<std::size_t>(label)) ++hits;
    if (c.encrypted_class == c.clear_class) ++same;
    if (!in_range) ++out_of_range;
    if (!(c.max_abs_error <= bound)) ++outside_bound;
    max_error = std::max(max_error, c.max_abs_error);
    for (std::size_t k = 0; k < clear.size(); ++k) {
      const double reference = static_cast<double>(clear[k]);
      difference += (logits[k] - reference) * (logits[k] - reference);
      norm += reference * reference;
    }
    count += static_cast<double>(clear.size());
  }
  /// Of the logits over all images.
  [[nodiscard]] double rms() const { return count > 0 ? std::sqrt(norm / count) : 0; }
  [[nodiscard]] double relative() const { return norm > 0 ? std::sqrt(difference / norm) : 0; }
  [[nodiscard]] double largest() const { return rms() > 0 ? max_error / rms() : 0; }

  [[nodiscard]] nlohmann::json json() const {
    nlohmann::json out = share_json(hits, images);
    out.update({{"argmax_equal", share_json(same, images)}, {"max_abs_error", max_error}, {"max_relative_error", largest()},
                {"relative_error", relative()}, {"logits_rms", rms()}, {"outside_bound", outside_bound}, {"out_of_range", out_of_range}});
    return out;
  }
  void print(const char* what, double bound) const {
    if (images == 0) return;
    print_share((std::string(what) + ", right").c_str(), hits, images);
    print_share((std::string(what) + ", class as in the clear").c_str(), same, images);
    std::printf("  %-34s rms error %.3f %%, largest difference %.2f %% of the logits' rms of %.3g; %zu beyond the bound of %.3g; %zu out of range\n", "",
                100 * relative(), 100 * largest(), rms(), outside_bound, bound, out_of_range);
  }
};

/// A line per image, enough digits to give every float back: for comparing this interpreter with others.
Status write_logits(const std::string& file, std::span<const std::vector<float>> images) {
  std::string text;
  char number[32];
  for (const auto& logits : images) {
    for (std::size_t k = 0; k < logits.size(); ++k) {
      std::snprintf(number, sizeof number, "%s%.9g", k == 0 ? "" : " ", static_cast<double>(logits[k]));
      text += number;
    }
    text += '\n';
  }
  return write_file(file, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, {.overwrite = true});
}

void run_accuracy(const AccuracyOptions& options) {
  if (options.encrypted > 0) must(device_cuda::check_device(options.device.choice()));   // before the other columns, which take their time
  const auto package = must(package::Package::load(options.package));
  const plan::Program& program = package->program();
  const auto set = must(sampler::Cifar10::read_directory(options.dataset));
  if (options.offset >= set.size())
    fail({ErrorCode::kInvalidArgument, "--offset " + std::to_string(options.offset) + ": the test batch holds " + std::to_string(set.size()) + " images"});
  const compiler::Graph graph = must(clear_model(*package));
  const auto& shape = graph.nodes.front().shape;
  if (set.size() > 0 && set.image(0).pixels.size() != shape.size())
    fail({ErrorCode::kMismatch, "the model takes " + std::to_string(shape.channels) + " x " + std::to_string(shape.height) + " x " +
                                    std::to_string(shape.width) + " values, the data set's images are 3 x 32 x 32"});
  const std::size_t first = options.offset, left = set.size() - first;
  const std::size_t simulated_count = std::min(options.simulated, left), encrypted_count = std::min(options.encrypted, left);
  const std::size_t clear_count = std::min(options.clear, left);

  // The clear answers are the yardstick of the other two.
  std::vector<std::vector<float>> clear(std::max({clear_count, simulated_count, encrypted_count}));
  Stopwatch watch;
  for_images("clear", options.json, clear.size(), options.threads, [&](std::size_t i) { clear[i] = compiler::run_float(graph, set.image(first + i).pixels); });
  const double clear_s = watch.seconds();
  if (!options.logits.empty()) must(write_logits(options.logits, std::span(clear).first(clear_count)));
  std::size_t clear_hits = 0;
  for (std::size_t i = 0; i < clear_count; ++i) clear_hits += argmax(clear[i]) == static_cast<std::size_t>(set.label(first + i)) ? 1 : 0;

  Tally simulated;
  watch = {};
  const auto foretold = simulated_count + encrypted_count > 0 ? must(foretelling(package, options.threads)) : package::Foretelling();
  if (simulated_count > 0) {
    std::vector<std::vector<double>> logits(simulated_count);
    std::vector<char> inside(simulated_count);
    for_images("simulated", options.json, simulated_count, options.threads, [&](std::size_t i) {
      plan::SlotTrace trace;
      logits[i] = foretold.simulator->run(set.image(first + i).pixels, options.seed + i, &trace);
      package::ValueRange range = package::value_range(program, trace, logits[i]);
      range.error = compare(logits[i], clear[i]).max_abs_error;
      range.error_bound = program.error_bound;
      inside[i] = range.inside() ? 1 : 0;
    });
    for (std::size_t i = 0; i < simulated_count; ++i)
      simulated.add(logits[i], clear[i], set.label(first + i), program.error_bound, inside[i] != 0);
  }
  const double simulated_s = watch.seconds();

  Tally encrypted;
  std::vector<double> latency;
  std::string device;
  if (encrypted_count > 0) {
    const ckks::Encoder encoder(package->parameters());
    const package::RangeChecker checker(package, foretold);
    Keys keys = must(make_keys(*package, options.threads, options.json));
    const Server server = must(Server::make(*package, options.threads, options.json, options.device.choice()));
    device = server.description();
    const auto loaded = must(ckks::load_keys(server.machine->backend, server.machine->pool, package->parameters(),
                                             package->key_requests(), std::move(keys.evaluation)));
    Progress progress("encrypted", options.json);
    for (std::size_t i = 0; i < encrypted_count; ++i) {
      const auto image = set.image(first + i);
      auto ciphertexts = must(keyholder::encrypt_tensor(*package, keys.secret, encoder, image.pixels));
      const Stopwatch run_watch;
      ciphertexts = must(runtime::Executor().run(*server.program, *loaded, std::move(ciphertexts)));
      latency.push_back(run_watch.seconds());
      const auto logits = must(keyholder::decrypt_tensor(*package, keys.secret, encoder, ciphertexts));
      encrypted.add(logits, clear[i], set.label(first + i), program.error_bound, checker.check(image.pixels).inside());
      progress.update(i + 1, encrypted_count);
    }
  }
  if (options.json) {
    nlohmann::json json = {{"package", package->hash_hex()},
                           {"profile", program.profile},
                           {"first_image", first},
                           {"clear", share_json(clear_hits, clear_count)},
                           {"simulated", simulated.json()},
                           {"encrypted", encrypted.json()},
                           {"argmax_equal", share_json(encrypted.same, encrypted_count)},
                           {"max_abs_error", encrypted.max_error},
                           {"relative_error", encrypted.relative()},
                           {"error_bound", program.error_bound},
                           {"outside_bound", encrypted.outside_bound},
                           {"out_of_range", encrypted.out_of_range},
                           {"seed", options.seed},
                           {"clear_s", clear_s},
                           {"simulated_s", simulated_s},
                           {"device", device.empty() ? nlohmann::json() : nlohmann::json(device)},
                           {"latency_s", latency.empty() ? 0.0 : median(latency)}};
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%s, profile %s, images from %zu; 95 %% intervals by Wilson\n", program.model_name.c_str(), program.profile.c_str(), first);
  print_share("clear, right", clear_hits, clear_count);
  simulated.print("simulated", program.error_bound);
  encrypted.print("encrypted", program.error_bound);
  if (!latency.empty()) std::printf("  encrypted: median %s an image on %s\n", human_seconds(median(latency)).c_str(), device.c_str());
}

}  // namespace

void add_accuracy_command(CLI::App& app) {
  auto accuracy = std::make_shared<AccuracyOptions>();
  auto* command = app.add_subcommand("accuracy", "accuracy in the clear, simulated with the scheme's noise, and encrypted, with 95 % intervals");
  command->add_option("package", accuracy->package, "package folder")->required();
  command->add_option("--dataset", accuracy->dataset, "CIFAR-10 folder in the standard binary layout")->required();
  command->add_option("--clear", accuracy->clear, "images in the clear")->capture_default_str();
  command->add_option("--logits", accuracy->logits, "file for the logits of the images in the clear (--clear), a line each; replaced if it is there");
  command->add_option("--simulated", accuracy->simulated, "images with the scheme's errors drawn at random, without keys")->capture_default_str();
  command->add_option("--seed", accuracy->seed, "of the simulated errors")->capture_default_str();
  command->add_option("--encrypted", accuracy->encrypted, "images encrypted")->capture_default_str();
  command->add_option("--offset", accuracy->offset, "first image")->capture_default_str();
  accuracy->device.add_to(*command);
  command->add_option("--threads", accuracy->threads, "threads to compute with")->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_flag("--json", accuracy->json, "report as JSON");
  command->callback([accuracy] { run_accuracy(*accuracy); });
}

}  // namespace brainlock::app
