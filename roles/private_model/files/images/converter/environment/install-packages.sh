#!/bin/bash
# Puts what the converter needs of the distribution into the image: PyTorch for the CPU, which PyPI has for x86-64 only
# with 3 GB of CUDA libraries, and what goes with it. Some 400 MB of what its packages pull in are not unpacked.
set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
progress_file=${PROGRESS_FILE:-/cache/progress}
mkdir -p "$(dirname "$progress_file")"
say() { echo "progress: $*"; echo "$*" >>"$progress_file"; }

say "installing PyTorch from the distribution's packages (about 200 MB)"
# Tests of PyTorch, and the compiler for AMD's graphics processors, which only a measuring tool of UCX loads.
cat >/etc/dpkg/dpkg.cfg.d/private-ai-converter <<'DPKG'
path-exclude=/usr/lib/libtorch-test/*
path-exclude=/usr/lib/python3/dist-packages/torch/bin/*test*
path-exclude=/usr/lib/*/libLLVM*
path-exclude=/usr/lib/*/libamd_comgr*
path-exclude=/usr/lib/*/libamdhip64*
DPKG
apt-get update -qq
apt-get install -y -qq --no-install-recommends python3-torch python3-numpy python3-sentencepiece python3-safetensors \
  python3-protobuf libopenblas0-pthread
python3 - <<'PYTHON'
import torch
if not hasattr(torch, "float8_e4m3fn"):
    raise SystemExit(f"PyTorch {torch.__version__} is too old for the converter; it needs 2.1 or newer: use Debian 13")
PYTHON
# Not by path-exclude: the packages' scripts compile them.
find /usr/lib/python3/dist-packages -depth -type d -name tests -exec rm -rf {} +
apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/*.log /var/cache/debconf/*-old /var/cache/apt/*.bin
