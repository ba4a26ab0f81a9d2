"""The other half of a redemption: what a grant server answers. Who serves it is not here.

The counter moves before the answer is made, so that an answer that is lost costs a redemption, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from .encode import clean, to_yaml
from .kinds import Resource

Answer = tuple[HTTPStatus, str]
# Makes the Secret and the Links for (name of the token, subject that redeems it).
Maker = Callable[[str, str], list[Resource]]


@dataclass
class Grant:
    """A grant: its code, how often it can be redeemed, and until when."""

    code: str
    allowed: int = 1
    expires: float = float("inf")
    redeemed: int = 0


def answer(grant: Grant | None, code: str, name: str, subject: str, make: Maker) -> Answer:
    """The answer to a POST of a code; `grant` is the one that its URL names."""
    if grant is None or time.time() > grant.expires:
        return HTTPStatus.NOT_FOUND, "No such claim\n"
    if grant.redeemed >= grant.allowed:
        return HTTPStatus.NOT_FOUND, "No such access granted\n"
    if code != grant.code:
        return HTTPStatus.FORBIDDEN, "Redemption of access token refused\n"
    grant.redeemed += 1
    return HTTPStatus.OK, "".join(f"---\n{to_yaml(clean(one))}" for one in make(name, subject))
