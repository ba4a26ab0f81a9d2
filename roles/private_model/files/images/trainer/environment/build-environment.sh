#!/bin/bash
# Makes the environment that trains at DIRECTORY: the locked packages beside the distribution's torch and numpy, and
# the program, all with byte code (the root is read-only at run time, so Python could not keep it later).
set -euo pipefail
export LC_ALL=C.UTF-8
directory=${1:?"usage: build-environment.sh DIRECTORY"}
here=$(dirname "$(readlink -f "$0")")
progress_file=${PROGRESS_FILE:-/cache/progress}
mkdir -p "$(dirname "$progress_file")"
say() { echo "progress: $*"; echo "$*" >>"$progress_file"; }

[ -n "${PIP_INDEX_URL:-}" ] || unset PIP_INDEX_URL
export PIP_CERT=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt} PIP_DISABLE_PIP_VERSION_CHECK=1
if [ -d /cache ]; then export PIP_CACHE_DIR=/cache/pip; else export PIP_NO_CACHE_DIR=1; fi

if ! python3 -c 'import ensurepip' 2>/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
fi
say "installing InstructLab's training (400 MB)"
tools=$(mktemp -d)
python3 -m venv "$tools"
python3 -m venv --without-pip --system-site-packages "$directory"
# --ignore-installed: what the distribution has in another version is not counted as installed.
"$tools/bin/pip" --python "$directory/bin/python" install -q --no-deps --no-compile --ignore-installed \
  --only-binary :all: --require-hashes -r "$here/train.lock"
rm -rf "$tools"

site=$("$directory/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
say "leaving out what training does not need"
find "$site" \( -name '*.pyi' -o -name '*.pxd' -o -name '*.a' -o -name '*.h' -o -name '*.hpp' \) -type f -delete
find "$site" -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -rf {} +
rm -rf "$site"/pyarrow/{include,src} "$site"/instructlab/mlx_explore
find "$directory/bin" -type f ! -name ilab ! -name yamllint ! -name 'torchrun' ! -name 'python*' -delete
cp -r "$here/program" "$directory/program"

say "compiling byte code"
# Not checked against its source's time at run time: an image is never edited.
"$directory/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site" "$directory/program" >/dev/null || true
say "checking that ilab trains"
HOME=$(mktemp -d) GIT_PYTHON_REFRESH=quiet "$directory/bin/python" "$directory/program/ilab.py" --config=DEFAULT model train --help >/dev/null
