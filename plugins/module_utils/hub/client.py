# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The one place that talks to a Hub: huggingface_hub, with retries, proxy and CA, without its surprises."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import ssl
import time
import typing as t
from urllib.parse import urlsplit

from .errors import LONGEST_WAIT, About, HubError, Transient, explain, plain_url, unreachable, waiting_time
from .snapshot import File, Selection

DEFAULT_ENDPOINT = "https://huggingface.co"

#: Tried again after a while; the Hub's other refusals are final.
_TRANSIENT = (408, 429, 500, 502, 503, 504)

#: More files than this are no model (entries).
_MOST_FILES = 20_000

#: What the library does by itself and we do not want: another way of downloading (xet), telemetry and
#: looking for newer versions, sending a token that lies around on the host.
_QUIET = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


class LibraryMissing(Exception):
    """huggingface_hub is not there or too old; ``reason`` says which."""


class Settings(t.NamedTuple):
    """How to reach the Hub."""

    endpoint: str = DEFAULT_ENDPOINT
    token: str | None = None
    proxy: str | None = None
    ca_bundle: str | None = None
    timeout: float = 60
    retries: int = 5


def _library() -> t.Any:
    """Return huggingface_hub; LibraryMissing when it cannot be used."""
    os.environ.update(_QUIET)
    try:
        library = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise LibraryMissing(str(error)) from error
    if not hasattr(library, "set_client_factory"):
        raise LibraryMissing(f"huggingface_hub {getattr(library, '__version__', '')} is there")
    library.utils.logging.set_verbosity_error()
    return library


def pause(attempt: int, asked: float | None) -> float:
    """Return the seconds to wait before another attempt; HubError when the Hub asks for too long."""
    if asked is not None and asked > LONGEST_WAIT:
        raise HubError(
            f"the Hub asks to wait {asked:g} s, at most {LONGEST_WAIT:g} s are waited; run it again then: "
            "what was fetched so far is kept"
        )
    return min(2.0**attempt, 30.0) if asked is None else asked + 0.5


