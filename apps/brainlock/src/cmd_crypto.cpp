// keygen, encrypt, run, decrypt: the steps of one inference apart, as client and server do them.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "brainlock/base/file.hpp"
#include "brainlock/keyholder/cipher.hpp"
#include "brainlock/keyholder/judgement.hpp"
#include "brainlock/keyholder/key_files.hpp"
#include "brainlock/wire/ciphertext.hpp"
#include "brainlock/wire/file.hpp"
#include "inference.hpp"
#include "inputs.hpp"
#include "interrupt.hpp"
#include "layer_report.hpp"
#include "range_option.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxCiphertextFileBytes = 1ULL << 30;

void print_json(const nlohmann::json& json) { std::printf("%s\n", json.dump(2).c_str()); }

/// Ciphertexts of a file, errors with its name.
std::vector<ckks::Ciphertext> read_ciphertexts(const std::string& file, const ckks::Parameters& parameters) {
  const auto bytes = must(read_file(file, kMaxCiphertextFileBytes));
  auto parsed = wire::parse_ciphertexts(bytes, parameters);
  if (!parsed.ok()) fail(parsed.error().in(file));
  return std::move(*parsed);
}

// --- keygen ------------------------------------------------------------------------------------------------------

struct KeygenOptions {
  std::string package, out;
  unsigned threads = default_threads();
  bool overwrite = false, json = false;
};

void run_keygen(const KeygenOptions& options) {
  const Stopwatch watch;
  const Interrupt interrupt;
  const auto package = must(package::Package::load(options.package));
  keyholder::KeyFiles files;
  {
    Progress progress("keys", options.json);
    auto made = keyholder::make_key_files(*package, options.out, {options.threads, options.overwrite},
                                          [&](std::size_t done, std::size_t total) { progress.update(done, total); }, interrupt.token());
    if (!made.ok()) must(interrupt.status());
    if (!made.ok() && made.error().code == ErrorCode::kDenied) fail({made.error().code, made.error().message + "; choose another folder or pass --overwrite"});
    files = must(std::move(made));
  }
  if (options.json) {
    print_json({{"secret_key", files.secret.string()}, {"evaluation_keys", files.evaluation.string()}, {"eval_key_bytes", files.evaluation_bytes},
                {"keys", files.keys}, {"keygen_s", watch.seconds()}, {"package", package->hash_hex()}});
    return;
  }
  std::printf("%s: the secret key; keep it, it never leaves this machine\n%s: %zu evaluation keys, %s; for the server\n(%s)\n",
              files.secret.c_str(), files.evaluation.c_str(), files.keys, human_bytes(files.evaluation_bytes).c_str(), human_seconds(watch.seconds()).c_str());
}

// --- encrypt -----------------------------------------------------------------------------------------------------

struct EncryptOptions {
  std::string package, keys, out;
  InputOptions input;
  RangeOption range;
  bool overwrite = false, json = false;
};

void run_encrypt(const EncryptOptions& options) {
  const auto package = must(package::Package::load(options.package));
  const Input input = must(load_input(options.input, package->program().input));
  const package::ValueRange range = require_range(package, input.values, options.range);
  const keyholder::Cipher cipher(package, must(ckks_client::SecretKey::load(fs::path(options.keys) / keyholder::kSecretKeyFile, package->parameters())));
  const Interrupt interrupt;   // from here to the end a file lies beside its place
  AtomicFile out = must(AtomicFile::create(options.out, {.overwrite = options.overwrite}));
  const Stopwatch watch;
  const auto bytes = must(cipher.encrypt(input.values));
  const double seconds = watch.seconds();
  must(interrupt.status());
  must(out.write(bytes));
  must(out.commit());
  if (options.json) print_json({{"out", options.out}, {"input", input.description}, {"input_bytes", bytes.size()}, {"encrypt_s", seconds}, {"range", range_json(range)}});
  else std::printf("%s: %s, %s in %s\n", options.out.c_str(), input.description.c_str(), human_bytes(bytes.size()).c_str(), human_seconds(seconds).c_str());
}

// --- run ---------------------------------------------------------------------------------------------------------

struct RunCommand {
  std::string package, keys, in, out;
  DeviceOption device;
  unsigned threads = default_threads();
  bool profile_layers = false, overwrite = false, json = false;
};

