// Profiles of a run, per layer of the model.
#pragma once

#include <nlohmann/json.hpp>

#include "brainlock/package/package.hpp"
#include "brainlock/runtime/executor.hpp"

namespace brainlock::app {

/// [{name, seconds, key_switches, hoisted_rotations, limbs, device}], in model order.
nlohmann::json layers_json(const runtime::RunProfile& profile);
/// security_bits, ring_degree, log_qp, eval_key_bytes.
nlohmann::json security_json(const package::Package& package);
/// The same layers as a table on stdout, with the parts of the time.
void print_layers(const runtime::RunProfile& profile);

}  // namespace brainlock::app
