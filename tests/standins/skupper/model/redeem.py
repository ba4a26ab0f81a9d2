"""The redemption of a token: what is asked of a grant server; errors in the words of Go.

A POST of the code to the token's URL with the headers `name` and `subject`; the answer is YAML, first a
Secret, then one Link for each router of the other site.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from .encode import read_documents
from .kinds import Resource, name_of, spec_of

LIMIT = 10  # seconds that the command-line program waits; the controller waits for ever


class RedeemError(Exception):
    """What the redeemer says when it failed."""


@dataclass
class Redeemed:
    """What a token was good for."""

    secret: Resource
    links: list[Resource]


def _tls_words(error: ssl.SSLCertVerificationError, host: str) -> str:
    reasons = {
        10: "certificate has expired or is not yet valid",
        62: f"certificate is not valid for {host}",
        64: f"cannot validate certificate for {host} because it doesn't contain any IP SANs",
    }
    known = reasons.get(error.verify_code, "certificate signed by unknown authority")
    return f"tls: failed to verify certificate: x509: {known}"


def _words(error: OSError, host: str, port: int) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _tls_words(error, host)
    if isinstance(error, TimeoutError) and error.errno is None:
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(error, ssl.SSLError):
        return f"tls: {error.reason or error}".lower()
    reason = (error.strerror or str(error)).lower()
    return f"dial tcp {host}:{port}: connect: {reason}"


def _post(url: str, code: str, headers: dict[str, str], ca: str, limit: float | None) -> tuple[int, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https"):
        raise RedeemError(f'Post "{url}": unsupported protocol scheme "{parts.scheme}"')
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme == "https":
        context = ssl.create_default_context(cadata=ca or None)
        # Go does not mind an authority that lacks the extensions that newer OpenSSL asks for.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=limit, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=limit)
    try:
        connection.request("POST", parts.path or "/", body=code.encode(), headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        raise RedeemError(f'Post "{url}": {_words(error, host, port)}') from error
    except http.client.HTTPException as error:
        raise RedeemError(f'Post "{url}": {error or "EOF"}') from error
    finally:
        connection.close()


def redeem(token: Resource, subject: str, limit: float | None = LIMIT) -> Redeemed:
    """Redeem an AccessToken; each success costs one redemption of its grant."""
    spec = spec_of(token)
    headers = {"name": name_of(token), "subject": subject}
    url = str(spec.get("url") or "")
    status, text = _post(url, str(spec.get("code") or ""), headers, str(spec.get("ca") or ""), limit)
    if status != http.client.OK:
        raise RedeemError(f"Received HTTP Response {status}: {text.strip()}")
    documents = read_documents(text)
    if not documents:
        raise RedeemError("EOF")
    return Redeemed(secret=documents[0], links=documents[1:])
