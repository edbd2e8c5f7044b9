#!/usr/bin/env bash
# `accuracy` on a data set made of a model's frozen images: the logits it writes are those frozen with them, and every column counts.
#   usage: accuracy.sh BRAINLOCK MODEL_WITHOUT_ENDING DEVICE
set -euo pipefail
brainlock=$1 model=$2 device=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$model.expect.txt" "$work" <<'PYTHON'
import pathlib, sys
lines = pathlib.Path(sys.argv[1]).read_text().split("\n")
count, c, h, w = map(int, lines[0].split())
assert (c, h, w) == (3, 32, 32), "the data set's layout"
values = [[float(v) for v in line.split()] for line in lines[1:] if line]
images, logits = values[:count], values[count:2 * count]
# The labels are the answers, but for the last one.
labels = [max(range(10), key=lambda k: row[k]) for row in logits]
labels[-1] = (labels[-1] + 1) % 10
work = pathlib.Path(sys.argv[2])
(work / "test_batch.bin").write_bytes(b"".join(bytes([y]) + bytes(map(int, x)) for y, x in zip(labels, images)))
PYTHON
"$brainlock" compile "$model.onnx" -o "$work/package" --profile fast >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$brainlock" accuracy "$work/package" --dataset "$work" --clear 4 --simulated 4 --encrypted 1 --device "$device" --logits "$work/logits.txt" --json >"$work/report.json"
python3 - "$model.expect.txt" "$work/logits.txt" "$work/report.json" "$device" <<'PYTHON'
import json, pathlib, sys
rows = lambda path: [[float(v) for v in line.split()] for line in pathlib.Path(path).read_text().split("\n") if line]
expected, got = rows(sys.argv[1]), rows(sys.argv[2])
count = int(expected[0][0])
expected = expected[1 + count:1 + 2 * count]
assert len(got) == count == 4, (len(got), count)
worst = max(abs(a - b) for x, y in zip(expected, got) for a, b in zip(x, y))
assert worst < 1e-4, worst
report = json.load(open(sys.argv[3]))
print(json.dumps(report, indent=1))
assert (report["clear"]["hits"], report["clear"]["of"]) == (3, 4)
assert report["simulated"]["of"] == 4 and report["simulated"]["argmax_equal"]["hits"] == 4
assert report["encrypted"]["of"] == 1 and report["encrypted"]["argmax_equal"]["hits"] == 1
assert 0 < report["encrypted"]["max_abs_error"] <= report["error_bound"] and report["outside_bound"] == 0
assert sys.argv[4] in report["device"], report["device"]
PYTHON
