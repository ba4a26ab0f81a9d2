"""A bad model file stops the play before anything is changed, and what served before goes on serving."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.e2e.quickstart_host import ROOT, containers, inspect, play, replicas

DEMO = ROOT / "roles/private_model/files/demo_model/demo.gguf"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(DEMO.read_bytes()[:-70_000], "truncated"), (b"PK\x03\x04 something else", "not a GGUF")],
    ids=["truncated", "not GGUF"],
)
def test_a_bad_file_changes_nothing(page: httpx.Client, tmp_path: Path, content: bytes, reason: str) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(content)
    before = containers()
    done = play("-e", "private_model_source=gguf", "-e", f"private_model_path={bad}")
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert str(bad) in said
    assert reason in said
    assert "changed=0" in said
    assert [
        inspect(name)["Id"] for name in [*replicas(), "private-ai-gateway", "private-ai-chatbot"]
    ] == before
    assert page.post("/api/completions", json={"question": "What is this?"}).status_code == 200


def test_a_file_that_cannot_be_loaded_replaces_nothing(page: httpx.Client, tmp_path: Path) -> None:
    bad = tmp_path / "unloadable.gguf"
    content = DEMO.read_bytes()
    assert content.count(b"output_norm.weight") == 1
    # Whole and of a known kind, but a tensor that is needed has another name.
    bad.write_bytes(content.replace(b"output_norm.weight", b"output_nurm.weight"))
    before = containers()
    done = play("-e", "private_model_source=gguf", "-e", f"private_model_path={bad}")
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert "did not load and answer" in said
    assert str(bad) in said
    assert containers() == before
    assert page.post("/api/completions", json={"question": "What is this?"}).status_code == 200
