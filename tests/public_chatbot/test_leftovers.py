"""What the role made under other settings goes with the next run, and all of it with `absent`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.public_chatbot.kinds import kinds
from tests.public_chatbot.place import Object, Place
from tests.public_chatbot.test_role import IMAGE, KEY, RUN

REMOVAL = "Removal | Objects of the chatbot"
MONITORING = "ConfigMap/private-ai-dashboard"
BUILD = ["BuildConfig/chatbot", "ImageStream/chatbot"]
GIVEN: Object = {
    "public_chatbot_api_key": KEY,
    "public_chatbot_image": IMAGE,
    "public_chatbot_exposure": "none",
}
GONE = {**GIVEN, "public_chatbot_state": "absent"}


def removed(result: Object) -> list[str]:
    return [one["object"] for one in result["changes"] if one["action"] == "removed"]


@pytest.mark.extended
def test_monitoring_that_is_not_wanted_any_more_goes(place: Place) -> None:
    watched = {**GIVEN, "public_chatbot_monitoring": True}
    assert place.play(**watched).changed == 2 and place.get("ConfigMap", "private-ai-dashboard")
    predicted, done = place.play(check=True, **GIVEN), place.play(**GIVEN)
    assert predicted.changed == done.changed == 1
    assert removed(predicted.task(RUN)) == removed(done.task(RUN)) == [MONITORING]
    assert place.get("ConfigMap", "private-ai-dashboard") is None
    assert place.play(**GIVEN).changed == 0

    place.play(**watched)
    for play in (place.play(check=True, **GONE), place.play(**GONE)):
        assert {MONITORING, f"Namespace/{place.namespace}"} <= set(removed(play.task(REMOVAL)))
    assert place.get("ConfigMap", "private-ai-dashboard") is None


@pytest.mark.extended
def test_what_openshift_built_goes_with_another_source_of_the_image(
    place: Place, place_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stand-in for `oc`, whose upload needs an OpenShift.
    program = tmp_path / "oc"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    built = {**GIVEN, "public_chatbot_image": "", "public_chatbot_image_source": "openshift"}
    with kinds(place_client, "openshift"):
        assert place.play(**built).changed == 3
        assert place.get("BuildConfig", "chatbot") and place.get("ImageStream", "chatbot")
        assert removed(place.play(**GIVEN).task(RUN)) == BUILD
        assert place.get("BuildConfig", "chatbot") is None and place.get("ImageStream", "chatbot") is None

        place.play(**built)
        assert set(BUILD) <= set(removed(place.play(**GONE).task(REMOVAL)))
        assert place.get("BuildConfig", "chatbot") is None and place.get("ImageStream", "chatbot") is None
