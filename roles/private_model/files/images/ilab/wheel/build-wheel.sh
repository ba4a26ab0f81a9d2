#!/bin/bash
# Puts the wheel of llama-cpp-python into OUT (default /wheels): from the cache when one made for this very CPU
# and recipe is there, otherwise compiled. Runs as root inside a build image of Debian or Ubuntu.
#
#   CPU            native (default): for the CPU this runs on; avx2: any x86-64 CPU since 2013 ("haswell");
#                  plain: any CPU of the architecture (on x86-64 many times slower)
#   CACHE          cache directory (/cache); a wheel lies under a name that holds package version, architecture,
#                  CPU mode (native: with a hash of the CPU's flags), distribution and recipe
#   PROGRESS_FILE  file that plain-words progress lines are appended to ($CACHE/progress)
#   JOBS           compilers at a time (cores, at most one per GB of free memory)
set -Eeuo pipefail
export LC_ALL=C.UTF-8

here=$(dirname "$(readlink -f "$0")")
cpu=${CPU:-native}
cache=${CACHE:-/cache}
out=${OUT:-/wheels}
progress_file=${PROGRESS_FILE:-$cache/progress}
mkdir -p "$cache" "$out" "$(dirname "$progress_file")"

say() { echo "progress: $*"; echo "$*" >>"$progress_file"; }
fail() { say "failed: $*"; echo "build-wheel: $*" >&2; exit 1; }

arch=$(uname -m)
defines=()
case $arch-$cpu in
  x86_64-native | aarch64-native) defines+=(GGML_NATIVE=ON) ;;
  x86_64-avx2)
    defines+=(GGML_NATIVE=OFF GGML_SSE42=ON GGML_AVX=ON GGML_AVX2=ON GGML_BMI2=ON GGML_FMA=ON GGML_F16C=ON) ;;
  x86_64-plain)
    defines+=(GGML_NATIVE=OFF GGML_SSE42=OFF GGML_AVX=OFF GGML_AVX2=OFF GGML_BMI2=OFF GGML_FMA=OFF GGML_F16C=OFF) ;;
  aarch64-plain) defines+=(GGML_NATIVE=OFF GGML_CPU_ARM_ARCH=armv8-a) ;;
  aarch64-avx2) fail "CPU mode 'avx2' is for x86-64; this is $arch: use native or plain" ;;
  x86_64-* | aarch64-*) fail "CPU mode '$cpu' is unknown; allowed: native, avx2, plain" ;;
  *) fail "architecture '$arch' is not supported; supported: x86_64, aarch64" ;;
esac

version=$(sed -n 's/^llama-cpp-python==\([^ ]*\).*/\1/p' "$here/source.lock")
# shellcheck source=/dev/null
distribution=$(. /etc/os-release && echo "$ID${VERSION_ID:-}")
recipe=$(grep -hv '^ *#' "$here/CMakeLists.txt" "$here/build-wheel.sh" "$here"/*.lock | sha256sum | cut -c1-12)
mode=$cpu
if [ "$cpu" = native ]; then
  mode=native-$(grep -E '^(flags|Features|CPU (implementer|variant|part))' /proc/cpuinfo | sort -u | sha256sum | cut -c1-12)
fi
key=llama_cpp_python-$version-$arch-$mode-$distribution-$recipe

# One build at a time: a second one waits, and then finds the first one's wheel.
exec 9>"$cache/.lock"
flock 9

if (cd "$cache/$key" 2>/dev/null && sha256sum --check --status SHA256SUMS); then
  say "llama.cpp for $mode: taken from the cache"
  cp "$cache/$key"/*.whl "$out/"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work" "$cache/$key.partial"' EXIT
trap 'say "failed: building llama.cpp stopped; the reason is in the log above this line"' ERR
# pip takes an empty variable for an empty address.
[ -n "${PIP_INDEX_URL:-}" ] || unset PIP_INDEX_URL
export PIP_CERT=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=$cache/pip

if ! command -v g++ >/dev/null || ! python3 -c 'import ensurepip' 2>/dev/null; then
  say "installing the compiler"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++ python3-venv
fi
say "fetching the source of llama.cpp (75 MB)"
python3 -m venv "$work/tools"
PATH=$work/tools/bin:$PATH
pip install -q --no-deps --require-hashes -r "$here/build.lock"
# --no-build-isolation: the metadata step runs with the pinned tools just installed.
pip download -q --no-cache-dir --no-deps --no-binary :all: --no-build-isolation --require-hashes \
  -r "$here/source.lock" --dest "$work"
tar -xzf "$work"/llama_cpp_python-*.tar.gz -C "$work"
source=$work/llama_cpp_python-$version
cp "$here/CMakeLists.txt" "$source/CMakeLists.txt"

memory_gb=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
cores=$(nproc)
jobs=${JOBS:-$((cores < memory_gb ? cores : memory_gb))}
[ "$jobs" -ge 1 ] || jobs=1
settings=(cmake.build-type=Release "build-dir=$work/build")
for define in "${defines[@]}"; do settings+=("cmake.define.$define"); done
say "compiling llama.cpp for $mode with $jobs jobs: 0 %"
seconds=$SECONDS
CMAKE_BUILD_PARALLEL_LEVEL=$jobs CMAKE_GENERATOR=Ninja \
  pip wheel -v --no-deps --no-build-isolation --no-cache-dir "${settings[@]/#/--config-settings=}" --wheel-dir "$work/wheel" "$source" 2>&1 |
  while IFS= read -r line; do
    echo "$line"
    if [[ $line =~ ^[[:space:]]*\[([0-9]+)/([0-9]+)\] ]]; then
      percent=$((100 * BASH_REMATCH[1] / BASH_REMATCH[2]))
      [ "$percent" = "${last:-}" ] || say "compiling llama.cpp: $percent %"
      last=$percent
    fi
  done
say "packing llama.cpp after $((SECONDS - seconds)) s"
rm -rf "${cache:?}/$key" "$cache/$key.partial"
mkdir "$cache/$key.partial"
cp "$work/wheel"/llama_cpp_python-*.whl "$cache/$key.partial/"
(cd "$cache/$key.partial" && sha256sum ./*.whl >SHA256SUMS)
sync "$cache/$key.partial"/*
mv "$cache/$key.partial" "$cache/$key"
cp "$cache/$key"/*.whl "$out/"
say "llama.cpp for $mode: compiled"
