# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster's groups tell: an OpenShift, an adapter's metrics of pods; and whose pods serve a class."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.errors import ApiError
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.survey import Survey

GROUP = "custom.metrics.k8s.io"


class Cluster:
    """Answers what is listed, and 404 or 503 otherwise."""

    host = "https://cluster.example"

    def __init__(self, versions: list[str], answers: dict[str, t.Any]) -> None:
        group = {"name": GROUP, "preferredVersion": {"groupVersion": f"{GROUP}/{(versions or ['']).pop(0)}"}}
        groups = [{"name": "apps"}, *([group] if answers else [])]
        self.answers = {"/version": {"major": "1", "minor": "36"}, "/apis": {"groups": groups}, **answers}

    def request(self, method: str, path: str, *rest: t.Any) -> t.Any:
        assert method in ("GET", "POST")
        if path not in self.answers:
            raise ApiError("there is no such thing", 503 if GROUP in path else 404)
        return self.answers[path]


def metrics(cluster: Cluster) -> list[str]:
    survey = Survey(t.cast(t.Any, cluster), "chat")
    assert survey.run(None, {})
    return list(survey.facts["custom_metrics"])


@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_an_adapter_tells_its_metrics(version: str) -> None:
    listed = {"resources": [{"name": "pods/chatbot_streams_in_flight"}, {"name": "jobs.batch/b"}]}
    cluster = Cluster([version], {f"/apis/{GROUP}/{version}": listed})
    assert metrics(cluster) == ["jobs.batch/b", "pods/chatbot_streams_in_flight"]


def test_without_an_adapter_and_with_one_that_is_down() -> None:
    assert metrics(Cluster([], {})) == []
    assert metrics(Cluster(["v1beta1"], {"/elsewhere": {}})) == []


@pytest.mark.parametrize(
    "groups, openshift",
    [
        (["route.openshift.io", "security.openshift.io"], True),
        # Others install one of them on their own.
        (["route.openshift.io"], False),
        (["security.openshift.io"], False),
        ([], False),
    ],
)
def test_an_openshift_is_found_out(groups: list[str], openshift: bool) -> None:
    listed = {"groups": [{"name": one} for one in ["apps", *groups]]}
    survey = Survey(t.cast(t.Any, Cluster([], {"/apis": listed})), "chat")
    assert survey.run(None, {})
    assert survey.facts["openshift"] is openshift


def controller_pods(*namespaces: str) -> dict[str, t.Any]:
    """What is found of the class of ingress-nginx while these namespaces have pods of their own name."""

    class Pods(Cluster):
        def request(self, method: str, path: str, *rest: t.Any) -> t.Any:
            if path == "/api/v1/pods":
                label = rest[0][0][1].partition("=")[2]
                there = [name for name in namespaces if name == label]
                return {"items": [{"metadata": {"namespace": one}, "status": {}} for one in there]}
            return super().request(method, path, *rest)

    classes = {"items": [{"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}]}
    cluster = Pods([], {"/apis/networking.k8s.io/v1/ingressclasses": classes})
    survey = Survey(t.cast(t.Any, cluster), "chat")
    assert survey.run(None, {})
    return dict(survey.facts["ingress"])


@pytest.mark.parametrize(
    "there, namespace, retired",
    [
        ([], "ingress-nginx", True),
        (["ingress-nginx"], "ingress-nginx", True),
        (["traefik"], "traefik", False),
        # Traefik has a class of its own beside it.
        (["ingress-nginx", "traefik"], "ingress-nginx", True),
    ],
)
def test_whose_pods_serve_the_class_of_the_retired_controller(
    there: list[str], namespace: str, retired: bool
) -> None:
    found = controller_pods(*there)
    assert (found["namespaces"], found["retired"]) == ([namespace], retired)
