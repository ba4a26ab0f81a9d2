# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Put questions to an OpenAI-compatible server, one after the other.

Also a program, which is why it needs nothing but the standard library: a model on trial has no network, so
its source is handed to the Python inside the container. It reads one JSON document from standard input
(``settings`` and ``conversations``) and prints one JSON line for each answer, or one with ``error``.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time
import typing as t
import urllib.error
import urllib.request

#: What a busy server says: ilab admits one question at a time, a gateway has a full queue.
BUSY = (429, 503)

#: Seconds between two attempts when the server names none.
PAUSE = 0.5

#: Most seconds that a server's Retry-After is followed.
LONGEST_PAUSE = 10.0


class AskError(Exception):
    """No answer could be had; the message says why and what helps."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # The key must not follow a redirect to another host.
    def redirect_request(self, *args: t.Any, **kwargs: t.Any) -> None:
        return None


def base_url(url: str) -> str:
    """Return the address without ``/v1``; AskError when it is none."""
    base = url.rstrip("/")
    if base.endswith("/v1"):
        base = base[: -len("/v1")]
    if not base.startswith(("http://", "https://")):
        raise AskError(f"url is {url!r}; an address such as http://127.0.0.1:8000 is expected")
    return base


class Server:
    """The server that is asked. ``settings`` are those of the module model_evaluation."""

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        self.settings = settings
        self.base = base_url(settings["url"])
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if not settings.get("use_proxy"):
            handlers.append(urllib.request.ProxyHandler({}))
        if settings.get("ca_path"):
            try:
                context = ssl.create_default_context(cafile=settings["ca_path"])
            except OSError as error:
                raise AskError(
                    f"ca_path {settings['ca_path']!r} cannot be used: {error}; name a PEM file"
                ) from error
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def _request(self, path: str, body: t.Any, timeout: float) -> t.Any:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if self.settings.get("key"):
            headers["Authorization"] = f"Bearer {self.settings['key']}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers)  # noqa: S310 - base_url has looked
        return self._opener.open(request, timeout=timeout)

    def _refused(self, error: urllib.error.HTTPError) -> AskError:
        said = error.read(300).decode("utf-8", "replace").strip()
        hints = {
            401: "give the right key (api_key or api_key_file)",
            403: "give a key that may do so (api_key or api_key_file)",
            404: "url must be that of an OpenAI-compatible server, with or without /v1",
            400: "look whether the server knows the model and the settings",
        }
        hint = hints.get(error.code, "look at the server's log")
        if 300 <= error.code < 400:
            hint = (
                f"redirects are not followed; give the address it leads to ({error.headers.get('Location')})"
            )
        return AskError(f"{self.base} answers status {error.code}: {said or error.reason}. Remedy: {hint}")

    def _patiently(self, path: str, body: t.Any, deadline: float) -> t.Any:
        """Open until the server is neither busy nor (before it has ever answered) away."""
        while True:
            left = deadline - time.monotonic()
            try:
                return self._request(path, body, max(1.0, left))
            except urllib.error.HTTPError as error:
                if error.code not in BUSY:
                    raise self._refused(error) from error
                last = f"status {error.code}"
                pause = _seconds(error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ssl.SSLError):
                    raise AskError(
                        f"{self.base} has no certificate that is trusted: {reason}. Remedy: give ca_path"
                    ) from error
                last, pause = str(reason) or type(reason).__name__, PAUSE
            if time.monotonic() + pause > deadline:
                raise AskError(
                    f"{self.base}{path} did not answer in time (last: {last}). Remedy: look whether the "
                    "server runs and is idle, or wait longer (wait_timeout, timeout)"
                )
            time.sleep(pause)

    def model(self) -> str:
        """Wait until the server answers; return the named model, or the first that it lists."""
        deadline = time.monotonic() + float(self.settings["wait_timeout"])
        with self._patiently("/v1/models", None, deadline) as response:
            try:
                names = [str(entry["id"]) for entry in json.load(response)["data"]]
            except (ValueError, KeyError, TypeError) as error:
                raise AskError(
                    f"{self.base}/v1/models does not list models: {error}. Remedy: url must be that of an "
                    "OpenAI-compatible server"
                ) from error
        wanted = self.settings.get("model")
        if wanted:
            return str(wanted)
        if not names:
            raise AskError(
                f"{self.base} serves no model. Remedy: name one (model), or look at the server's log"
            )
        return names[0]

    def ask(self, messages: t.Sequence[t.Mapping[str, str]], model: str, seed: int) -> dict[str, t.Any]:
        """Return ``text`` (with its thinking), ``finish``, ``seconds`` and ``pieces`` of one answer."""
        settings, started = self.settings, time.monotonic()
        body = {
            "model": model,
            "messages": list(messages),
            # A server stops at once when whoever asked goes away; unstreamed it would go on to the end.
            "stream": True,
            "temperature": settings["temperature"],
            "top_p": settings["top_p"],
            "max_tokens": settings["max_tokens"],
            "seed": seed,
        }
        deadline = started + float(settings["timeout"])
        text: list[str] = []
        finish, ended = "", False
        try:
            with self._patiently("/v1/chat/completions", body, deadline) as response:
                for raw in response:
                    if time.monotonic() > deadline:
                        raise socket.timeout(f"after {sum(map(len, text))} characters")
                    line = raw.decode("utf-8", "replace").strip()
                    if not line.startswith("data:"):
                        continue
                    payload = line[len("data:") :].strip()
                    if payload == "[DONE]":
                        ended = True
                        break
                    piece, reason = _piece(payload)
                    text.append(piece)
                    finish = reason or finish
        except socket.timeout as error:
            raise AskError(
                f"an answer was not ready after {settings['timeout']} s ({error}). Remedy: raise timeout, "
                "or lower max_tokens"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AskError(
                f"an answer of {self.base} broke off: {error}. Remedy: look at the server's log"
            ) from error
        if not ended and not finish:
            raise AskError(
                f"an answer of {self.base} broke off before its end. Remedy: look at the server's log"
            )
        return {
            "text": "".join(text),
            "finish": finish or "stop",
            "seconds": round(time.monotonic() - started, 3),
            "pieces": len([piece for piece in text if piece]),
        }


def _seconds(text: str | None) -> float:
    try:
        return min(LONGEST_PAUSE, max(PAUSE, float(text or PAUSE)))
    except ValueError:
        return PAUSE


def _piece(payload: str) -> tuple[str, str]:
    """Return text and end reason of one event; ValueError when it is none or tells an error."""
    event = json.loads(payload)
    if "error" in event:
        error = event["error"]
        raise ValueError(str(error.get("message") if isinstance(error, dict) else error))
    choices = event.get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or "", choices[0].get("finish_reason") or ""


def ask_all(
    settings: t.Mapping[str, t.Any], conversations: t.Sequence[t.Sequence[t.Mapping[str, str]]]
) -> t.Iterator[dict[str, t.Any]]:
    """Yield the answer to each conversation in order, with the ``model`` that gave it; AskError otherwise."""
    server = Server(settings)
    model = server.model()
    for number, messages in enumerate(conversations):
        yield {"model": model, **server.ask(messages, model, int(settings["seed"]) + number)}


def main() -> int:
    """Ask what standard input says; return the exit status."""
    task = json.load(sys.stdin)

    def tell(line: t.Mapping[str, t.Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    try:
        for answer in ask_all(task["settings"], task["conversations"]):
            tell(answer)
    except AskError as error:
        tell({"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
