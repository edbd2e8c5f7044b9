# Language level, output folders, warnings, sanitizers and the compiler cache, in one place.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(BRAINLOCK_BUILD_TESTS "Build the tests" ON)
option(BRAINLOCK_BUILD_BENCH "Build the benchmarks" ON)
option(BRAINLOCK_BUILD_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
option(BRAINLOCK_WERROR "Treat warnings as errors" OFF)
set(BRAINLOCK_SANITIZE "" CACHE STRING "Comma-separated sanitizers, for example address,undefined")

find_program(BRAINLOCK_CCACHE ccache)
if(BRAINLOCK_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${BRAINLOCK_CCACHE}")
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${BRAINLOCK_CCACHE}")
endif()

# Floating point must not depend on the compiler's mood: results are compared with == between
# instruction sets, so contraction into FMA happens only where the source says std::fma.
# (nvcc has other flags for the same: CUDA files contract nothing that matters, their one float operation is a named FMA.)
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wconversion;-Wno-sign-conversion;-ffp-contract=off>")
if(BRAINLOCK_WERROR)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Werror>")
endif()
if(BRAINLOCK_SANITIZE)
  add_compile_options(-fsanitize=${BRAINLOCK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BRAINLOCK_SANITIZE})
endif()
if(BRAINLOCK_BUILD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(BRAINLOCK_WASM)
  add_library(Threads::Threads INTERFACE IMPORTED GLOBAL)   # there is one
else()
  find_package(Threads REQUIRED)
endif()
