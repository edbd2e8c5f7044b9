// keygen, encrypt, run, decrypt: the steps of one inference apart, as client and server do them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "brainlock/base/file.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
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
constexpr std::uint64_t kMaxKeyFileBytes = 8ULL << 30;
constexpr const char* kSecretFile = "secret.key";
constexpr const char* kEvaluationFile = "evaluation.keys";

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

/// A file that is removed again unless keep_as() was called.
class Removed {
 public:
  explicit Removed(fs::path file) : file_(std::move(file)) { remove(); }
  Removed(const Removed&) = delete;
  Removed& operator=(const Removed&) = delete;
  ~Removed() { remove(); }
  const fs::path& path() const { return file_; }
  Status keep_as(const fs::path& name) {
    std::error_code error;
    fs::rename(file_, name, error);
    if (error) return {ErrorCode::kIo, "cannot rename " + file_.string() + " to " + name.string() + ": " + error.message()};
    return {};
  }

 private:
  void remove() const {
    std::error_code error;
    fs::remove(file_, error);
  }
  fs::path file_;
};

void run_keygen(const KeygenOptions& options) {
  const Stopwatch watch;
  const Interrupt interrupt;
  const auto package = must(package::Package::load(options.package));
  std::error_code error;
  fs::create_directories(options.out, error);
  if (error) fail({ErrorCode::kIo, "cannot create " + options.out + ": " + error.message()});
  const fs::path secret_file = fs::path(options.out) / kSecretFile, evaluation_file = fs::path(options.out) / kEvaluationFile;
  if (!options.overwrite && (fs::exists(secret_file) || fs::exists(evaluation_file)))
    fail({ErrorCode::kDenied, options.out + " holds keys already; choose another folder or pass --overwrite"});
  const ckks_client::SecretKey secret = must(ckks_client::SecretKey::generate(package->parameters()));
  // Under its name only once all keys are there: an interrupted run leaves nothing, and the old pair whole.
  Removed fresh(secret_file.string() + ".new");
  must(secret.save(fresh.path()));
  const auto requests = package->key_requests();
  {
    Progress progress("keys", options.json);
    must(wire::write_evaluation_keys_file(
        evaluation_file, package->parameters(), requests, {.overwrite = options.overwrite},
        [&](const auto& sink) {
          std::size_t done = 0;
          return ckks_client::generate_keys_into(secret, requests, options.threads, [&](ckks::EvaluationKey&& key) -> Status {
            BRAINLOCK_TRY(interrupt.status());
            progress.update(++done, requests.size());
            return sink(std::move(key));
          });
        }));
  }
  must(fresh.keep_as(secret_file));
  const std::uint64_t bytes = fs::file_size(evaluation_file, error);
  if (options.json) {
    print_json({{"secret_key", secret_file.string()}, {"evaluation_keys", evaluation_file.string()}, {"eval_key_bytes", bytes},
                {"keys", requests.size()}, {"keygen_s", watch.seconds()}, {"package", package->hash_hex()}});
    return;
  }
  std::printf("%s: the secret key; keep it, it never leaves this machine\n%s: %zu evaluation keys, %s; for the server\n(%s)\n",
              secret_file.c_str(), evaluation_file.c_str(), requests.size(), human_bytes(bytes).c_str(), human_seconds(watch.seconds()).c_str());
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
  const auto secret = must(ckks_client::SecretKey::load(fs::path(options.keys) / kSecretFile, package->parameters()));
  const Interrupt interrupt;   // from here to the end a file lies beside its place
  AtomicFile out = must(AtomicFile::create(options.out, {.overwrite = options.overwrite}));
  const ckks::Encoder encoder(package->parameters());
  const Stopwatch watch;
  const auto ciphertexts = must(encrypt_input(*package, secret, encoder, input.values));
  const auto bytes = must(wire::serialize_ciphertexts(ciphertexts, *package->parameters()));
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
  const fs::path key_file = fs::is_directory(options.keys) ? fs::path(options.keys) / kEvaluationFile : fs::path(options.keys);
  const Stopwatch loading;
  const Server server = must(Server::make(*package, options.threads, options.json, options.device.choice()));
  ckks::KeyLoader loader(server.machine->backend, server.machine->pool, package->parameters(), requests);
  {
    Progress progress("loading keys", options.json);
    std::size_t done = 0, total = 0;
    const Status read = wire::read_evaluation_keys_file(
        key_file, package->parameters(), kMaxKeyFileBytes,
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

/// Under a key that is not the answer's every slot is like a random number with a standard deviation of sqrt(N / 12) moduli: tens of
/// times the largest output expected, which half the modulus holds with room. That factor of all outputs together is passed by no answer
/// whose input is anything like the model's.
constexpr double kForeignKeyFactor = 8;

struct DecryptOptions {
  std::string package, keys, in;
  bool json = false;
};

void run_decrypt(const DecryptOptions& options) {
  const auto package = must(package::Package::load(options.package));
  const auto secret = must(ckks_client::SecretKey::load(fs::path(options.keys) / kSecretFile, package->parameters()));
  const auto ciphertexts = read_ciphertexts(options.in, *package->parameters());
  const plan::TensorMap& map = package->program().output;
  for (const ckks::Ciphertext& ciphertext : ciphertexts)
    if (ciphertexts.size() != map.ciphertexts || ciphertext.limbs != map.limbs || !ciphertext.scale.matches(ckks::Scale::from_value(map.scale))) {
      char text[200];
      std::snprintf(text, sizeof text, ": no answer of this package: %zu ciphertext(s) at %u limbs, scale 2^%.2f; expected %u at %u limbs, scale 2^%.2f",
                    ciphertexts.size(), ciphertext.limbs, ciphertext.scale.log2(), map.ciphertexts, map.limbs, std::log2(map.scale));
      fail({ErrorCode::kMismatch, options.in + text});
    }
  const auto logits = must(decrypt_output(*package, secret, ckks::Encoder(package->parameters()), ciphertexts));
  const double largest = std::abs(*std::max_element(logits.begin(), logits.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
  if (map.bound > 0 && !(largest <= kForeignKeyFactor * map.bound)) {
    char text[240];
    std::snprintf(text, sizeof text, ": decrypts to numbers up to %.3g, the model's outputs are about %.3g at most: these keys did not encrypt the input, "
                  "other evaluation keys computed on it, or the input was far out of the model's range", largest, map.bound);
    fail({ErrorCode::kMismatch, options.in + text});
  }
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
