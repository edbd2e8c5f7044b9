#!/usr/bin/env bash
# What goes wrong with miners and validators, for real: each fault must be exactly one failing line of `brainlock doctor` with its next step, and exit status 1;
# set-ups without a fault pass with 0. What is looked at must not change.
#   usage: faults.sh BRAINLOCK DOCTOR_TOOL CHAIN_FAKE_NODE SOURCE_FOLDER
set -euo pipefail
brainlock=$(realpath "$1") tool=$(realpath "$2") node=$(realpath "$3") source=$4
work=$(mktemp -d)
pids=() servers=0
stop_all() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || :; done
  pids=()
}
trap 'stop_all; rm -rf "$work"' EXIT
chmod 755 "$work"
umask 022
export HOME="$work/home" BT_WALLET_PATH="$work/wallets"
mkdir -p "$HOME"
for name in $(env | sed -n 's/^\(POSTGRES_[A-Z]*\|BRAINLOCK_[A-Z]*\|BT_PW[^=]*\)=.*/\1/p'); do unset "$name"; done
faults=0 skipped=

die() { echo "FAILED: $*"; [[ ! -e $work/out ]] || cat "$work/out"; exit 1; }
background() {  # Starts a server that prints its port; the port is in $port.
  servers=$((servers + 1))
  local file="$work/port.$servers" tries=0
  "$@" >"$file" 2>"$work/server.log" &
  pids+=($!)
  until [[ -s $file ]]; do
    tries=$((tries + 1))
    [[ $tries -lt 200 ]] || die "did not start: $*"
    sleep 0.05
  done
  port=$(cat "$file")
}
doctor() { local status=0; "${as[@]}" "$brainlock" doctor "$@" >"$work/out" 2>&1 || status=$?; return $status; }
as=()
healthy() {  # NAME COMMAND...
  local name=$1
  shift
  doctor "$@" || die "not healthy: $name"
  ! grep -q '^fail' "$work/out" || die "fails, with status 0: $name"
  echo "healthy: $name"
}
fault() {  # CHECK WORDS COMMAND...
  local check=$1 words=$2 status=0
  shift 2
  doctor "$@" || status=$?
  [[ $status == 1 ]] || die "status $status, not 1, for a fault of '$check' ($words)"
  [[ $(grep -c '^fail' "$work/out") == 1 ]] || die "not one failing line for a fault of '$check' ($words)"
  grep '^fail' "$work/out" >"$work/line"
  grep -q "^fail  $check " "$work/line" || die "another check than '$check' fails ($words)"
  grep -q -- "$words" "$work/line" || die "the line does not say '$words'"
  grep -q ' -> .' "$work/line" || die "no next step ($words)"
  faults=$((faults + 1))
  printf '%2d  %s\n' $faults "$(cut -c1-200 "$work/line")"
}
says() { grep -q -- "$1" "$work/out" || die "does not say '$1'"; }

