"""The gateway's key may come from a Podman secret that somebody else made."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from tests.e2e.quickstart_host import DATA_DIR, containers, inspect, play, podman, unique


def secret_of_the_chatbot() -> str:
    """The name of its secret, from how it was made: Podman lists only those that become files."""
    command = " ".join(inspect("private-ai-chatbot")["Config"]["CreateCommand"])
    found = re.findall(r"--secret[= ]([^, ]+),", command)
    assert len(found) == 1, command
    return str(found[0])


def test_a_secret_that_is_there_is_used_and_stays(
    page: httpx.Client, throwaway: list[tuple[str, str]]
) -> None:
    name = unique("test-key")
    podman("secret", "create", name, str(DATA_DIR / "api-key"))
    throwaway.append(("secret", name))
    try:
        done = play("-e", f"public_chatbot_api_key_secret={name}")
        assert done.returncode == 0, done.stdout[-2000:]
        assert secret_of_the_chatbot() == name
        assert page.post("/api/completions", json={"question": "What is this?"}).status_code == 200
    finally:
        restored = play()
    assert restored.returncode == 0, restored.stdout[-2000:]
    assert secret_of_the_chatbot() == "private-ai-chatbot-api-key"
    assert name in podman("secret", "ls", "--format", "{{.Name}}").stdout.split()


def test_a_secret_that_is_not_there_is_named(page: httpx.Client) -> None:
    before = containers()
    done = play("-e", "public_chatbot_api_key_secret=nobody-made-it")
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert "There is no Podman secret nobody-made-it" in said
    assert "podman secret create nobody-made-it FILE" in said
    assert containers() == before
    assert page.post("/api/completions", json={"question": "What is this?"}).status_code == 200


def test_a_file_that_is_named_and_not_there_is_no_reason_to_make_a_key(tmp_path: Path) -> None:
    file, before = tmp_path / "api-key", containers()
    done = play("-e", f"public_chatbot_api_key_file={file}")
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert f"public_chatbot_api_key_file is {file}, and there is no such file on localhost" in said
    assert not file.exists() and containers() == before
