# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is understood of a router's answer, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import amqp, routers
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.amqp import Described, Symbol, UInt


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        7,
        UInt(70000),
        "word",
        Symbol("EXTERNAL"),
        b"\x00\x01",
        [],
        ["a", None, ["b"]],
        {"a": 1, "b": [True]},
        Described(0x77, {"statusCode": 200}),
    ],
)
def test_what_is_said_is_understood(value: Any) -> None:
    assert amqp.Reader(amqp.encode(value)).value() == value


@pytest.mark.parametrize(
    "data, value",
    [
        (b"\x43", 0),
        (b"\x52\x07", 7),
        (b"\x71\xff\xff\xff\xff", -1),
        (b"\x80" + bytes(7) + b"\x05", 5),
        (b"\x56\x01", True),
        (b"\xa1\x02ab", "ab"),
        (b"\xa3\x02ab", "ab"),
        (b"\xa0\x01x", b"x"),
        (b"\xc0\x03\x02\x43\x41", [0, True]),
        (b"\xc1\x06\x02\xa1\x01a\x52\x05", {"a": 5}),
        # An array says once of what it is.
        (b"\xe0\x08\x02\xa3\x02ab\x02cd", ["ab", "cd"]),
        (b"\x00\x80" + bytes(7) + b"\x24\x45", Described(0x24, [])),
    ],
)
def test_the_forms_that_others_choose(data: bytes, value: Any) -> None:
    assert amqp.Reader(data).value() == value


@pytest.mark.parametrize("data", [b"\xa1\x05ab", b"\x99", b"\x70\x01"])
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises(amqp.Malformed):
        amqp.Reader(data).value()


def read_from(data: bytes) -> Any:
    """A reader of exactly so many bytes."""
    rest = bytearray(data)

    def read(length: int) -> bytes:
        found = bytes(rest[:length])
        del rest[:length]
        return found

    return read


def test_frames() -> None:
    said = amqp.frame(Described(amqp.TRANSFER, [UInt(1)]), b"payload")
    # One without a body only shows that somebody is there.
    read = read_from(struct.pack(">IBBH", 8, 2, 0, 0) + said)
    assert amqp.read_frame(read) == (None, b"")
    assert amqp.read_frame(read) == (Described(amqp.TRANSFER, [1]), b"payload")


@pytest.mark.parametrize("size, offset", [(7, 2), (1 << 20, 2), (12, 1), (12, 4)])
def test_a_frame_that_cannot_be(size: int, offset: int) -> None:
    with pytest.raises(amqp.Malformed, match=f"{size} bytes from {4 * offset}"):
        amqp.read_frame(read_from(struct.pack(">IBBH", size, offset, 0, 0) + bytes(8)))


def test_only_open_links_count() -> None:
    link = {"container": "east-1", "role": "inter-router", "dir": "in", "opened": True}
    answer = [
        {**link, "container": "tool", "role": "normal"},
        {**link, "container": "late", "opened": False},
        {**link, "container": "north-1", "role": "edge"},
        link,
    ]
    assert [one["router"] for one in routers.peers(answer)] == ["east-1", "north-1"]
    assert routers.peers([link]) == [{"router": "east-1", "role": "inter-router", "direction": "in"}]
    dialled = [
        {"name": "b", "role": "inter-router", "connectionStatus": "CONNECTING"},
        {"name": "a", "role": "edge", "connectionStatus": "SUCCESS"},
        {"name": "auto-mesh", "role": "route-container", "connectionStatus": "SUCCESS"},
    ]
    assert routers.own_links(dialled) == [{"name": "a", "open": True}, {"name": "b", "open": False}]


@pytest.mark.parametrize("text", ["", "[]", "[1]", '[["router", {"id": "r"}]]'])
def test_a_configuration_that_does_not_say_how(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "runtime/router"
    folder.mkdir(parents=True)
    (folder / "skrouterd.json").write_text(text)
    found = routers.ask(str(tmp_path))
    assert "does not say how the router is asked" in found["message"] and found["name"] is None


def test_a_router_that_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "runtime/router"
    folder.mkdir(parents=True)
    entities = [["router", {"id": "r"}], ["listener", {"role": "normal", "port": 1}]]
    (folder / "skrouterd.json").write_text(json.dumps(entities))
    found = routers.ask(str(tmp_path))
    assert "the router does not answer on 127.0.0.1:1: " in found["message"]
    assert found["name"] == "r" and found["peers"] == found["links"] == []
