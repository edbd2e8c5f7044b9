#!/bin/sh
# Ctrl-C on `devnet up --once`, which reaches every process of it, at its start and in the middle: exit status 130, nothing left behind.
set -eu
brainlock=$1
cd "$2"
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
for seconds in 0.05 0.5 3; do
  status=0
  timeout --preserve-status --signal=INT "$seconds" "$brainlock" devnet up --once --rounds 100000 --threads 1 >"$TMPDIR.out" 2>&1 || status=$?
  said=$(cat "$TMPDIR.out")
  rm -f "$TMPDIR.out"
  [ "$status" = 130 ] || { echo "after $seconds s: status $status: $said"; exit 1; }
  left=$(ls -A "$TMPDIR")
  [ -z "$left" ] || { echo "after $seconds s: left behind: $left"; exit 1; }
done
