# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wanted, from options to the object."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import InvalidValue
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    CONNECTOR,
    LISTENER,
    SITE,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.render import (
    arguments,
    bare,
    complete,
    predicted,
    selector_text,
)


@pytest.mark.parametrize(
    "platform, spec, expected",
    [
        ("kubernetes", {}, []),
        ("kubernetes", {"linkAccess": "none", "ha": False}, []),
        ("kubernetes", {"linkAccess": "route"}, ["--enable-link-access", "--link-access-type", "route"]),
        # The command does not know these, the CRD does.
        ("kubernetes", {"linkAccess": "nodeport"}, ["--enable-link-access"]),
        ("kubernetes", {"ha": True}, ["--enable-ha"]),
        ("linux", {"linkAccess": "default"}, ["--enable-link-access"]),
    ],
)
def test_arguments_of_a_site(platform: str, spec: dict[str, Any], expected: list[str]) -> None:
    assert arguments(SITE, platform, "east", spec) == ["site", "generate", "east", *expected]


@pytest.mark.parametrize(
    "selector, expected",
    [
        ("app=web", ["--selector", "app=web"]),
        # The command refuses these; they are merged into what it renders.
        ("app=a,tier=b", []),
        ("my_label=x", []),
    ],
)
def test_arguments_of_a_connector(selector: str, expected: list[str]) -> None:
    spec = {"port": 80, "routingKey": "k", "selector": selector}
    assert arguments(CONNECTOR, "kubernetes", "web", spec) == [
        *["connector", "generate", "web", "80", "--routing-key", "k"],
        *expected,
    ]


def test_what_the_command_cannot_express_is_merged_and_its_guesses_are_not_believed() -> None:
    rendered = bare(CONNECTOR, "n", "web")
    rendered["spec"] = {"port": 80, "routingKey": "web", "selector": "app=web", "type": "tcp"}
    params = {"labels": {"team": 1}, "annotations": None}
    spec = {
        "port": 80,
        "routingKey": "web",
        "host": "10.0.0.1",
        "verifyHostname": True,
        "useClientCert": False,
        "settings": {"a": "b"},
    }
    found = complete(rendered, CONNECTOR, params, spec)
    assert found["metadata"] == {"name": "web", "namespace": "n", "labels": {"team": "1"}}
    assert found["spec"] == {
        "port": 80,
        "routingKey": "web",
        "host": "10.0.0.1",
        "type": "tcp",
        "verifyHostname": True,
        "settings": {"a": "b"},
    }


def test_without_the_command_the_prediction_is_the_same() -> None:
    spec = {"port": 8000, "routingKey": "a", "host": "0.0.0.0", "observer": "auto"}
    rendered = bare(LISTENER, "n", "a")
    rendered["spec"] = {"host": "0.0.0.0", "port": 8000, "routingKey": "a", "type": "tcp"}
    assert complete(predicted(LISTENER, "n", "a"), LISTENER, {}, spec) == complete(
        rendered, LISTENER, {}, spec
    )
    assert "spec" not in complete(predicted(SITE, "n", "a"), SITE, {}, {"linkAccess": "none"})


def test_options_that_are_not_given_are_left_out() -> None:
    assert LISTENER.spec({"port": 1, "listener_host": None, "settings": {"x": True}}) == {
        "port": 1,
        "settings": {"x": "True"},
    }


@pytest.mark.parametrize(
    "selector, expected",
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"app": "web"}, "app=web"),  # a Service
        (
            {
                "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["y", "x"]},
                    {"key": "old", "operator": "DoesNotExist"},
                    {"key": "new", "operator": "Exists"},
                    {"key": "env", "operator": "NotIn", "values": ["dev"]},
                ]
            },
            "tier in (x,y),!old,new,env notin (dev)",
        ),
    ],
)
def test_selector_of_a_workload(selector: dict[str, Any], expected: str) -> None:
    assert selector_text(selector) == expected


@pytest.mark.parametrize("port", [0, -1, 65536, 99999])
def test_ports_the_command_lets_through(port: int) -> None:
    with pytest.raises(InvalidValue, match=f"port is {port}; a port is between 1 and 65535"):
        validate.port("port", port)


@pytest.mark.parametrize(
    "value, platform, good",
    [
        ("a.b", "kubernetes", True),
        ("a.b", "linux", False),
        ("a-1", "linux", True),
        ("Bad", "kubernetes", False),
        ("a_b", "kubernetes", False),
        ("-a", "kubernetes", False),
        ("a" * 64, "podman", False),
    ],
)
def test_names(value: str, platform: str, good: bool) -> None:
    if good:
        validate.name("name", value, platform)
    else:
        with pytest.raises(InvalidValue, match="name is"):
            validate.name("name", value, platform)


@pytest.mark.parametrize(
    "value, good", [("::1", True), ("a.example", True), ("A.example", False), ("a_b", False)]
)
def test_hosts(value: str, good: bool) -> None:
    if good:
        validate.host("host", value)
    else:
        with pytest.raises(InvalidValue, match="small letters"):
            validate.host("host", value)