# --- Two set-ups without a fault: a miner and a validator on an embedded ledger --------------------------------------------------------------
"$brainlock" compile "$source/models/test/mlp.onnx" -o "$work/package" --profile fast >/dev/null 2>&1
hash=$("$brainlock" inspect "$work/package" | grep -o '[0-9a-f]\{64\}' | head -1)
for person in Miner Validator Other; do echo "//$person" | "$brainlock" wallet regen-hotkey --wallet.name w --wallet.hotkey "$person" >/dev/null; done
address() { "$brainlock" wallet inspect --wallet.name w --wallet.hotkey "$1" --json | sed -n 's/.*"ss58": "\(.*\)".*/\1/p'; }
miner_key=$(address Miner) validator_key=$(address Validator) other_key=$(address Other)
"$tool" ledger "$work/ledger.sqlite" "$validator_key" "$miner_key"
free=$((12000 + $$ % 20000))   # a port that probably nobody has, below those that the system gives to clients
miner=(miner --wallet.name w --wallet.hotkey Miner --ledger "$work/ledger.sqlite" --package "$work/package" --state "$work/miner" --listen 127.0.0.1 --port "$free" --external-ip 127.0.0.1)
validator=(validator --wallet.name w --wallet.hotkey Validator --ledger "$work/ledger.sqlite" --package "$work/package" --approve "$hash" --state "$work/validator" --page-port "$((free + 1))")
with() {  # Replaces the value of an option: with ARRAY OPTION VALUE..., into $changed.
  # shellcheck disable=SC2178
  local -n from=$1
  local words=("${from[@]}") option=$2 skip=0 word
  shift 2
  changed=()
  for word in "${words[@]}"; do
    if [[ $skip == 1 ]]; then skip=0; continue; fi
    if [[ $word == "$option" ]]; then skip=1; continue; fi
    changed+=("$word")
  done
  [[ $# == 0 ]] || changed+=("$option" "$@")
}
"$tool" store "$work/validator-state.sqlite"
mkdir -p "$work/validator"
mv "$work/validator-state.sqlite" "$work/validator/validator.sqlite"
chmod 700 "$work/validator"
state() { (cd "$work" && find . -mindepth 1 -path ./out -o -path ./line -o -name 'port.*' -o -name server.log -o -printf '%p %m %s %T@\n' | sort); }
before=$(state)
healthy "a miner that is not started yet" "${miner[@]}"
healthy "a validator that is not started yet" "${validator[@]}"
after=$(state)
[[ $before == "$after" ]] || { diff <(echo "$before") <(echo "$after") || :; die "something was changed"; }
[[ ! -e $work/miner ]] || die "the miner's folder was made"
healthy "the machine alone" --json
says '"healthy": true'

# --- The machine ----------------------------------------------------------------------------------------------------------------------------
export BRAINLOCK_ISA=sse9; fault processor "BRAINLOCK_ISA=sse9" "${miner[@]}"; unset BRAINLOCK_ISA
(ulimit -n 100; fault limits "at most 100 open files" "${miner[@]}"); faults=$((faults + 1))
fault memory "max-ram allows 1 MB" "${miner[@]}" --max-ram 0.001
fault gpu "device cuda:99" "${miner[@]}" --device cuda:99

# --- Keys and packages ----------------------------------------------------------------------------------------------------------------------
with miner --wallet.hotkey nobody; fault hotkey "No such file" "${changed[@]}"
echo "password" | "$brainlock" wallet new-hotkey --wallet.name w --wallet.hotkey locked --use-password --password-stdin >/dev/null 2>&1 || die "no encrypted hotkey"
with miner --wallet.hotkey locked; fault hotkey "is encrypted" "${changed[@]}"
chmod 644 "$work/wallets/w/hotkeys/Miner"
chmod 755 "$work/wallets" "$work/wallets/w" "$work/wallets/w/hotkeys"
fault secrets "can read $work/wallets/w/hotkeys/Miner" "${miner[@]}"
chmod 600 "$work/wallets/w/hotkeys/Miner"
with miner --package "$work/no-package"; fault package "no-package" "${changed[@]}"
cp -r "$work/package" "$work/corrupted"
printf '\xff' | dd of="$work/corrupted/plan.bin" bs=1 seek=5000 conv=notrunc 2>/dev/null
with miner --package "$work/corrupted"; fault package "corrupted" "${changed[@]}"
cp -r "$work/package" "$work/mixed"; printf 'more' >>"$work/mixed/model.onnx"
with miner --package "$work/mixed"; fault package "manifest.json" "${changed[@]}"
"$tool" weak-package "$work/package" "$work/weak"
with miner --package "$work/weak"; fault package "at most" "${changed[@]}"
with validator --approve "$(printf '%064d' 7)"; fault package "which no --approve names" "${changed[@]}"
with validator --approve HASH; fault package "is no hash" "${changed[@]}"

# --- Disk and database ----------------------------------------------------------------------------------------------------------------------
touch "$work/file"
with miner --state "$work/file"; fault state "is not a folder" "${changed[@]}"
mkdir -p "$work/read-only"; chmod 555 "$work/read-only"
if [[ $(id -u) == 0 ]] && setpriv --reuid=65534 --regid=65534 --clear-groups "$brainlock" --version >/dev/null 2>&1; then
  # root may write everywhere: another user looks.
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  cp -r "$work/wallets" "$work/wallets-of-nobody"
  mkdir "$work/of-nobody"
  chown -R 65534 "$work/wallets-of-nobody" "$work/of-nobody" "$work/ledger.sqlite"
  with miner --state "$work/of-nobody"
  fault hotkey "Permission denied" "${changed[@]}"
  with miner --state "$work/read-only"; fault state "Permission denied" "${changed[@]}" --wallet.path "$work/wallets-of-nobody"
  as=()
  chown 0 "$work/ledger.sqlite"
elif [[ $(id -u) != 0 ]]; then
  with miner --state "$work/read-only"; fault state "Permission denied" "${changed[@]}"
else
  skipped="$skipped unwritable-folder"
fi
if unshare --mount true 2>/dev/null; then
  mkdir -p "$work/small"
  as=(unshare --mount bash -c 'mount -t tmpfs -o size=256k none "$0" && "$1" fill "$0/fill" && shift && exec "$@"' "$work/small" "$tool")
  with miner --state "$work/small"; fault disk "not enough for one key file" "${changed[@]}"
  as=(unshare --mount bash -c 'mount -t tmpfs -o ro none "$0" && exec "$@"' "$work/small")
  with miner --state "$work/small"; fault state "read-only" "${changed[@]}"
  as=()
else
  skipped="$skipped full-disk read-only-disk"
fi
mkdir -p "$work/v2"; chmod 700 "$work/v2"
with validator --state "$work/v2"; second=("${changed[@]}")
head -c 20000 /dev/urandom >"$work/v2/validator.sqlite"
fault database "not a database" "${second[@]}"
cp "$work/validator/validator.sqlite" "$work/v2/validator.sqlite"
dd if=/dev/urandom of="$work/v2/validator.sqlite" bs=1 seek=8200 count=3000 conv=notrunc 2>/dev/null
fault database "damaged\|malformed" "${second[@]}"
rm -f "$work/v2/validator.sqlite"; "$tool" store "$work/v2/validator.sqlite" 99
fault database "has schema 99" "${second[@]}"
rm -f "$work/v2"/validator.sqlite*; "$tool" store "$work/v2/validator.sqlite"
background "$tool" lock "$work/v2/validator.sqlite"
fault database "is locked by process ${pids[-1]}" "${second[@]}"
stop_all
export POSTGRES_HOST=127.0.0.1 POSTGRES_PORT=1 POSTGRES_USER=brainlock POSTGRES_PASSWORD=never-shown-anywhere
fault database "refused" "${validator[@]}"
! grep -q never-shown-anywhere "$work/out" || die "a password is shown"
unset POSTGRES_PASSWORD
fault database "POSTGRES_PASSWORD is not" "${validator[@]}"
unset POSTGRES_HOST POSTGRES_PORT POSTGRES_USER
fault dataset "no-pictures" "${validator[@]}" --dataset "$work/no-pictures"
fault log "no-folder" "${validator[@]}" --log-file "$work/no-folder/log"

# --- The network ----------------------------------------------------------------------------------------------------------------------------
background "$tool" silent
with miner --port "$port"; fault port "taken by a program that is no miner" "${changed[@]}"
with validator --page-port "$port"; fault page "taken by another program" "${changed[@]}"
fault metrics_port "taken by another program" "${miner[@]}" --metrics-port "$port"
background "$tool" miner "$other_key" //Other
with miner --port "$port"; fault port "miner of another hotkey" "${changed[@]}"
background "$tool" miner "$miner_key" //Other
"$tool" address "$work/ledger.sqlite" //Miner 127.0.0.1 "$port"
with miner --port "$port"; fault certificate "is not bound to this hotkey" "${changed[@]}"
# What a router would make of it: the right miner here, another one at the address that is announced.
background "$tool" miner "$miner_key" //Miner
right=$port
with miner --port "$right"; third=("${changed[@]}")
background "$tool" miner "$other_key" //Other
"$tool" address "$work/ledger.sqlite" //Miner 127.0.0.1 "$port"
fault reach "answered by the miner of another hotkey" "${third[@]}" --external-port "$port"
background "$tool" miner "$miner_key" //Other
"$tool" address "$work/ledger.sqlite" //Miner 127.0.0.1 "$port"
fault reach "something on the way ends TLS" "${third[@]}" --external-port "$port"
"$tool" address "$work/ledger.sqlite" //Miner 127.0.0.1 "$right"
healthy "a miner that runs" "${third[@]}"
says '^ok    reach '
says '^ok    certificate '
with third --proxy-from 127.0.0.1; fault port "runs without --proxy-from 127.0.0.1" "${changed[@]}"
# And from outside.
healthy "a miner as others see it" reach "127.0.0.1:$right" --miner-hotkey "$miner_key"
says '^ok    clock '
fault miner "the miner of another hotkey answers" reach "127.0.0.1:$right" --miner-hotkey "$other_key"
fault port "Connection refused" reach "127.0.0.1:$free"
background "$tool" page
fault miner "is no miner" reach "127.0.0.1:$port"
background "$tool" miner "$miner_key" //Other
fault certificate "is not bound to that hotkey" reach "127.0.0.1:$port"
background "$tool" miner "$miner_key" //Miner 60000
fault clock "s ahead of this machine" reach "127.0.0.1:$port"
with third --port "$free"; with changed --external-port "$right"
with changed --listen 198.51.100.77; fault port "cannot listen on 198.51.100.77" "${changed[@]}"
with miner --external-ip example.org; fault address "is not an IP address" "${changed[@]}"
stop_all

# --- The ledger -----------------------------------------------------------------------------------------------------------------------------
fault axon "sends validators to 127.0.0.1:$right" "${miner[@]}"
with miner --ledger "$work/no-ledger"; fault chain "no-ledger" "${changed[@]}"
with miner --wallet.hotkey Other; fault registration "is not registered" "${changed[@]}"
with validator --wallet.hotkey Miner; fault permit "no validator permit" "${changed[@]}"
"$tool" vote "$work/validator/validator.sqlite" too_soon
healthy "a validator whose last vote was refused" "${validator[@]}"
says "was refused: too_soon next allowed in 37 blocks"

# --- A chain --------------------------------------------------------------------------------------------------------------------------------
metadata="$source/vectors/chain/metadata-spec224.scale"
echo //Bob | "$brainlock" wallet regen-hotkey --wallet.name w --wallet.hotkey bob >/dev/null
on_chain() { with "$1" --ledger; changed+=(--endpoint "$2" --netuid 1); with changed --wallet.hotkey bob; }
with miner --external-ip 1.2.3.4
# shellcheck disable=SC2034  # Used by its name.
public_miner=("${changed[@]}")
background "$node" "$metadata" --clock 0
chain=ws://127.0.0.1:$port
on_chain public_miner "$chain"; chain_miner=("${changed[@]}")
on_chain validator "$chain"; chain_validator=("${changed[@]}")
healthy "a miner on a chain" "${chain_miner[@]}"
healthy "a validator on a chain" "${chain_validator[@]}"
says '^ok    permit '
with chain_miner --external-ip 192.168.1.5; fault address "is a private address" "${changed[@]}"
with chain_miner --external-ip 100.64.1.1; fault address "carrier-grade NAT" "${changed[@]}"
with chain_miner --external-ip 127.0.0.1; fault address "is a loop-back address" "${changed[@]}"
with chain_miner --wallet.hotkey Other; fault registration "is not registered on subnet 1" "${changed[@]}"
with chain_miner --netuid 77; fault chain "has no subnet 77" "${changed[@]}"
"$brainlock" subnet axon --network "$chain" --netuid 1 --wallet.name w --wallet.hotkey bob --ip 1.2.3.9 --port 5000 --no-probe >/dev/null
fault axon "sends validators to 1.2.3.9:5000" "${chain_miner[@]}"
background "$node" "$metadata" --clock 60
with chain_validator --endpoint "ws://127.0.0.1:$port"; fault clock "behind" "${changed[@]}"
with chain_validator --endpoint ws://127.0.0.1:1; fault chain "refused" "${changed[@]}"
with chain_validator --endpoint nonsense; fault chain "is not an endpoint" "${changed[@]}"
background "$tool" page
with chain_validator --endpoint "http://127.0.0.1:$port"; fault chain "127.0.0.1:$port" "${changed[@]}"
background "$tool" silent
with chain_validator --endpoint "ws://127.0.0.1:$port"; hanging=("${changed[@]}")
# Whoever does not want to wait for it need not.
started=$SECONDS status=0
timeout -s INT 1 "$brainlock" doctor "${hanging[@]}" >/dev/null 2>&1 || status=$?
[[ $status == 124 && $((SECONDS - started)) -le 3 ]] || die "Ctrl-C did not end it: status $status"
fault chain "127.0.0.1:$port" "${hanging[@]}"

# --- The files that a service starts from -----------------------------------------------------------------------------------------------------
with chain_miner --external-ip 1.2.3.9; with changed --port 5000
printf '# a comment\nBRAINLOCK_MINER="%s"\nBRAINLOCK_LOG_LEVEL=info\n' "$(printf '%s ' "${changed[@]:1}" --wallet.path "$work/wallets")" >"$work/miner.env"
healthy "a miner's environment file" miner --env "$work/miner.env"
echo "BRAINLOCK_ISA=sse9" >>"$work/miner.env"
fault processor "BRAINLOCK_ISA=sse9" miner --env "$work/miner.env"
sed -i '/sse9/d' "$work/miner.env"
printf '[Service]\nUser=%s\nEnvironmentFile=%s\nExecStart=/usr/local/bin/brainlock miner $BRAINLOCK_MINER\nLimitNOFILE=64\n' "$(id -un)" "$work/miner.env" >"$work/miner.service"
fault limits "at most 64 open files" miner --unit "$work/miner.service"
# The units and settings as they are delivered: everything that is filled in by hand is missing, and nothing else goes wrong.
sed "s|/etc/brainlock/|$source/deploy/|" "$source/deploy/brainlock-validator.service" >"$work/validator.service"
status=0; doctor validator --unit "$work/validator.service" --json || status=$?
[[ $status == 1 ]] || die "the settings as delivered are taken for complete"
says 'is no hash\|plan.bin\|manifest.json'
status=0; "$brainlock" doctor miner --env "$work/nowhere.env" >"$work/out" 2>&1 || status=$?
[[ $status == 1 ]] || die "no settings, and status $status"
says nowhere.env
printf 'BRAINLOCK_VALIDATOR="%s"\nPOSTGRES_HOST=127.0.0.1\nPOSTGRES_PORT=1\nPOSTGRES_USER=b\nPOSTGRES_PASSWORD=p\n' "$(printf '%s ' "${chain_validator[@]:1}" --wallet.path "$work/wallets")" >"$work/validator.env"
doctor validator --env "$work/validator.env" || :
says "^fail  secrets .*validator.env"

[[ -z $skipped ]] || echo "not shown here:$skipped"
echo "$faults faults, each in one line with its next step"
