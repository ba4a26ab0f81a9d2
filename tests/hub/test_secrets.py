"""The token and a proxy's password: where they go, and that nobody sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hub.harness import NAME, ROOT, Repository, Runner, StandInHub, tree

TOKEN = "hf_token-of-the-test-0123456789"


@pytest.fixture
def private(repository: Repository) -> Repository:
    """A repository that only the token may read."""
    repository.private = True
    repository.readers.add(TOKEN)
    return repository


def play(run: Runner, verbosity: str = "-vvv", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the module by Ansible itself, with everything that it can show."""
    given = {"repository": NAME, "dest": str(run.dest), "endpoint": run.hub.url, "retries": 0, **options}
    book = run.scratch / "play.yml"
    task = {"private_ai.chatbot.hf_snapshot": given, "ignore_errors": True}
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    book.chmod(0o600)
    environ = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_LOCAL_TEMP": str(run.scratch / "local"),
        "ANSIBLE_REMOTE_TEMP": str(run.scratch / "remote"),
        "ANSIBLE_LOG_PATH": str(run.scratch / "ansible.log"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "NO_COLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", verbosity, "--diff", str(book)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120, check=False)
    book.unlink()
    return done


def everything(run: Runner, done: subprocess.CompletedProcess[str]) -> str:
    """All that was printed, logged or left in a file."""
    texts = [done.stdout, done.stderr]
    for folder in (run.folder, run.scratch):
        texts += [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    return "\n".join(texts)


@pytest.mark.parametrize("token", [TOKEN, "hf_not-the-right-one-987654321"])
def test_nobody_sees_the_token(run: Runner, private: Repository, files: dict[str, bytes], token: str) -> None:
    done = play(run, token=token, progress_file=str(run.scratch / "progress"))
    right = token == TOKEN
    assert (tree(run.dest) == files) if right else "refuses the token (401)" in done.stdout + done.stderr
    assert "invocation" in done.stdout + done.stderr, "it was told in full"
    assert token not in everything(run, done)
    assert private.readers == {TOKEN}


def test_nobody_sees_the_token_of_a_file(run: Runner, private: Repository) -> None:
    secret = run.folder.parent / "token"
    secret.write_text(TOKEN + "\n")
    done = play(run, token_file=str(secret))
    assert run.dest.exists() and TOKEN not in everything(run, done)
    run.dest.rename(run.folder / "home")
    secret.write_text("hf_not-the-right-one-987654321")
    done = play(run, token_file=str(secret))
    assert "refuses the token (401)" in done.stdout and "not-the-right-one" not in everything(run, done)
    assert private.private


def test_nobody_sees_the_password_of_a_proxy(run: Runner) -> None:
    done = play(run, proxy="http://user:pass-word-of-the-test@127.0.0.1:9")
    assert "cannot be reached" in done.stdout and "pass-word-of-the-test" not in everything(run, done)


def test_where_the_token_goes(run: Runner, hub: StandInHub, private: Repository) -> None:
    """To the Hub, not to the host to which that redirects."""
    assert run(token=TOKEN)["changed"]
    seen = {(one["where"], one["token"]) for one in hub.stats.requests}
    assert seen == {("hub", TOKEN), ("cdn", "")}
    assert private.private


def test_the_hosts_own_token_is_not_used(run: Runner, hub: StandInHub, repository: Repository) -> None:
    kept = run.scratch / ".cache" / "huggingface" / "token"
    kept.parent.mkdir(parents=True)
    kept.write_text("hf_of-the-host")
    run.environ["HF_TOKEN"] = "hf_of-the-environment"
    result = run.separate()
    assert result["changed"] and repository.commits
    assert {one["token"] for one in hub.stats.requests} == {""}


def test_nothing_else_is_told(run: Runner, hub: StandInHub) -> None:
    """No telemetry, no look for newer versions: only what a download needs, and a plain name."""
    run.separate()
    paths = {one["path"].split("/")[1] for one in hub.stats.requests if one["where"] == "hub"}
    assert paths == {"api", "acme"}
    api = {one["path"] for one in hub.stats.requests if one["path"].startswith("/api/")}
    assert all(path.startswith(("/api/models/acme/", "/api/resolve-cache/models/acme/")) for path in api)
    agents = {one["agent"] for one in hub.stats.requests}
    assert all(agent.startswith("private-ai-chatbot/") and "torch" not in agent for agent in agents)


def test_unprotected_way(run: Runner) -> None:
    result = run.result(run.start(token=TOKEN, endpoint="http://hub.invalid", retries=0))
    assert "travels unencrypted" in json.dumps(result["warnings"])
