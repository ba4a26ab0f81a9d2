"""Who is asking, and how often: the limits for each visitor, counted by this replica alone."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .config import Network
from .errors import ApiError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_REMEMBERED = 20000  # visitors; the one not seen for longest is forgotten first
_MAX_HOPS = 32


def parse_address(text: str) -> Address | None:
    """The address in one element of X-Forwarded-For; ports, brackets and zones are dropped."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def visitor_address(peer: str | None, forwarded: list[str], trusted: tuple[Network, ...]) -> Address | None:
    """The visitor's address: the right-most one that is not a trusted proxy.

    `forwarded` are the values of all X-Forwarded-For headers in order. They count only when the peer itself
    is trusted; what stands left of the first untrusted address is what a visitor may have written himself.
    """
    address = parse_address(peer) if peer else None
    if address is None or not is_among(address, trusted):
        return address
    hops = [hop for header in forwarded for hop in header.split(",")]
    for hop in reversed(hops[-_MAX_HOPS:]):
        found = parse_address(hop)
        if found is None:
            return address
        address = found
        if not is_among(address, trusted):
            return address
    return address


def is_among(address: Address | None, networks: tuple[Network, ...]) -> bool:
    """Whether the address is in one of the networks."""
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


def visitor_key(address: Address | None) -> str:
    """What is counted as one visitor: an IPv4 address, or an IPv6 /64 (one household or machine)."""
    if address is None:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)


def shortened(address: Address | None) -> str:
    """For the log: the network only, never a full address (IPv4 /24, IPv6 /48)."""
    if address is None:
        return "unknown"
    bits, keep = (32, 24) if address.version == 4 else (128, 48)
    network = ipaddress.ip_network((int(address) >> (bits - keep) << (bits - keep), keep))
    return str(network)


class Visitors:
    """Token bucket and number of open requests for each visitor, in bounded memory."""

    def __init__(self, per_minute: int, max_open: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._max_open = max_open
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._open: dict[str, int] = {}  # bounded by the number of connections

    @contextmanager
    def enter(self, key: str) -> Iterator[None]:
        """Counts one request for as long as the block runs. Raises ApiError 429."""
        count = self._open.get(key, 0)
        if count >= self._max_open:
            raise _limited(
                f"{count} of your requests are open; at most {self._max_open} are allowed at once. "
                "Wait until one of them ends.",
                "too_many_open_requests",
                5,
            )
        self._take(key)
        self._open[key] = count + 1
        try:
            yield
        finally:
            left = self._open[key] - 1
            if left:
                self._open[key] = left
            else:
                del self._open[key]

    def _take(self, key: str) -> None:
        if not self._per_minute:
            return
        now = self._clock()
        tokens, then = self._buckets.pop(key, (float(self._per_minute), now))
        tokens = min(float(self._per_minute), tokens + (now - then) * self._per_minute / 60)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = math.ceil((1 - tokens) * 60 / self._per_minute)
            raise _limited(
                f"You have asked more than {self._per_minute} times in a minute. "
                f"Try again in {wait} second{'s' if wait != 1 else ''}.",
                "rate_limit_exceeded",
                wait,
            )


def _limited(message: str, code: str, retry_after: int) -> ApiError:
    return ApiError(
        429, message, code=code, kind="rate_limit_error", retry_after=retry_after, outcome="rate_limited"
    )
