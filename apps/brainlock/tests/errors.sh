#!/usr/bin/env bash
# What a person gets wrong: each mistake ends with the right exit status and words that name it and the way out.
#   usage: errors.sh BRAINLOCK MODEL.onnx
set -euo pipefail
brainlock=$1 model=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME="$work" BT_WALLET_PATH="$work/wallets"
refused() {  # STATUS WORDS COMMAND...
  local wanted=$1 words=$2 status=0
  shift 2
  "$brainlock" "$@" >"$work/out" 2>&1 || status=$?
  [[ $status == "$wanted" ]] || { echo "status $status, not $wanted: $*"; cat "$work/out"; exit 1; }
  grep -q -- "$words" "$work/out" || { echo "does not say '$words': $*"; cat "$work/out"; exit 1; }
}

refused 2 "no command foo" foo
"$brainlock" compile "$model" -o "$work/package" --profile fast >/dev/null 2>&1
refused 1 "--overwrite" compile "$model" -o "$work/package"
if grep -q compiling "$work/out"; then echo "compiled before it refused"; exit 1; fi
refused 2 "--target-error" compile "$model" -o "$work/other" --target-error -1
refused 2 "maybe not in {needed,never,always}" compile "$model" -o "$work/other" --refresh maybe
refused 1 "with room for refreshes.*try the profile deep" compile "$model" -o "$work/other" --refresh always
refused 2 "--synthetic" infer "$work/package" --synthetic -1
refused 2 "--access-refresh-ms: Value 0 not in range" miner --package "$work/package" --access-refresh-ms 0   # a node would be asked without a pause
refused 2 "--min-stake: Value -1 not in range" miner --package "$work/package" --min-stake -1
refused 2 "--browser-origin: 'https://App.example.org/': expected a page's origin as browsers write it, which is https://app.example.org here" miner --package "$work/package" --browser-origin https://App.example.org/
for text in null app.example.org https://user@app.example.org "https://app example.org" https://*.example.org ""; do
  refused 2 "--browser-origin: '.*expected a page's origin.*https://app.example.org or http://localhost:8000, or \* for all" miner --package "$work/package" --browser-origin '*' --browser-origin "$text"
  refused 2 "--browser-origin: " doctor miner --package "$work/package" --browser-origin "$text"
done
for command in miner "doctor miner"; do
  # shellcheck disable=SC2086  # Two words.
  refused 2 "--proxy-from: '10.0.0.7/8': has more than 8 bits; the network is 10.0.0.0/8, the address alone 10.0.0.7" $command --package "$work/package" --proxy-from 192.0.2.1 --proxy-from 10.0.0.7/8
  # shellcheck disable=SC2086
  for text in balancer.example.org 10.0.0.0/33 10.0.0 fe80::1%eth0 ""; do refused 2 "--proxy-from: '$text': expected" $command --package "$work/package" --proxy-from "$text"; done
done
refused 2 "--proxy-from: '0.0.0.0/0': that would be everybody" miner --package "$work/package" --proxy-from 0.0.0.0/0
# Nobody could see whether a release works that answers nobody on its machine.
mkdir -p "$work/home"
printf "BRAINLOCK_MINER='--package %s --proxy-from 127.0.0.0/8'\n" "$work/package" >"$work/home/miner.env"
refused 1 "--proxy-from takes 127.0.0.1 for a proxy.*source 127.0.0.2" update setup --home "$work/home" --source "$work" --key "$(printf 'd%.0s' {1..64})" --threshold 1 --role miner
refused 2 "--browser-origin: expected one site" devnet up --browser-origin '*'
refused 2 "--browser-origin: .*expected a page's origin" devnet up --browser-origin app.example.org
refused 2 "--limit-price: Value -1 not in range" subnet register --limit-price -1   # it would mean any price

