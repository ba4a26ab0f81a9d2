#!/bin/bash
# Makes the environment of the converter below /opt: the locked packages and the wheel of llama-cpp-python (whose
# library quantises) in /opt/converter, llama.cpp's own converter, out of the same source distribution, in /opt/llama.cpp.
#
#   CPU, CACHE, PROGRESS_FILE, JOBS   as for build-wheel.sh beside this, which is asked where no cached wheel fits
set -euo pipefail
export LC_ALL=C.UTF-8
here=$(dirname "$(readlink -f "$0")")
cache=${CACHE:-/cache}
progress_file=${PROGRESS_FILE:-$cache/progress}
mkdir -p "$cache" "$(dirname "$progress_file")" /wheels
say() { echo "progress: $*"; echo "$*" >>"$progress_file"; }

[ -n "${PIP_INDEX_URL:-}" ] || unset PIP_INDEX_URL
export PIP_CERT=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=$cache/pip
if ! python3 -c 'import ensurepip' 2>/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
fi
version=$(sed -n 's/^llama-cpp-python==\([^ ]*\).*/\1/p' "$here/wheel/source.lock")
sha256=$(sed -n 's/.*--hash=sha256:\([0-9a-f]*\).*/\1/p' "$here/wheel/source.lock")

# Compiled for the model server, for this very processor, on whatever distribution whose C library is not newer.
loads() {
  rm -rf /tmp/wheel
  python3 -m zipfile -e "$1" /tmp/wheel &&
    python3 -c 'import ctypes; ctypes.CDLL("/tmp/wheel/llama_cpp/lib/libllama.so").llama_backend_init()'
}
processor=$(grep -E '^(flags|Features|CPU (implementer|variant|part))' /proc/cpuinfo | sort -u | sha256sum | cut -c1-12)
mode=$([ "${CPU:-native}" = native ] && echo "native-$processor" || echo "$CPU")
for wheel in "$cache/llama_cpp_python-$version-$(uname -m)-$mode"-*/*.whl; do
  if [ -f "$wheel" ] && (cd "$(dirname "$wheel")" && sha256sum --check --status SHA256SUMS) && loads "$wheel"; then
    say "llama.cpp for $mode: taken from the cache"
    cp "$wheel" /wheels/
    break
  fi
done
compgen -G '/wheels/*.whl' >/dev/null || "$here/wheel/build-wheel.sh"

say "installing the converter's Python packages"
tools=$(mktemp -d)
python3 -m venv "$tools"
python3 -m venv --system-site-packages --without-pip /opt/converter
install=("$tools/bin/pip" --python /opt/converter/bin/python install -q --no-deps --no-compile --ignore-installed)
"${install[@]}" --only-binary :all: --require-hashes -r "$here/convert.lock"
"${install[@]}" --no-index /wheels/llama_cpp_python-*.whl

archive=$cache/llama_cpp_python-$version.tar.gz
if ! echo "$sha256  $archive" | sha256sum --check --status 2>/dev/null; then
  say "fetching the source of llama.cpp (75 MB)"
  # Not `pip download`: it would want to build the package to learn its name.
  "$tools/bin/python" "$here/fetch_source.py" "${PIP_INDEX_URL:-https://pypi.org/simple}" "llama-cpp-python" \
    "llama_cpp_python-$version.tar.gz" "$sha256" "$archive"
fi
mkdir /opt/llama.cpp
tar -xzf "$archive" -C /opt/llama.cpp --strip-components=3 --wildcards '*/vendor/llama.cpp/convert_hf_to_gguf.py' \
  '*/vendor/llama.cpp/conversion/*' '*/vendor/llama.cpp/gguf-py/gguf/*' '*/vendor/llama.cpp/LICENSE'
rm -rf "$tools" /opt/llama.cpp/gguf-py/gguf/scripts

site=$(echo /opt/converter/lib/python3*/site-packages)
find "$site" \( -name '*.pyi' -o -name '*.a' -o -name '*.h' \) -type f -delete
find "$site" -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -rf {} +
