"""Module kubernetes_objects on a real API server: what it writes, keeps, repairs and removes."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.checksums import CHECKSUM

from tests.public_chatbot.place import Object, Place

LABELS = {"app": "web"}
KEY_REFERENCE = {"name": "web", "key": "key"}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"A": "1"}}
DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "registry.example.com/web:1",
                        "envFrom": [{"configMapRef": {"name": "web"}}],
                        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": KEY_REFERENCE}}],
                        "ports": [{"name": "http", "containerPort": 80}],
                    }
                ]
            },
        },
    },
}
SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
}
POLICY: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "web"},
    "spec": {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Ingress"], "ingress": []},
}
KEY = "k3y-of-the-test-that-nobody-may-see"
SET: dict[str, Any] = {
    "objects": [SERVICE, DEPLOYMENT, CONFIG, POLICY],
    "secrets": [{"name": "web", "data": {"key": KEY}}],
    "namespace_labels": {"pod-security.kubernetes.io/enforce": "restricted"},
}


def changed(obj: Object, **spec: Any) -> Object:
    found = copy.deepcopy(obj)
    found["spec"].update(spec)
    return found


def beat(place: Place, expected: bool, **options: Any) -> Any:
    """One run, predicted by check mode, which writes nothing."""
    before = place.fingerprint()
    predicted = place.objects(check=True, **options)
    assert not predicted.get("failed"), predicted
    assert place.fingerprint() == before, "check mode wrote something"
    done = place.objects(**options)
    assert not done.get("failed"), done
    assert predicted["changed"] == done["changed"] == expected, (predicted["changes"], done["changes"])
    assert predicted["diff"] == done["diff"] and predicted["changes"] == done["changes"]
    if not expected:
        assert place.fingerprint() == before, "an unchanged run wrote something"
        assert done["diff"] == {"before": {}, "after": {}}
    assert KEY not in str(predicted) + str(done)
    return done


def test_six_beats(place: Place) -> None:
    first = beat(place, True, **SET)
    assert [one["object"] for one in first["changes"]] == [
        "Namespace/" + place.namespace,
        "Secret/web",
        "ConfigMap/web",
        "NetworkPolicy/web",
        "Service/web",
        "Deployment/web",
    ]
    space = place.namespace_object()
    assert space and space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    beat(place, False, **SET)
    less = {**SET, "objects": [changed(DEPLOYMENT, replicas=3), CONFIG, POLICY]}
    second = beat(place, True, **less)
    assert {one["object"]: one["action"] for one in second["changes"]} == {
        "Deployment/web": "changed",
        "Service/web": "removed",
    }
    assert second["diff"]["before"]["Deployment/web"]["spec"]["replicas"] == 2
    beat(place, False, **less)
    gone = beat(place, True, state="absent")
    assert gone["changes"][-1] == {"object": f"Namespace/{place.namespace}", "action": "removed"}
    beat(place, False, state="absent")


def test_drift_is_repaired_and_what_others_slipped_in_goes(place: Place) -> None:
    beat(place, True, **SET)
    place.edit("Deployment", "web", {"spec": {"replicas": 9, "template": {"spec": {"hostNetwork": True}}}})
    container = {"name": "web", "image": "registry.example.com/evil:1"}
    extra = {"name": "more", "image": "registry.example.com/more:1"}
    both = {"spec": {"template": {"spec": {"containers": [container, extra]}}}}
    place.edit("Deployment", "web", both)
    place.edit("NetworkPolicy", "web", {"spec": {"podSelector": {"matchLabels": {"never": "matches"}}}})
    place.edit(
        "ConfigMap", "web", {"data": {"A": "2", "B": "theirs"}, "metadata": {"labels": {"b": "theirs"}}}
    )
    place.edit("Secret", "web", {"data": {"key": "b3RoZXI="}})
    repaired = beat(place, True, **SET)
    assert len(repaired["changes"]) == 4
    assert repaired["diff"]["before"]["Secret/web"]["data"] == {"key": "(hidden)"}
    assert repaired["diff"]["after"]["Secret/web"]["data"] == {"key": "(hidden, another value)"}
    pod = place.there("Deployment", "web")["spec"]["template"]["spec"]
    assert [one["image"] for one in pod["containers"]] == ["registry.example.com/web:1"]
    assert "hostNetwork" not in pod and pod["containers"][0]["ports"][0]["containerPort"] == 80
    assert place.there("NetworkPolicy", "web")["spec"]["podSelector"] == {"matchLabels": LABELS}
    config = place.there("ConfigMap", "web")
    assert config["data"] == {"A": "1"} and config["metadata"]["labels"]["b"] == "theirs"
    beat(place, False, **SET)


def test_another_value_of_what_a_pod_reads_starts_new_pods(place: Place) -> None:
    def stamp() -> str:
        template = place.there("Deployment", "web")["spec"]["template"]
        return str(template["metadata"]["annotations"][CHECKSUM])

    beat(place, True, **SET)
    stamps = [stamp()]
    beat(place, True, **{**SET, "secrets": [{"name": "web", "data": {"key": f"{KEY}2"}}]})
    stamps.append(stamp())
    # A Secret that somebody else keeps counts, too.
    theirs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "theirs"},
        "stringData": {"key": "a"},
    }
    place.create({**theirs, "stringData": {"key": "a"}})
    reads = copy.deepcopy(DEPLOYMENT)
    source = reads["spec"]["template"]["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]
    source["name"] = "theirs"
    options = {**SET, "objects": [SERVICE, reads, CONFIG, POLICY], "secrets": []}
    beat(place, True, **options)
    stamps.append(stamp())
    place.edit("Secret", "theirs", {"stringData": {"key": "b"}})
    only = beat(place, True, **options)
    assert [one["object"] for one in only["changes"]] == ["Deployment/web"]
    stamps.append(stamp())
    assert len(set(stamps)) == 4


def test_an_autoscaler_takes_over_and_gives_back_the_number_of_replicas(place: Place) -> None:
    beat(place, True, **{**SET, "objects": [changed(DEPLOYMENT, replicas=4), CONFIG]})
    free = copy.deepcopy(DEPLOYMENT)
    del free["spec"]["replicas"]
    options = {**SET, "objects": [free, CONFIG]}
    beat(place, True, **options)
    assert place.there("Deployment", "web")["spec"]["replicas"] == 4
    beat(place, False, **options)
    place.edit("Deployment", "web", {"spec": {"replicas": 6}}, "/scale", "kube-controller-manager")
    beat(place, False, **options)
    assert place.there("Deployment", "web")["spec"]["replicas"] == 6
    beat(place, True, **{**SET, "objects": [changed(DEPLOYMENT, replicas=2), CONFIG]})
    assert place.there("Deployment", "web")["spec"]["replicas"] == 2


def test_what_somebody_else_made_is_not_taken(place: Place) -> None:
    place.make_namespace()
    place.create({**SERVICE, "metadata": {"name": "web"}})
    result = place.objects(**SET)
    assert result["failed"] and "Service/web in namespace" in result["msg"]
    assert "made by somebody else; choose another name, or remove it: kubectl" in result["msg"]
    assert place.get("Deployment", "web") is None, "something was written before the refusal"


def test_a_namespace_of_others_stays_as_it_is(place: Place) -> None:
    place.make_namespace()
    done = beat(place, True, **SET)
    space = place.namespace_object()
    assert space and "pod-security.kubernetes.io/enforce" not in space["metadata"]["labels"]
    assert not done["namespace_ours"]
    beat(place, True, state="absent")
    assert place.namespace_object() is not None


def test_a_namespace_of_ours_stays_while_others_use_it(place: Place) -> None:
    beat(place, True, **SET)
    place.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}})
    gone = beat(place, True, state="absent")
    assert gone["namespace_left"] == ["ConfigMap/theirs"]
    assert place.namespace_object() is not None
    assert place.get("ConfigMap", "theirs") is not None and place.get("ConfigMap", "web") is None
    beat(place, False, state="absent")
    place.client.request("DELETE", f"/api/v1/namespaces/{place.namespace}/configmaps/theirs")
    beat(place, True, state="absent")


def test_a_certificate_of_its_own_is_made_once(place: Place) -> None:
    def options(*hosts: str) -> dict[str, Any]:
        kind = "kubernetes.io/tls"
        return {"secrets": [{"name": "tls", "type": kind, "self_signed_hosts": list(hosts)}]}

    made = place.objects(**options("chat.example.com"))
    assert made["changed"] and "PRIVATE KEY" not in str(made)
    first = place.there("Secret", "tls")["data"]
    assert not place.objects(check=True, **options("chat.example.com"))["changed"]
    assert not place.objects(**options("chat.example.com"))["changed"]
    assert place.there("Secret", "tls")["data"] == first
    assert place.objects(**options("chat.example.com", "192.0.2.1"))["changed"]
    assert place.there("Secret", "tls")["data"] != first


def test_what_a_set_consists_of_is_told(place: Place) -> None:
    def told(*kinds: str) -> Any:
        return place.module("kubernetes_set_info", name="web", kinds=list(kinds))

    assert told("Pod", "Service")["objects"] == {"Pod": [], "Service": []}
    place.make_namespace()
    place.create({**CONFIG, "metadata": {"name": "theirs"}})
    assert place.objects(**SET)["changed"]
    before = place.fingerprint()
    found = told("ConfigMap", "Deployment", "Route")
    assert not found["changed"] and place.fingerprint() == before
    assert found["objects"]["Route"] == [], "no OpenShift"
    (config,) = found["objects"]["ConfigMap"]
    assert (config["kind"], config["metadata"]["name"], config["data"]) == ("ConfigMap", "web", {"A": "1"})
    (deployment,) = found["objects"]["Deployment"]
    assert deployment["spec"]["replicas"] == 2 and "managedFields" not in deployment["metadata"]
    refused = told("Secret")
    assert refused["failed"] and "kinds: Secret is not read; known are Pod, ServiceAccount" in refused["msg"]


def test_what_is_not_known_to_the_cluster(place: Place) -> None:
    route = {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": {"name": "web"},
        "spec": {"to": {"kind": "Service", "name": "web"}},
    }
    place.make_namespace()
    predicted = place.objects(check=True, objects=[route])
    assert predicted["changed"] and "it is no OpenShift" in str(predicted["warnings"])
    refused = place.objects(objects=[CONFIG, route])
    assert refused["failed"] and "does not know route.openshift.io: it is no OpenShift" in refused["msg"]
    assert place.get("ConfigMap", "web") is None
    unknown = place.objects(objects=[{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}])
    assert unknown["failed"] and "Pod (v1) is not known; known are ServiceAccount (v1)" in unknown["msg"]
