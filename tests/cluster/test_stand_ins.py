"""What the stand-ins make of objects, where a running cluster would not show it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.nginx_config import COMMUNITY, F5, Location, Server, annotations_of, render
from tests.cluster.policies import Pod, World, selects
from tests.cluster.policies import render as render_policies


@pytest.mark.parametrize(
    "selector, chosen",
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "1", "b": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors(selector: dict[str, Any], chosen: bool) -> None:
    assert selects(selector, {"a": "1"}) is chosen


def rules(spec: dict[str, Any], direction: str) -> list[str] | None:
    """What a policy lets through for a pod that has a friend and a named port."""
    pod = Pod("one", "10.0.0.1", "node-1", {"app": "web"}, {("http", "TCP"): 8080})
    friend = Pod("two", "10.0.0.2", "node-2", {"app": "friend"}, {("http", "TCP"): 9090})
    found = {"metadata": {"namespace": "one", "name": "p"}, "spec": {"podSelector": {}, **spec}}
    return World([pod, friend], {"one": {}, "two": {"team": "b"}}, [found]).rules(pod, direction)


TEAM = {"namespaceSelector": {"matchLabels": {"team": "b"}}}


@pytest.mark.parametrize(
    "spec, direction, lines",
    [
        ({"policyTypes": ["Egress"], "egress": []}, "in", None),
        ({"policyTypes": ["Ingress"]}, "in", []),
        ({"policyTypes": ["Ingress"], "ingress": [{}]}, "in", ["return"]),
        ({"policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}, "in", 1),
        ({"policyTypes": ["Ingress"], "ingress": [{"from": [TEAM]}]}, "in", ["ip saddr { 10.0.0.2 } return"]),
        (
            {"policyTypes": ["Egress"], "egress": [{"to": [TEAM], "ports": [{"port": "http"}]}]},
            "out",
            ["ip daddr 10.0.0.2 tcp dport 9090 return"],
        ),
        (
            {
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
                        "ports": [{"port": 8000, "endPort": 8010, "protocol": "UDP"}, {"port": "nobody"}],
                    }
                ],
            },
            "in",
            ["ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16 } udp dport 8000-8010 return"],
        ),
        # Nobody is chosen: nobody comes in.
        (
            {
                "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}],
            },
            "in",
            [],
        ),
    ],
)
def test_rules_of_policies(spec: dict[str, Any], direction: str, lines: list[str] | int | None) -> None:
    found = rules(spec, direction)
    assert (found if not isinstance(lines, int) else len(found or [])) == lines


def test_only_pods_that_a_policy_is_about_get_a_chain() -> None:
    pods = [
        Pod("one", "10.0.0.1", "node-1"),
        Pod("two", "10.0.0.2", "node-1"),
        Pod("one", "10.0.0.3", "node-2"),
    ]
    deny = {"metadata": {"namespace": "one", "name": "p"}, "spec": {"policyTypes": ["Ingress"]}}
    table = render_policies(World(pods, {}, [deny]), "node-1")
    assert "ip daddr 10.0.0.1 jump in-10-0-0-1" in table
    assert "10.0.0.2" not in table and "10.0.0.3" not in table and "ip saddr" not in table


def test_annotations_are_those_of_the_controller_and_cannot_leave_their_directive() -> None:
    metadata = {
        "name": "web",
        "namespace": "one",
        "annotations": {
            "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
            "nginx.ingress.kubernetes.io/proxy-buffering": "off; return 200 owned",
            "nginx.ingress.kubernetes.io/sticky": "yes",
            "nginx.org/proxy-read-timeout": "60s",
            "example.org/other": "x",
        },
    }
    known, wrong = annotations_of({"metadata": metadata}, COMMUNITY)
    assert known == {"proxy-read-timeout": "3600"}
    assert [line.split(": ", 1)[1].split(" is ", 1)[1][:7] for line in wrong] == ["refused", "not kno"]
    assert annotations_of({"metadata": metadata}, F5)[0] == {"proxy-read-timeout": "60s"}


def test_settings_and_redirects_in_nginxs_words() -> None:
    known = {"proxy-read-timeout": "3600", "proxy-buffering": "False"}
    place = Location("/chat/", "Prefix", "web.one.80", ("10.0.0.1:8080",), known)
    text = render({"a.example": Server([place], "/x")}, "10.0.0.9", "/f")
    for line in (
        "location = /chat {",
        "location /chat/ {",
        "proxy_read_timeout 3600;",
        "proxy_buffering off;",
        "server 10.0.0.1:8080;",
        "if ($scheme = http) { return 308",
        "ssl_certificate /x.crt;",
    ):
        assert line in text
    bare = render({"a.example": Server([Location("/", "Prefix", "web.one.80", ())])}, "10.0.0.9", "/f")
    assert "return 503;" in bare and "proxy_buffering" not in bare and "return 308" not in bare
