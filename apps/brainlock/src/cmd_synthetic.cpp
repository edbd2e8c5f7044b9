// synthetic: writes synthetic images in CIFAR-10's binary layout, for tools outside of this project.
#include <cstdio>

#include "brainlock/base/file.hpp"
#include "brainlock/sampler/cifar10.hpp"
#include "brainlock/sampler/synthetic.hpp"
#include "for_images.hpp"
#include "inference.hpp"

namespace brainlock::app {
namespace {

struct SyntheticOptions {
  std::uint64_t seed = 1;
  std::size_t count = 1000;
  std::string out;
  bool overwrite = false;
  unsigned threads = default_threads();
};

void run_synthetic(const SyntheticOptions& options) {
  std::vector<std::uint8_t> records(options.count * sampler::kCifar10RecordBytes);   // label 0: they have none
  for_images("synthetic", false, options.count, options.threads, [&](std::size_t i) {
    const auto pixels = sampler::image_to_bytes(must(sampler::synthetic_image(options.seed + i, 3, 32, 32)));
    std::copy(pixels.begin(), pixels.end(), records.begin() + static_cast<std::ptrdiff_t>(i * sampler::kCifar10RecordBytes + 1));
  });
  must(write_file(options.out, records, {.overwrite = options.overwrite}));
  std::printf("%s: %zu synthetic images, seeds from %llu, as CIFAR-10 records with label 0\n", options.out.c_str(), options.count,
              static_cast<unsigned long long>(options.seed));
}

}  // namespace

void add_synthetic_command(CLI::App& app) {
  auto synthetic = std::make_shared<SyntheticOptions>();
  auto* command = app.add_subcommand("synthetic", "write synthetic images as a file in CIFAR-10's binary layout");
  command->add_option("--seed", synthetic->seed, "of the first image; the next one's is one more")->capture_default_str();
  command->add_option("--count", synthetic->count, "images")->capture_default_str()->check(CLI::Range(std::size_t{1}, sampler::kCifar10MaxRecords));
  command->add_option("-o,--output,--out", synthetic->out, "file to write")->required();
  command->add_flag("--overwrite", synthetic->overwrite, "replace the file if it is there");
  command->add_option("--threads", synthetic->threads, "threads to draw with")->capture_default_str()->check(CLI::Range(1, 1024));
  command->callback([synthetic] { run_synthetic(*synthetic); });
}

}  // namespace brainlock::app
