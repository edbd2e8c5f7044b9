#!/usr/bin/env bash
# Installs the library into a folder, builds programs against it as its users do, and runs them.
#   usage: install.sh CMAKE BUILD SOURCES BRAINLOCK
set -euo pipefail
cmake=$1 build=$2 sources=$3 brainlock=$4
for tool in pkg-config cc; do
  command -v $tool >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$cmake" --install "$build" --component client_library --prefix "$work/usr" >install.log
installed=$(cd usr && find . -type f -o -type l | sort | tr '\n' ' ')
for file in ./include/brainlock/brainlock_client.h /libbrainlock_client.so.1 /pkgconfig/brainlock-client.pc /cmake/brainlock-client/brainlock-client-config.cmake; do
  [[ $installed == *"$file "* ]] || { echo "$file is not installed: $installed"; exit 1; }
done
if [[ $(wc -w <<<"$installed") != 8 ]]; then echo "other files than the component's: $installed"; exit 1; fi

PKG_CONFIG_PATH=$(dirname "$(find "$work/usr" -name brainlock-client.pc)")
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(pkg-config --variable=libdir brainlock-client)
export LD_LIBRARY_PATH
# shellcheck disable=SC2046
cc -std=c11 -Wall -Wextra -Werror -pedantic "$sources/examples/client.c" $(pkg-config --cflags --libs brainlock-client) -o client
printf '#include <brainlock/brainlock_client.h>\nint main() { return brainlock_abi_version() == BRAINLOCK_ABI_VERSION ? 0 : 1; }\n' >version.cpp
# shellcheck disable=SC2046
c++ -std=c++11 -Wall -Wextra -Werror -pedantic version.cpp $(pkg-config --cflags --libs brainlock-client) -o version
./version

"$brainlock" compile "$sources/models/test/mlp.onnx" -o package --profile fast >/dev/null 2>&1
./client encrypt package keys question.ct
"$brainlock" run package --keys keys/evaluation.keys --in question.ct -o answer.ct >/dev/null
./client decrypt package keys answer.ct | tee out
grep -q "largest difference" out
# Keys and ciphertexts are the command's own.
"$brainlock" decrypt package --keys keys --in answer.ct >/dev/null
"$brainlock" keygen package -o others >/dev/null
if ./client decrypt package others answer.ct 2>err; then echo "decrypted with others' keys"; exit 1; fi
grep -q "wrong_answer: .*keys that encrypted the question" err
if ./client encrypt nowhere keys q.ct 2>err; then exit 1; fi
grep -q "not_found" err

# CMake's way.
mkdir project
cat >project/CMakeLists.txt <<'TEXT'
cmake_minimum_required(VERSION 3.16)
project(demo LANGUAGES C)
find_package(brainlock-client 1.0 REQUIRED)
add_executable(demo client.c)
target_link_libraries(demo PRIVATE brainlock::client)
TEXT
cp "$sources/examples/client.c" project/
"$cmake" -G Ninja -S project -B project/build -DCMAKE_PREFIX_PATH="$work/usr" >cmake.log 2>&1 || { cat cmake.log; exit 1; }
"$cmake" --build project/build >cmake.log 2>&1 || { cat cmake.log; exit 1; }
project/build/demo decrypt package keys answer.ct >/dev/null
echo "installed, built with pkg-config and with CMake, and run"
