from __future__ import annotations

import ipaddress
from contextlib import ExitStack

import pytest

from private_ai_chatbot import visitors
from private_ai_chatbot.errors import ApiError
from private_ai_chatbot.visitors import Visitors, parse_address, shortened, visitor_address, visitor_key

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        (
            "203.0.113.9",
            ["198.51.100.1"],
            "203.0.113.9",
        ),  # not our proxy: the header is the visitor's own text
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what stands left is forged
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.7, 10.9.9.9"], "10.0.0.7"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("fd00::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_the_address_is_the_rightmost_that_is_not_a_trusted_proxy(
    peer: str, forwarded: list[str], expected: str
) -> None:
    assert str(visitor_address(peer, forwarded, PROXIES)) == expected


def test_without_trusted_proxies_the_header_counts_for_nothing() -> None:
    assert str(visitor_address("10.0.0.1", ["198.51.100.1"], ())) == "10.0.0.1"
    assert visitor_address(None, ["198.51.100.1"], PROXIES) is None


def test_an_ipv6_network_counts_as_one_visitor() -> None:
    one, two = parse_address("2001:db8:1:2::1"), parse_address("2001:db8:1:2:ffff::9%eth0")
    assert visitor_key(one) == visitor_key(two) == "2001:db8:1:2::/64"
    assert visitor_key(parse_address("198.51.100.7")) == "198.51.100.7"
    assert visitor_key(None) == "unknown"


def test_the_log_gets_no_full_address() -> None:
    assert shortened(parse_address("198.51.100.77")) == "198.51.100.0/24"
    assert shortened(parse_address("2001:db8:1:2::1")) == "2001:db8:1::/48"


def test_the_bucket_empties_and_fills_again() -> None:
    now = [0.0]
    limits = Visitors(per_minute=60, max_open=5, clock=lambda: now[0])
    for _ in range(60):
        with limits.enter("a"):
            pass
    with pytest.raises(ApiError) as caught, limits.enter("a"):
        pass
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    with limits.enter("b"):
        pass
    now[0] = 1.0
    with limits.enter("a"):
        pass


def test_open_requests_are_limited_and_given_back() -> None:
    limits = Visitors(per_minute=0, max_open=2)
    with ExitStack() as stack:
        stack.enter_context(limits.enter("a"))
        stack.enter_context(limits.enter("a"))
        with pytest.raises(ApiError) as caught, limits.enter("a"):
            pass
        assert caught.value.code == "too_many_open_requests"
    with limits.enter("a"):
        pass
    assert limits._open == {}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "_REMEMBERED", 10)
    limits = Visitors(per_minute=1, max_open=1)
    for number in range(100):
        with limits.enter(str(number)):
            pass
    assert len(limits._buckets) == 10
