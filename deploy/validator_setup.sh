#!/usr/bin/env bash
# Sets a validator up, without root; see setup.sh.
exec "$(dirname "${BASH_SOURCE[0]}")/setup.sh" validator "$@"
