#!/bin/sh
# The command line against a node: wallets of development keys, registration, metagraph, address, and weights in the clear and
# committed. $1 the command, $2 the chain in memory behind a socket, $3 what a script needs of a node besides; BRAINLOCK_TEST_CHAIN
# puts a genuine node in its place. $4 are flags of the chain in memory. Exit status 77: something cannot be shown on that node; it is named.
set -eu
brainlock=$1 node=$2 tool=$3 flags=${4:-}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
pid=
put_back=
# What a step changed for itself is put back before anything else, as long as the node is there.
trap '[ -z "$put_back" ] || on_chain $put_back || echo "could not be put back: $put_back"
  [ -z "$pid" ] || kill "$pid"; rm -rf "$work"' EXIT
export HOME="$work" BT_WALLET_PATH="$work/wallets"
unset BT_PW 2>/dev/null || :
url=${BRAINLOCK_TEST_CHAIN:-}
if [ -z "$url" ]; then
  # shellcheck disable=SC2086  # Flags are words.
  "$node" "$root/vectors/chain/metadata-spec224.scale" $flags >"$work/port" &
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
not_shown=
not_shown() {  # On the chain in memory everything can be shown.
  [ -z "$pid" ] || die "not shown: $*"
  not_shown="$not_shown
  $*"
}
refused() {  # WORDS COMMAND...: must end with an error that says WORDS
  words=$1; shift
  if "$@" >"$work/out" 2>&1; then cat "$work/out"; die "was not refused: $*"; fi
  grep -qi -- "$words" "$work/out" || { cat "$work/out"; die "the refusal does not say '$words'"; }
}
field() { sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$2" | head -1; }
subnet() { verb=$1; shift; "$brainlock" subnet "$verb" --network "$url" --netuid "$netuid" "$@"; }
weights() { verb=$1; shift; "$brainlock" subnet weights "$verb" --network "$url" --netuid "$netuid" "$@"; }
on_chain() { BRAINLOCK_TEST_NETUID=$netuid "$tool" "$url" "$@"; }
netuid=${BRAINLOCK_TEST_NETUID:-$("$tool" "$url" netuid)}

say wallets
"$brainlock" wallet new-hotkey --wallet.name alone --wallet.hotkey h >/dev/null
"$brainlock" wallet list | grep -q '^alone  no coldkey$' || die "a wallet without a coldkey is listed with one"
echo //Alice | "$brainlock" wallet regen-coldkey --wallet.name dev --no-password >/dev/null
echo //Bob | "$brainlock" wallet regen-hotkey --wallet.name dev --wallet.hotkey bob >/dev/null
"$brainlock" wallet new-hotkey --wallet.name dev --wallet.hotkey fresh --json >"$work/new"
fresh=$(field ss58 "$work/new")
on_chain fund "$fresh"
"$brainlock" wallet list | grep -q 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty || die "//Bob is not in the list"
"$brainlock" wallet inspect --wallet.name dev --coldkey | grep -q 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY || die "//Alice is not the coldkey"

say look
subnet hyperparameters >"$work/out"
grep -q tempo "$work/out" || die "no tempo"
subnet metagraph | head -1 | grep -q neurons || die "no metagraph"
refused "no subnet" "$brainlock" subnet metagraph --network "$url" --netuid 59999

say register
refused "not registered" subnet axon --wallet.name dev --wallet.hotkey fresh --ip 1.2.3.4 --port 5000 --no-probe
# The question is put to the terminal, which setsid takes away.
refused "not confirmed" setsid -w "$brainlock" subnet register --network "$url" --netuid "$netuid" --wallet.name dev --wallet.hotkey fresh
# Registration takes few neurons a block and interval: others may have been here before.
tries=0
until subnet register --wallet.name dev --wallet.hotkey fresh --yes >"$work/out" 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 8 ] || { cat "$work/out"; die "not registered"; }
  [ "$tries" -gt 1 ] || on_chain open-registration || echo "registration is as the chain has it"
  if [ "$tries" -lt 3 ]; then on_chain advance 1; else on_chain advance 100; fi
done
refused "has uid" subnet register --wallet.name dev --wallet.hotkey fresh --yes
uid=$(sed -n 's/.*has uid \([0-9]*\).*/\1/p' "$work/out")
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

