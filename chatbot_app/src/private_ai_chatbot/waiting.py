"""Who waits for the model here, and what the gateway says about its queue.

This application queues nothing: every question goes to the gateway at once, and the gateway's queue is the
only one. What is kept here is only the order in which visitors of this replica came, to tell each of them an
estimated place. One poller asks `/gateway/status` for all of them, and only while somebody waits.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from .upstream import Unreachable, Upstream

log = logging.getLogger("private_ai_chatbot.waiting")

_FIRST_POLL_SECONDS = 0.2  # most answers begin before, and then nobody is asked anything
_ON_THE_WAY_SECONDS = 0.1  # from here to the gateway's queue
#: What `Backend.condition` can be.
STATES = ("online", "busy", "no_replica", "unreachable", "key_refused", "not_asked_yet")

_NO_GATEWAY_SECONDS = 60.0  # ADDRESS is `ilab` itself: each of our questions would take its one connection


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """What `/gateway/status` reports."""

    queued: int
    active: int
    up: int
    limit: int


class Backend:
    """The last known state of the model, refreshed on demand and shared by all who ask."""

    def __init__(self, upstream: Upstream, fresh_seconds: float = 2.0) -> None:
        self._upstream = upstream
        self._fresh_seconds = fresh_seconds
        self._checked = float("-inf")
        self.asked_at = float("-inf")  # monotonic time of the question that `gateway` answers
        self._without_gateway_until = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self.gateway: GatewayStatus | None = None
        self.round_trip: float | None = None  # seconds until `gateway` was told
        self.reason: str | None = "not_asked_yet"

    @property
    def state(self) -> str:
        """online, busy or offline, from what is known without asking."""
        if self.reason == "busy":
            return "busy"
        if self.reason is not None:
            return "offline"
        if self.gateway and (self.gateway.queued or self.gateway.active >= self.gateway.up):
            return "busy"
        return "online"

    @property
    def condition(self) -> str:
        """The state, and for `offline` the reason of it: one of STATES."""
        return self.state if self.reason is None else self.reason

    async def refresh(self, max_age: float | None = None) -> None:
        """Asks the gateway unless the last answer is younger than `max_age`; one question for all callers."""
        now = time.monotonic()
        age = self._fresh_seconds if max_age is None else max_age
        if now - self._checked < age or now < self._without_gateway_until:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._ask())
        await asyncio.shield(self._refreshing)

    async def _ask(self) -> None:
        asked_at = time.monotonic()
        try:
            response = await self._upstream.status()
        except httpx.TransportError:
            self.gateway, self.reason = None, "unreachable"
        else:
            self._take(response)
        self.asked_at = asked_at
        self._checked = time.monotonic()
        self.round_trip = self._checked - asked_at

    def _take(self, response: httpx.Response) -> None:
        self.gateway = None
        if response.status_code == 200 and (status := _parse(response.extensions.get("content", b""))):
            self.gateway = status
            self.reason = None if status.up else "no_replica"
        elif response.status_code in (401, 403):
            self._upstream.reload_key()
            self.reason = "key_refused"
        elif response.status_code == 503:
            self.reason = "busy"
        else:  # some other server: alive, but without a queue to report
            self.reason = None
            self._without_gateway_until = time.monotonic() + _NO_GATEWAY_SECONDS

    def answered(self) -> None:
        """A question has just been answered, so the model is there."""
        if self.gateway is None:
            self.reason = None

    def failed(self, error: Unreachable) -> None:
        """A question has just found nobody at the model's address, or no replica behind the gateway."""
        self.gateway, self.reason = None, "no_replica" if error.retry_after is not None else "unreachable"


def _parse(content: bytes) -> GatewayStatus | None:
    try:
        value = json.loads(content)
        numbers = [value[name] for name in ("queued", "active", "up", "limit")]
    except (ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        return None
    return GatewayStatus(*numbers)


class Waiter:
    """One question that the model has not begun to answer."""

    def __init__(self, notify: Callable[[int, GatewayStatus], None] | None) -> None:
        self.notify = notify
        self.joined = time.monotonic()
        self.position: int | None = None


class WaitingLine:
    """The waiting visitors of this replica, in order of arrival."""

    def __init__(self, backend: Backend, poll_seconds: float) -> None:
        self._backend = backend
        self._poll_seconds = poll_seconds
        self._waiters: dict[Waiter, None] = {}
        self._watching = 0
        self._poller: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def join(self, notify: Callable[[int, GatewayStatus], None] | None = None) -> Waiter:
        """Adds a question at the end; `notify` (if any) is called with each new place."""
        waiter = Waiter(notify)
        self._waiters[waiter] = None
        if notify is not None:
            self._watching += 1
            if self._poller is None or self._poller.done():
                self._poller = asyncio.create_task(self._poll())
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """The answer begins, or the visitor has gone. May be called twice."""
        if waiter in self._waiters:
            del self._waiters[waiter]
            self._watching -= waiter.notify is not None

    async def _poll(self) -> None:
        await asyncio.sleep(min(_FIRST_POLL_SECONDS, self._poll_seconds))
        while self._watching:
            await self._backend.refresh(max_age=self._poll_seconds / 2)
            if self._backend.gateway is not None:
                self.tell(self._backend.gateway, self._backend.asked_at)
            await asyncio.sleep(self._poll_seconds)

    def tell(self, status: GatewayStatus, asked_at: float) -> None:
        """Works out every waiter's place (0: the model is reading the question) and reports changes.

        The gateway's queue is first in, first out. Of its `queued` requests those of our own visitors who
        came later stand behind; the others may have come before or after, so a place never gets worse again.
        Who came only just before the gateway was asked (`asked_at`, monotonic) may not be in its answer yet.
        """
        counted = [waiter for waiter in self._waiters if waiter.joined < asked_at]
        slots = max(status.up, 1)
        for index, waiter in enumerate(counted):
            if waiter.joined > asked_at - _ON_THE_WAY_SECONDS:
                break
            behind = len(counted) - 1 - index
            place = max(status.queued - behind, index + 1 - slots, 0) if status.queued else 0
            if waiter.position is not None:
                place = min(place, waiter.position)
            if place != waiter.position and (place > 0 or waiter.position is not None):
                waiter.position = place
                if waiter.notify is not None:
                    waiter.notify(place, status)

    async def aclose(self) -> None:
        """Stops the poller."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
