"""The ways of exposure that need more than Kubernetes itself has: a Route, and an HTTPRoute on a Gateway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.public_chatbot.kinds import kinds
from tests.public_chatbot.place import Object, Place
from tests.public_chatbot.test_role import IMAGE, KEY, RUN

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
