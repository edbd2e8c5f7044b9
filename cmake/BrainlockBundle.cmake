# BRAINLOCK_BUNDLE: one command without libraries to install, for `./dev bundle`. Outside libraries come as static archives and so does
# C++'s runtime; what stays shared is glibc, and the GPU's driver, which CUDA's runtime opens when a GPU is asked for. (glibc itself cannot be
# static: what opens a driver must be the machine's own.)
#
# Static archives of libpq and spdlog need libraries of which Debian has none, so the bundle's command leaves out what serves and
# asks over the network: layers and subcommands are those of one machine. ONNX has no archive either, but a .proto file, from which its few
# classes are generated here.
option(BRAINLOCK_BUNDLE "Build the self-contained command of ./dev bundle" OFF)
if(NOT BRAINLOCK_BUNDLE)
  return()
endif()
set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
set(OPENSSL_USE_STATIC_LIBS TRUE)
set(Protobuf_USE_STATIC_LIBS TRUE)
set(BRAINLOCK_BUILD_TESTS OFF)
set(BRAINLOCK_BUILD_BENCH OFF)
add_link_options(-static-libstdc++ -static-libgcc -Wl,--as-needed -s)
set(BRAINLOCK_LAYERS base crypto math device device_cuda ckks ckks_client plan compiler runtime wire package keyholder sampler)

find_package(Protobuf REQUIRED)
find_file(BRAINLOCK_ONNX_FILE onnx/onnx.proto REQUIRED)
# Under the name that Debian's umbrella header asks for: its own copy has the ML domain's messages beside the same ones.
set(onnx_classes "${CMAKE_BINARY_DIR}/onnx_classes/onnx")
configure_file("${BRAINLOCK_ONNX_FILE}" "${onnx_classes}/onnx-ml.proto" COPYONLY)
add_custom_command(OUTPUT "${onnx_classes}/onnx-ml.pb.cc" "${onnx_classes}/onnx-ml.pb.h"
  COMMAND protobuf::protoc "--proto_path=${CMAKE_BINARY_DIR}/onnx_classes" "--cpp_out=${CMAKE_BINARY_DIR}/onnx_classes" onnx/onnx-ml.proto
  DEPENDS "${onnx_classes}/onnx-ml.proto")
add_library(brainlock_onnx_classes STATIC "${onnx_classes}/onnx-ml.pb.cc" "${onnx_classes}/onnx-ml.pb.h")
target_compile_options(brainlock_onnx_classes PRIVATE -w)   # generated
target_include_directories(brainlock_onnx_classes BEFORE PUBLIC "${CMAKE_BINARY_DIR}/onnx_classes")
target_link_libraries(brainlock_onnx_classes PUBLIC protobuf::libprotobuf)
set(BRAINLOCK_ONNX_PROTO brainlock_onnx_classes)            # what find_library() would look for
