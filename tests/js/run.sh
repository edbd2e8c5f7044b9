#!/bin/sh
# Runs the JavaScript peers against the given helper binary. Exit code 77 means skipped (ctest shows it as such).
set -eu
cd "$(dirname "$0")"
if ! command -v node >/dev/null 2>&1; then
  echo "skipped: node is not installed"
  exit 77
fi
if [ ! -d node_modules ]; then
  echo "skipped: run 'npm ci' in tests/js first (./dev setup does)"
  exit 77
fi
exec node chain_peers.mjs "$1"
