#!/usr/bin/env bash
# Sets a miner or a validator up in one folder of this user, without root: the program, the package, the options from `.env`, a start script; and looks with
# `brainlock doctor` whether it will work. Run it as often as you like: what is right stays as it is, keys and history are never touched, and nothing outside of the folder is, but for
# the `.env` that is made where there is none.
#   usage: miner_setup.sh | validator_setup.sh  [--home FOLDER] [--env FILE] [--check]
#
# `.env` lies in the folder that you are in (or --env names it). Names as in the network's first README:
#   WALLET_NAME, HOTKEY_NAME, NETWORK, NETUID; EXTERNAL_PORT, FORCE_VALIDATOR_PERMIT (miner); POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (validator)
# and besides: EXTERNAL_IP, MAX_RAM, DEVICE, METRICS_PORT (miner); APPROVE, DATASET, PAGE_PORT, POSTGRES_HOST, POSTGRES_PORT (validator); WALLET_PATH, MODEL, PROFILE, OPTIONS (both; OPTIONS are
# more words for `brainlock miner` or `brainlock validator`).
set -euo pipefail
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '%s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
[[ ${1:-} == miner || ${1:-} == validator ]] || die "call miner_setup.sh or validator_setup.sh"
role=$1; shift
home=${BRAINLOCK_HOME:-${HOME:?HOME is not set}/brainlock} env_file=.env check_only=
while [[ $# -gt 0 ]]; do
  case $1 in
    --home) home=${2:?--home FOLDER}; shift 2 ;;
    --env) env_file=${2:?--env FILE}; shift 2 ;;
    --check) check_only=1; shift ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option $1; --help lists them" ;;
  esac
done
home=$(realpath -m -- "$home")
[[ $home =~ ^[A-Za-z0-9/._+@-]+$ ]] || die "$home: the folder's name may not have spaces or signs, since options are words"
settings=$home/$role.env brainlock=$home/bin/brainlock start=$home/bin/start-$role
umask 077

if [[ -n $check_only ]]; then
  [[ -x $brainlock && -e $settings ]] || die "nothing is set up in $home yet: run it without --check"
  exec "$brainlock" doctor "$role" --env "$settings"
fi

# --- What is asked for --------------------------------------------------------------------------------------------------------------------
if [[ ! -e $env_file ]]; then
  {
    say "# Settings of a Brainlock $role; deploy/setup.sh names them all. After a change run deploy/${role}_setup.sh again and start the $role anew."
    say "WALLET_NAME=$role"
    say "HOTKEY_NAME=$role"
    say "NETWORK=finney"
    say "NETUID=54"
    if [[ $role == miner ]]; then
      say "EXTERNAL_IP=             # this machine's public address: validators are told it"
      say "EXTERNAL_PORT=5000"
      say "FORCE_VALIDATOR_PERMIT=true"
    else
      say "APPROVE=                 # hash of the subnet's package; empty: that of the package made here"
      say "DATASET=                 # CIFAR-10 or a folder of PNG files; empty: synthetic images alone"
      say "#POSTGRES_USER=           # PostgreSQL in place of an SQLite file"
      say "#POSTGRES_PASSWORD="
      say "#POSTGRES_DB=miner_data"
    fi
  } >"$env_file"
  say "made $env_file: look through it"
