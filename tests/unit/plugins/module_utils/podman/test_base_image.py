# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the base image can come from."""

from __future__ import annotations

import io
import socket
import ssl
import threading
import urllib.error
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import base_image


@pytest.mark.parametrize(
    "reference, host",
    [
        ("debian", "registry-1.docker.io"),
        ("debian:bookworm-slim", "registry-1.docker.io"),
        ("library/debian:bookworm-slim", "registry-1.docker.io"),
        ("docker.io/library/debian", "registry-1.docker.io"),
        ("index.docker.io/library/debian", "registry-1.docker.io"),
        ("quay.io/some/image@sha256:0", "quay.io"),
        ("registry.example:5000/debian:1", "registry.example:5000"),
        ("localhost/debian", "localhost"),
        ("[::1]:5000/debian", "[::1]:5000"),
    ],
)
def test_registry_of(reference: str, host: str) -> None:
    assert base_image.registry_of(reference) == host


REGISTRIES: dict[str, Any] = {
    "search": ["docker.io"],
    "docker.io": {"Prefix": "docker.io", "Location": "hub.example", "Mirrors": None, "Blocked": False},
    "docker.io/library": {
        "Prefix": "docker.io/library",
        "Location": "docker.io/library",
        "Mirrors": [{"Location": "mirror.example:5000/hub"}, {"Location": "second.example"}],
        "Blocked": False,
    },
    "bad.example": {"Prefix": "bad.example", "Location": "bad.example", "Mirrors": None, "Blocked": True},
    "*.corp.example": {"Prefix": "*.corp.example", "Location": "", "Mirrors": None, "Blocked": False},
}


@pytest.mark.parametrize(
    "reference, hosts",
    [
        ("docker.io/library/debian:1", ["mirror.example:5000", "second.example", "registry-1.docker.io"]),
        ("docker.io/other/debian:1", ["hub.example"]),
        ("docker.io/librarian/debian:1", ["hub.example"]),
        ("quay.io/debian:1", ["quay.io"]),
        ("bad.example/debian:1", []),
        ("not-bad.example/debian:1", ["not-bad.example"]),
        ("a.corp.example:5000/debian:1", ["a.corp.example:5000"]),
    ],
)
def test_hosts_of(reference: str, hosts: list[str]) -> None:
    assert base_image.hosts_of(reference, REGISTRIES) == hosts


def test_hosts_without_configuration() -> None:
    assert base_image.hosts_of("docker.io/library/debian:1", {}) == ["registry-1.docker.io"]


def refusing(code: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("https://r/v2/", code, "no", Message(), io.BytesIO())


@pytest.mark.parametrize(
    "answer, expected",
    [
        (200, ""),
        (refusing(401), ""),
        (204, "https://r.example/v2/ answered 204"),
        (refusing(403), "https://r.example/v2/ answered 403"),
        (refusing(404), "https://r.example/v2/ answered 404"),
        (refusing(503), "https://r.example/v2/ answered 503"),
        (
            urllib.error.URLError(socket.timeout("timed out")),
            "https://r.example/v2/ did not answer within 2 s",
        ),
        (socket.timeout("timed out"), "https://r.example/v2/ did not answer within 2 s"),
        (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
        (
            urllib.error.URLError(socket.gaierror(-2, "Name or service not known")),
            "Name or service not known",
        ),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        # podman may be told to accept such a one.
        (urllib.error.URLError(ssl.SSLError(1, "WRONG_VERSION_NUMBER")), ""),
        (urllib.error.URLError(ssl.SSLCertVerificationError(1, "self-signed")), ""),
    ],
    ids=str,
)
def test_answers(monkeypatch: pytest.MonkeyPatch, answer: Any, expected: str) -> None:
    asked = []

    def open_url(url: str, **options: Any) -> Any:
        asked.append((url, options["timeout"]))
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(status=answer, close=lambda: None)

    monkeypatch.setattr(base_image, "open_url", open_url)
    found = base_image.registry_answers("r.example", 2)
    assert expected in found and bool(expected) == bool(found)
    assert asked == [("https://r.example/v2/", 2)]


@pytest.fixture
def plain_server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_server_without_tls_is_left_to_podman(plain_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert base_image.registry_answers(plain_server) == ""


def test_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        # During the handshake of TLS, too: that is no answer.
        assert base_image.registry_answers(host, 0.3) == f"https://{host}/v2/ did not answer within 0.3 s"


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "refused" in base_image.registry_answers("127.0.0.1:1")


def test_os_release() -> None:
    text = "# comment\nID=debian\nPRETTY_NAME=\"A = 'B'\"\n\nID_LIKE='x y'\nbroken\n"
    assert base_image.os_release(text) == {"ID": "debian", "PRETTY_NAME": "A = 'B'", "ID_LIKE": "x y"}


def test_host_release(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("ID=ubuntu\n")
    assert base_image.host_release([str(tmp_path / "none"), str(tmp_path / "one")]) == {"ID": "ubuntu"}
    assert base_image.host_release([str(tmp_path / "none")]) == {}


@pytest.mark.parametrize(
    "release, can",
    [
        ({"ID": "debian"}, True),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, True),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, True),
        ({"ID": "fedora"}, False),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, False),
        ({"ID": "debianish"}, False),
        ({}, False),
    ],
)
def test_can_bootstrap(release: dict[str, str], can: bool) -> None:
    assert base_image.can_bootstrap(release) == can


def test_digest_of_inputs() -> None:
    digests = {
        base_image.inputs_digest(*values)
        for values in (("a",), ("a", ""), ("a", "b"), ("ab",), ("a", "", "b"), ("b", "a"))
    }
    assert len(digests) == 6
    assert base_image.inputs_digest("a", "b") == base_image.inputs_digest("a", "b")


def test_digest_of_a_file(tmp_path: Path) -> None:
    assert base_image.file_digest(str(tmp_path / "none")) == ""
    (tmp_path / "one").write_bytes(b"x")
    assert base_image.file_digest(str(tmp_path / "one")).startswith("2d711642")
