#!/bin/sh
# Runs the tests against a node on the chain in memory: the same tests that a genuine node gets. Over WebSocket and over HTTP, on a
# chain that helps and on one at its beginning that does not, with rules that //Alice may change and with none.
set -eu
node=$1 tests=$2
metadata=$(dirname "$0")/../../../../vectors/chain/metadata-spec224.scale
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$work"' EXIT
against() {  # SCHEME FILTER FLAGS...
  scheme=$1 filter=$2
  shift 2
  : >"$work/port"
  "$node" "$metadata" "$@" >"$work/port" &
  pid=$!
  tries=0
  until [ -s "$work/port" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the node did not start"; exit 1; }
    sleep 0.1
  done
  echo "== over $scheme $*"
  if grep -q "no socket" "$work/port"; then
    echo "this machine has no such address"
    pid=
    return
  fi
  case " $* " in *" --ipv6 "*) host='[::1]' ;; *) host=127.0.0.1 ;; esac
  BRAINLOCK_TEST_CHAIN="$scheme://$host:$(cat "$work/port")" "$tests" --gtest_filter="$filter" | tee "$work/log"
  ! grep -q SKIPPED "$work/log" || { echo "a test was skipped"; exit 1; }
  grep -q 'PASSED' "$work/log" || exit 1
  ran=$(sed -n 's/^.*PASSED *. \([0-9]*\) tests\{0,1\}\.$/\1/p' "$work/log")
  [ "$filter" != 'LiveChain.*' ] || [ "$ran" = 6 ] || { echo "$ran tests ran, not 6"; exit 1; }
  kill "$pid"
  pid=
}
for scheme in ws http; do
  against "$scheme" 'LiveChain.*'
  against "$scheme" 'LiveChain.*' --bare
  against "$scheme" 'LiveChain.RegisterServe*' --ipv6
done
against ws 'LiveChain.*' --bare --nobody
# On a subnet that is named, so that no other can be made instead of waiting.
BRAINLOCK_TEST_NETUID=1
export BRAINLOCK_TEST_NETUID
against ws 'LiveChain.*' --frozen
against ws 'LiveChain.*' --bare --frozen
