#include "brainlock/wire/parameters.hpp"

#include "codec.hpp"

namespace brainlock::wire {
namespace {

constexpr std::uint32_t kMaxQ = 128, kMaxP = 15;

Result<std::vector<std::uint32_t>> read_primes(Reader& in, const char* name, std::uint32_t max_count) {
  const std::uint32_t count = in.u32();
  if (in.ran_dry()) return {ErrorCode::kMalformed, std::string("body ends before the count of ") + name};
  if (count > max_count) {
    return {ErrorCode::kTooLarge, std::to_string(count) + " " + name + ", expected at most " + std::to_string(max_count)};
  }
  std::vector<std::uint32_t> primes(count);
  for (auto& prime : primes) prime = in.u32();
  return primes;
}

Result<ckks::ParameterSpec> parse(ByteView bytes, Header& header) {
  BRAINLOCK_ASSIGN(const ByteView body, open_body(bytes, Kind::kParameters, nullptr, kMaxParametersBytes, header));
  Reader in(body);
  ckks::ParameterSpec spec;
  spec.ring_degree = in.u32();
  BRAINLOCK_ASSIGN(spec.q, read_primes(in, "ciphertext primes", kMaxQ));
  BRAINLOCK_ASSIGN(spec.p, read_primes(in, "special primes", kMaxP));
  spec.digit_limbs = in.u32();
  if (in.ran_dry() || in.left() != 0) {
    const std::size_t expected = 4 * (4 + spec.q.size() + spec.p.size());
    return {ErrorCode::kMalformed, "body of " + std::to_string(body.size()) + " bytes, expected " + std::to_string(expected)};
  }
  return spec;
}

}  // namespace

Bytes serialize_parameters(const ckks::Parameters& parameters) {
  const auto& spec = parameters.spec();
  Bytes body;
  Writer out(body);
  out.u32(spec.ring_degree);
  for (const auto* primes : {&spec.q, &spec.p}) {
    out.u32(static_cast<std::uint32_t>(primes->size()));
    for (const auto prime : *primes) out.u32(prime);
  }
  out.u32(spec.digit_limbs);
  Bytes bytes = make_header(Kind::kParameters, id_of(parameters), body.size(), body);
  Writer(bytes).bytes(body);
  return bytes;
}

Result<ckks::ParameterSpec> parse_parameter_spec(ByteView bytes) {
  Header header;
  auto spec = parse(bytes, header);
  if (!spec.ok()) return spec.error().in("parameters");
  return spec;
}

Result<std::shared_ptr<const ckks::Parameters>> parse_parameters(ByteView bytes) {
  Header header;
  auto spec = parse(bytes, header);
  if (!spec.ok()) return spec.error().in("parameters");
  BRAINLOCK_ASSIGN(auto parameters, ckks::Parameters::create(*spec));
  const auto same = check_parameters_id(header, *parameters);
  if (!same.ok()) return same.error().in("parameters");
  return parameters;
}

}  // namespace brainlock::wire
