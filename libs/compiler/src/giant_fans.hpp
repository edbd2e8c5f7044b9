// How the sums of giant steps are grouped: keys against how many rotations wait for one another.
#pragma once

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// Sets Linear::giant_fan of all layers, and the key manifest. A fan takes a key for each round where Horner's rule over all sums takes one, but most
/// programs have those keys anyway: sums over slots and neighbours in maps are rotated by powers of two. Limbs must be assigned.
void choose_giant_fans(plan::Program& program);

}  // namespace brainlock::compiler