fi
# The file is read, not run: NAME=VALUE, with comments behind white space.
declare -A value=()
while IFS= read -r line || [[ -n $line ]]; do
  [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
  name=${BASH_REMATCH[2]} text=${BASH_REMATCH[3]}
  if [[ $text =~ ^[[:space:]]*\"([^\"]*)\" || $text =~ ^[[:space:]]*\'([^\']*)\' ]]; then
    text=${BASH_REMATCH[1]}
  else
    [[ $text =~ ^[[:space:]]*# ]] && text=
    text=${text%%[[:space:]]#*}
    text=${text#"${text%%[![:space:]]*}"} text=${text%"${text##*[![:space:]]}"}
  fi
  value[$name]=$text
done <"$env_file"
get() { printf '%s' "${value[$1]:-${2:-}}"; }   # NAME [WITHOUT-IT]
words=()
option() {  # OPTION VALUE: a word each, where there is a value
  [[ -n $2 ]] || return 0
  [[ $2 =~ ^[A-Za-z0-9/._:,+@=-]+$ ]] || die "$env_file: ${1#--}: '$2' is no single word"
  words+=("$1" "$2")
}
model=$(get MODEL "$source_folder/models/vgg9-cifar10/vgg9.onnx") profile=$(get PROFILE precise)
package=$home/packages/$(basename "${model%.onnx}")-$profile

# --- The program --------------------------------------------------------------------------------------------------------------------------
# Where it comes from: BRAINLOCK_BIN, the build in this tree, or a new build (which installs Debian packages that are missing, and for that alone needs root).
program=$(realpath -m -- "${BRAINLOCK_BIN:-$source_folder/build/release/bin/brainlock}")
if [[ ! -x $program ]]; then
  [[ -z ${BRAINLOCK_BIN:-} ]] || die "BRAINLOCK_BIN=$program is no program"
  say "building the program; this takes some minutes"
  (cd "$source_folder" && ./dev build brainlock) || die "the build failed; ./dev setup installs what it needs"
fi
mkdir -p "$home/bin" "$home/packages" "$home/$role"
install_program() {  # FROM TO: whole or not at all, so that a running one keeps its file
  ! cmp -s "$1" "$2" || return 0
  # A change of the settings must not undo an update.
  [[ ! -L $2 ]] || { say "note: $2 is what \`brainlock update\` installed; it stays (remove the link to install $1)"; return 0; }
  install -m 755 "$1" "$2.new"
  mv -f "$2.new" "$2"
  say "installed $2"
}
install_program "$program" "$brainlock"
[[ ! -x $(dirname "$program")/brainlock-pairing ]] || install_program "$(dirname "$program")/brainlock-pairing" "$home/bin/brainlock-pairing"

# --- The package --------------------------------------------------------------------------------------------------------------------------
if ! "$brainlock" inspect "$package" >/dev/null 2>&1; then
  [[ ! -e $package ]] || die "$package is damaged: move it away, or correct it, and run this again"
  say "compiling $(basename "$model"), profile $profile"
  rm -rf "$home/packages/.new"
  "$brainlock" compile "$model" -o "$home/packages/.new" --profile "$profile" >"$home/packages/compile.log" 2>&1 || die "the model did not compile: $home/packages/compile.log"
  mv "$home/packages/.new" "$package"
fi
cmp -s "$model" "$package/model.onnx" || say "note: $model is another model by now; $package stays, move it away to compile that one"
hash=$("$brainlock" inspect "$package" --json | sed -n 's/^ *"hash": "\([0-9a-f]\{64\}\)".*/\1/p')
say "package $package, hash $hash"

# --- Its options ----------------------------------------------------------------------------------------------------------------------------
option --wallet.name "$(get WALLET_NAME "$role")"
option --wallet.hotkey "$(get HOTKEY_NAME "$role")"
option --wallet.path "$(get WALLET_PATH "$HOME/.bittensor/wallets")"
network=$(get NETWORK finney)
option --network "$network"
option --netuid "$(get NETUID 54)"
option --package "$package"
option --state "$home/$role"
if [[ $role == miner ]]; then
  option --port "$(get EXTERNAL_PORT 5000)"
  option --external-ip "$(get EXTERNAL_IP)"
  option --max-ram "$(get MAX_RAM)"
  option --device "$(get DEVICE)"
  option --metrics-port "$(get METRICS_PORT)"
  case $(get FORCE_VALIDATOR_PERMIT true) in
    true | True | TRUE | 1 | yes) ;;
    false | False | FALSE | 0 | no) words+=(--no-force-validator-permit) ;;
    *) die "$env_file: FORCE_VALIDATOR_PERMIT is true or false" ;;
  esac
else
  approve=$(get APPROVE "$hash")
  option --approve "$approve"
  option --dataset "$(get DATASET)"
  option --page-port "$(get PAGE_PORT 6971)"
  option --commit-folder "$home/$role/commits"
fi
read -r -a more <<<"$(get OPTIONS)"
for word in ${more[@]+"${more[@]}"}; do
  [[ $word =~ ^[A-Za-z0-9/._:,+@=-]+$ ]] || die "$env_file: OPTIONS: '$word' is no plain word"
  words+=("$word")
done
put() {  # FILE MODE: standard input, where it differs from what is there
  local text
  text=$(cat)
  [[ ! -e $1 || $(cat "$1") != "$text" ]] || return 0
  printf '%s\n' "$text" >"$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
  say "wrote $1"
}
{
  say "# Made from .env by deploy/${role}_setup.sh: change that one, and run the script again."
  say "BRAINLOCK_${role^^}='${words[*]}'"
  if [[ $role == validator ]]; then
    for name in POSTGRES_HOST POSTGRES_PORT POSTGRES_DB POSTGRES_USER POSTGRES_PASSWORD; do
      [[ -n $(get $name) ]] || continue
      [[ $(get $name) != *"'"* ]] || die "$env_file: $name may not have a single quote"
      say "$name='$(get $name)'"
    done
  fi
} | put "$settings" 600
{
  say "#!/bin/sh"
  say "# Runs the $role with the options of $settings until it is told to stop; for a terminal, PM2 or a unit of one's own."
  say "set -euf"
  say "set -a"
  say ". $settings"
  say "set +a"
  say "cd $home/$role"
  say "exec $brainlock $role \$BRAINLOCK_${role^^}"
} | put "$start" 755

# --- Will it work? ----------------------------------------------------------------------------------------------------------------------------
say "start it with $start"
exec "$brainlock" doctor "$role" --env "$settings"