vote() { weights set --wallet.name dev --wallet.hotkey "$@"; }
ready() {  # WANTED: whether votes go this way here, soon enough for a test
  on_chain commit-reveal "$1" || { not_shown "votes with commit-reveal $1, which cannot be switched here"; return 1; }
  on_chain quick-votes 10 || echo "the weights rate limit is as the chain has it"
}
patient_vote() {  # A vote as soon as the rate limit lets the hotkey; what it says is in $work/out.
  tries=0
  until vote "$@" >"$work/out" 2>&1; do
    grep -q "next allowed in" "$work/out" || return 1
    tries=$((tries + 1))
    [ "$tries" -lt 5 ] || return 1
    on_chain advance "$(sed -n 's/.*next allowed in \([0-9]*\) blocks.*/\1/p' "$work/out")" || return 1
  done
}

say weights
if ready off; then
  refused "appears twice" vote fresh --uids "$uid,$uid" --values 1,1
  refused "next allowed in" vote fresh --uids "$uid" --values 1
  weights show --wallet.name dev --wallet.hotkey fresh | grep -q "no weights" || die "weights before any were set"
  patient_vote fresh --uids "$uid" --values 0.5 || { cat "$work/out"; die "no vote"; }
  weights show --wallet.name dev --wallet.hotkey fresh | grep -q "$uid 65535" || die "the vote is not there"
  refused "next allowed in" vote fresh --uids "$uid" --values 1
  put_back="weights-version 0"
  if on_chain weights-version 7; then
    refused "version key 6 is below the subnet's 7" vote fresh --uids "$uid" --values 1 --version-key 6
    patient_vote fresh --uids "$uid" --values 1 --version-key 7 || { cat "$work/out"; die "no vote with the subnet's version key"; }
    on_chain weights-version 0 || die "the version key was not put back"
  else
    not_shown "a version key that is too low, for it cannot be changed here"
  fi
  put_back=
  if patient_vote fresh --uids 0 --values 1; then
    subnet metagraph --json | tr -d '\n ' | grep -q "\"hotkey\":\"$fresh\"[^}]*\"validator_permit\":true" || die "a vote without a permit"
    not_shown "a vote without a permit, which this chain gives to neurons without stake"
  else
    grep -q permit "$work/out" || { cat "$work/out"; die "the refusal does not speak of a permit"; }
  fi
fi
if [ -n "$pid" ] && [ -z "$flags" ]; then  # //Bob has a permit on the chain in memory.
  on_chain advance 30
  vote bob --uids 0,1 --values 0.7,0.3
  weights show --wallet.name dev --wallet.hotkey bob | grep -q "1 28086" || die "the vote is not there"
fi

say commit and reveal
if ready on; then
  # As a hash, whatever else the chain takes: a sealed vote is opened when the beacon's round comes, which a test's chain may never see.
  patient_vote fresh --uids "$uid" --values 1 --hash-commits || { cat "$work/out"; die "not committed"; }
  grep -q "commit-reveal version 2" "$work/out" || die "does not say how it votes"
  ls "$HOME"/.brainlock/commits/*.json >/dev/null || die "the vote is not on disk"
  tries=0
  until weights reveal --wallet.name dev --wallet.hotkey fresh >"$work/out" && grep -q '"revealed": 1' "$work/out"; do
    tries=$((tries + 1))
    [ "$tries" -lt 6 ] || { cat "$work/out"; die "was not revealed"; }
    due=$(field next_reveal_block "$work/out")
    subnet metagraph --json >"$work/graph"
    now=$(field block "$work/graph")
    [ "${due:-0}" -gt "$((now + 1))" ] || due=$((now + 2))
    on_chain advance "$((due - now - 1))" || { not_shown "the reveal, whose epoch takes too long to wait for"; break; }
  done
  # The row is the same as after a vote in the clear: that the chain took the commit off its list, "revealed": 1, is what shows it.
  ! grep -q '"revealed": 1' "$work/out" || weights show --wallet.name dev --wallet.hotkey fresh | grep -q "$uid 65535" ||
    die "the revealed vote is not there"
fi
[ -z "$not_shown" ] || { echo "not shown on this chain:$not_shown"; exit 77; }
echo "all steps passed"
