// PTX as text, cut into kernels, statements and operands; nothing is given a meaning yet (ptx_compile.cpp does that).
// What is not understood is an error with its line.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::device_cuda::machine {

/// "@%p1 ld.global.v2.u32 {%r1, %r2}, [%rd1+8];" in pieces.
struct Statement {
  unsigned line = 0;
  std::string predicate;  ///< "%p1", or empty
  bool negated = false;
  std::string opcode;                 ///< with all its suffixes
  std::vector<std::string> operands;  ///< a vector is one, with its braces
  std::string text() const;           ///< for messages
};

struct TextKernel {
  std::string name;
  unsigned line = 0;
  std::string parameter;  ///< its name; empty: the kernel takes none
  std::size_t parameter_bytes = 0, parameter_alignment = 1;
  std::map<std::string, std::pair<std::string, unsigned>> registers;  ///< prefix "%r" -> type "b32" and count
  unsigned most_threads = 0;                                          ///< .maxntid; 0: not said
  unsigned exact_threads = 0;                                         ///< .reqntid; 0: not said
  std::vector<Statement> statements;
  std::map<std::string, std::size_t> labels;  ///< -> number of the statement that follows
};

struct TextModule {
  unsigned target = 0;         ///< 90 of sm_90
  std::string dynamic_shared;  ///< name of the array that a launch sizes; empty: none
  std::vector<TextKernel> kernels;
};

Result<TextModule> parse_ptx(std::string_view text);

}  // namespace brainlock::device_cuda::machine
