// bench: what a package costs, measured.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "brainlock/base/file.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/math/kernels.hpp"
#include "brainlock/wire/ciphertext.hpp"
#include "bench_device.hpp"
#include "bench_rehearsal.hpp"
#include "inference.hpp"
#include "inputs.hpp"
#include "layer_report.hpp"
#include "median.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

struct BenchOptions {
  std::string package;
  InputOptions input;
  DeviceOption device;
  unsigned threads = default_threads();
  std::optional<unsigned> repeats, warm_up;   ///< as the device wants, see below
  std::vector<unsigned> batches;
  unsigned in_flight = 0;   ///< 0: as the device wants
  std::vector<unsigned> rehearse_threads;
  bool no_replay = false;
  std::string save;         ///< file for the JSON report; empty: none
  bool json = false;
};

void run_bench(const BenchOptions& options) {
  if (!options.rehearse_threads.empty()) must(check_rehearsal(options.device.choice()));
  must(device_cuda::check_device(options.device.choice()));   // before the keys, which take their time
  const auto package = must(package::Package::load(options.package));
  const Input input = must(load_input(options.input, package->program().input));
  const ckks::Encoder encoder(package->parameters());
  Stopwatch watch;
  Keys keys = must(make_keys(*package, options.threads, options.json));
  const double keygen_s = watch.seconds();
  const std::uint64_t client_rss = peak_rss_bytes();
  watch = {};
  // The CPU gives all of itself to one request; of a GPU, one request leaves parts idle.
  const unsigned lanes = options.batches.empty() ? 1 : options.in_flight != 0 ? options.in_flight : options.device.text == "cpu" ? 1 : 4;
  const Server server = must(Server::make(*package, options.threads, options.json, options.device.choice(), lanes));
  const double load_s = watch.seconds();
  const auto loaded = must(ckks::load_keys(server.machine->backend, server.machine->pool, package->parameters(),
                                           package->key_requests(), std::move(keys.evaluation)));
  const std::vector<float> clear = compiler::run_float(must(clear_model(*package)), input.values);

  // The CPU is profiled as it is timed. A GPU's parts can only be timed by waiting for each, so it is timed first, as services run it, and profiled then;
  // its first request runs plainly and its second one is recorded (runtime::RunOptions::replay), so two warm it up.
  const bool on_cpu = server.machine->backend->name() == "cpu";
  const unsigned repeats = options.repeats.value_or(on_cpu ? 5 : 20), warm_up = options.warm_up.value_or(on_cpu ? 1 : 2);
  const runtime::RunOptions run{.progress = {}, .stop = {}, .replay = !options.no_replay};
  std::vector<double> encrypt_s, latency_s, decrypt_s;
  std::vector<runtime::RunProfile> profiles;
  Comparison worst;
  std::vector<double> logits;
  std::size_t input_bytes = 0, output_bytes = 0;
  std::vector<ckks::Ciphertext> question, answer;
  Progress progress("bench", options.json);
  for (unsigned i = 0; i < warm_up + repeats; ++i) {
    watch = {};
    question = must(keyholder::encrypt_tensor(*package, keys.secret, encoder, input.values));
    encrypt_s.push_back(watch.seconds());
    input_bytes = must(wire::serialize_ciphertexts(question, *package->parameters())).size();
    std::vector<ckks::Ciphertext> copies = copy_ciphertexts(question);
    // A GPU that had nothing to do meanwhile has lowered its clocks: the timed request comes right after another one, as under load.
    if (!on_cpu && i >= warm_up) must(runtime::Executor().run(*server.program, *loaded, copy_ciphertexts(question), run));
    runtime::RunProfile profile;
    watch = {};
    answer = must(runtime::Executor().run(*server.program, *loaded, std::move(copies), run, on_cpu ? &profile : nullptr));
    latency_s.push_back(watch.seconds());
    profiles.push_back(std::move(profile));
    output_bytes = must(wire::serialize_ciphertexts(answer, *package->parameters())).size();
    watch = {};
    logits = must(keyholder::decrypt_tensor(*package, keys.secret, encoder, answer));
    decrypt_s.push_back(watch.seconds());
    const Comparison c = compare(logits, clear);
    if (c.max_abs_error >= worst.max_abs_error) worst = c;
    progress.update(i + 1, warm_up + repeats);
  }
  for (auto* series : {&encrypt_s, &latency_s, &decrypt_s}) series->erase(series->begin(), series->begin() + warm_up);
  profiles.erase(profiles.begin(), profiles.begin() + warm_up);
  const double latency = median(latency_s);
  std::size_t middle = 0;
  for (std::size_t i = 0; i < latency_s.size(); ++i)
    if (std::fabs(latency_s[i] - latency) < std::fabs(latency_s[middle] - latency)) middle = i;

  const std::optional<DeviceWork> work = count_work(server, *loaded, copy_ciphertexts(question), run, latency);
  const std::optional<KernelTimes> kernels = measure_kernels(server, *loaded);
  const std::optional<TransformWork> transforms = measure_transforms(server, options.device.choice());
  runtime::RunProfile profile = profiles[middle];
  if (!on_cpu) must(runtime::Executor().run(*server.program, *loaded, copy_ciphertexts(question), run, &profile));
  std::vector<Throughput> throughput;
  for (const unsigned batch : options.batches) {
    // Every lane has recorded by then: as many requests as lanes, twice (the first time round some lane may get two).
    if (throughput.empty()) must(measure_throughput(server, *loaded, question, answer, 2 * lanes, lanes, run));
    throughput.push_back(must(measure_throughput(server, *loaded, question, answer, batch, lanes, run)));
  }

  std::vector<RehearsedRun> rehearsed;
  for (const unsigned threads : options.rehearse_threads) rehearsed.push_back(must(rehearse(server, *loaded, question, answer, threads, warm_up, repeats)));

  nlohmann::json json = {{"package", package->hash_hex()},
                         {"profile", package->program().profile},
                         {"device", server.machine->backend->name()},
                         {"cpu_kernels", math::kernels().name},
                         {"threads", options.threads},
                         {"repeats", repeats},
                         {"warm_up", warm_up},
                         {"class", worst.encrypted_class},
                         {"logits", logits},
                         {"clear_logits", clear},
                         {"max_abs_error", worst.max_abs_error},
                         {"relative_error", worst.relative_error},
                         {"latency_s", latency},
                         {"latency_min_s", *std::min_element(latency_s.begin(), latency_s.end())},
                         {"latency_max_s", *std::max_element(latency_s.begin(), latency_s.end())},
                         {"keygen_s", keygen_s},
                         {"load_package_s", load_s},
                         {"encrypt_s", median(encrypt_s)},
                         {"decrypt_s", median(decrypt_s)},
                         {"input_bytes", input_bytes},
                         {"output_bytes", output_bytes},
                         {"client_peak_rss_bytes", client_rss},
                         {"peak_rss_bytes", peak_rss_bytes()},
                         {"device_work", work ? work->json() : nlohmann::json()},
                         {"kernel_times", kernels ? kernels->json() : nlohmann::json()},
                         {"transforms", transforms ? transforms->json() : nlohmann::json()},
                         {"variants", variants_json(server)},
                         {"replay", replay_json(server)},
                         {"throughput", nlohmann::json::array()},
                         {"rehearsal", nlohmann::json::array()},
                         {"layers", layers_json(profile)}};
  for (const Throughput& t : throughput)
    json["throughput"].push_back({{"batch", t.batch}, {"in_flight", t.in_flight}, {"seconds", t.seconds}, {"images_per_s", t.images_per_s()}});
  for (const RehearsedRun& r : rehearsed) json["rehearsal"].push_back(r.json());
  json.update(security_json(*package));
  const std::string report = json.dump(2) + "\n";
  if (!options.save.empty()) must(write_file(options.save, {reinterpret_cast<const std::uint8_t*>(report.data()), report.size()}, {.overwrite = true}));
  if (options.json) {
    std::fputs(report.c_str(), stdout);
    return;
  }
  std::printf("%s, profile %s, %s, median of %u\n", package->program().model_name.c_str(),
              package->program().profile.c_str(), server.description().c_str(), repeats);
  std::printf("  latency    %s (%s to %s)\n", human_seconds(latency).c_str(),
              human_seconds(*std::min_element(latency_s.begin(), latency_s.end())).c_str(),
              human_seconds(*std::max_element(latency_s.begin(), latency_s.end())).c_str());
  std::printf("  client     keys %s, encrypt %s, decrypt %s\n", human_seconds(keygen_s).c_str(), human_seconds(median(encrypt_s)).c_str(),
              human_seconds(median(decrypt_s)).c_str());
  std::printf("  sizes      keys %s, input %s, output %s; peak memory %s\n", human_bytes(uploaded_key_bytes(*package)).c_str(),
              human_bytes(input_bytes).c_str(), human_bytes(output_bytes).c_str(), human_bytes(peak_rss_bytes()).c_str());
  std::printf("  precision  largest difference %.2g, %.2f %% of the logits' rms (worst of the runs)\n", worst.max_abs_error, 100 * worst.relative_error);
  std::printf("  security   %d bits: N = %u, log2(QP) = %.1f\n", package->parameters()->security_bits(),
              package->parameters()->ring_degree(), package->parameters()->log_qp());
  if (work) work->print();
  if (kernels) kernels->print();
  if (transforms) transforms->print();
  print_variants(server);
  for (const Throughput& t : throughput)
    std::printf("  batch      %u images, %u at a time: %s, %.4g images a second\n", t.batch, t.in_flight, human_seconds(t.seconds).c_str(), t.images_per_s());
  print_layers(profile);
  print_rehearsal(rehearsed);
}

}  // namespace

