#!/bin/sh
# Runs the tests against a node on the chain in memory, over WebSocket and over HTTP: the same tests that a genuine node gets.
set -eu
node=$1 tests=$2
metadata=$(dirname "$0")/../../../../vectors/chain/metadata-spec224.scale
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$work"' EXIT
for scheme in ws http; do
  "$node" "$metadata" >"$work/port" &
  pid=$!
  tries=0
  until [ -s "$work/port" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the node did not start"; exit 1; }
    sleep 0.1
  done
  echo "== over $scheme"
  BRAINLOCK_TEST_CHAIN="$scheme://127.0.0.1:$(cat "$work/port")" "$tests" --gtest_filter='LiveChain.*' | tee "$work/log"
  ! grep -q SKIPPED "$work/log" || { echo "a test was skipped"; exit 1; }
  grep -q 'PASSED.* 5 tests' "$work/log" || exit 1
  kill "$pid"
  pid=
  : >"$work/port"
done
