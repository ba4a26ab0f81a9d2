# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a registry of images says of one image, by the API that all of them have (OCI distribution)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import typing as t
import urllib.parse
from dataclasses import dataclass

KINDS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_IMAGE = re.compile(
    r"(?P<host>[^/@\s]+)/(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
#: Docker Hub's registry has another name than its images.
_HOSTS = {"docker.io": "registry-1.docker.io"}


class RegistryError(Exception):
    """The registry did not say whether it has the image."""


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP; header names are in lower case."""

    status: int
    headers: t.Mapping[str, str]
    body: bytes


#: Asks for an address with headers; OSError when nobody answers there.
Fetch = t.Callable[[str, t.Mapping[str, str]], Answer]


@dataclass(frozen=True)
class Image:
    """Where an image is, and which one."""

    host: str
    repository: str
    reference: str


def parse(image: str) -> Image:
    """Return the parts of an image's name; RegistryError for a name without a registry."""
    found = _IMAGE.fullmatch(image)
    if not found:
        raise RegistryError(
            f"image {image} is not a name of a registry, such as registry.example.com/chat/chatbot:1 or "
            "registry.example.com/chat/chatbot@sha256:..."
        )
    host = _HOSTS.get(found["host"], found["host"])
    return Image(host, found["repository"], found["digest"] or found["tag"] or "latest")


def basic(username: str, password: str) -> str:
    """Return the header of a login."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def files_of_logins(environ: t.Mapping[str, str], uid: int) -> list[str]:
    """Return where `podman login` and `docker login` leave what they were given, the best first."""
    home = environ.get("HOME", "")
    return [
        *filter(None, [environ.get("REGISTRY_AUTH_FILE", "")]),
        *(f"{one}/containers/auth.json" for one in [environ.get("XDG_RUNTIME_DIR", "")] if one),
        f"/run/containers/{uid}/auth.json",
        (environ.get("XDG_CONFIG_HOME") or f"{home}/.config") + "/containers/auth.json",
        f"{home}/.docker/config.json",
    ]


def stored_login(content: str, image: Image) -> str:
    """Return the header for an image from such a file, empty when it has none; the longest name counts."""
    try:
        known = json.loads(content).get("auths") or {}
    except (ValueError, AttributeError):
        return ""
    whole = f"{image.host}/{image.repository}/"
    names = [one for one in known if whole.startswith(one.rstrip("/") + "/")]
    found = known[max(names, key=len)].get("auth") if names else ""
    return f"Basic {found}" if found else ""


def _token(fetch: Fetch, challenge: str, login: str) -> str:
    asked = dict(_PARAMETER.findall(challenge))
    realm = asked.pop("realm", "")
    if urllib.parse.urlsplit(realm).scheme not in ("https", "http"):
        raise RegistryError(f"the registry asks for a login in a way that is not known: {challenge}")
    query = urllib.parse.urlencode({key: asked[key] for key in ("service", "scope") if key in asked})
    answer = fetch(f"{realm}?{query}", {"Authorization": login} if login else {})
    if answer.status != 200:
        raise RegistryError(f"{realm} refuses the login ({answer.status}); check username and password")
    said = _decoded(answer.body)
    return f"Bearer {said.get('token') or said.get('access_token') or ''}"


def _decoded(body: bytes) -> dict[str, t.Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise RegistryError(f"the registry answered with something else than JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _asked(fetch: Fetch, url: str, login: str) -> Answer:
    """Ask, and log in when the registry wants that."""
    headers = {"Accept": ", ".join(KINDS)}
    answer = fetch(url, headers)
    challenge = answer.headers.get("www-authenticate", "")
    if answer.status != 401 or not challenge:
        return answer
    bearer = challenge.lower().startswith("bearer ")
    login_now = _token(fetch, challenge, login) if bearer else login
    return fetch(url, {**headers, "Authorization": login_now}) if login_now else answer


def look(fetch: Fetch, image: Image, login: str, schemes: t.Sequence[str]) -> dict[str, t.Any]:
    """Return whether the image is there, its digest and that of its configuration.

    :param login: the header of a login, empty for none.
    :param schemes: https, and http where that is allowed; the first that answers counts.
    :raises RegistryError: when it cannot be told.
    """
    problem = ""
    for scheme in schemes:
        url = f"{scheme}://{image.host}/v2/{image.repository}/manifests/{image.reference}"
        try:
            answer = _asked(fetch, url, login)
        except OSError as error:
            problem = problem or f"{scheme}://{image.host} does not answer: {error}"
            continue
        if answer.status == 404:
            return {"found": False, "digest": "", "config": ""}
        if answer.status != 200:
            said = answer.body[:300].decode("utf-8", "replace").strip()
            remedy = "check username and password" if answer.status in (401, 403) else "try again later"
            raise RegistryError(f"{url} was answered with {answer.status}: {said}; {remedy}")
        config = _decoded(answer.body).get("config") or {}
        told = answer.headers.get("docker-content-digest", "")
        digest = told or f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        return {"found": True, "digest": digest, "config": str(config.get("digest") or "")}
    raise RegistryError(f"{problem}; check the registry's address, and that this host reaches it")
