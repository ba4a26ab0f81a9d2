"""Options that the other tests leave alone: the API server takes the objects, and they stay as they are."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.filter.chatbot import chatbot_objects

from tests.public_chatbot.kinds import kinds
from tests.public_chatbot.place import ROOT, Object, Place

pytestmark = pytest.mark.extended

DEFAULTS: Object = yaml.safe_load((ROOT / "roles/public_chatbot/defaults/main.yml").read_text())
#: What a cluster tells where an adapter counts open answers, which here none does.
CLUSTER: Object = {"ingress": {"class": "nginx"}, "custom_metrics": ["pods/chatbot_streams_in_flight"]}
OPTIONS: dict[str, tuple[str, str, Object, Object]] = {
    "open answers": (
        "HorizontalPodAutoscaler",
        "chatbot",
        {"max_replicas": 4, "target_streams": 20},
        {"metrics": ["Pods", "Resource"]},
    ),
    "load balancer": (
        "Service",
        "chatbot-lb",
        {
            "exposure": "loadbalancer",
            "load_balancer_class": "example.com/lb",
            "load_balancer_source_ranges": ["192.0.2.0/24", "2001:db8::/32"],
        },
        {
            "loadBalancerClass": "example.com/lb",
            "loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8::/32"],
        },
    ),
    "TLS of one's own": (
        "Ingress",
        "chatbot",
        {"exposure": "ingress", "host": "chat.example.com", "tls_secret": "theirs"},
        {"tls": [{"hosts": ["chat.example.com"], "secretName": "theirs"}]},
    ),
    "cert-manager": (
        "Ingress",
        "chatbot",
        {
            "exposure": "ingress",
            "host": "chat.example.com",
            "tls_issuer": "letsencrypt",
            "tls_issuer_kind": "Issuer",
        },
        {"annotations": {"cert-manager.io/issuer": "letsencrypt"}},
    ),
    "gateway": (
        "HTTPRoute",
        "chatbot",
        {"exposure": "gateway", "gateway": "web", "gateway_namespace": "gw", "gateway_section": "https"},
        {
            "parentRefs": [
                {
                    "group": "gateway.networking.k8s.io",
                    "kind": "Gateway",
                    "name": "web",
                    "namespace": "gw",
                    "sectionName": "https",
                }
            ]
        },
    ),
}


def apply(place: Place, given: Object) -> bool:
    """Make the objects for these variables; whether anything changed."""
    variables = {**DEFAULTS, **{f"public_chatbot_{name}": value for name, value in given.items()}}
    objects = chatbot_objects(variables, CLUSTER, "kubernetes", "registry.example.com/chatbot@sha256:0")
    done = place.objects(objects=objects)
    assert not done.get("failed"), done
    return bool(done["changed"])


def taken(place: Place, given: Object, kind: str, name: str, expected: Object) -> None:
    """The server takes it whole, and a second run leaves it as it is."""
    assert apply(place, given)
    written = place.fingerprint()
    assert not apply(place, given) and place.fingerprint() == written
    live = place.there(kind, name)
    found = {**live["spec"], "annotations": live["metadata"].get("annotations")}
    if "metrics" in expected:
        found["metrics"] = sorted(one["type"] for one in found["metrics"])
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("option", OPTIONS)
def test_the_server_takes_it_and_it_stays_as_it_is(place: Place, place_client: Any, option: str) -> None:
    kind, name, given, expected = OPTIONS[option]
    if kind == "HTTPRoute":
        with kinds(place_client, "gateway"):
            taken(place, given, kind, name, expected)
    else:
        taken(place, given, kind, name, expected)
