#!/usr/bin/env bash
# deploy/miner_setup.sh and validator_setup.sh in a home of their own: twice in a row (the second time nothing changes), with the .env of the first README, until
# `brainlock doctor` finds nothing to fail, and on to a miner that runs.
#   usage: setup.sh BRAINLOCK CHAIN_FAKE_NODE SOURCE_FOLDER
set -euo pipefail
brainlock=$(realpath "$1") node=$(realpath "$2") source=$3
work=$(mktemp -d)
pids=()
# shellcheck disable=SC2154
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || :; wait "$pid" 2>/dev/null || :; done; rm -rf "$work"' EXIT
export HOME="$work/home" BRAINLOCK_BIN=$brainlock
mkdir -p "$HOME/others" "$work/here"
echo "not ours" >"$HOME/others/file"
cd "$work/here"
die() { echo "FAILED: $*"; [[ ! -e $work/out ]] || cat "$work/out"; exit 1; }
setup() { local status=0; "$source/deploy/$1_setup.sh" "${@:2}" >"$work/out" 2>&1 || status=$?; return $status; }
says() { grep -q -- "$1" "$work/out" || die "does not say '$1'"; }
# Names, modes, times and sizes of all there is.
picture() { (cd "$work" && find home here -printf '%p %m %s %T@\n' | sort); }

# Without any settings they are made, and what is missing is said.
status=0; setup miner || status=$?
[[ $status == 1 && -s .env ]] || die "status $status"
says "^fail  hotkey "
grep -q '^EXTERNAL_PORT=5000$' .env || die "no settings were made"
[[ $(stat -c %a .env) == 600 ]] || die ".env can be read by others"

# A chain of which //Bob is a registered validator, and the settings as the first README has them, comments and all.
"$node" "$source/vectors/chain/metadata-spec224.scale" --clock 0 >"$work/port" &
pids+=($!)
until [[ -s $work/port ]]; do sleep 0.05; done
network=ws://127.0.0.1:$(cat "$work/port")
echo //Bob | "$brainlock" wallet regen-hotkey --wallet.name miner --wallet.hotkey miner >/dev/null
port=$((12000 + $$ % 20000))   # below those that the system gives to clients
cat >.env <<ENV
# Wallet Configuration
WALLET_NAME=miner          # Your wallet name
HOTKEY_NAME=miner         # Your hotkey name
NETWORK=$network           # Network to connect to
NETUID=1               # Subnet UID

# Miner Configuration
EXTERNAL_PORT=$port      # Port for FHE inference server, **don't** change
FORCE_VALIDATOR_PERMIT=false ## Testnet Only
DOCKER_IMAGE=cml_client_cifar_10_8_bit ## Keep this the same for now, May change later
EXTERNAL_IP=1.2.3.4
MODEL=$source/models/test/mlp.onnx
PROFILE="fast"
PAGE_PORT=$((port + 1))
ENV
setup miner || die "a miner's set-up fails"
says "^ok    registration "
says "^ok    port .* is free"
grep -q -- "--no-force-validator-permit" "$HOME/brainlock/miner.env" || die "FORCE_VALIDATOR_PERMIT=false has no effect"
picture >"$work/before"
setup miner || die "the second run fails"
! grep -qE '^(made|wrote|installed|compiling)' "$work/out" || die "the second run does something"
picture >"$work/after"
cmp -s "$work/before" "$work/after" || { diff "$work/before" "$work/after" || :; die "the second run changes something"; }
setup validator || die "a validator's set-up fails"
says "^ok    permit "
says "^ok    package .*, approved"
picture >"$work/before"
setup validator || die "the validator's second run fails"
picture >"$work/after"
cmp -s "$work/before" "$work/after" || { diff "$work/before" "$work/after" || :; die "the validator's second run changes something"; }
[[ $(cat "$HOME/others/file") == "not ours" && $(find "$HOME" -maxdepth 1 | sort | tr '\n' ' ') == "$HOME $HOME/.bittensor $HOME/brainlock $HOME/others " ]] || die "something else in the home was touched"
[[ $(stat -c %a "$HOME/brainlock" "$HOME/brainlock/miner" "$HOME/brainlock/validator.env" | tr '\n' ' ') == "700 700 600 " ]] || die "others can read what is not for them"

# One setting changes: one file does.
sed -i 's/^EXTERNAL_IP=.*/EXTERNAL_IP=1.2.3.5/' .env
setup miner || die "fails after a change"
[[ $(grep -c '^wrote' "$work/out") == 1 ]] || die "a change of one setting"
# What is no word is refused before anything is written.
cp .env "$work/good.env"
echo "OPTIONS=--listen 127.0.0.1 --external-ip;reboot" >>.env
picture >"$work/before"
if setup miner; then die "took a command for an option"; fi
says "is no plain word"
picture >"$work/after"
cmp -s "$work/before" "$work/after" || die "something was written"
cp "$work/good.env" .env
echo "OPTIONS=--listen 127.0.0.1" >>.env
setup miner || die "more options are refused"
if setup miner --nonsense; then die "takes any option"; fi

# It starts, and the doctor finds it.
: >"$work/miner.log"
"$HOME/brainlock/bin/start-miner" >"$work/miner.log" 2>&1 &
pids+=($!)
tries=0
until grep -q ' address_announced ' "$work/miner.log"; do
  tries=$((tries + 1))
  [[ $tries -lt 200 ]] || { cat "$work/miner.log"; die "the miner did not start"; }
  sleep 0.1
done
setup miner --check || die "a miner that runs is not healthy"
says "^ok    port .*this miner serves"
says "^ok    certificate "
echo "both set-ups work, twice"
