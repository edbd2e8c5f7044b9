#!/usr/bin/env bash
# What the shared library shows, and what it needs. Both are promises: a symbol that goes breaks programs, a library more must be installed everywhere.
#   usage: symbols.sh LIBRARY FOLDER_OF_THE_LISTS
set -euo pipefail
library=$1 lists=$2
differ() { echo "$1 has changed (< frozen, > now):"; exit 1; }
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub("@@", " "); print $3, $4 }' | sort)
diff "$lists/exported_symbols.txt" <(echo "$exported") || differ "the list of exported symbols"
# The loader itself has another name on each architecture.
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' | grep -v '^ld-linux' | sort)
diff "$lists/needed_libraries.txt" <(echo "$needed") || differ "the list of libraries that it needs"
readelf -d "$library" | grep -q 'SONAME.*\[libbrainlock_client.so.1\]' || { echo "no SONAME libbrainlock_client.so.1"; exit 1; }
if nm -C "$library" 2>/dev/null | grep -m1 -E 'brainlock::(miner|runtime|device_cuda|compiler)::|onnx::|google::protobuf'; then
  echo "has the server's half, or a compiler, in it"
  exit 1
fi
