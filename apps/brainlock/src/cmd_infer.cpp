// infer: keys, encryption, encrypted run, decryption and the clear baseline, in one go.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/wire/ciphertext.hpp"
#include "inference.hpp"
#include "inputs.hpp"
#include "layer_report.hpp"
#include "range_option.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

struct InferOptions {
  std::string package;
  InputOptions input;
  RangeOption range;
  DeviceOption device;
  unsigned threads = default_threads();
  bool json = false;
};

void run_infer(const InferOptions& options) {
  must(device_cuda::check_device(options.device.choice()));   // before the keys, which take their time
  const auto package = must(package::Package::load(options.package));
  const Input input = must(load_input(options.input, package->program().input));
  const package::ValueRange range = require_range(package, input.values, options.range);
  const ckks::Encoder encoder(package->parameters());

  Stopwatch watch;
  Keys keys = must(make_keys(*package, options.threads, options.json));
  const double keygen_s = watch.seconds();

  Server server = must(Server::make(*package, options.threads, options.json, options.device.choice()));
  const auto loaded = must(ckks::load_keys(server.machine->backend, server.machine->pool, package->parameters(),
                                           package->key_requests(), std::move(keys.evaluation)));
  server.program->make_ready();
  watch = {};
  std::vector<ckks::Ciphertext> ciphertexts = must(keyholder::encrypt_tensor(*package, keys.secret, encoder, input.values));
  const double encrypt_s = watch.seconds();
  const std::size_t input_bytes = must(wire::serialize_ciphertexts(ciphertexts, *package->parameters())).size();

  runtime::RunProfile profile;
  runtime::RunOptions run;
  {
    Progress progress("inference", options.json);
    run.progress = [&](std::size_t done, std::size_t total, const std::string& layer) { progress.update(done, total, layer); };
    watch = {};
    ciphertexts = must(runtime::Executor().run(*server.program, *loaded, std::move(ciphertexts), run, &profile));
  }
  const double latency_s = watch.seconds();
  const std::size_t output_bytes = must(wire::serialize_ciphertexts(ciphertexts, *package->parameters())).size();
  watch = {};
  const std::vector<double> logits = must(keyholder::decrypt_tensor(*package, keys.secret, encoder, ciphertexts));
  const double decrypt_s = watch.seconds();

  const std::vector<float> clear = compiler::run_float(must(clear_model(*package)), input.values);
  const Comparison result = compare(logits, clear);
  if (options.json) {
    nlohmann::json json = {{"input", input.description},
                           {"class", result.encrypted_class},
                           {"class_name", class_name(result.encrypted_class, clear.size())},
                           {"clear_class", result.clear_class},
                           {"logits", logits},
                           {"clear_logits", clear},
                           {"max_abs_error", result.max_abs_error},
                           {"relative_error", result.relative_error},
                           {"error_bound", package->program().error_bound},
                           {"range", range_json(range)},
                           {"latency_s", latency_s},
                           {"keygen_s", keygen_s},
                           {"encrypt_s", encrypt_s},
                           {"decrypt_s", decrypt_s},
                           {"device", server.machine->backend->name()},
                           {"threads", options.threads},
                           {"package", package->hash_hex()},
                           {"profile", package->program().profile},
                           {"input_bytes", input_bytes},
                           {"output_bytes", output_bytes},
                           {"peak_rss_bytes", peak_rss_bytes()},
                           {"layers", layers_json(profile)}};
    json.update(security_json(*package));
    if (input.label) json["label"] = *input.label;
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%s\n\n  %-12s %12s %12s\n", input.description.c_str(), "class", "encrypted", "clear");
  for (std::size_t i = 0; i < clear.size() && i < 32; ++i)
    std::printf("  %-12s %12.4f %12.4f%s\n", class_name(i, clear.size()).c_str(), logits[i], static_cast<double>(clear[i]),
                i == result.encrypted_class ? "  <-" : "");
  std::printf("\n  answer     %s (clear model: %s); largest difference %.2g, %.2f %% of the logits' rms (bound %.2g)\n",
              class_name(result.encrypted_class, clear.size()).c_str(), class_name(result.clear_class, clear.size()).c_str(),
              result.max_abs_error, 100 * result.relative_error, package->program().error_bound);
  if (const auto* worst = range.worst(); worst != nullptr)
    std::printf("  range      %s: layer %s reaches %.3g of at most %.3g; largest difference foretold %.2g\n", range.inside() ? "kept" : "LEFT",
                worst->layer.c_str(), worst->largest, worst->limit, range.error);
  std::printf("  latency    %s on %s, keys loaded\n", human_seconds(latency_s).c_str(), server.description().c_str());
  std::printf("  client     keys %s, encrypt %s, decrypt %s\n", human_seconds(keygen_s).c_str(), human_seconds(encrypt_s).c_str(), human_seconds(decrypt_s).c_str());
  std::printf("  sizes      keys %s, input %s, output %s; peak memory of this process (both sides) %s\n",
              human_bytes(uploaded_key_bytes(*package)).c_str(), human_bytes(input_bytes).c_str(), human_bytes(output_bytes).c_str(),
              human_bytes(peak_rss_bytes()).c_str());
  std::printf("  security   %d bits: N = %u, log2(QP) = %.1f\n", package->parameters()->security_bits(),
              package->parameters()->ring_degree(), package->parameters()->log_qp());
}

}  // namespace

void add_infer_commands(CLI::App& app) {
  auto options = std::make_shared<InferOptions>();
  auto* command = app.add_subcommand("infer", "encrypted inference on one input, all of it in one go");
  command->add_option("package", options->package, "package folder")->required();
  options->input.add_to(*command);
  options->range.add_to(*command);
  options->device.add_to(*command);
  command->add_option("--threads", options->threads, "threads of the encrypted run")->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_flag("--json", options->json, "report as JSON");
  command->callback([options] { run_infer(*options); });
}

}  // namespace brainlock::app
