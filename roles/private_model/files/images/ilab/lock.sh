#!/bin/bash
# Writes locks/*.lock anew from the .in files: exact versions and hashes of every file PyPI has for them, so that
# one lock serves Python 3.11, 3.12 and 3.13 on x86_64 and aarch64. Needs uv; run it to take newer versions.
set -euo pipefail
cd "$(dirname "$0")/locks"
compile() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
    --custom-compile-command 'images/ilab/lock.sh' --upgrade "$@"
}
compile serve.in --output-file serve.lock
compile --no-deps nodeps.in --output-file nodeps.lock
compile --no-deps source.in --output-file source.lock
compile build.in --output-file build.lock
# One file for the environment: everything is installed with --no-deps.
grep -v '^#' nodeps.lock >>serve.lock
rm nodeps.lock
