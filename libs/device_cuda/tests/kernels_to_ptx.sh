#!/usr/bin/env bash
# Compiles every kernel to PTX with clang, which needs no CUDA toolkit: the device code is valid CUDA, and no kernel keeps
# an array in local memory. Where the toolkit's assembler is there too, it must take the result without spilling.
#   usage: kernels_to_ptx.sh CLANG LIBS_FOLDER FOLDER_FOR_THE_RESULT
# Leaves with 77 (skipped) where there is no clang, or one without the PTX target.
set -euo pipefail
clang=$1 libs=$2 out=$3
skip() { echo "skipped: $*"; exit 77; }
command -v "$clang" >/dev/null || skip "$clang is not installed"
"$clang" --print-targets | grep -q nvptx64 || skip "$clang has no PTX target"
# A kernel that looks at memory before the launches before it are done is right wherever launches do not overlap, so no test finds it.
awk '
  looks && !/^#/ { if ($0 !~ /^  wait_for_earlier_launches\(\);$/) { print FILENAME ": " kernel; bad = 1 } looks = 0 }
  /^BRAINLOCK_KERNEL.*\{$/ { kernel = $0; looks = 1; kernels++ }
  END { if (bad) print "these kernels do not begin with wait_for_earlier_launches()"; exit bad || kernels < 20 }' "$libs"/device_cuda/src/kernels/*.cuh ||
  { echo "see above, or no kernels were found" >&2; exit 1; }
mkdir -p "$out"
for arch in sm_80; do
  ptx=$out/kernels-$arch.ptx
  "$clang" -x cuda --cuda-device-only --cuda-gpu-arch=$arch -nocudainc -nocudalib -Wno-unknown-cuda-version -Wall -Wextra -Werror \
    -std=c++17 -O3 -S -I "$libs/device_cuda/src" -I "$libs/base/include" -o "$ptx" "$libs/device_cuda/src/kernels/every_kernel.cu"
  kernels=$(grep -c '\.entry' "$ptx")
  echo "$arch: $kernels kernels"
  [[ $kernels -ge 48 ]] || { echo "expected at least 48 kernels" >&2; exit 1; }
  if grep -q '__local_depot' "$ptx"; then
    echo "a kernel keeps variables in local memory:" >&2
    grep '__local_depot' "$ptx" >&2
    exit 1
  fi
  ptxas=$(command -v ptxas || true)
  if [[ -n $ptxas ]]; then
    "$ptxas" -arch=$arch -v "$ptx" -o /dev/null 2>&1 | awk '
      /Compiling entry function/ { name = $0; sub(/.*function ./, "", name); sub(/. for .*/, "", name); kernels++ }
      /spill/ { if ($0 !~ / 0 bytes spill stores, 0 bytes spill loads/) { print name ": " $0; bad = 1 } }
      /Used/ { match($0, /Used [0-9]+/); printf "%3d registers  %s\n", substr($0, RSTART + 5, RLENGTH - 5), name }
      /error/ { print; bad = 1 }
      END { exit bad || kernels == 0 }'
  fi
done
