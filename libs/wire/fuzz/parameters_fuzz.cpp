#include "brainlock/wire/parameters.hpp"

#include "fuzz_parameters.hpp"

using namespace brainlock::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::both_ways(Kind::kParameters, data, size, [](ByteView bytes) {
    const auto spec = parse_parameter_spec(bytes);
    if (!spec.ok()) return;
    // Only small rings: tables of a large one take too long for a fuzzer.
    if (spec->ring_degree > 64) return;
    const auto parameters = brainlock::ckks::Parameters::create_insecure_for_tests(*spec);
    if (parameters.ok()) fuzz::require(*parse_parameter_spec(serialize_parameters(**parameters)) == *spec);
  });
  return 0;
}
