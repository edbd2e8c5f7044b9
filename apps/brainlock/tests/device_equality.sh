#!/usr/bin/env bash
# The same package, keys and ciphertext on the CPU and on another device: the answers must be the same bytes.
#   usage: device_equality.sh BRAINLOCK MODEL.onnx DEVICE
set -euo pipefail
brainlock=$1 model=$2 device=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$brainlock" compile "$model" -o "$work/package" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$brainlock" keygen "$work/package" -o "$work/keys" >/dev/null
"$brainlock" encrypt "$work/package" --keys "$work/keys" --synthetic 1 --out "$work/question" >/dev/null
for where in cpu "$device"; do
  "$brainlock" run "$work/package" --keys "$work/keys/evaluation.keys" --in "$work/question" --out "$work/answer-$where" --device "$where" --json >"$work/$where.json"
  grep -o '"device": *"[^"]*"' "$work/$where.json" | head -n 1
done
cmp "$work/answer-cpu" "$work/answer-$device"
echo "equal: $(stat -c %s "$work/answer-cpu") bytes"
