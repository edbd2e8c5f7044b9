#include "objects.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "brainlock/crypto/bytes.hpp"
#include "brainlock/wire/ciphertext.hpp"

namespace brainlock::client_wasm {

std::string PackageObject::info() const {
  const plan::ClientFields& fields = client_->fields();
  const auto& parameters = *client_->parameters();
  const auto requests = client_->key_requests();
  return nlohmann::json{
      {"hash", client_->hash_hex()},
      {"whole", package_ != nullptr},
      {"model", fields.model_name},
      {"profile", fields.profile},
      {"securityBits", parameters.security_bits()},
      {"ringDegree", parameters.ring_degree()},
      {"inputShape", {fields.input.channels, fields.input.height, fields.input.width}},
      {"inputCount", input_count()},
      {"outputCount", keyholder::size_of(fields.output)},
      {"inputBound", fields.input.bound},
      {"errorBound", fields.error_bound},
      {"errorEstimate", fields.error_estimate},
      {"evaluationKeyCount", requests.size()},
      {"evaluationKeyBytes", wire::evaluation_keys_bytes(requests, parameters)},
      {"questionBytes",
       wire::ciphertexts_bytes(parameters, fields.input.ciphertexts, fields.input.limbs, /*seeded=*/true)},
      {"answerBytes",
       wire::ciphertexts_bytes(parameters, fields.output.ciphertexts, fields.output.limbs, /*seeded=*/false)},
  }
      .dump();
}

Status PackageObject::check_values(std::span<const float> values) const {
  if (values.size() != input_count()) {
    return {ErrorCode::kInvalidArgument,
            std::to_string(values.size()) + " values, the model takes " + std::to_string(input_count())};
  }
  for (const float value : values) {
    if (!std::isfinite(value)) return {ErrorCode::kInvalidArgument, "an input value is not finite"};
  }
  return {};
}

Status PackageObject::prepare() {
  if (checker_) return {};
  if (package_ == nullptr) {
    return {ErrorCode::kUnsupported,
            "running the model in the clear needs the whole package (plan.bin and model.onnx), and this is its "
            "client's half alone; "
            "encrypt with range \"unchecked\", and decrypt without comparing"};
  }
  BRAINLOCK_ASSIGN(simulator_, package::Simulator::make(package_));
  checker_.emplace(package_, package::Foretelling{simulator_, {}, 1});
  return {};
}

Result<PackageObject::Judged> PackageObject::judge(std::span<const float> values) {
  BRAINLOCK_TRY(prepare());
  if (!std::equal(values.begin(), values.end(), judged_input_.begin(), judged_input_.end())) {
    forget();
    judged_ = {checker_->check(values), keyholder::check_input_bound(client_->input(), values).ok()};
    judged_input_.assign(values.begin(), values.end());
  }
  return judged_;
}

void PackageObject::forget() {
  crypto::wipe(judged_input_.data(), judged_input_.size() * sizeof(float));
  judged_input_.clear();
}

Result<std::vector<double>> PackageObject::run_clear(std::span<const float> values) {
  BRAINLOCK_TRY(prepare());
  return simulator_->run_without_errors(values);
}

std::string range_report(const PackageObject::Judged& judged) {
  const package::ValueRange& range = judged.range;
  nlohmann::json out{{"inside", judged.inside()},    {"wraps", range.wraps()},          {"wrap", range.wrap},
                     {"foretoldError", range.error}, {"errorBound", range.error_bound}, {"worstLayer", nullptr}};
  if (const auto* worst = range.worst(); worst != nullptr) {
    out["worstLayer"] = {{"name", worst->layer}, {"value", worst->largest}, {"limit", worst->limit}};
  }
  return out.dump();
}

KeyObject::KeyObject(std::shared_ptr<PackageObject> package, ckks_client::SecretKey key)
    : package_(std::move(package)),
      cipher_(package_->client(), std::move(key)),
      requests_(package_->client()->key_requests()) {}

Status KeyObject::begin_evaluation_keys() {
  written_.clear();
  made_ = 0;
  writer_.reset();
  hash_ = crypto::Blake2b256();
  id_.reset();
  const wire::ByteSink sink = [this](wire::ByteView part) -> Status {
    written_.insert(written_.end(), part.begin(), part.end());
    return {};
  };
  BRAINLOCK_ASSIGN(auto writer, wire::EvaluationKeyWriter::begin(sink, package_->client()->parameters(), requests_));
  writer_.emplace(std::move(writer));
  return {};
}

Result<std::vector<std::uint8_t>> KeyObject::next_evaluation_key() {
  if (!writer_) return {ErrorCode::kInvalidArgument, "no evaluation keys were begun"};
  if (written_.empty() && made_ < requests_.size()) {
    const std::span<const ckks::KeyRequest> next(&requests_[made_++], 1);
    BRAINLOCK_TRY(ckks_client::generate_keys_into(cipher_.secret(), next, /*threads=*/1,
                                                  [this](ckks::EvaluationKey&& key) { return writer_->add(key); }));
    if (made_ == requests_.size()) BRAINLOCK_TRY(writer_->finish());
  }
  auto bytes = std::exchange(written_, {});
  hash_.update(bytes);
  if (made_ == requests_.size() && !id_) id_ = hash_.finish();
  return bytes;
}

Result<crypto::Digest256> KeyObject::evaluation_keys_id() const {
  if (!id_) return {ErrorCode::kInvalidArgument, "not all evaluation keys were made"};
  return *id_;
}

}  // namespace brainlock::client_wasm