void add_bench_command(CLI::App& app) {
  auto bench = std::make_shared<BenchOptions>();
  auto* command = app.add_subcommand("bench", "measure a package: keys, encryption, latency per layer, decryption, sizes, memory");
  command->add_option("package", bench->package, "package folder")->required();
  bench->input.add_to(*command);
  bench->device.add_to(*command);
  command->add_option("--threads", bench->threads)->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_option("--repeats", bench->repeats, "counted runs (default: 5, on a GPU 20)")->check(CLI::Range(1, 1000));
  command->add_option("--warm-up", bench->warm_up, "runs before them (default: 1, on a GPU 2)")->check(CLI::Range(0, 1000));
  command->add_option("--batch", bench->batches, "measure images a second too, for batches of these sizes")->check(CLI::Range(1, 10000));
  command->add_option("--in-flight", bench->in_flight, "requests of a batch at a time (default: 1, on a GPU 4)")->check(CLI::Range(1, 64));
  command->add_option("--rehearse-threads", bench->rehearse_threads, "CPU: what so many threads would take, added up from the times of one thread's tasks, which are not held up by memory or by each other")
      ->check(CLI::Range(1, 1024));
  command->add_flag("--no-replay", bench->no_replay, "on a GPU: launch every kernel, instead of a recording of the whole network");
  command->add_option("--save", bench->save, "write the report as JSON to this file, replaced if it is there, whatever is printed");
  command->add_flag("--json", bench->json, "report as JSON");
  command->callback([bench] { run_bench(*bench); });
}

}  // namespace brainlock::app
