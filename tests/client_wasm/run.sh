#!/bin/sh
# Runs a test of the browser's client: run.sh BUILD_OF_WASM OPTION_OF_NODE TEST.mjs ARGUMENTS. Exit code 77: skipped, and the reason is printed.
set -eu
build=$1 option=$2 test=$3
shift 3
command -v node >/dev/null 2>&1 || { echo "skipped: node is not installed (Debian package nodejs; ./dev setup test)"; exit 77; }
[ -f "$build/site/brainlock-client/brainlock_client.wasm" ] || { echo "skipped: $build has no client for browsers (./dev wasm makes it)"; exit 77; }
case $(node --version) in v18.*) wasi=--experimental-wasi-unstable-preview1 ;; *) wasi= ;; esac   # later ones have it without being asked
exec node $wasi "$option" "$(dirname "$0")/$test" "$@"
