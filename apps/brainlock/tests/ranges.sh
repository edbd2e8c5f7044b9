#!/usr/bin/env bash
# `ranges`: synthetic images by their seeds, and the same ones read from a file that `synthetic` wrote, go equally far; what a model made of
# ordinary images keeps within its package's limits; one that no photograph resembles is named.
#   usage: ranges.sh BRAINLOCK MODEL.onnx
set -euo pipefail
brainlock=$1 model=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$brainlock" compile "$model" -o "$work/package" --profile fast >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$brainlock" synthetic --seed 40 --count 12 -o "$work/test_batch.bin"
if "$brainlock" synthetic --seed 41 --count 1 -o "$work/test_batch.bin" 2>"$work/refused"; then echo "replaced a file without --overwrite"; exit 1; fi
"$brainlock" ranges "$work/package" --synthetic 42 --count 10 --json >"$work/seeds.json"
"$brainlock" ranges "$work/package" --dataset "$work" --offset 2 --count 99 --json >"$work/file.json"
"$brainlock" ranges "$work/package" --dataset "$work"
# A checkerboard of black and white, after an image from above.
python3 - "$work/test_batch.bin" <<'PYTHON'
import pathlib, sys
file = pathlib.Path(sys.argv[1])
checks = bytes(255 * ((x // 2 + y // 2) % 2) for _ in range(3) for y in range(32) for x in range(32))
file.write_bytes(file.read_bytes()[:3073] + bytes([0]) + checks)
PYTHON
"$brainlock" ranges "$work/package" --dataset "$work" --json >"$work/odd.json"
python3 - "$work" <<'PYTHON'
import json, pathlib, sys
read = lambda name: json.loads((pathlib.Path(sys.argv[1]) / name).read_text())
seeds, file, odd = read("seeds.json"), read("file.json"), read("odd.json")
assert seeds["images"] == file["images"] == 10 and odd["images"] == 2
assert seeds["layers"] == file["layers"], (seeds["layers"], file["layers"])
for layer in seeds["layers"]:
    assert 0 < layer["median"] <= layer["quantile_999"] <= layer["largest"] <= layer["limit"] and layer["beyond"] == 0, layer
assert seeds["outside"] == [] and seeds["may_wrap"] == 0 and 0 < seeds["largest_wrap"] < 1
assert odd["outside"] == [1], odd
assert any(layer["beyond"] == 1 for layer in odd["layers"])
PYTHON
