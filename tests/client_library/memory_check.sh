#!/usr/bin/env bash
# A whole round trip under memcheck: nothing that was given is lost, no byte is read that nobody wrote. Memcheck knows no AVX-512, which changes nothing about memory.
#   usage: memory_check.sh PROGRAM ARGUMENT...
set -euo pipefail
if ! command -v valgrind >/dev/null; then
  echo "skipped: valgrind is not installed (./dev setup test)"
  exit 77
fi
isa=scalar
if grep -qw avx2 /proc/cpuinfo; then isa=avx2; fi
BRAINLOCK_ISA=$isa valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible "$@"
