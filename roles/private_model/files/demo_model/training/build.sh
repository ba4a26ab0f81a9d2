#!/bin/sh
# Trains the demo model, on Debian 13 (a container or a root file system of it will do):
#   apt-get install --no-install-recommends python3-torch python3-sentencepiece python3-protobuf python3-safetensors \
#     python3-venv libopenblas0-pthread
#   sh build.sh WORK_FOLDER
# OpenBLAS matters: with Debian's reference BLAS, training takes several times as long.
# The result lies in WORK_FOLDER/model; copy its files over those of the folder above, then run `make demo-gguf` in the
# repository, and evaluate.py.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=${1:?usage: build.sh WORK_FOLDER [options of train.py]}
shift
mkdir -p "$work"
work=$(CDPATH='' cd -- "$work" && pwd)

# One thread: no faster together with other work, and the sums are always added in the same order.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 HF_HUB_OFFLINE=1
# The same kernels on every x86-64 processor of the last ten years: left alone, each library takes the newest it finds, and sums differ.
export OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2

[ -x "$work/venv/bin/python" ] || python3 -m venv --system-site-packages "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==4.57.6

"$work/venv/bin/python" "$here/train.py" --out "$work/model" "$@"
sha256sum "$work/model/model.safetensors"
