#!/bin/sh
# The command line against a node: wallets of development keys, registration, metagraph, address, weights in the clear and
# committed. $1 the command, $2 the chain in memory behind a socket; BRAINLOCK_TEST_CHAIN puts a genuine node in its place.
set -eu
brainlock=$1 node=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$work"' EXIT
export HOME="$work" BT_WALLET_PATH="$work/wallets"
unset BT_PW 2>/dev/null || :
url=${BRAINLOCK_TEST_CHAIN:-}
netuid=${BRAINLOCK_TEST_NETUID:-1}
if [ -z "$url" ]; then
  "$node" "$root/vectors/chain/metadata-spec224.scale" >"$work/port" &
  pid=$!
  tries=0
  until [ -s "$work/port" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the node did not start"; exit 1; }
    sleep 0.1
  done
  url=ws://127.0.0.1:$(cat "$work/port")
fi
say() { echo "== $*"; }
die() { echo "FAILED: $*"; exit 1; }
refused() {  # WORDS COMMAND...: must end with an error that says WORDS
  words=$1; shift
  if "$@" >"$work/out" 2>&1; then cat "$work/out"; die "was not refused: $*"; fi
  grep -qi -- "$words" "$work/out" || { cat "$work/out"; die "the refusal does not say '$words'"; }
}
field() { sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$2" | head -1; }
subnet() { verb=$1; shift; "$brainlock" subnet "$verb" --network "$url" --netuid "$netuid" "$@"; }
weights() { verb=$1; shift; "$brainlock" subnet weights "$verb" --network "$url" --netuid "$netuid" "$@"; }

blocks() {  # N times 10
  for _ in $(seq "$1"); do kill -USR1 "$pid"; sleep 0.2; done
}

say wallets
"$brainlock" wallet new-hotkey --wallet.name alone --wallet.hotkey h >/dev/null
"$brainlock" wallet list | grep -q '^alone  no coldkey$' || die "a wallet without a coldkey is listed with one"
echo //Alice | "$brainlock" wallet regen-coldkey --wallet.name dev --no-password >/dev/null
echo //Bob | "$brainlock" wallet regen-hotkey --wallet.name dev --wallet.hotkey bob >/dev/null
"$brainlock" wallet new-hotkey --wallet.name dev --wallet.hotkey fresh --json >"$work/new"
fresh=$(field ss58 "$work/new")
"$brainlock" wallet list | grep -q 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty || die "//Bob is not in the list"
"$brainlock" wallet inspect --wallet.name dev --coldkey | grep -q 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY || die "//Alice is not the coldkey"

say look
subnet hyperparameters >"$work/out"
grep -q tempo "$work/out" || die "no tempo"
subnet metagraph | head -1 | grep -q neurons || die "no metagraph"
refused "no subnet" "$brainlock" subnet metagraph --network "$url" --netuid 59999

say register
refused "not registered" subnet axon --wallet.name dev --wallet.hotkey fresh --ip 1.2.3.4 --port 5000 --no-probe
refused "not confirmed" subnet register --wallet.name dev --wallet.hotkey fresh
subnet register --wallet.name dev --wallet.hotkey fresh --yes
refused "has uid" subnet register --wallet.name dev --wallet.hotkey fresh --yes
"$brainlock" wallet new-hotkey --wallet.name dev --wallet.hotkey other >/dev/null
refused "above the limit" subnet register --wallet.name dev --wallet.hotkey other --limit-price 0.0000001 --yes

say axon
refused "public internet" subnet axon --wallet.name dev --wallet.hotkey fresh --ip 127.0.0.1 --port 5000 --no-probe
refused "InvalidIpAddress" subnet axon --wallet.name dev --wallet.hotkey fresh --ip 127.0.0.1 --port 5000 --no-probe --allow-private
refused "nothing listens" subnet axon --wallet.name dev --wallet.hotkey fresh --ip 1.2.3.4 --port 1
subnet axon --wallet.name dev --wallet.hotkey fresh --ip 1.2.3.4 --port 5000 --no-probe
subnet axon --wallet.name dev --wallet.hotkey fresh --ip 1.2.3.4 --port 5000 --no-probe | grep -q already || die "sent twice"
refused "next allowed in" subnet axon --wallet.name dev --wallet.hotkey fresh --ip 1.2.3.4 --port 5001 --no-probe
subnet metagraph --json >"$work/graph"
grep -q "$fresh" "$work/graph" || die "the new neuron is not in the metagraph"
grep -q '"1.2.3.4"' "$work/graph" || die "its address is not in the metagraph"

say weights
refused "next allowed in" weights set --wallet.name dev --wallet.hotkey fresh --uids 0 --values 1
if [ -n "$pid" ]; then  # The chain in memory: //Bob has a permit there, and blocks are made on request.
  weights show --wallet.name dev --wallet.hotkey bob | grep -q "no weights" || die "weights before any were set"
  blocks 10
  weights set --wallet.name dev --wallet.hotkey bob --uids 0,1 --values 0.7,0.3
  weights show --wallet.name dev --wallet.hotkey bob | grep -q "1 28086" || die "the vote is not there"
  refused "next allowed in" weights set --wallet.name dev --wallet.hotkey bob --uids 0 --values 1
  refused "permit" weights set --wallet.name dev --wallet.hotkey fresh --uids 0 --values 1

  say commit and reveal
  blocks 10
  kill -USR2 "$pid"
  sleep 1
  weights set --wallet.name dev --wallet.hotkey bob --uids 0,1 --values 1,1 >"$work/out" 2>&1 || { cat "$work/out"; die "not committed"; }
  grep -q "commit-reveal version 2" "$work/out" || die "does not say how it votes"
  ls "$HOME"/.brainlock/commits/*.json >/dev/null || die "the vote is not on disk"
  weights reveal --wallet.name dev --wallet.hotkey bob | grep -q '"waiting": 1' || die "is not waiting"
  tries=0  # The epoch of the reveal has 21 blocks, and begins within as many.
  until weights reveal --wallet.name dev --wallet.hotkey bob >"$work/out" && grep -q '"revealed": 1' "$work/out"; do
    tries=$((tries + 1))
    [ "$tries" -lt 5 ] || { cat "$work/out"; die "was not revealed"; }
    blocks 1
  done
  weights show --wallet.name dev --wallet.hotkey bob | grep -q "1 65535" || die "the revealed vote is not there"
fi
echo "all steps passed"
