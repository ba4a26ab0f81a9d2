"""Role public_chatbot on a real API server: six beats, ways of exposure, sources of the key, problems."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.public_chatbot.place import Object, Place

IMAGE = "registry.example.com/chat/chatbot@sha256:" + "0" * 64
KEY = "k3y-of-the-test-that-nobody-may-see"
CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
RUN = "Objects of the chatbot"
EXPECTED = [
    "ServiceAccount/chatbot",
    "Secret/chatbot-api-key",
    "Secret/chatbot-tls",
    "ConfigMap/chatbot",
    "NetworkPolicy/chatbot",
    "NetworkPolicy/chatbot-listener",
    "Service/chatbot",
    "PodDisruptionBudget/chatbot",
    "Deployment/chatbot",
    "Ingress/chatbot",
]


@pytest.fixture(scope="module")
def ingress_class(place_client: Any) -> Iterator[str]:
    """A class of F5's controller."""
    name = "test-nginx"
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": "nginx.org/ingress-controller"},
    }
    place_client.request("POST", CLASSES, body=body)
    yield name
    place_client.request("DELETE", f"{CLASSES}/{name}")


@pytest.fixture
def given(ingress_class: str) -> Object:
    """The least that a person sets."""
    return {
        "public_chatbot_image": IMAGE,
        "public_chatbot_api_key": KEY,
        "public_chatbot_ingress_class": ingress_class,
        "public_chatbot_host": "chat.example.com",
        "public_chatbot_trusted_proxies": ["10.244.0.0/16"],
    }


def test_six_beats(place: Place, given: Object) -> None:
    empty = place.fingerprint()
    predicted = place.play(check=True, **given)
    assert predicted.changed == 1 and place.fingerprint() == empty, "check mode wrote something"
    done = place.play("-vvvv", **given)
    assert done.changed == 1
    assert [one["object"] for one in done.task(RUN)["changes"]] == [f"Namespace/{place.namespace}", *EXPECTED]
    shown = [play.task(RUN)["diff"]["after"] for play in (predicted, done)]
    assert sorted(shown[0]) == sorted(shown[1])
    for said in (predicted.said, done.said):
        assert KEY not in said and base64.b64encode(KEY.encode()).decode() not in said
        assert "PRIVATE KEY" not in said
    values = place.there("Secret", "chatbot-api-key")["data"]
    assert base64.b64decode(values["api-key"]).decode() == KEY

    written = place.fingerprint()
    assert place.play(check=True, **given).changed == 0
    assert place.play(**given).changed == 0
    assert place.fingerprint() == written, "an unchanged run wrote something"

    place.edit("Deployment", "chatbot", {"spec": {"replicas": 7}})
    assert place.play(check=True, **given).changed == 1
    assert place.play(**given).changed == 1
    assert place.there("Deployment", "chatbot")["spec"]["replicas"] == 2

    # Another way in: what the earlier one needed goes.
    other = {**given, "public_chatbot_exposure": "nodeport", "public_chatbot_max_replicas": 4}
    actions = {one["object"]: one["action"] for one in place.play(**other).task(RUN)["changes"]}
    assert actions["Ingress/chatbot"] == actions["Secret/chatbot-tls"] == "removed"
    assert actions["Service/chatbot-nodeport"] == "created"
    assert actions["HorizontalPodAutoscaler/chatbot"] == "created"

    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}}
    place.create(theirs)
    gone = {**given, "public_chatbot_state": "absent"}
    assert place.play(**gone).changed == 1
    assert place.get("Deployment", "chatbot") is None and place.get("ConfigMap", "theirs") is not None
    assert place.play(**gone).changed == 0


def test_the_key_that_the_private_side_made_travels_by_itself(
    place: Place, given: Object, tmp_path: Path
) -> None:
    file = tmp_path / "api-key"
    file.touch(mode=0o600)
    file.write_text(f"{KEY}\n")
    given = {**given, "public_chatbot_api_key": "", "public_chatbot_api_key_file": str(file)}
    done = place.play("-vvvv", **given)
    assert done.changed == 1 and KEY not in done.said
    assert base64.b64decode(place.there("Secret", "chatbot-api-key")["data"]["api-key"]).decode() == KEY
    assert place.play(check=True, **given).changed == 0


def test_a_key_that_was_given_to_the_gateway_travels_and_no_file_is_made(
    place: Place, given: Object, tmp_path: Path
) -> None:
    file = tmp_path / "api-key"
    # As role private_model leaves it for the roles that follow.
    given = {**given, "public_chatbot_api_key": "", "__private_model_api_key_file_in_use": str(file)}
    given["private_model_api_keys"] = [KEY, f"{KEY}-of-another-caller"]
    predicted = place.play(check=True, **given)
    done = place.play("-vvvv", **given)
    assert predicted.changed == done.changed == 1
    assert KEY not in predicted.said + done.said and not file.exists()
    assert base64.b64decode(place.there("Secret", "chatbot-api-key")["data"]["api-key"]).decode() == KEY
    assert place.play(**given).changed == 0


