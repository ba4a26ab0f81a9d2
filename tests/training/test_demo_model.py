"""The script that trained the demo model does so again: a fixed seed gives the same weights to the bit.

Its first steps, and the whole of the tokenizer; a whole run takes a quarter of an hour of an idle processor.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.converter.conftest import DEMO, in_image
from tests.training.test_training import TRAINER

# It asks for a virtual environment of its own with transformers in it: the image has them, and there is no
# network. Debian's packages go first, as in that environment: the image's own SentencePiece is newer.
BUILD = """
set -e
mkdir -p "$1/venv/bin"
cat >"$1/venv/bin/python" <<'END'
#!/bin/sh
PYTHONPATH=/usr/lib/python3/dist-packages exec /opt/trainer/bin/python "$@"
END
printf '#!/bin/sh\\n' >"$1/venv/bin/pip"
chmod 755 "$1"/venv/bin/*
exec sh /t/training/build.sh "$@"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What is trained from; the container's user may write beside it."""
    tmp_path.chmod(0o777)
    (tmp_path / "training").mkdir(mode=0o755)
    for path in (DEMO / "training").iterdir():
        if path.is_file():
            (tmp_path / "training" / path.name).write_bytes(path.read_bytes())
    return tmp_path


def trained(place: Path, name: str, *more: str) -> dict[str, str]:
    """Checksums of what a short training writes."""
    arguments = [f"/t/{name}", "--steps", "30", *more]
    done = in_image(TRAINER, "/bin/sh", "-c", BUILD, "sh", *arguments, mount=f"{place}:/t:rw")
    assert done.returncode == 0, done.stdout + done.stderr
    names = ("model.safetensors", "tokenizer.model", "config.json")
    return {one: hashlib.sha256((place / name / "model" / one).read_bytes()).hexdigest() for one in names}


def test_the_same_seed_gives_the_same_weights(place: Path) -> None:
    first = trained(place, "first")
    assert trained(place, "second") == first
    assert trained(place, "other", "--seed", "7")["model.safetensors"] != first["model.safetensors"]
    shipped = hashlib.sha256((DEMO / "tokenizer.model").read_bytes()).hexdigest()
    assert first["tokenizer.model"] == shipped


def test_a_sentencepiece_that_does_not_follow_the_seed_is_refused(place: Path) -> None:
    arguments = ["/t/training/train.py", "--out", "/t/none"]
    done = in_image(TRAINER, "/opt/trainer/bin/python", *arguments, mount=f"{place}:/t:rw")
    assert done.returncode == 2 and "use 0.2.0 (Debian 13's), which follows the seed" in done.stderr
    assert not (place / "none").exists()
