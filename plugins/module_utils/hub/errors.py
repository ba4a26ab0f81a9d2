# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What the Hub's refusals mean, with the remedy; pure, so that every one of them is tested."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit, urlunsplit

#: Longest wait that the Hub may ask for before this run gives up, in seconds.
LONGEST_WAIT = 300.0


class HubError(Exception):
    """The Hub, or the way to it, refuses; the message has the remedy."""


class Transient(Exception):
    """Something that may work in a moment; ``wait`` is how long the Hub asks to wait, or None."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class About(t.NamedTuple):
    """What was asked for, for messages."""

    endpoint: str
    repository: str
    revision: str
    has_token: bool


def without_secrets(text: str, secrets: t.Iterable[str]) -> str:
    """Return a text without the given secrets."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "********")
    return text


def plain_url(url: str) -> str:
    """Return an address without user, password and the query, which may hold a signature."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def waiting_time(headers: t.Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks to wait, by ``Retry-After`` or the rate limit's headers."""
    lower = {name.lower(): value for name, value in headers.items()}
    for field in lower.get("ratelimit", "").split(";"):
        value = field.strip().removeprefix("t=")
        if value != field.strip() and value.isdigit() and ";r=0" in lower["ratelimit"].replace(" ", ""):
            return float(value)
    after = lower.get("retry-after", "").strip()
    return float(after) if after.isdigit() else None


def _revision_remedy(about: About) -> str:
    return (
        f"{about.repository} has no revision {about.revision!r} at {about.endpoint}; give a commit (40 "
        "hexadecimal digits), branch or tag that it has"
    )


def explain(status: int, code: str, said: str, about: About, name: str | None = None) -> str:
    """Return the message for an answer that refuses.

    :param code: the Hub's own word for it (``X-Error-Code``), empty when there is none.
    :param said: what else the Hub says.
    :param name: the file that was asked for, None for the repository itself.
    """
    where = f"{about.repository} at {about.endpoint}"
    heard = f" ({said})" if said else ""
    page = f"{about.endpoint}/{about.repository}"
    if code == "RevisionNotFound":
        return _revision_remedy(about)
    if code == "EntryNotFound" and name:
        return (
            f"{name} is listed in {where}, but it is not there (404); try again, or report it to the "
            "repository"
        )
    if code == "GatedRepo":
        if about.has_token:
            return (
                f"{where} is gated and the token's account has no access yet{heard}; accept its conditions "
                f"at {page} with that account, then try again"
            )
        return (
            f"{where} is gated{heard}; accept its conditions at {page} and give that account's token (token "
            "or token_file)"
        )
    if status == 401 and about.has_token and code != "RepoNotFound":
        return (
            f"{about.endpoint} refuses the token (401){heard}; give a valid one with read access, such as "
            f"one made at {about.endpoint}/settings/tokens"
        )
    if status in (401, 404):
        hint = (
            "the token's account may have no access to it"
            if about.has_token
            else "a private or gated one needs token or token_file"
        )
        return f"{where} was not found ({status}); check the name's spelling (owner/name); {hint}"
    if status == 403:
        return (
            f"{where} refuses access (403){heard}; the token needs read access to this repository, and a "
            "mirror or proxy in between may refuse as well"
        )
    if status == 416 and name:
        return f"{name} of {where} is shorter than the Hub lists; report it to the repository or mirror"
    if status == 429:
        return (
            f"{about.endpoint} still limits the rate (429){heard}; try again later, or give a token: "
            "signed-in accounts may ask more"
        )
    if status >= 500:
        return f"{about.endpoint} answers {status}{heard}; try again later, what was fetched so far is kept"
    return f"{where} answers {status}{heard}; check endpoint, repository and revision"


def unreachable(about: About, reason: str) -> str:
    """Return the message for a Hub that cannot be talked to."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return (
            f"the certificate of {about.endpoint} is not trusted: {reason}; give the bundle of its CA "
            "(ca_bundle)"
        )
    return (
        f"{about.endpoint} cannot be reached: {reason}; check the network, endpoint and proxy, then try "
        "again: what was fetched so far is kept"
    )
