#!/usr/bin/env bash
# The client's half of a package: written, checked byte for byte, and refused where it is another's, damaged or made up.
#   usage: client_half.sh BRAINLOCK MODELS
set -euo pipefail
brainlock=$1 models=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
refused() {  # STATUS WORDS ARGUMENT...
  local wanted=$1 words=$2 status=0
  shift 2
  "$brainlock" client-half "$@" >"$work/out" 2>&1 || status=$?
  [[ $status == "$wanted" ]] || { echo "status $status, not $wanted: $*"; cat "$work/out"; exit 1; }
  grep -q -- "$words" "$work/out" || { echo "does not say '$words': $*"; cat "$work/out"; exit 1; }
}

for profile in fast precise; do "$brainlock" compile "$models/test/mlp.onnx" -o "$work/$profile" --profile $profile >/dev/null 2>&1; done
hash=$(sed -n 's/^  "hash": "\(.*\)",$/\1/p' "$work/fast/manifest.json")
"$brainlock" client-half "$work/fast" -o "$work/client.bin" | tee "$work/out"
grep -q "$hash" "$work/out"
[[ $(head -c 6 "$work/client.bin") == BLCLNT ]]
[[ $(od -An -tx1 -v -j8 -N32 "$work/client.bin" | tr -d ' \n') == "$hash" ]]
"$brainlock" client-half "$work/fast" --check "$work/client.bin" | grep -q "$hash"
"$brainlock" client-half "$work/fast" --check "$work/client.bin" --json | grep -q "\"bytes\": $(stat -c %s "$work/client.bin")"
# The same bytes from whoever has the package, however often.
"$brainlock" client-half "$work/fast" -o "$work/again.bin" >/dev/null
cmp "$work/client.bin" "$work/again.bin"

refused 1 "--overwrite" "$work/fast" -o "$work/client.bin"
"$brainlock" client-half "$work/precise" -o "$work/again.bin" --overwrite >/dev/null
refused 1 "the client's half of another package" "$work/fast" --check "$work/again.bin"
head -c 1000 "$work/client.bin" >"$work/cut.bin"
refused 1 "checksum" "$work/fast" --check "$work/cut.bin"
refused 1 "not the client's half of a package" "$work/fast" --check "$work/fast/plan.bin"
refused 1 "not found\|No such file" "$work/fast" --check "$work/nowhere.bin"
# One that is whole and secure, and names this package, and is not its: the other package's under this one's name.
python3 - "$work/again.bin" "$hash" "$work/made_up.bin" <<'PYTHON'
import hashlib, sys
body = bytearray(open(sys.argv[1], "rb").read()[:-32])
body[8:40] = bytes.fromhex(sys.argv[2])
open(sys.argv[3], "wb").write(body + hashlib.blake2b(body, digest_size=32).digest())
PYTHON
refused 1 "names this package, but is not its client's half" "$work/fast" --check "$work/made_up.bin"
refused 2 "--check" "$work/fast"
refused 2 "--check" "$work/fast" -o "$work/both.bin" --check "$work/client.bin"
[[ ! -e $work/both.bin ]]
