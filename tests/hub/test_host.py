"""The host and the way to the Hub: a full disk, two runs at once, limits, proxy, CA, a cache, no network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.certificate import authority
from tests.hub.harness import MODULE, NAME, PLAIN, Repository, Runner, StandInHub, tree, wait_until

WEIGHTS = "model.safetensors"


def on_small_disk(run: Runner, size: int, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script where the test's directory is a file system of its own, of so many bytes."""
    mount = f"mount -t tmpfs -o size={size} private-ai-test {run.folder}"
    return subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-euc", f"{mount}\n{script}"],
        capture_output=True,
        text=True,
        env={**run.environ, "OPTIONS": run.options(), "PYTHON": sys.executable},
        timeout=120,
        check=False,
    )


def test_disk_that_is_too_small(run: Runner) -> None:
    """Known beforehand, so nothing is fetched."""
    done = on_small_disk(
        run, 4_000_000, f'printf %s "$OPTIONS" | "$PYTHON" -m {MODULE} || ls -A {run.folder}'
    )
    assert "bytes free, 6100058 are needed (6.1 MB; what is at dest stays" in done.stdout, done
    assert run.sent() == 0


def test_disk_that_fills_up(run: Runner, repository: Repository) -> None:
    """Somebody else writes meanwhile: a clear end, the old snapshot whole, and the next run goes on."""
    script = f"""
      cd {run.folder}
      printf %s "$OPTIONS" | "$PYTHON" -m {MODULE} >first
      {sys.executable} - <<'END'
import json
old = json.load(open("first"))
assert old["changed"], old
END
      printf %s "$NEWER" | "$PYTHON" -c '{FILLING}' >full || true
      cat full
      cat model/config.json
      rm ballast
      stat -c "remaining=%s" .model.partial/files/*.part
      printf %s "$NEWER" | "$PYTHON" -m {MODULE} >last
      cat last model/config.json; ls -A
    """
    newer = {name: entry.content for name, entry in repository.commits[repository.refs["main"]].items()}
    newer |= {"config.json": b'{"newer": 1}', WEIGHTS: newer[WEIGHTS][::-1]}
    repository.commit(newer, "newer")
    run.environ["NEWER"] = run.options(revision="newer")
    done = on_small_disk(run, 16_000_000, script)
    assert "the file system of" in done.stdout and "is full" in done.stdout, done
    assert 'qwen2"}' in done.stdout and '{"newer": 1}' in done.stdout, done
    kept = int(done.stdout.partition("remaining=")[2].split()[0])
    assert kept > 0
    assert run.hub.stats.ranges[WEIGHTS] == ["", "", f"bytes={kept}-"]


#: Fills the disk when the first megabyte has come.
FILLING = f"""
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub import download
real = download.write_all
def write_all(stream, block):
    real(stream, block)
    if stream.tell() > 1000000:
        download.write_all = real
        try:
            open("ballast", "wb", 0).write(bytes(16000000))
        except OSError:
            pass
download.write_all = write_all
{PLAIN}
"""


def test_second_run_waits(run: Runner, repository: Repository, files: dict[str, bytes]) -> None:
    faults = repository.file(WEIGHTS).faults
    faults.rate = 4_000_000
    progress = run.scratch / "progress"
    first = run.start()
    wait_until(lambda: list(run.staging.glob("files/*.part")))
    second = run.start(progress_file=str(progress))
    one, two = run.result(first), run.result(second)
    assert one["changed"] and not two["changed"] and one["snapshot"] == two["snapshot"]
    assert f"waiting for another run (process {first.process.pid})" in progress.read_text()
    assert tree(run.dest) == files and run.left() == []
    assert run.sent() == one["download"]["bytes"]


def test_second_run_gives_up(run: Runner, repository: Repository, files: dict[str, bytes]) -> None:
    repository.file(WEIGHTS).faults.stall_after = 1_000_000
    first = run.start()
    wait_until(lambda: list(run.staging.glob("files/*.part")))
    message = run.refused(lock_timeout=0)
    assert f"another run (process {first.process.pid}) is working on this destination" in message
    assert "option lock_timeout" in message
    first.kill()
    repository.file(WEIGHTS).faults.stall_after = None
    assert run(lock_timeout=0)["changed"] and tree(run.dest) == files, "a killed run holds no lock"


@pytest.mark.parametrize("workers", [1, 3])
def test_parallel_within_the_limit(
    run: Runner, hub: StandInHub, repository: Repository, workers: int
) -> None:
    repository.commit({f"{number}.gguf": bytes([number]) * 100_000 for number in range(8)}, "many")
    for number in range(8):
        repository.file(f"{number}.gguf", "many").faults.rate = 400_000
    run(revision="many", max_workers=workers)
    assert hub.stats.most_active == workers


def test_progress(run: Runner, repository: Repository) -> None:
    progress = run.scratch / "deep" / "progress"
    run(progress_file=str(progress))
    lines = progress.read_text().splitlines()
    assert lines[0].startswith("snapshot of acme/model: fetching 6 files, 6.1 MB")
    assert lines[-1].startswith("snapshot of acme/model: done")
    assert repository.name == NAME


