#!/bin/sh
# Runs the browser test of the page: run.sh PAGE.html SCREENSHOTS. Exit code 77: skipped, and the reason is printed.
set -eu
if ! command -v node >/dev/null 2>&1; then
  echo "skipped: node is not installed (Debian package nodejs; ./dev setup test)"
  exit 77
fi
exec node "$(dirname "$0")/page_test.mjs" "$@"
