#include "skeleton.hpp"

namespace brainlock::compiler {
namespace {

plan::Linear without_values(const plan::Linear& linear) {
  plan::Linear out;
  out.name = linear.name;
  out.inputs = linear.inputs;
  out.columns = linear.columns;
  out.giant_step = linear.giant_step;
  out.giant_fan = linear.giant_fan;
  for (const auto& output : linear.outputs) out.outputs.push_back({output.out, output.columns, output.giants, output.weights, {}});
  out.rotate_sums = linear.rotate_sums;
  out.vectors.resize(linear.vectors.size());
  out.masks.resize(linear.masks.size());
  out.period = linear.period;
  out.weight_scale = linear.weight_scale;
  out.mask_scale = linear.mask_scale;
  out.limit = linear.limit;
  return out;
}

/// All but the places.
plan::TensorMap without_places(const plan::TensorMap& map) {
  return {map.channels, map.height, map.width, map.ciphertexts, map.parts, {}, map.limbs, map.scale, map.bound};
}

}  // namespace

plan::Program skeleton_of(const plan::Program& program) {
  plan::Program out;
  out.parameters = program.parameters;
  out.input = without_places(program.input);
  out.output = without_places(program.output);
  out.register_count = program.register_count;
  out.keys = program.keys;
  for (const plan::Instruction& instruction : program.instructions) {
    const auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) {
      out.instructions.push_back(instruction);
      continue;
    }
    out.instructions.push_back({without_values(*linear), instruction.layer, instruction.limbs_in, instruction.limbs_out, instruction.scale_in, instruction.scale_out});
  }
  return out;
}

}  // namespace brainlock::compiler
