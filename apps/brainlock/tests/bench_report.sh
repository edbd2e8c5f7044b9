#!/usr/bin/env bash
# JSON of `bench`: the CPU has no device work, a device has, and a recording of the whole network takes the place of its launches.
#   usage: bench_report.sh BRAINLOCK MODEL.onnx DEVICE
set -euo pipefail
brainlock=$1 model=$2 device=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$brainlock" compile "$model" -o "$work/package" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
field() { sed -n "s/.*\"$2\": *\([^,]*\),*\$/\1/p" "$work/$1.json" | head -n 1; }
expect() {  # FILE FIELD OPERATOR VALUE
  local value; value=$(field "$1" "$2")
  if ! [ "$value" "$3" "$4" ]; then echo "$1: $2 is '$value', expected $3 '$4'"; cat "$work/$1.json"; exit 1; fi
}
"$brainlock" bench "$work/package" --repeats 2 --batch 2 --save "$work/cpu.json" >"$work/cpu.txt"
expect cpu device = '"cpu"'
expect cpu device_work = null
expect cpu replay = null
expect cpu transforms = null
expect cpu kernel_times = null
expect cpu repeats = 2
expect cpu warm_up = 1
expect cpu batch = 2
expect cpu rehearsal = '[]'
grep -q 'images a second' "$work/cpu.txt"

# More threads than there are: a batch has the same tasks or more of them, and only the processor's can be rehearsed.
"$brainlock" bench "$work/package" --repeats 2 --rehearse-threads 1 64 --save "$work/rehearsed.json" >"$work/rehearsed.txt"
[[ $(grep -c '"between_s"' "$work/rehearsed.json") = 2 ]]
expect rehearsed batches -eq 0
expect rehearsed tasks -gt 0
grep -Eq '^ +64 .* ms ' "$work/rehearsed.txt"
grep -q 'never waited for memory' "$work/rehearsed.txt"
if "$brainlock" bench "$work/package" --device cuda --rehearse-threads 8 >"$work/refused.txt" 2>&1; then echo "a GPU was rehearsed"; exit 1; fi
grep -q 'take --device cpu' "$work/refused.txt"

"$brainlock" bench "$work/package" --device "$device" --repeats 1 --warm-up 2 --json >"$work/replayed.json"
"$brainlock" bench "$work/package" --device "$device" --repeats 1 --warm-up 0 --no-replay --json >"$work/plain.json"
expect replayed replays -eq 1
expect replayed operand_bytes -gt 0
expect replayed traffic_bytes -eq $((2 * $(field replayed operand_bytes)))
expect replayed launches -eq 0
expect replayed recorded -eq 1
expect replayed reason = null
expect plain kernel_times = null
[[ $(grep -c '"kernel": "' "$work/replayed.json") -gt 5 ]]
# Every launch of the recording is one of a kernel's.
[[ $(sed -n '/"kernel_times"/,/^  ]/s/.*"launches": *\([0-9]*\).*/\1/p' "$work/replayed.json" | awk '{ sum += $1 } END { print sum }') = $(field replayed kernels) ]]
expect plain replays -eq 0
expect plain launches -eq "$(field plain kernels)"
# The same work: a recording's kernels, the second of the name, and the traffic are those of the plain run. Only a linear layer's lists are copied once.
expect replayed kernels -eq "$(field plain kernels)"
expect replayed memory_bytes -eq "$(field plain memory_bytes)"
expect replayed integer_operations -eq "$(field plain integer_operations)"
expect replayed bytes_from_device -eq "$(field plain bytes_from_device)"
expect replayed bytes_to_device -lt "$(field plain bytes_to_device)"
echo "as expected: $(field plain kernels) kernels"
