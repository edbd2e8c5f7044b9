#!/usr/bin/env bash
# One program on two kinds of processors: packages have the same hash, keys and ciphertexts of either are the other's, and both compute the same
# words from them.
#   usage: across_processors.sh BRAINLOCK OTHER [ARGUMENT...]      OTHER: the command that runs the other one, such as an emulator
set -euo pipefail
here=$1
shift
other=("$@")
models=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../models" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAILED: $*" >&2; exit 1; }

"$here" --version
"${other[@]}" --version

hash_of() { sed -n 's/.*"hash": *"\([0-9a-f]*\)".*/\1/p' "$1/manifest.json"; }
for model in tiny-cnn/tiny test/mlp test/lenet test/strided test/quartic test/residual test/deep; do
  name=$(basename "$model")
  "$here" compile "$models/$model.onnx" -o "here-$name" >/dev/null
  "${other[@]}" compile "$models/$model.onnx" -o "other-$name" >/dev/null
  [[ -n $(hash_of "here-$name") && $(hash_of "here-$name") == "$(hash_of "other-$name")" ]] || fail "packages of $model differ"
  cmp "here-$name/plan.bin" "other-$name/plan.bin"
done
echo "packages: the same"

# Keys and input of one, run by both, decrypted by both; then the other way round.
round() {  # NAME, then the command of whose keys they are
  local name=$1
  shift
  "$@" keygen here-tiny -o "keys-$name" >/dev/null
  "$@" encrypt here-tiny --keys "keys-$name" --synthetic 7 -o "$name.in" >/dev/null
  "$here" run here-tiny --keys "keys-$name/evaluation.keys" --in "$name.in" --out "$name.here" >/dev/null
  "${other[@]}" run here-tiny --keys "keys-$name/evaluation.keys" --in "$name.in" --out "$name.other" >/dev/null
  cmp "$name.here" "$name.other" || fail "keys of $name: the two compute different words"
  "$here" decrypt here-tiny --keys "keys-$name" --in "$name.here" --json >"$name.decrypted-here"
  "${other[@]}" decrypt here-tiny --keys "keys-$name" --in "$name.here" --json >"$name.decrypted-other"
  [[ -s $name.decrypted-here ]] || fail "keys of $name: nothing was decrypted"
  cmp "$name.decrypted-here" "$name.decrypted-other" || fail "keys of $name: the two decrypt differently"
}
round here "$here"
round other "${other[@]}"
echo "keys, ciphertexts and answers: the same"
