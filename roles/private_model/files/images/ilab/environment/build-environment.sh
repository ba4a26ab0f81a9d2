#!/bin/bash
# Makes the environment that serves at DIRECTORY: the locked packages and the compiled wheel from /wheels, without
# pip, tests and headers, with byte code of the modules that serving imports (the root is read-only at run time,
# so Python could not keep it later; byte code of the others would only take space).
set -euo pipefail
export LC_ALL=C.UTF-8
directory=${1:?"usage: build-environment.sh DIRECTORY"}
here=$(dirname "$(readlink -f "$0")")
wheels=${OUT:-/wheels}
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
say "installing ilab"
tools=$(mktemp -d)
python3 -m venv "$tools"
python3 -m venv --without-pip "$directory"
install=("$tools/bin/pip" --python "$directory/bin/python" install -q --no-deps --no-compile)
"${install[@]}" --only-binary :all: --require-hashes -r "$here/serve.lock"
"${install[@]}" --no-index "$wheels"/llama_cpp_python-*.whl
rm -rf "$tools"

site=$("$directory/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
say "leaving out what serving does not need"
find "$site" \( -name '*.pyi' -o -name '*.pxd' -o -name '*.a' -o -name '*.h' -o -name '*.hpp' \) -type f -delete
find "$site" -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -rf {} +
rm -rf "$site"/numpy/{f2py,distutils,_pyinstaller,doc} "$site"/instructlab/{train,llamacpp,mlx_explore} \
  "$site"/{include,share} "$directory"/{include,share}
find "$directory/bin" -type f ! -name ilab ! -name 'activate*' ! -name 'python*' -delete
rm -f "$directory"/bin/activate* "$directory"/bin/Activate.ps1

say "checking that ilab starts"
GIT_PYTHON_REFRESH=quiet "$directory/bin/python" "$here/compile_imported.py"
