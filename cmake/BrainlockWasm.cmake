# The client's half for browsers (preset `wasm`, `./dev wasm`): the same libraries, compiled to WebAssembly. What is left out works with
# files, threads or other processors, or belongs to wallets and servers.
option(BRAINLOCK_WASM "Build the client for browsers, with cmake/wasm/toolchain.cmake" OFF)
if(NOT BRAINLOCK_WASM)
  return()
endif()
set(BRAINLOCK_BUILD_TESTS OFF)
set(BRAINLOCK_BUILD_BENCH OFF)
set(BRAINLOCK_LAYERS base crypto math ckks ckks_client plan wire package keyholder protocol client_wasm)
set(BRAINLOCK_LEFT_OUT
  base/src/control_group base/src/file base/src/processors
  crypto/src/bip39 crypto/src/ed25519 crypto/src/password_box crypto/src/pbkdf2 crypto/src/sr25519_uri
  ckks/src/evaluator ckks/src/key_switching ckks/src/loaded_keys
  ckks_client/src/secret_key_file wire/src/file package/src/package_files keyholder/src/key_files protocol/src/tls_proof)

# Headers alone, linked to one by one: /usr/include as a whole has this machine's C library. libsodium itself comes from npm, compiled to
# WebAssembly by its own makers; libs/client_wasm/js/sodium.mjs stands between.
set(headers "${CMAKE_BINARY_DIR}/headers")
file(MAKE_DIRECTORY "${headers}")
foreach(header sodium.h sodium nlohmann xxhash.h)
  find_path(place "${header}" PATHS /usr/include NO_CACHE REQUIRED NO_DEFAULT_PATH)
  file(CREATE_LINK "${place}/${header}" "${headers}/${header}" SYMBOLIC)
  unset(place)
endforeach()
add_library(brainlock_wasm_headers INTERFACE)
target_include_directories(brainlock_wasm_headers SYSTEM INTERFACE "${headers}")
foreach(outside PkgConfig::SODIUM OpenSSL::Crypto nlohmann_json::nlohmann_json)
  add_library(${outside} ALIAS brainlock_wasm_headers)
endforeach()
