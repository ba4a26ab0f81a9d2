# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens and links as text."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import tokens
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import InvalidValue
from ansible_collections.private_ai.chatbot.plugins.modules.skupper_token import seconds_of, verdict

CA = """\
-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUZ0bUHN0+U6vYvVq7bF8oG1kYbBQwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----
"""
STATUS = {"url": "https://127.0.0.1:1/uid", "code": "s3cret", "ca": "ca"}
NOW = datetime.datetime(2026, 11, 20, 18, 0, tzinfo=datetime.timezone.utc)


def test_a_token_survives_its_way() -> None:
    token = tokens.token_of("priv", STATUS, 3)
    assert token["spec"] == {**STATUS, "linkCost": 3}
    assert tokens.parse_token(tokens.token_text(token)) == token
    assert tokens.secrets_of(token) == {"s3cret"}


def test_errors_never_quote_what_they_are_about() -> None:
    for text in ("code: [s3cret", "kind: AccessToken\nspec: {code: s3cret}\n", "- s3cret\n"):
        with pytest.raises(InvalidValue) as caught:
            tokens.parse_token(text)
        assert "s3cret" not in caught.value.message
        assert caught.value.__cause__ is None
        with pytest.raises(InvalidValue) as caught:
            tokens.parse_link(text)
        assert "s3cret" not in caught.value.message


def link_text(credentials: str = "far") -> str:
    secret = {"kind": "Secret", "metadata": {"name": "far"}, "data": {"tls.key": "k3y", "tls.crt": "crt"}}
    links = [
        {"kind": "Link", "metadata": {"name": f"far-{number}"}, "spec": {"tlsCredentials": credentials}}
        for number in (1, 2)
    ]
    return yaml.safe_dump_all([*links, secret])


def test_generated_links() -> None:
    link = tokens.parse_link(link_text())
    assert [one["metadata"]["name"] for one in link.links] == ["far-1", "far-2"]
    assert tokens.secrets_of(link.secret) == {"k3y"}
    with pytest.raises(InvalidValue, match="tlsCredentials are not its Secret far"):
        tokens.parse_link(link_text("other"))
    with pytest.raises(InvalidValue, match="the link holds Link, not one Secret and its Links"):
        tokens.parse_link("kind: Link\n")


@pytest.mark.parametrize(
    "own, credentials, expected",
    [
        ("priv", "x", True),
        ("priv-1", "x", True),
        ("priv-2", "priv", True),
        ("priv-skupper-router", "priv", True),
        ("priv-other", "x", False),
        ("private", "x", False),
    ],
)
def test_links_of_a_token(own: str, credentials: str, expected: bool) -> None:
    link = {"metadata": {"name": own}, "spec": {"tlsCredentials": credentials}}
    assert tokens.belongs(link, "priv") is expected


def token(url: str, ca: str = "") -> dict[str, Any]:
    return {"spec": {"url": url, "ca": ca}}


@contextlib.contextmanager
def answering(text: str) -> Iterator[int]:
    """A port where the first one who asks is answered so, without TLS."""

    def serve(server: socket.socket) -> None:
        with server.accept()[0] as asker:
            asker.recv(4096)
            asker.sendall(text.encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=[server])
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def plain_connection(host: str, port: int, timeout: float, context: Any) -> http.client.HTTPConnection:
    """In the place of one with TLS."""
    return http.client.HTTPConnection(host, port, timeout=timeout)


def test_probe_says_no_only_when_it_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tokens.probe(token("http://a/x")) == tokens.Probe(False, "its URL is not https")
    assert tokens.probe(token("https://a/x", CA)) == tokens.Probe(False, "its CA is not a certificate")
    monkeypatch.setattr(
        tokens.ssl, "create_default_context", lambda cadata: tokens.ssl._create_unverified_context()
    )
    refused = tokens.probe(token("https://127.0.0.1:1/x"))
    assert refused.good is False and "127.0.0.1:1 refuses connections" in refused.reason
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        late = tokens.probe(token(f"https://127.0.0.1:{port}/x"), limit=0.2)
    assert late.good is None and "did not answer within 0.2 s" in late.reason
    with socket.create_server(("127.0.0.1", 0)) as odd:
        thread = threading.Thread(target=lambda: odd.accept()[0].close())  # pylint: disable=unnecessary-lambda
        thread.start()
        broken = tokens.probe(token(f"https://127.0.0.1:{odd.getsockname()[1]}/x"))
        thread.join()
    assert broken.good is None and "cannot be asked from here" in broken.reason
    with answering("HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        plain = tokens.probe(token(f"https://127.0.0.1:{port}/x"))
    assert plain.good is False and "answers, but not with TLS" in plain.reason


@pytest.mark.parametrize("status, good", [(200, True), (405, True), (503, True), (401, False), (410, False)])
def test_probe_takes_4xx_for_an_answer(monkeypatch: pytest.MonkeyPatch, status: int, good: bool) -> None:
    monkeypatch.setattr(
        tokens.ssl, "create_default_context", lambda cadata: tokens.ssl._create_unverified_context()
    )
    monkeypatch.setattr(tokens.http.client, "HTTPSConnection", plain_connection)
    with answering(f"HTTP/1.1 {status} Said\r\nContent-Length: 4\r\n\r\ngone") as port:
        found = tokens.probe(token(f"https://127.0.0.1:{port}/x"))
    expected = "" if good else f"127.0.0.1:{port} answered {status}: gone"
    assert found == tokens.Probe(good, expected)


@pytest.mark.parametrize("text, seconds", [("15m", 900), ("1h30m", 5400), ("90s", 90), ("2h", 7200)])
def test_durations(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "1d", "15 m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidValue, match="write hours, minutes and seconds"):
        seconds_of(text)


def grant(redemptions: int = 0, until: str = "2026-11-20T18:15:00Z", ready: str = "True") -> dict[str, Any]:
    return {
        "kind": "AccessGrant",
        "metadata": {"name": "g"},
        "spec": {"redemptionsAllowed": 2, "expirationWindow": "15m0s"},
        "status": {
            "status": "Ready",
            "redemptions": redemptions,
            "expirationTime": until,
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


@pytest.mark.parametrize(
    "live, options, expected",
    [
        (None, {}, "none"),
        (grant(), {}, "good"),
        (grant(ready="False"), {}, "pending"),
        (grant(redemptions=2), {}, "is spent"),
        (grant(until="2026-11-20T18:00:29Z"), {}, "has expired"),
        (grant(), {"redemptions_allowed": 3}, "was asked for with another redemptions_allowed"),
        (grant(), {"expiration_window": "1h"}, "was asked for with another expiration_window"),
    ],
)
def test_what_a_grant_is_good_for(
    live: dict[str, Any] | None, options: dict[str, Any], expected: str
) -> None:
    params = {"redemptions_allowed": 2, "expiration_window": "15m", "min_validity": 30, **options}
    assert verdict(live, params, NOW) == expected
