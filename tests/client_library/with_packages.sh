#!/usr/bin/env bash
# Runs a test of the client library with two packages and a folder to work in:  with_packages.sh BRAINLOCK MODELS PROGRAM [ARGUMENT...]
# PROGRAM gets its arguments, then BRAINLOCK PACKAGE OTHER_PACKAGE WORK_FOLDER.
set -euo pipefail
brainlock=$1 models=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$brainlock" compile "$models/test/mlp.onnx" -o "$work/package" --profile fast >/dev/null 2>&1
"$brainlock" compile "$models/tiny-cnn/tiny.onnx" -o "$work/other" --profile fast >/dev/null 2>&1
mkdir "$work/work"
"$@" "$brainlock" "$work/package" "$work/other" "$work/work"
