# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Tokens and links as text: what they are, what of them is secret, and whether a token's server answers."""

from __future__ import annotations

import http.client
import socket
import ssl
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from .errors import InvalidValue
from .kinds import ACCESS_TOKEN, API_VERSION
from .namespaces import yaml
from .ownership import Object

#: Seconds that a server may take to answer a probe.
PROBE_LIMIT = 5.0


@dataclass(frozen=True)
class Link:
    """A generated link: one Secret, and a Link for each router of the other site."""

    secret: Object
    links: tuple[Object, ...]


def _documents(text: str, what: str) -> list[Object]:
    try:
        found = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError:
        # The parser's message quotes the text, which is a secret.
        raise InvalidValue(
            f"{what} is not YAML; give what skupper_token or the skupper command made"
        ) from None
    if not found or not all(isinstance(one, dict) for one in found):
        raise InvalidValue(
            f"{what} is empty or no object; give what skupper_token or the skupper command made"
        )
    return found


def parse_token(text: str) -> Object:
    """Return the AccessToken in ``text``; InvalidValue with what is wrong, never with what is in it."""
    found = _documents(text, "the token")
    first = found[0]
    if first.get("kind") == "Secret":
        labels = (first.get("metadata") or {}).get("labels") or {}
        if "skupper.io/type" in labels:
            raise InvalidValue(
                "the token is one of Skupper version 1, which version 2 cannot redeem; issue one with "
                "skupper_token "
                "or skupper token issue of version 2"
            )
    if first.get("kind") != ACCESS_TOKEN.name or len(found) != 1:
        kinds = ", ".join(str(one.get("kind")) for one in found)
        raise InvalidValue(
            f"the token holds {kinds}, not one AccessToken; a generated link goes to the option link"
        )
    spec, name = first.get("spec") or {}, (first.get("metadata") or {}).get("name")
    missing = [key for key in ("url", "code", "ca") if not spec.get(key)] + (
        [] if name else ["metadata.name"]
    )
    if missing:
        raise InvalidValue(f"the token has no {', '.join(missing)}; issue it again")
    return first


def parse_link(text: str) -> Link:
    """Return the generated link in ``text``; InvalidValue with what is wrong, never with what is in it."""
    found = _documents(text, "the link")
    secrets = [one for one in found if one.get("kind") == "Secret"]
    links = [one for one in found if one.get("kind") == "Link"]
    if len(secrets) != 1 or not links or len(found) != len(links) + 1:
        kinds = ", ".join(str(one.get("kind")) for one in found)
        raise InvalidValue(f"the link holds {kinds}, not one Secret and its Links; generate it again")
    name = (secrets[0].get("metadata") or {}).get("name")
    if any((one.get("spec") or {}).get("tlsCredentials") != name for one in links):
        raise InvalidValue(f"the link's tlsCredentials are not its Secret {name}; generate it again")
    return Link(secrets[0], tuple(links))


def secrets_of(obj: t.Mapping[str, t.Any]) -> set[str]:
    """Return what must not be shown of a token or a Secret; certificates are for everybody."""
    found = set()
    if obj.get("kind") == ACCESS_TOKEN.name:
        found.add(str((obj.get("spec") or {}).get("code") or ""))
    for key, value in {**(obj.get("data") or {}), **(obj.get("stringData") or {})}.items():
        if key not in ("ca.crt", "tls.crt"):
            found.add(str(value))
    return {one for one in found if one}


def token_of(name: str, status: t.Mapping[str, t.Any], cost: int) -> Object:
    """Return the token of a grant that is ready."""
    spec = {key: status[key] for key in ("url", "code", "ca")}
    return {
        "apiVersion": API_VERSION,
        "kind": ACCESS_TOKEN.name,
        "metadata": {"name": name},
        "spec": {**spec, "linkCost": cost},
    }


def token_text(token: t.Mapping[str, t.Any]) -> str:
    """Return a token as a file."""
    return str(yaml.safe_dump(dict(token), default_flow_style=False))


def belongs(link: t.Mapping[str, t.Any], name: str) -> bool:
    """Return whether a Link is one of those that the token or link ``name`` made: one for each router."""
    own = str((link.get("metadata") or {}).get("name"))
    numbered = own.startswith(f"{name}-") and own[len(name) + 1 :].isdigit()
    return own == name or numbered or (link.get("spec") or {}).get("tlsCredentials") == name


@dataclass(frozen=True)
class Probe:
    """What a token's server answered.

    :param good: True, False when it will not redeem for sure, None when nobody can tell.
    """

    good: bool | None
    reason: str = ""


def probe(token: t.Mapping[str, t.Any], limit: float = PROBE_LIMIT) -> Probe:
    """Ask whether the token's server answers, without redeeming: only a POST redeems."""
    spec = token["spec"]
    parts = urlsplit(spec["url"])
    if parts.scheme != "https" or not parts.hostname:
        return Probe(False, "its URL is not https")
    port = parts.port or 443
    place = f"{parts.hostname}:{port}"
    try:
        context = ssl.create_default_context(cadata=spec["ca"])
    except (ssl.SSLError, ValueError):
        return Probe(False, "its CA is not a certificate")
    # Skupper's CA lacks an extension that newer Pythons ask for.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    connection = http.client.HTTPSConnection(parts.hostname, port, timeout=limit, context=context)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        said = answer.read(200).decode("utf-8", "replace").strip()
    except ssl.SSLCertVerificationError as error:
        return Probe(
            False, f"{place} shows a certificate that the token's CA did not sign: {error.verify_message}"
        )
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError) as error:
        # Cut, not answered: a proxy between may have done that to us alone.
        return Probe(None, f"{place} cannot be asked from here: {error}")
    except ssl.SSLError as error:
        return Probe(False, f"{place} answers, but not with TLS: {error.reason or error}")
    except ConnectionRefusedError:
        return Probe(False, f"{place} refuses connections")
    except (socket.timeout, TimeoutError):
        return Probe(None, f"{place} did not answer within {limit:g} s")
    except (OSError, http.client.HTTPException) as error:
        return Probe(None, f"{place} cannot be asked from here: {error}")
    finally:
        connection.close()
    # 405 is what a grant server says to all but a POST.
    if 400 <= answer.status < 500 and answer.status != 405:
        return Probe(False, f"{place} answered {answer.status}: {said or answer.reason}")
    return Probe(True)
