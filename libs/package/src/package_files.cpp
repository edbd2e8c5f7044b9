// Packages as folders.
#include <nlohmann/json.hpp>

#include "brainlock/base/file.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/program_codec.hpp"

namespace brainlock::package {
namespace {

constexpr std::uint64_t kMaxManifestBytes = 1 << 20;
constexpr const char* kPlanFile = "plan.bin";
constexpr const char* kModelFile = "model.onnx";
constexpr const char* kManifestFile = "manifest.json";

}  // namespace

Result<std::shared_ptr<const Package>> Package::load(const std::filesystem::path& directory) {
  const auto where = [&](const Error& e, const char* file) { return e.in((directory / file).string()); };
  auto manifest = read_file(directory / kManifestFile, kMaxManifestBytes);
  if (!manifest.ok()) return manifest.error();
  auto plan_bytes = read_file(directory / kPlanFile, kMaxProgramBytes);
  if (!plan_bytes.ok()) return plan_bytes.error();
  auto model = read_file(directory / kModelFile, kMaxModelBytes);
  if (!model.ok()) return model.error();
  auto package = from_bytes(std::move(*plan_bytes), std::move(*model));
  if (!package.ok()) return where(package.error(), kPlanFile);
  const auto json = nlohmann::json::parse(manifest->begin(), manifest->end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("hash") || !json["hash"].is_string())
    return Error{ErrorCode::kMalformed, (directory / kManifestFile).string() + ": not a package manifest"};
  if (json["hash"].get<std::string>() != (*package)->hash_hex())
    return Error{ErrorCode::kCorrupted, directory.string() + ": manifest.json names " + json["hash"].get<std::string>() +
                                            " but the files hash to " + (*package)->hash_hex()};
  return package;
}

Status Package::check_vacant(const std::filesystem::path& directory) {
  std::error_code error;
  if (!std::filesystem::exists(directory / kManifestFile, error)) return {};
  return {ErrorCode::kDenied, directory.string() + " holds a package already; choose another folder or replace it (--overwrite)"};
}

Result<std::shared_ptr<const Package>> Package::create(const std::filesystem::path& directory, plan::Program program,
                                                       std::vector<std::uint8_t> model_onnx, bool overwrite) {
  std::vector<std::uint8_t> plan_bytes = encode_program(program);
  BRAINLOCK_ASSIGN(auto package, from_bytes(plan_bytes, std::move(model_onnx)));
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Error{ErrorCode::kIo, "cannot create " + directory.string() + ": " + error.message()};
  if (!overwrite) BRAINLOCK_TRY(check_vacant(directory));
  AtomicFileOptions options;
  options.overwrite = overwrite;
  const std::string manifest = package->manifest();
  BRAINLOCK_TRY(write_file(directory / kPlanFile, plan_bytes, options));
  BRAINLOCK_TRY(write_file(directory / kModelFile, package->model_, options));
  BRAINLOCK_TRY(write_file(directory / kManifestFile,
                           {reinterpret_cast<const std::uint8_t*>(manifest.data()), manifest.size()}, options));
  return package;
}

}  // namespace brainlock::package
