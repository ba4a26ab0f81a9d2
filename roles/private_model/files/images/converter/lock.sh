#!/bin/bash
# Writes locks/convert.lock anew from convert.in: exact versions and hashes for Debian 13's Python. Needs uv.
# What the distribution brings, or nothing here calls, is left out: the lock is installed with --no-deps.
set -euo pipefail
cd "$(dirname "$0")/locks"
uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-annotate \
  --custom-compile-command 'images/converter/lock.sh' --upgrade \
  --no-emit-package numpy --no-emit-package safetensors --no-emit-package hf-xet --no-emit-package colorama \
  convert.in --output-file convert.lock
