#!/usr/bin/env bash
# `verify` finds frozen answers right, on the CPU and with equal words on another device, and says so when they are not.
#   usage: verify.sh BRAINLOCK MODELS DEVICE
set -euo pipefail
brainlock=$1 models=$2 device=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$brainlock" compile "$models/tiny-cnn/tiny.onnx" -o "$work/package" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
frozen=$models/tiny-cnn/tiny.expect.txt
"$brainlock" verify "$work/package" --expect "$frozen" --json >"$work/cpu.json"
count=$(head -n 1 "$frozen" | cut -d' ' -f1)
[[ $(grep -c '"right": true' "$work/cpu.json") == "$count" && $(grep -c '"equal_to_cpu": null' "$work/cpu.json") == "$count" ]] || { cat "$work/cpu.json"; exit 1; }
"$brainlock" verify "$work/package" --expect "$frozen" --images 1 --device "$device" --json >"$work/device.json"
[[ $(grep -c '"right": true' "$work/device.json") == 1 && $(grep -c '"equal_to_cpu": true' "$work/device.json") == 1 ]] || { cat "$work/device.json"; exit 1; }

refused() {  # PATTERN FILE
  if "$brainlock" verify "$work/package" --expect "$2" --images 1 >"$work/log" 2>&1; then echo "passed, but should not: $2"; cat "$work/log"; exit 1; fi
  grep -q "$1" "$work/log" || { echo "failed for another reason than '$1'"; cat "$work/log"; exit 1; }
}
# One logit of the first image is another.
awk -v line=$((count + 2)) 'NR == line { $1 = $1 + 1 } { print }' "$frozen" >"$work/wrong.txt"
refused '1 of 1 answers are not as expected' "$work/wrong.txt"
refused 'the package takes' "$models/vgg9-cifar10/vgg9.expect.txt"
head -n 2 "$frozen" >"$work/cut.txt"
refused 'malformed: .*image' "$work/cut.txt"
echo 'nonsense' >"$work/nonsense.txt"
refused "malformed: .*count C H W" "$work/nonsense.txt"
echo "as expected"
