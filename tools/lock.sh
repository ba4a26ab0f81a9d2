#!/bin/sh
# Renews requirements/*.lock from requirements/*.in for every supported Python and architecture. Needs uv.
set -eu
cd "$(dirname "$0")/.."
grep -hE '^[a-z0-9-]+==' chatbot_app/requirements-test.lock | sed 's/ .*//' >requirements/.app.txt
trap 'rm -f requirements/.app.txt' EXIT
for name in uv run dev go ee matrix-core-2.16 matrix-core-2.19 matrix-newest importer; do
  set --
  # The newest Ansible asks for a newer Python.
  python=3.11
  [ "$name" = matrix-newest ] && python=3.13
  [ "$name" = dev ] && set -- -c requirements/run.lock -c requirements/.app.txt
  [ "$name" = ee ] && set -- -c requirements/run.lock
  uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version "$python" \
    --no-emit-index-url --no-emit-find-links "$@" "requirements/$name.in" -o "requirements/$name.lock"
done
uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
  --no-emit-index-url --no-emit-find-links -c requirements/run.lock \
  roles/private_model/files/hub/requirements.in -o roles/private_model/files/hub/requirements.lock
