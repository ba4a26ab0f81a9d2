"""The ways of exposure that need more than Kubernetes itself has: a Route, and an HTTPRoute on a Gateway."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.plugin_utils.chatbot.workload import SERVING_CERTIFICATE

from tests.public_chatbot.kinds import kinds
from tests.public_chatbot.place import Object, Place, Play
from tests.public_chatbot.test_role import IMAGE, KEY, RUN

pytestmark = pytest.mark.extended

WAYS: dict[str, tuple[str, Object]] = {
    # That it is one is found out, and with it the way of exposure.
    "openshift": ("Route", {}),
    "gateway": (
        "HTTPRoute",
        {"public_chatbot_exposure": "gateway", "public_chatbot_gateway": "web"},
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_the_server_takes_them_and_they_stay_as_they_are(place: Place, place_client: Any, name: str) -> None:
    kind, settings = WAYS[name]
    given = {
        "public_chatbot_image": IMAGE,
        "public_chatbot_api_key": KEY,
        "public_chatbot_host": "chat.example.com",
        "public_chatbot_path": "/chat",
        **settings,
    }
    with kinds(place_client, name):
        changes = place.play(**given).task(RUN)["changes"]
        assert {"object": f"{kind}/chatbot", "action": "created"} in changes
        written, spec = place.fingerprint(), place.there(kind, "chatbot")["spec"]
        assert "chat.example.com" in (spec.get("host"), *spec.get("hostnames", []))
        assert place.play(**given).changed == 0 and place.fingerprint() == written
        if kind == "Route":
            encrypts_again(place, given)


def encrypts_again(place: Place, given: Object) -> None:
    """The six beats of a Route that goes from edge to reencrypt and back."""
    assert place.there("Route", "chatbot")["spec"]["tls"]["termination"] == "edge"
    before, again = place.fingerprint(), {**given, "public_chatbot_route_termination": "reencrypt"}
    changed = {f"{kind}/chatbot" for kind in ("Route", "Service", "Deployment")}

    def became(play: Play) -> set[str]:
        assert play.changed == 1
        return {one["object"] for one in play.task(RUN)["changes"] if one["action"] == "changed"}

    assert became(place.play(check=True, **again)) == changed and place.fingerprint() == before
    assert became(place.play(**again)) == changed
    assert place.there("Route", "chatbot")["spec"]["tls"]["termination"] == "reencrypt"
    pod = place.there("Deployment", "chatbot")["spec"]["template"]["spec"]
    asked = place.there("Service", "chatbot")["metadata"]["annotations"][SERVING_CERTIFICATE]
    assert [one["secret"]["secretName"] for one in pod["volumes"] if one["name"] == "certificate"] == [asked]
    written = place.fingerprint()
    assert place.play(**again).changed == 0 and place.fingerprint() == written

    place.edit("Route", "chatbot", {"spec": {"tls": {"termination": "passthrough"}}})
    assert became(place.play(**again)) == {"Route/chatbot"}
    assert place.there("Route", "chatbot")["spec"]["tls"]["termination"] == "reencrypt"
    assert became(place.play(**given)) == changed
    assert SERVING_CERTIFICATE not in place.there("Service", "chatbot")["metadata"].get("annotations", {})