def test_proxy(run: Runner, hub: StandInHub, repository: Repository) -> None:
    """The stand-in itself plays the proxy: it gets whole addresses of a host that does not exist."""
    repository.commit({"model.gguf": b"GGUF", "config.json": b"{}"}, "small", lfs=set())
    run(revision="small", endpoint="http://hub.invalid", proxy=hub.url)
    assert sorted(tree(run.dest)) == ["config.json", "model.gguf"]


@pytest.fixture
def secure(folder: Path, repository: Repository) -> Iterator[StandInHub]:
    """The stand-in with a certificate that only `ca.pem` makes trustworthy."""
    authority(folder.parent)
    with StandInHub(certificate=folder.parent / "server.pem") as hub:
        yield hub
        assert hub.add(repository)


def test_ca_bundle(run: Runner, secure: StandInHub, repository: Repository, files: dict[str, bytes]) -> None:
    secure.add(repository)
    message = run.refused(endpoint=secure.url)
    assert (
        "certificate of https://127.0.0.1:" in message and "give the bundle of its CA (ca_bundle)" in message
    )
    run(endpoint=secure.url, ca_bundle=str(run.folder.parent / "ca.pem"))
    assert tree(run.dest) == files
    (run.folder.parent / "empty.pem").write_text("nothing")
    assert "cannot be used" in run.refused(
        dest=str(run.folder / "other"), endpoint=secure.url, ca_bundle=str(run.folder.parent / "empty.pem")
    )


def test_endpoint_of_the_environment(run: Runner, hub: StandInHub) -> None:
    run.environ["HF_ENDPOINT"] = hub.url
    assert run(endpoint=None)["changed"]


@pytest.fixture
def cache(run: Runner, hub: StandInHub) -> Path:
    """A cache that huggingface_hub itself filled from the stand-in."""
    folder = run.scratch / "hub-cache"
    program = f"import huggingface_hub as h; h.snapshot_download({NAME!r}, cache_dir={str(folder)!r})"
    environ = {
        **run.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    subprocess.run([sys.executable, "-c", program], env=environ, check=True, capture_output=True, timeout=120)
    hub.stats.clear()
    return folder


def test_offline_from_a_cache(run: Runner, hub: StandInHub, cache: Path, files: dict[str, bytes]) -> None:
    before = sorted((path, path.lstat().st_mtime_ns) for path in cache.rglob("*"))
    predicted = run(check=True, offline=True, cache_dir=str(cache))
    made = run(offline=True, cache_dir=str(cache))
    assert made["changed"] and predicted["diff"] == made["diff"] and made["download"]["bytes"] == 0
    assert tree(run.dest) == files and hub.stats.requests == []
    assert not run(offline=True)["changed"], "what is there is of that revision"
    assert sorted((path, path.lstat().st_mtime_ns) for path in cache.rglob("*")) == before
    message = run.refused(offline=True, cache_dir=str(cache), revision="v9")
    assert "does not know revision 'v9'" in message and "hf download acme/model --revision v9" in message


def test_damaged_cache(run: Runner, cache: Path, repository: Repository, files: dict[str, bytes]) -> None:
    """Offline it is refused; otherwise the Hub sends what is damaged, and nothing else."""
    blob = next(path for path in cache.rglob("blobs/*") if path.name == repository.file(WEIGHTS).sha256)
    data = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(b"X" + data[1:])
    message = run.refused(offline=True, cache_dir=str(cache))
    assert f"{WEIGHTS} in cache_dir is not the file that the Hub listed" in message
    assert not run.dest.exists()
    result = run(cache_dir=str(cache))
    assert tree(run.dest) == files
    assert result["download"] == {"files": [WEIGHTS], "bytes": len(data)} and run.sent() == len(data)


def test_missing_library(run: Runner) -> None:
    """Only when the Hub has to be asked; the message says what to install."""
    block = "import sys; sys.modules['huggingface_hub'] = None\n"
    message = str(run.result(run.start(block + PLAIN))["msg"])
    assert "huggingface_hub (1.0 or newer)" in message and "pypi.org/project/huggingface-hub" in message
    old = (
        "import sys, types; old = types.ModuleType('huggingface_hub'); old.__version__ = '0.36.2'\n"
        "sys.modules['huggingface_hub'] = old\n"
    )
    message = str(run.result(run.start(old + PLAIN))["msg"])
    assert "huggingface_hub 0.36.2 is there" in message


# The real Hub, where there is a network and somebody asks for it.
if os.environ.get("TEST_HF_ONLINE") == "1":

    def test_real_hub(folder: Path, hub: StandInHub) -> None:
        """The small files of the model that the role serves by default, and what the large one would be."""
        run = Runner(hub, folder)
        model = {
            "repository": "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
            "revision": "ad9f0ae0864d7fbcd1cd905e3c6c5b069cc8b562",
            "endpoint": "https://huggingface.co",
        }
        whole = run(check=True, **model)["snapshot"]
        sizes = {one["name"]: (one["size"], one["sha256"]) for one in whole["files"]}
        digest = "58858233513d76b8703e72eed6ce16807b523328188e13329257fb9594462945"
        assert sizes[WEIGHTS] == (3_554_214_621, digest)
        expected = {"tokenizer.json": "88145e3c3249adc2546ede277e9819d6e405e19072456e4b521cbc724bd60773"}
        run(allow_patterns=["*.json"], expected=expected, **model)
        assert "tokenizer.json" in tree(run.dest)
        assert not run(allow_patterns=["*.json"], expected=expected, **model)["changed"]
