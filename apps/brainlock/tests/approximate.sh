#!/usr/bin/env bash
# `approximate`: a model with ReLU, SiLU and a softmax, as PyTorch exports it, becomes one that compiles; its encrypted answer is that of the new model, which is near the old one's.
#   usage: approximate.sh BRAINLOCK MODEL.onnx      (a model of 1x4x4 values)
set -euo pipefail
brainlock=$1 model=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if "$brainlock" compile "$model" -o "$work/package" 2>"$work/refused"; then echo "compiled a ReLU"; exit 1; fi
grep -q "brainlock approximate" "$work/refused"   # says what helps

# Inputs of one's own: 300 records of 16 numbers.
python3 - "$work" <<'PYTHON'
import pathlib, random, struct, sys
rng = random.Random(1)
pathlib.Path(sys.argv[1], "samples").write_bytes(b"".join(struct.pack("<16f", *(rng.random() for _ in range(16))) for _ in range(300)))
PYTHON
"$brainlock" approximate "$model" -o "$work/new.onnx" --samples "$work/samples" --count 200 --held-out 80 --json >"$work/report.json"
# Said before the work: nothing of the model is read yet.
if "$brainlock" approximate "$work/no-such-model" -o "$work/new.onnx" 2>"$work/refused"; then echo "replaced a file without --overwrite"; exit 1; fi
grep -q "new.onnx: exists and is not overwritten" "$work/refused"
head -c 1000 "$work/samples" >"$work/short"
if "$brainlock" approximate "$model" -o "$work/other.onnx" --samples "$work/short" 2>"$work/refused"; then echo "took half a record"; exit 1; fi
grep -q "records of 64 bytes" "$work/refused"
if "$brainlock" approximate "$work/new.onnx" -o "$work/other.onnx" 2>"$work/refused"; then echo "found something to replace twice"; exit 1; fi
grep -q "nothing to replace" "$work/refused"
"$brainlock" approximate "$model" -o "$work/new.onnx" --overwrite --samples "$work/samples" --degree 4

"$brainlock" compile "$work/new.onnx" -o "$work/package" --profile precise
"$brainlock" infer "$work/package" --synthetic 3 --json >"$work/answer.json"
python3 - "$work" <<'PYTHON'
import json, pathlib, sys
read = lambda name: json.loads((pathlib.Path(sys.argv[1]) / name).read_text())
report, answer = read("report.json"), read("answer.json")
assert report["inputs"] == 200 and report["same_class"]["of"] == 80, report
assert report["same_class"]["share"] >= 0.95 and report["relative_error"] < 0.05, report
assert [f["node"] for f in report["functions"]] == ["/2/Relu", "/6/Mul"], report   # SiLU is one function
assert all(f["degree"] in (2, 4, 8) and f["low"] < f["high"] for f in report["functions"]), report
assert any("Softmax" in note for note in report["notes"]), report
assert answer["max_abs_error"] <= answer["error_bound"], answer
PYTHON
