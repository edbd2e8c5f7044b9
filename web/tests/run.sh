#!/bin/sh
# Runs a browser test: run.sh TEST.mjs ARGUMENTS. Exit code 77: skipped, and the reason is printed.
set -eu
if ! command -v node >/dev/null 2>&1; then
  echo "skipped: node is not installed (Debian package nodejs; ./dev setup test)"
  exit 77
fi
test=$1
shift
exec node "$(dirname "$0")/$test" "$@"
