#!/bin/bash
# Writes locks/train.lock anew from the .in files: exact versions and hashes of every file PyPI has for them, for
# Python 3.13 on x86_64 and aarch64. Needs uv; run it to take newer versions.
set -euo pipefail
cd "$(dirname "$0")/locks"
compile() {
  uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-annotate \
    --custom-compile-command 'images/trainer/lock.sh' --upgrade "$@"
}
compile train.in --override base.txt --no-emit-package torch --no-emit-package numpy --output-file train.lock
compile --no-deps nodeps.in --output-file nodeps.lock
# One file for the environment: everything is installed with --no-deps.
grep -v '^#' nodeps.lock >>train.lock
rm nodeps.lock
