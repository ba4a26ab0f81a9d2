"""NGINX Ingress Controller that the role installs: real Helm and API server, a stand-in of its chart.

TEST_HELM names a Helm that is there; without it one is built.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.programs import program
from tests.public_chatbot.place import Object, Place
from tests.standins import nginx_ingress
from tests.standins.skupper.charts import ready

CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
#: As on every cluster without load balancers; Helm would wait for an address.
VALUES = {"controller": {"service": {"type": "NodePort"}}}


@pytest.fixture
def helm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it where the role looks for it."""
    there = os.environ.get("TEST_HELM") or str(program("helm"))
    monkeypatch.setenv("PATH", f"{Path(there).parent}:{os.environ['PATH']}")


@pytest.fixture
def given(place: Place, place_client: Any, tmp_path: Path) -> Iterator[Object]:
    """What a person sets to have a controller with the chatbot; pods of it are ready at once."""
    name = place.namespace
    yield {
        "public_chatbot_image": "registry.example.com/chat/chatbot@sha256:" + "0" * 64,
        "public_chatbot_api_key": "key-of-the-test-0123456789",
        "public_chatbot_host": "chat.example.com",
        "public_chatbot_trusted_proxies": ["10.244.0.0/16"],
        "public_chatbot_ingress_class": f"{name}-web",
        "public_chatbot_ingress_install": True,
        "public_chatbot_ingress_release": f"{name}-ingress",
        "public_chatbot_ingress_namespace": f"{name}-ingress",
        "public_chatbot_ingress_chart": str(nginx_ingress.write(tmp_path, "2.7.1")),
        "public_chatbot_ingress_chart_version": "2.7.1",
        "public_chatbot_ingress_values": VALUES,
    }
    for path in (f"{CLASSES}/{name}-web", f"/api/v1/namespaces/{name}-ingress"):
        if there(place_client, path):
            place_client.request("DELETE", path)


def there(client: Any, path: str) -> bool:
    """Whether a collection has an object."""
    folder, name = path.rsplit("/", 1)
    return name in [one["metadata"]["name"] for one in client.request("GET", folder)["items"]]


@pytest.mark.usefixtures("helm")
def test_a_controller_comes_with_the_chatbot(
    place: Place, place_client: Any, given: Object, tmp_path: Path
) -> None:
    name = given["public_chatbot_ingress_release"]
    path = f"/apis/apps/v1/namespaces/{name}/deployments/{name}-controller"
    empty = place.fingerprint()
    predicted = place.play(check=True, **given)
    assert predicted.changed == 2 and place.fingerprint() == empty, "check mode wrote something"
    with ready(place_client):
        assert place.play(**given).changed == 2
        deployed = place_client.request("GET", path)
        (container,) = deployed["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "nginx/nginx-ingress:5.6.1"
        # One class, the controller's and the Ingress's.
        chosen = given["public_chatbot_ingress_class"]
        assert container["args"] == [f"-ingress-class={chosen}"]
        made = place_client.request("GET", f"{CLASSES}/{chosen}")
        assert made["spec"]["controller"] == "nginx.org/ingress-controller"
        served = place.there("Ingress", "chatbot")
        assert served["spec"]["ingressClassName"] == chosen
        assert served["metadata"]["annotations"]["nginx.org/proxy-buffering"] == "False"
        policy = place.there("NetworkPolicy", "chatbot")
        peers = policy["spec"]["ingress"][0]["from"]
        assert peers == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]
        service = place_client.request("GET", f"/api/v1/namespaces/{name}/services/{name}-controller")
        assert service["spec"]["type"] == "NodePort"

        written = place.fingerprint()
        assert place.play(check=True, **given).changed == 0
        assert place.play(**given).changed == 0
        assert place.fingerprint() == written, "an unchanged run wrote something"

        newer = {
            **given,
            "public_chatbot_ingress_chart": str(nginx_ingress.write(tmp_path, "2.7.2")),
            "public_chatbot_ingress_chart_version": "2.7.2",
            "public_chatbot_ingress_values": {"controller": {**VALUES["controller"], "replicaCount": 2}},
        }
        assert place.play(check=True, **newer).changed == 1 and place.fingerprint() == written
        assert place.play(**newer).changed == 1
        upgraded = place_client.request("GET", path)
        assert upgraded["metadata"]["uid"] == deployed["metadata"]["uid"]
        assert upgraded["spec"]["replicas"] == 2
        (container,) = upgraded["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "nginx/nginx-ingress:5.6.2"
        assert place.play(**newer).changed == 0

        # It may serve others, so it goes only when that is said.
        assert place.play(**newer, public_chatbot_state="absent").changed == 1
        assert there(place_client, path) and there(place_client, f"{CLASSES}/{chosen}")
        gone = {**newer, "public_chatbot_state": "absent", "public_chatbot_purge": True}
        assert place.play(**gone).changed == 1
        assert not there(place_client, path) and not there(place_client, f"{CLASSES}/{chosen}")
        assert place.play(**gone).changed == 0


@pytest.mark.usefixtures("helm")
def test_the_retired_controller_is_never_installed(
    place: Place, place_client: Any, given: Object, tmp_path: Path
) -> None:
    archived = tmp_path / "ingress-nginx-4.7.1"
    nginx_ingress.write(tmp_path, "2.7.1").rename(archived)
    empty = place.fingerprint()
    refused = place.play(**{**given, "public_chatbot_ingress_chart": str(archived)})
    assert refused.status != 0 and place.fingerprint() == empty
    message = refused.task("Nothing is missing")["msg"]
    assert f"public_chatbot_ingress_chart is {archived}" in message and "never installed" in message

    # Where it is still there, its class is not taken from it.
    chosen = given["public_chatbot_ingress_class"]
    theirs = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": chosen}}
    place_client.request("POST", CLASSES, body={**theirs, "spec": {"controller": "k8s.io/ingress-nginx"}})
    refused = place.play(**given)
    assert refused.status != 0 and place.fingerprint() == empty
    message = refused.task("Nothing is missing")["msg"]
    assert f"IngressClass {chosen} belongs to the controller k8s.io/ingress-nginx" in message


def test_without_helm_nothing_is_begun(place: Place, given: Object, monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.environ["PATH"].split(os.pathsep)
    monkeypatch.setenv("PATH", os.pathsep.join(one for one in here if not Path(one, "helm").exists()))
    empty = place.fingerprint()
    refused = place.play(**given)
    assert refused.status != 0 and place.fingerprint() == empty
    assert "needs the program helm" in refused.task("Nothing is missing")["msg"]
