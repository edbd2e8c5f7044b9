# WebAssembly by Debian's clang 14 and WASI's C library (wasi-libc, libc++-14-dev-wasm32, libclang-rt-14-dev-wasm32, lld-14). One thread, no
# exceptions, no files: what C++'s library leaves out for that reason, and the code names, is in include/ beside this file.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_CXX_COMPILER clang++-14)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR llvm-ar-14 CACHE STRING "")
set(CMAKE_RANLIB llvm-ranlib-14 CACHE STRING "")
set(CMAKE_CXX_FLAGS_INIT
  "-msimd128 -fno-exceptions -fno-rtti -ffunction-sections -fdata-sections -isystem ${CMAKE_CURRENT_LIST_DIR}/include")
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG" CACHE STRING "")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)   # a program would need libsodium, which the page's own fills in
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
