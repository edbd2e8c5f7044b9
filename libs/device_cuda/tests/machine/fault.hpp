// What ends a kernel before its time, and what a device would make of it.
#pragma once

#include <stdexcept>
#include <string>

namespace brainlock::device_cuda::machine {

enum class FaultKind {
  kIllegalAddress,
  kMisaligned,
  kIllegalInstruction,
  kUndefined,  ///< a device might not notice, and give other words: a race, an undefined value, a barrier that some
               ///< threads miss
  kNeverEnds,
};

struct Fault : std::runtime_error {
  Fault(FaultKind its_kind, const std::string& what) : std::runtime_error(what), kind(its_kind) {}
  FaultKind kind;
};

}  // namespace brainlock::device_cuda::machine
