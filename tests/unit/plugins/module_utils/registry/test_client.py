# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What registries answer: with and without a login, by either way to log in, without TLS, and not at all."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t
from collections.abc import Iterator

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.registry.client import (
    Answer,
    RegistryError,
    basic,
    files_of_logins,
    look,
    parse,
    stored_login,
)
from ansible_collections.private_ai.chatbot.plugins.modules.registry_image_info import fetcher

DIGEST = "sha256:" + "a" * 64
CONFIG = "sha256:" + "c" * 64
MANIFEST = json.dumps({"schemaVersion": 2, "config": {"digest": CONFIG}}).encode()
LOGIN = basic("puller", "p4ss")
FOUND = {"found": True, "digest": DIGEST, "config": CONFIG}
BEARER = (
    'Bearer realm="https://login.example.com/token",service="registry",scope="repository:chat/chatbot:pull"'
)
TOKEN_URL = "https://login.example.com/token?service=registry&scope=repository%3Achat%2Fchatbot%3Apull"


@pytest.mark.parametrize(
    "name, parts",
    [
        ("reg.example.com/chat/chatbot:1.0", ("reg.example.com", "chat/chatbot", "1.0")),
        ("127.0.0.1:5000/chatbot", ("127.0.0.1:5000", "chatbot", "latest")),
        (f"reg.example.com:443/a/b_c/d.e:1@{DIGEST}", ("reg.example.com:443", "a/b_c/d.e", DIGEST)),
        ("docker.io/library/debian:13", ("registry-1.docker.io", "library/debian", "13")),
    ],
)
def test_names_of_images(name: str, parts: tuple[str, str, str]) -> None:
    image = parse(name)
    assert (image.host, image.repository, image.reference) == parts


@pytest.mark.parametrize(
    "name", ["chatbot", "reg.example.com/", "reg.example.com/Chat:1", "a b/c", f"r/a@{DIGEST}0"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="is not a name of a registry"):
        parse(name)


class Registry:
    """Stands in for a registry: which challenge it sends, and which login it takes."""

    def __init__(self, challenge: str = "", takes: str = "", scheme: str = "https") -> None:
        self.challenge, self.takes, self.scheme = challenge, takes, scheme
        self.asked: list[tuple[str, str]] = []

    def __call__(self, url: str, headers: t.Mapping[str, str]) -> Answer:
        login = headers.get("Authorization", "")
        self.asked.append((url, login))
        if not url.startswith(f"{self.scheme}://"):
            raise OSError("wrong version number")
        if url == TOKEN_URL:
            good = login == LOGIN
            return Answer(200 if good else 401, {}, json.dumps({"token": "t0ken"}).encode())
        if login != self.takes:
            return Answer(401, {"www-authenticate": self.challenge}, b"{}")
        assert "vnd.oci.image.manifest" in headers["Accept"]
        if url.endswith("/missing"):
            return Answer(404, {}, b"{}")
        return Answer(200, {"docker-content-digest": DIGEST}, MANIFEST)

    def look(self, reference: str = "1", login: str = LOGIN, *schemes: str) -> dict[str, t.Any]:
        return look(self, parse(f"reg.example.com/chat/chatbot:{reference}"), login, schemes or ["https"])


def test_an_open_registry_gets_no_password() -> None:
    registry = Registry()
    assert registry.look() == FOUND
    assert registry.asked == [("https://reg.example.com/v2/chat/chatbot/manifests/1", "")]


def test_a_registry_with_passwords() -> None:
    registry = Registry('Basic realm="registry"', LOGIN)
    assert registry.look() == FOUND
    assert registry.look("missing") == {"found": False, "digest": "", "config": ""}
    with pytest.raises(RegistryError, match="was answered with 401"):
        registry.look(login="")


def test_a_registry_with_tokens() -> None:
    registry = Registry(BEARER, "Bearer t0ken")
    assert registry.look() == FOUND
    assert registry.asked[1] == (TOKEN_URL, LOGIN)
    with pytest.raises(RegistryError, match=r"login.example.com/token refuses the login \(401\)"):
        registry.look(login=basic("puller", "wrong"))


def test_without_tls_only_where_that_is_allowed() -> None:
    registry = Registry('Basic realm="registry"', LOGIN, scheme="http")
    with pytest.raises(RegistryError, match=r"https://reg.example.com does not answer: wrong version number"):
        registry.look()
    assert all(login == "" for _url, login in registry.asked)
    assert registry.look("1", LOGIN, "https", "http") == FOUND


def test_what_is_no_registry() -> None:
    def page(_url: str, _headers: t.Mapping[str, str]) -> Answer:
        return Answer(200, {}, b"<html>")

    with pytest.raises(RegistryError, match="something else than JSON"):
        look(page, parse("reg.example.com/a:1"), "", ["https"])


def test_logins_that_others_left() -> None:
    auths = {
        "reg.example.com": {"auth": "d2hvbGU="},
        "reg.example.com/chat": {"auth": "Y2hhdA=="},
        "reg.example": {"auth": "b3RoZXI="},
        "helped.example.com": {},
    }
    content = json.dumps({"auths": auths})
    assert stored_login(content, parse("reg.example.com/chat/chatbot:1")) == "Basic Y2hhdA=="
    assert stored_login(content, parse("reg.example.com/chatty/bot:1")) == "Basic d2hvbGU="
    for name in ("helped.example.com/a:1", "other.example.com/a:1"):
        assert stored_login(content, parse(name)) == ""
    for broken in ("", "[]", "{}"):
        assert stored_login(broken, parse("reg.example.com/a:1")) == ""
    files = files_of_logins({"HOME": "/h", "REGISTRY_AUTH_FILE": "/a.json"}, 0)
    assert files[0] == "/a.json" and files[-2:] == [
        "/h/.config/containers/auth.json",
        "/h/.docker/config.json",
    ]
    assert "/run/containers/0/auth.json" in files
    assert "/run/user/7/containers/auth.json" in files_of_logins({"XDG_RUNTIME_DIR": "/run/user/7"}, 7)


@pytest.fixture
def address() -> Iterator[str]:
    """A server that knows one image and asks for a password."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.headers["Authorization"] == LOGIN
            self.send_response(200 if good else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.send_header("Docker-Content-Digest", DIGEST)
            self.end_headers()
            self.wfile.write(MANIFEST if good else b"{}")

        def log_message(self, *args: t.Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_real_connection(address: str) -> None:
    image = parse(f"{address}/chat/chatbot@{DIGEST}")
    assert look(fetcher(False, 5), image, LOGIN, ["https", "http"]) == FOUND
    with pytest.raises(RegistryError, match="does not answer"):
        look(fetcher(True, 5), image, LOGIN, ["https"])
