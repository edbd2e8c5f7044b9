#!/bin/sh
# Runs the tests named SubstrateRuntime against a genuine Substrate runtime, executed by chopsticks, over WebSocket and over HTTP. It is not
# Bittensor's runtime, which no package carries: what it shows is everything below the subnet's own calls. Exit code 77 means skipped.
set -eu
tests=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
node=$here/node_modules/node/bin/node
if [ ! -x "$node" ]; then
  echo "skipped: run 'npm ci' in tests/substrate first (460 MB)"
  exit 77
fi
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$work"' EXIT
cd "$here"
"$node" write_chain_spec.mjs "$work/chain.json"
cd "$work"
for scheme in ws http; do
  # A port that is taken is no error there, it takes the next one and says which.
  : >"$work/log"
  "$node" "$here/node_modules/@acala-network/chopsticks/chopsticks.cjs" --chain-spec "$work/chain.json" --host 127.0.0.1 --port 19955 \
    --build-block-mode Instant >"$work/log" 2>&1 &
  pid=$!
  tries=0
  until port=$(sed -n 's|.*listening on http://127.0.0.1:\([0-9]*\).*|\1|p' "$work/log") && [ -n "$port" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { cat "$work/log"; echo "the node did not start within a minute"; exit 1; }
    sleep 0.1
  done
  echo "== over $scheme"
  BRAINLOCK_TEST_SUBSTRATE="$scheme://127.0.0.1:$port" "$tests" --gtest_filter='SubstrateRuntime.*' | tee "$work/results"
  ! grep -q SKIPPED "$work/results" || { echo "a test was skipped"; exit 1; }
  grep -q 'PASSED' "$work/results" || exit 1
  ! grep -q 'FAILED' "$work/results" || exit 1
  kill "$pid"
  wait "$pid" 2>/dev/null || true
  pid=
done