def test_a_file_that_is_named_has_to_be_there_unless_this_run_makes_it(
    place: Place, given: Object, tmp_path: Path
) -> None:
    file = tmp_path / "api-key"
    given = {**given, "public_chatbot_api_key": "", "public_chatbot_api_key_file": str(file)}
    others: list[Object] = [
        {},
        {"private_model_api_keys": [KEY], "__private_model_api_key_file_in_use": str(file)},
    ]
    for known in others:
        missing = place.play(**given, **known)
        assert missing.status != 0 and f"public_chatbot_api_key_file is {file}" in missing.said
        assert not file.exists() and place.namespace_object() is None, "something was written"
    predicted = place.play(check=True, **given, __private_model_api_key_file_in_use=str(file))
    assert predicted.status == 0 and predicted.changed > 0


def test_a_secret_that_is_there_already_is_used_and_never_removed(place: Place, given: Object) -> None:
    given = {**given, "public_chatbot_api_key": "", "public_chatbot_api_key_secret": "theirs"}
    missing = place.play(**given)
    assert missing.status != 0 and "Secret theirs in namespace" in missing.said
    assert "create secret generic theirs --from-file=api-key=FILE" in missing.said
    assert place.namespace_object() is None, "something was written before the refusal"
    place.make_namespace()
    values = {"api-key": KEY}
    place.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}, "stringData": values})
    done = place.play("-vvvv", **given)
    assert done.changed == 1 and KEY not in done.said
    assert place.get("Secret", "chatbot-api-key") is None
    place.edit("Secret", "theirs", {"stringData": {"api-key": f"{KEY}-2"}})
    changes = place.play(**given).task(RUN)["changes"]
    assert [one["object"] for one in changes] == ["Deployment/chatbot"]
    place.play(**{**given, "public_chatbot_state": "absent"})
    assert place.get("Secret", "theirs") is not None


def test_everything_that_is_missing_is_said_at_once(place: Place) -> None:
    options: Object = {"public_chatbot_ingress_class": "nope", "public_chatbot_path": "chat/"}
    refused = place.play(**options, public_chatbot_api_key_secret="theirs")
    assert refused.status != 0
    message = refused.task("Nothing is missing")["msg"]
    for words in (
        "Secret theirs in namespace",
        "public_chatbot_path is 'chat/'",
        "it is not said where the image comes from",
        "the cluster has no IngressClass nope",
    ):
        assert words in message
    assert message.count("Remedy: ") == 4
    assert place.namespace_object() is None


def test_a_user_who_may_not_write_is_told_before(place: Place, given: Object) -> None:
    if place.api.plane is None:
        pytest.skip("TEST_KUBECONFIG names a cluster whose users are not ours")
    visitor = {"kubeconfig": str(place.api.plane.write_kubeconfig("visitor"))}
    refused = place.play(**{**given, "public_chatbot_kubernetes": visitor})
    message = refused.task("Nothing is missing")["msg"]
    assert "this user may not write in namespace" in message and "deployments" in message
    nowhere = place.play(**{**given, "public_chatbot_kubernetes": {"host": "https://127.0.0.1:1"}})
    assert "no API server answers at https://127.0.0.1:1" in nowhere.task("Nothing is missing")["msg"]


@pytest.mark.parametrize("way", ["loadbalancer", "nodeport", "none"])
def test_the_server_takes_each_way_of_exposure(place: Place, given: Object, way: str) -> None:
    given = {**given, "public_chatbot_exposure": way, "public_chatbot_path": "/chat"}
    done = place.play(**given).task(RUN)
    place.pod_on("192.0.2.7")
    again = place.play(**given)
    assert again.changed == 0
    # Only there the port of the nodes answers, so there the page is.
    assert again.task(RUN)["hosts"] == (["192.0.2.7"] if way == "nodeport" else [])
    suffix = {"loadbalancer": "-lb", "nodeport": "-nodeport"}.get(way)
    objects = [one["object"] for one in done["changes"]]
    assert "Ingress/chatbot" not in objects
    assert suffix is None or f"Service/chatbot{suffix}" in objects
    assert (way == "nodeport") == bool(done["ports"].get("chatbot-nodeport"))
    assert place.there("ConfigMap", "chatbot")["data"]["ROOT_PATH"] == "/chat"
