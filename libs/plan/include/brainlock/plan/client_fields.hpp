// What somebody who makes keys, encrypts inputs and decrypts answers needs of a program: a small part beside its
// weights.
#pragma once

#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::plan {

/// Fields of a Program, with their meaning there.
struct ClientFields {
  std::string model_name;
  std::string profile;
  ParameterChoice parameters;
  TensorMap input, output;
  std::vector<KeyUse> keys;
  double error_bound = 0;
  double error_estimate = 0;
};

ClientFields client_fields(const Program& program);

/// The rules of validate(Program) as far as they concern these fields. There are no instructions to compare the keys
/// with: they must be such as collect_keys() may give, in its order. A valid program's are valid.
Status validate(const ClientFields& client);

}  // namespace brainlock::plan
