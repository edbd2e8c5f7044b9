// plan.bin: any bytes, and the same bytes with a right head and checksum so that the parser behind them is reached.
// What is accepted must have one encoding, must be printable as a manifest, and must run in the clear.
#include <algorithm>
#include <cstdlib>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/program_codec.hpp"
#include "brainlock/plan/slot_interpreter.hpp"

using namespace brainlock;

namespace {

std::uint64_t work(const plan::Program& program) {
  std::uint64_t sum = program.instructions.size() + program.register_count;
  for (const auto& instruction : program.instructions) {
    const plan::Cost cost = plan::count_cost(program, instruction);
    sum += cost.plaintext_macs + cost.key_switches;
    if (const auto* linear = std::get_if<plan::Linear>(&instruction.op))
      for (const auto& output : linear->outputs) sum += output.giants;
  }
  return sum * program.parameters.ring_degree;
}

void decode(std::span<const std::uint8_t> bytes) {
  const auto program = package::decode_program(bytes);
  if (!program.ok()) return;
  const auto again = package::encode_program(*program);
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
  const std::size_t size = std::size_t{program->input.channels} * program->input.height * program->input.width;
  if (size < (1U << 16) && work(*program) < (1U << 22)) {
    const std::vector<float> input(size, 0.5F);
    plan::SlotTrace trace;
    (void)plan::run_slots(*program, input, &trace);
  }
  const auto package = package::Package::from_bytes({bytes.begin(), bytes.end()}, {});
  if (package.ok()) (void)(*package)->manifest();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  decode({data, size});
  for (std::uint8_t version = package::kOldestProgramVersion; version <= package::kProgramVersion; ++version) {
    std::vector<std::uint8_t> sealed{'B', 'L', 'P', 'L', 'A', 'N', 0, version};
    // A seed that is a plan.bin keeps its meaning: its own head and checksum are put aside.
    const bool whole = size >= 40 && std::equal(sealed.begin(), sealed.end(), data);
    sealed.insert(sealed.end(), data + (whole ? 8 : 0), data + size - (whole ? 32 : 0));
    const crypto::Hash256 checksum = crypto::blake2b_256(sealed);
    sealed.insert(sealed.end(), checksum.begin(), checksum.end());
    decode(sealed);
  }
  return 0;
}