void run_run(const RunCommand& options) {
  const Interrupt interrupt;
  const auto package = must(package::Package::load(options.package));
  auto ciphertexts = read_ciphertexts(options.in, *package->parameters());
  // Before the work, which would be in vain if the answer had no place.
  AtomicFile out = must(AtomicFile::create(options.out, {.overwrite = options.overwrite}));
  const auto requests = package->key_requests();
  const fs::path key_file = fs::is_directory(options.keys) ? fs::path(options.keys) / keyholder::kEvaluationKeysFile : fs::path(options.keys);
  const Stopwatch loading;
  const Server server = must(Server::make(*package, options.threads, options.json, options.device.choice()));
  ckks::KeyLoader loader(server.machine->backend, server.machine->pool, package->parameters(), requests);
  {
    Progress progress("loading keys", options.json);
    std::size_t done = 0, total = 0;
    const Status read = wire::read_evaluation_keys_file(
        key_file, package->parameters(), keyholder::kMaxEvaluationKeysBytes,
        [&](std::span<const ckks::KeyRequest> manifest) {
          total = manifest.size();
          return wire::check_manifest(manifest, requests);
        },
        [&](ckks::EvaluationKey&& key) -> Status {
          BRAINLOCK_TRY(interrupt.status());
          progress.update(++done, total);
          return loader.add(key);
        });
    if (!read.ok()) {
      const bool named = read.error().code == ErrorCode::kCancelled || read.error().message.find(options.keys) != std::string::npos;
      fail(named ? read.error() : read.error().in(options.keys));
    }
  }
  const auto keys = must(loader.finish());
  server.program->make_ready();
  const double load_s = loading.seconds();
  runtime::RunProfile profile;
  runtime::RunOptions run;
  run.stop = interrupt.token();
  double latency_s = 0;
  {
    Progress progress("inference", options.json);
    run.progress = [&](std::size_t done, std::size_t total, const std::string& layer) { progress.update(done, total, layer); };
    const Stopwatch watch;
    auto answer = runtime::Executor().run(*server.program, *keys, std::move(ciphertexts), run, &profile);
    latency_s = watch.seconds();
    if (!answer.ok()) fail(answer.error().code == ErrorCode::kMismatch ? answer.error().in(options.in) : answer.error());
    ciphertexts = std::move(*answer);
  }
  must(interrupt.status());
  const auto bytes = must(wire::serialize_ciphertexts(ciphertexts, *package->parameters()));
  must(out.write(bytes));
  must(out.commit());
  if (options.json) {
    nlohmann::json json = {{"out", options.out}, {"latency_s", latency_s}, {"load_keys_s", load_s}, {"device", server.machine->backend->name()}, {"threads", options.threads},
                           {"output_bytes", bytes.size()}, {"peak_rss_bytes", peak_rss_bytes()}, {"layers", layers_json(profile)}};
    json.update(security_json(*package));
    print_json(json);
    return;
  }
  std::printf("%s: %s in %s on %s; keys loaded in %s, peak memory %s\n", options.out.c_str(), human_bytes(bytes.size()).c_str(),
              human_seconds(latency_s).c_str(), server.description().c_str(), human_seconds(load_s).c_str(), human_bytes(peak_rss_bytes()).c_str());
  if (options.profile_layers) print_layers(profile);
}

// --- decrypt -----------------------------------------------------------------------------------------------------

struct DecryptOptions {
  std::string package, keys, in;
  bool json = false;
};

void run_decrypt(const DecryptOptions& options) {
  const auto package = must(package::Package::load(options.package));
  const keyholder::Cipher cipher(package, must(ckks_client::SecretKey::load(fs::path(options.keys) / keyholder::kSecretKeyFile, package->parameters())));
  const auto bytes = must(read_file(options.in, kMaxCiphertextFileBytes));
  const auto in_file = [&](const Error& error) { return error.in(options.in); };
  const auto decrypted = cipher.decrypt(bytes);
  if (!decrypted.ok()) fail(in_file(decrypted.error()));
  const std::vector<double>& logits = *decrypted;
  const Status plausible = keyholder::check_plausible(package->program().output, logits);
  if (!plausible.ok()) fail(in_file(plausible.error()));
  const std::size_t best = static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  if (options.json) {
    print_json({{"class", best}, {"class_name", class_name(best, logits.size())}, {"logits", logits}});
    return;
  }
  for (std::size_t i = 0; i < logits.size(); ++i)
    std::printf("  %-12s %12.4f%s\n", class_name(i, logits.size()).c_str(), logits[i], i == best ? "  <-" : "");
}

}  // namespace

void add_crypto_commands(CLI::App& app) {
  auto keygen = std::make_shared<KeygenOptions>();
  auto* command = app.add_subcommand("keygen", "make a secret key and a package's evaluation keys");
  command->add_option("package", keygen->package, "package folder")->required();
  command->add_option("-o,--output,--out", keygen->out, "folder for the keys")->required();
  command->add_option("--threads", keygen->threads, "threads to make keys with")->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_flag("--overwrite", keygen->overwrite, "replace keys that are there: what they encrypted is lost");
  command->add_flag("--json", keygen->json, "report as JSON");
  command->callback([keygen] { run_keygen(*keygen); });

  auto encrypt = std::make_shared<EncryptOptions>();
  command = app.add_subcommand("encrypt", "encrypt an input");
  command->add_option("package", encrypt->package, "package folder")->required();
  command->add_option("--keys", encrypt->keys, "folder that keygen wrote")->required();
  encrypt->input.add_to(*command);
  encrypt->range.add_to(*command);
  command->add_option("-o,--output,--out", encrypt->out, "ciphertext file to write")->required();
  command->add_flag("--overwrite", encrypt->overwrite, "replace the file if it is there");
  command->add_flag("--json", encrypt->json, "report as JSON");
  command->callback([encrypt] { run_encrypt(*encrypt); });

  auto run = std::make_shared<RunCommand>();
  command = app.add_subcommand("run", "run a package on a ciphertext (the server's work; needs no secret)");
  command->add_option("package", run->package, "package folder")->required();
  command->add_option("--keys", run->keys, "folder that keygen wrote, or the file of evaluation keys in it")->required();
  command->add_option("--in", run->in, "ciphertext file")->required();
  command->add_option("-o,--output,--out", run->out, "ciphertext file to write")->required();
  run->device.add_to(*command);
  command->add_option("--threads", run->threads, "threads to compute with")->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_flag("--profile-layers", run->profile_layers, "print the time of every layer");
  command->add_flag("--overwrite", run->overwrite, "replace the output file if it is there");
  command->add_flag("--json", run->json, "report as JSON");
  command->callback([run] { run_run(*run); });

  auto decrypt = std::make_shared<DecryptOptions>();
  command = app.add_subcommand("decrypt", "decrypt an answer");
  command->add_option("package", decrypt->package, "package folder")->required();
  command->add_option("--keys", decrypt->keys, "folder that keygen wrote")->required();
  command->add_option("--in", decrypt->in, "ciphertext file")->required();
  command->add_flag("--json", decrypt->json, "report as JSON");
  command->callback([decrypt] { run_decrypt(*decrypt); });
}

}  // namespace brainlock::app