class Hub:
    """A Hub, or a mirror of one.

    :param said: told in plain words when something is tried again.
    """

    def __init__(
        self,
        settings: Settings,
        repository: str,
        revision: str,
        said: t.Callable[[str], None] = lambda text: None,
    ) -> None:
        self.settings = settings
        self.repository = repository
        self.about = About(settings.endpoint, repository, revision, bool(settings.token))
        self.said = said
        self._hub = _library()
        # It comes with huggingface_hub.
        self._httpx = importlib.import_module("httpx")
        self._hub.set_client_factory(self._client)
        # False: none; None would look for one on the host.
        self._token: str | bool = settings.token or False
        self._api = self._hub.HfApi(
            endpoint=settings.endpoint, token=self._token, library_name="private-ai-chatbot"
        )

    def _client(self) -> t.Any:
        bundle = self.settings.ca_bundle
        if bundle and not os.path.isfile(bundle):
            raise HubError(
                f"ca_bundle is {bundle!r}, which is not a file; give the path of a PEM bundle on this host"
            )
        try:
            context = ssl.create_default_context(cafile=bundle)
        except ssl.SSLError as error:
            raise HubError(
                f"ca_bundle {bundle!r} cannot be used: {error}; it has to hold certificates in PEM form"
            ) from error
        limits = self._httpx.Timeout(self.settings.timeout, connect=min(self.settings.timeout, 30))

        def limited(request: t.Any) -> None:
            # The library asks for listings without any limit of time.
            request.extensions["timeout"] = limits.as_dict()

        return self._httpx.Client(
            proxy=self.settings.proxy,
            verify=context,
            follow_redirects=True,
            timeout=limits,
            event_hooks={"request": [limited]},
        )

    @contextlib.contextmanager
    def _translated(self, name: str | None = None) -> t.Iterator[None]:
        httpx, errors = self._httpx, self._hub.errors
        try:
            yield
        except errors.HfHubHTTPError as error:
            response = error.response
            status, headers = response.status_code, response.headers
            message = explain(
                status,
                headers.get("X-Error-Code", ""),
                " ".join((error.server_message or "").split())[:300],
                self.about,
                name,
            )
            if status in _TRANSIENT:
                raise Transient(message, waiting_time(headers)) from error
            raise HubError(message) from error
        except errors.HFValidationError as error:
            raise HubError(f"repository is {self.repository!r}; owner/name is expected ({error})") from error
        except httpx.UnsupportedProtocol as error:
            raise HubError(unreachable(self.about, str(error))) from error
        except httpx.TimeoutException as error:
            raise Transient(
                unreachable(self.about, f"silent for {self.settings.timeout:g} s (option timeout)")
            ) from error
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raised = HubError if "CERTIFICATE_VERIFY_FAILED" in reason else Transient
            raise raised(unreachable(self.about, reason)) from error
        except (httpx.TooManyRedirects, httpx.DecodingError, httpx.InvalidURL) as error:
            raise HubError(unreachable(self.about, str(error))) from error

    def _patiently(self, ask: t.Callable[[], t.Any]) -> t.Any:
        for attempt in itertools.count():
            try:
                with self._translated():
                    return ask()
            except Transient as error:
                if attempt >= self.settings.retries:
                    raise HubError(str(error)) from error
                seconds = pause(attempt, error.wait)
                self.said(f"trying again in {seconds:g} s: {error}")
                time.sleep(seconds)
        raise AssertionError("counted to the end")  # pragma: no cover

    def resolve(self) -> str:
        """Return the commit that the revision is now."""
        info = self._patiently(
            lambda: self._api.model_info(
                self.repository, revision=self.about.revision, timeout=self.settings.timeout
            )
        )
        commit = info.sha or ""
        if len(commit) != 40 or not set(commit) <= set("0123456789abcdef"):
            raise HubError(
                f"{plain_url(self.settings.endpoint)} says that {self.about.revision!r} is {commit!r}, which "
                "is no commit; check that endpoint is a Hub"
            )
        return commit

    def listing(self, commit: str) -> list[File]:
        """Return every file of a commit; HubError when the Hub's own statements do not fit together."""

        def ask() -> list[t.Any]:
            tree = self._api.list_repo_tree(self.repository, recursive=True, revision=commit)
            entries = list(itertools.islice(tree, 2 * _MOST_FILES))
            return [entry for entry in entries if isinstance(entry, self._hub.RepoFile)]

        try:
            entries = self._patiently(ask)
        except (KeyError, TypeError, ValueError) as error:
            raise HubError(
                f"the listing of {self.repository} at {self.settings.endpoint} cannot be read: {error!r}; "
                "check that endpoint is a Hub"
            ) from error
        if len(entries) > _MOST_FILES:
            raise HubError(
                f"{self.repository} lists more than {_MOST_FILES} files; choose a repository with one model"
            )
        return [_file_of(entry) for entry in entries]

    def check_access(self, name: str, commit: str) -> None:
        """Raise HubError when a file may not be fetched; nothing of it comes."""
        url = self._url(name, commit)
        self._patiently(
            lambda: self._hub.get_hf_file_metadata(url, token=self._token, timeout=self.settings.timeout)
        )

    def _url(self, name: str, commit: str) -> str:
        url: str = self._hub.hf_hub_url(
            self.repository, name, revision=commit, endpoint=self.settings.endpoint
        )
        return url

    @contextlib.contextmanager
    def reading(self, name: str, commit: str, start: int) -> t.Iterator[tuple[int, t.Iterator[bytes]]]:
        """Ask for a file from a byte on; yields the byte that it really begins with, and the blocks.

        Raises Transient for what may work in a moment, HubError for what will not.
        """
        url = self._url(name, commit)
        headers = self._hub.utils.build_hf_headers(token=self._token, library_name="private-ai-chatbot")
        # What is counted are bytes of the file, not of a compressed form of it.
        headers["Accept-Encoding"] = "identity"
        if start:
            headers["Range"] = f"bytes={start}-"
        # httpx takes the token away when a redirect leads to another host.
        with self._translated(name), self._hub.get_session().stream("GET", url, headers=headers) as answer:
            self._hub.utils.hf_raise_for_status(answer)
            yield (
                _first_byte(answer.status_code, answer.headers.get("Content-Range", "")),
                answer.iter_bytes(),
            )


def matching(names: t.Sequence[str], selection: Selection) -> list[str]:
    """Return the names that the patterns let through, by huggingface_hub's own rules."""
    found = _library().utils.filter_repo_objects(
        names, allow_patterns=selection.allow_patterns, ignore_patterns=selection.ignore_patterns
    )
    return list(found)


def _first_byte(status: int, content_range: str) -> int:
    # "bytes 100-199/200"; a server without ranges answers 200 with all of it.
    first = content_range.partition(" ")[2].partition("-")[0]
    return int(first) if status == 206 and first.isdigit() else 0


def _file_of(entry: t.Any) -> File:
    size, identity = int(entry.size), f"git:{entry.blob_id}"
    if entry.lfs is not None:
        identity = f"sha256:{entry.lfs.sha256}"
        if entry.lfs.size != size:
            raise HubError(
                f"the Hub lists {entry.path!r} with {size} and with {entry.lfs.size} bytes; report it to the "
                "repository"
            )
    kind, digest = identity.split(":", 1)
    if (
        size < 0
        or len(digest) != {"sha256": 64, "git": 40}[kind]
        or not set(digest) <= set("0123456789abcdef")
    ):
        raise HubError(
            f"the Hub lists {entry.path!r} with {size} bytes and checksum {digest!r}, which is none; report "
            "it to the repository"
        )
    return File(str(entry.path), size, identity)


def endpoint_of(wanted: str | None) -> str:
    """Return the Hub's address without a slash at its end; ValueError when it is none."""
    endpoint = (wanted or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ValueError(
            f"endpoint is {plain_url(endpoint)!r}; an address such as {DEFAULT_ENDPOINT} is expected"
        )
    return endpoint


def is_unprotected(endpoint: str) -> bool:
    """Return whether a token would travel readable for others."""
    parts = urlsplit(endpoint)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")