# No number of any command is infinite, or none at all. Each option is found in the command's own help.
commands_of() { "$brainlock" "$@" --help | sed -n '/^Subcommands:/,$ s/^  \([a-z][a-z_-]*\).*/\1/p'; }
numbers_of() { "$brainlock" "$@" --help | sed -n 's/^  \(--[a-z][a-z._-]*\)[^ ]* FLOAT.*/\1/p'; }
checked=0
not_finite() {  # COMMAND...
  local option
  for option in $(numbers_of "$@"); do
    refused 2 "$option: expected a finite number, got nan" "$@" "$option=nan"
    for text in NaN -nan inf -inf Infinity 1e999; do refused 2 "$option: .*$text" "$@" "$option=$text"; done
    checked=$((checked + 1))
  done
}
walk() {  # COMMAND...
  local inner
  not_finite "$@"
  for inner in $(commands_of "$@"); do walk "$@" "$inner"; done
}
for command in $(commands_of); do walk "$command"; done
[[ $checked -ge 20 ]] || { echo "found only $checked floating-point options"; exit 1; }
# A service's settings are its options: what is wrong there is said before it runs.
printf "BRAINLOCK_MINER='--package %s --max-ram nan'\n" "$work/package" >"$work/miner.env"
refused 2 "--max-ram: expected a finite number, got nan" doctor miner --env "$work/miner.env"

# A package put together of two: the plan of one network, the model of another that takes more values.
cp -r "$work/package" "$work/forged"
cp "$(dirname "$model")/../vgg9-cifar10/vgg9.onnx" "$work/forged/model.onnx"
refused 1 "files hash to" infer "$work/forged" --synthetic 1
hash=$(sed -n 's/.*files hash to //p' "$work/out")
sed -i "s/\"hash\": \"[0-9a-f]*\"/\"hash\": \"$hash\"/" "$work/forged/manifest.json"
refused 1 "its plan is of another one" infer "$work/forged" --synthetic 1

# Keys of two people.
for person in a b; do "$brainlock" keygen "$work/package" --out "$work/$person" >/dev/null 2>&1; done
refused 1 "--overwrite" keygen "$work/package" -o "$work/a"
"$brainlock" encrypt "$work/package" --keys "$work/a" --synthetic 1 --output "$work/in.ct" >/dev/null 2>&1
refused 1 "--overwrite" encrypt "$work/package" --keys "$work/a" --synthetic 1 -o "$work/in.ct"
"$brainlock" run "$work/package" --keys "$work/a" --in "$work/in.ct" -o "$work/out.ct" >/dev/null 2>&1
"$brainlock" run "$work/package" --keys "$work/b" --in "$work/in.ct" -o "$work/wrong.ct" >/dev/null 2>&1
"$brainlock" decrypt "$work/package" --keys "$work/a" --in "$work/out.ct" | grep -q -- '<-'
refused 1 "these keys did not encrypt" decrypt "$work/package" --keys "$work/b" --in "$work/out.ct"
refused 1 "these keys did not encrypt" decrypt "$work/package" --keys "$work/a" --in "$work/wrong.ct"

"$brainlock" synthetic --count 2 -o "$work/test_batch.bin"
refused 1 "holds 2 images" accuracy "$work/package" --dataset "$work" --offset 2

# Wallets.
"$brainlock" wallet new-hotkey --wallet.name w --wallet.hotkey h >/dev/null
refused 1 "--overwrite" wallet new-hotkey --wallet.name w --wallet.hotkey h
refused 2 "equired" wallet sign --wallet.name w --wallet.hotkey h
refused 2 "equired" wallet sign --wallet.name w --wallet.hotkey h --message a --file "$model"
refused 1 "error" wallet sign --wallet.name w --wallet.hotkey h --file "$work"
address=$("$brainlock" wallet inspect --wallet.name w --wallet.hotkey h --json | sed -n 's/.*"ss58": "\(.*\)".*/\1/p')
sign_and_verify() {  # OPTION VALUE
  local signature
  signature=$("$brainlock" wallet sign --wallet.name w --wallet.hotkey h "$@")
  "$brainlock" wallet verify --ss58 "$address" --signature "$signature" "$@" >/dev/null
  refused 1 "not valid" wallet verify --ss58 "$address" --signature "$signature" --message other
}
sign_and_verify --message ""
sign_and_verify --message text
sign_and_verify --file "$model"
refused 1 "--ip and --port" subnet axon --network ws://127.0.0.1:1 --netuid 1 --wallet.name w --wallet.hotkey h

refused 1 "error: invalid_argument" simulate --miners 1
refused 1 "error: invalid_argument" score --time 0

# Reports go whole into their place or not at all.
"$brainlock" simulate --tempos 2 --miners 16 --validators 3 --csv "$work/a.csv" >/dev/null 2>&1
[[ -s $work/a.csv ]]
refused 1 "nowhere" simulate --tempos 2 --miners 16 --validators 3 --csv "$work/nowhere/a.csv"
