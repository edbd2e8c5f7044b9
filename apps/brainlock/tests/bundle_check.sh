#!/usr/bin/env bash
# The check of `./dev bundle` passes what it should and refuses the rest, each for its own reason.
#   usage: bundle_check.sh CHECK SHARED_PROGRAM      SHARED_PROGRAM: one that needs libraries beyond glibc
set -euo pipefail
check=$1 shared=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/good" "$work/shared" "$work/path" "$work/empty" "$work/cxx"
printf '#include <cstdio>\n#include <string>\nint main(int argc, char**) { return std::puts(std::string(argc, 45).c_str()) < 0; }\n' >"$work/program.cpp"
g++ "$work/program.cpp" -o "$work/good/program" -static-libstdc++ -static-libgcc
g++ "$work/program.cpp" -o "$work/path/program" -static-libstdc++ -static-libgcc -Wl,-rpath,/opt/somewhere
g++ "$work/program.cpp" -o "$work/cxx/program"
cp "$shared" "$work/shared/program"

refused() {  # PATTERN ARGUMENTS...
  local pattern=$1; shift
  if "$@" >"$work/log" 2>&1; then echo "passed, but should not: $*"; cat "$work/log"; exit 1; fi
  grep -qE "$pattern" "$work/log" || { echo "refused for another reason than '$pattern': $*"; cat "$work/log"; exit 1; }
}
"$check" "$work/good"
tar -czf "$work/good.tar.gz" -C "$work" good
"$check" "$work/good.tar.gz"
refused 'needs lib(onnx_proto|protobuf).* no part of glibc' "$check" "$work/shared"
refused 'shared libstdc' "$check" "$work/cxx"
refused 'has a library path' "$check" "$work/path"
refused 'no program in it' "$check" "$work/empty"
refused 'needs glibc 2\.[0-9.]+, allowed is 2.3$' env GLIBC_LIMIT=2.3 "$check" "$work/good"
refused 'allowed are 0 MB' env MEGABYTES=0 "$check" "$work/good.tar.gz"
refused 'not there' "$check" "$work/nothing.tar.gz"
refused 'no archive' "$check" "$work/program.cpp"
ln -s /etc/passwd "$work/good/link"
refused 'no plain file' "$check" "$work/good"
head -c 100 "$work/good/program" >"$work/empty/cut"
refused 'cut: cannot be read' "$check" "$work/empty"
echo "as expected"
