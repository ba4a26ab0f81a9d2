# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client of the skupper command against what version 2.2.1 prints."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.cli import (
    SkupperCli,
    find_cli,
    objects,
    parse_version,
    remedy,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    MissingPrerequisite,
    SkupperError,
)


def answering(rc: int, stdout: str, stderr: str = "") -> tuple[SkupperCli, list[dict[str, Any]]]:
    """A client whose command always says the same, and what it was called with."""
    calls: list[dict[str, Any]] = []

    def run(argv: list[str], **options: Any) -> tuple[int, str, str]:
        calls.append({"argv": argv, **options})
        return rc, stdout, stderr

    return SkupperCli(run, "/bin/skupper", "linux", "east"), calls


def test_platform_and_namespace_come_first_and_the_environment_is_clean() -> None:
    client, calls = answering(0, '{"kind": "Site"}')
    assert client.generate(["site", "generate", "east"]) == {"kind": "Site"}
    assert calls[0]["argv"] == [
        *["/bin/skupper", "--platform", "linux", "-n", "east"],
        *["site", "generate", "east", "-o", "json"],
    ]
    assert calls[0]["umask"] == 0o077
    assert calls[0]["environ_update"]["SKUPPER_PLATFORM"] == ""
    assert calls[0]["environ_update"]["SKUPPER_OUTPUT_PATH"] == ""


@pytest.mark.parametrize("rc, expected", [(2, InvalidValue), (1, SkupperError)])
def test_errors_are_read_from_standard_output(rc: int, expected: type[SkupperError]) -> None:
    client, _calls = answering(rc, "connector port is not valid\n", "noise")
    with pytest.raises(expected, match=f"connector generate failed with exit status {rc}: connector port is"):
        client.run(["connector", "generate", "x"])


def test_a_sentence_where_json_was_asked_for_is_not_an_object() -> None:
    client, _calls = answering(0, "There is no existing Skupper site resource\n")
    with pytest.raises(SkupperError, match="rendered 0 objects where 1 was expected"):
        client.generate(["site", "generate", "x"])


def test_objects_follow_each_other() -> None:
    assert objects('{"a": 1}\n{\n  "b": 2\n}\n') == [{"a": 1}, {"b": 2}]
    assert objects("No listeners found\n") == []


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2.2.1\n", (2, 2, 1)),
        ("2.1\n", (2, 1, 0)),
        ("COMPONENT\tVERSION\nrouter\t3.4.0\ncontroller\t2.1.3\ncli\t2.1.3\n", (2, 1, 3)),
        ("client version                 1.9.6\ntransport version  x:2.7.3\n", (1, 9, 6)),
        ("undefined\n", None),
    ],
)
def test_version(text: str, expected: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == expected


@pytest.mark.parametrize(
    "text, message",
    [
        ("2.0.1\n", "is version 2.0.1; install 2.1 or newer"),
        ("client version 1.9.6\n", "version 1 manages networks of another kind.*migration"),
        ("command not found\n", "does not tell its version"),
    ],
)
def test_versions_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(SkupperError, match=message):
        find_cli(lambda argv, **options: (0, text, ""), "/bin/skupper", "skupper", "linux", "east")


def test_missing_command() -> None:
    with pytest.raises(MissingPrerequisite, match=r"'skupper' was not found\); install version 2.1 or newer"):
        find_cli(lambda argv, **options: (0, "", ""), None, "skupper", "linux", "east")


@pytest.mark.parametrize(
    "said, helps",
    [
        ('Platform "linux" is not available:\n ERROR! Command not found: skrouterd', "install skrouterd"),
        ("Failed to stat /output: stat /output: no such file or directory", "remove that file"),
        ('existing namespace uses "podman" platform and it cannot change to "linux"', "platform podman"),
        (
            "Container engine is not available on provided endpoint - stat /run/podman/podman.sock",
            "podman.socket",
        ),
        ('port 8001 is already mapped for host "127.0.0.1"', "a host and port of its own"),
        ("Received HTTP Response 404: No such access granted", "as often as it may"),
        ("Received HTTP Response 404: No such claim", "has expired"),
        ("Received HTTP Response 403: Redemption of access token refused", "code in the token is wrong"),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "CA is not that",
        ),
        ("dial tcp 127.0.0.1:9: connect: connection refused", "does not answer from this host"),
        ("something new", ""),
    ],
)
def test_remedies(said: str, helps: str) -> None:
    found = remedy(said)
    assert helps in found and bool(found) == bool(helps)
