# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be in a support bundle, and what may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.filter.support_files import support_files
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanClient
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.support import (
    Collector,
    Router,
    container,
    log_line,
    redact,
)

PROMPT = "what is the weather on the moon"


@pytest.mark.parametrize(
    "text",
    [
        "key pai_abcdefgh12345678 here",
        "HF_TOKEN=hf_ABCDEFGH12345678",
        "Authorization: Bearer canary-value-1",
        'api_key: "canary-value-2"',
        '{"password": "canary-value-3", "a": 1}',
        "http://user:canary-value-4@proxy:3128/",
        "-----BEGIN RSA PRIVATE KEY-----\ncanary\nvalue-5\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncanary-value-6 and cut off",
        "ILAB_KEY=canary-value-7",
        "client_secret = canary-value-8",
    ],
)
def test_secrets_go(text: str) -> None:
    shown = redact(text)
    assert "canary" not in shown
    assert "12345678" not in shown
    assert "<hidden>" in shown


@pytest.mark.parametrize(
    "text",
    [
        "completion_tokens: 12345",
        '"max_tokens": "1024"',
        "bind *:8000",
        "secret: null",
        "the key of the gateway",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert redact(text) == text


def test_a_known_key_goes_wherever_it_stands() -> None:
    assert redact("x my-own-key y", ["my-own-key", ""]) == "x <hidden> y"


@pytest.mark.parametrize(
    "line",
    [
        PROMPT,
        f"Traceback: {PROMPT}",
        json.dumps([PROMPT]),
        json.dumps({"prompt": PROMPT, "messages": [PROMPT]}),
        json.dumps({"message": PROMPT * 20}),
        f"2026-11-21 14:46:07.104221 +0000 TCP_ADAPTOR (debug) [C5] {PROMPT}",
    ],
)
def test_nothing_that_was_asked_stays(line: str) -> None:
    assert "weather" not in log_line(line)


def test_lines_that_help_stay() -> None:
    entry = {"request_id": "id-1", "status": 503, "outcome": "busy", "queue_ms": 12, "secret": "x"}
    assert json.loads(log_line(json.dumps(entry))) == {key: entry[key] for key in entry if key != "secret"}
    for line in (
        "INFO 2026-11-21 14:46:07,104 instructlab.model.serve_backend:80: Setting backend_type",
        "llama_context: n_ctx_seq (4096) > n_ctx_train (2048)",
        "serve: ilab ended by itself with status 1",
        "[WARNING] (1) : Server model/model-1 is DOWN",
        "2026-11-21 14:46:07.104221 +0000 SERVER (info) [C5] Connection to 10.0.0.9:55671 failed",
    ):
        assert log_line(line) == line


def test_only_settings_of_the_environment_are_told() -> None:
    shown = container({"Config": {"Env": ["TEMPERATURE=0.6", f"SYSTEM_PROMPT={PROMPT}", "API_KEY=abc"]}})
    assert shown["environment"] == {
        "TEMPERATURE": "0.6",
        "SYSTEM_PROMPT": f"<{len(PROMPT)} characters>",
        "API_KEY": "<3 characters>",
    }


def test_a_host_where_nothing_works_says_why(tmp_path: Path) -> None:
    def podman(argv: list[str], **kwargs: Any) -> tuple[int, str, str]:
        return 125, "", "cannot connect: token=canary-of-podman"

    (tmp_path / "api-key").write_text("pai_key-of-the-host\n")
    files = Collector(PodmanClient(podman), tmp_path, 10, tmp_path / "no-root").files()
    assert all(text.startswith("not available: ") for text in files.values())
    assert "canary" not in json.dumps(files)


@pytest.mark.parametrize(
    "platform, program", [("podman", "podman logs"), ("docker", "docker logs"), ("linux", "journalctl")]
)
def test_the_router_of_the_host(tmp_path: Path, platform: str, program: str) -> None:
    asked: list[str] = []
    line = "2026-11-21 14:46:07.104221 +0000 ROUTER (error) no way, token=canary-of-the-router"

    def run(argv: list[str], **kwargs: Any) -> tuple[int, str, str]:
        asked.append(" ".join(argv))
        return (0, f"{line}\n{PROMPT}\n", "") if "skupper" in asked[-1] else (1, "", "")

    router, name = Router(run, platform, "vault"), "logs/skupper-vault.log"
    text = Collector(PodmanClient(run), tmp_path, 10, tmp_path, router=router).files()[name]
    assert "ROUTER (error) no way, token=<hidden>" in text
    assert "canary" not in text and PROMPT not in text
    assert f"timeout --kill-after=5 60 {program}" in asked[-1]

    away = Router(lambda argv, **more: (127, "", "no such program"), platform, "vault")
    files = Collector(PodmanClient(run), tmp_path, 10, tmp_path, router=away).files()
    assert files["logs/skupper-vault.log"].endswith("ended with 127: no such program")


def test_every_key_of_the_host_is_taken_out(tmp_path: Path) -> None:
    keys = ["first-of-the-owners-keys", "second-of-the-owners-keys"]
    (tmp_path / "theirs").write_text("in-a-file-of-the-owners\n")

    def podman(argv: list[str], **kwargs: Any) -> tuple[int, str, str]:
        return 125, "", f"cannot connect: {keys[1]} in-a-file-of-the-owners {keys[0]}"

    client = PodmanClient(podman)
    files = Collector(client, tmp_path, 10, tmp_path, keys, tmp_path / "theirs").files()
    assert "cannot connect: <hidden> <hidden> <hidden>" in files["podman/version.txt"]
    assert "owners" not in json.dumps(files).replace(str(tmp_path), "")


def test_one_directory_for_each_host() -> None:
    files = support_files(
        {"b/../c": {"files": {"x.txt": "1"}}, "a": {"unreachable": "timed out", "status.json": {"up": 1}}}
    )
    assert [one["name"] for one in files] == ["a/status.json", "a/unreachable.txt", "b_.._c/x.txt"]
    assert json.loads(files[0]["text"]) == {"up": 1}
