#!/usr/bin/env bash
# Sets a miner up, without root; see setup.sh.
exec "$(dirname "${BASH_SOURCE[0]}")/setup.sh" miner "$@"
