# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why something is not ready, in the words of whoever holds it up, and when a wait ends."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.client import Client
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.errors import ApiError, WaitFailed
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.reasons import ready_hosts
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.waiting import (
    judge,
    wait_for,
    wait_gone,
    waits,
)

LABELS = {"app": "web"}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "n", "generation": 2},
    "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}},
    "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
}
DEPLOYMENTS = "/apis/apps/v1/namespaces/n/deployments/web"


class Server(Client):
    """Stands in for an API server: the Deployment, its pods and their logs."""

    def __init__(self, live: dict[str, Any], pods: list[dict[str, Any]], log: Any = "") -> None:
        self.live = live
        self.pods = pods
        self.log = log
        self.asked: list[str] = []

    def request(self, method: str, path: str, *_: Any, **__: Any) -> Any:
        self.asked.append(path)
        if path.endswith("/log"):
            if isinstance(self.log, Exception):
                raise self.log
            return self.log
        return {"items": self.pods} if path.endswith("/pods") else copy.deepcopy(self.live)


class Clock:
    """Goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def pod(container: dict[str, Any] | None = None, **conditions: str) -> dict[str, Any]:
    found = [{"type": name, "status": "False", "message": text} for name, text in conditions.items()]
    status = {"phase": "Pending", "conditions": found, "containerStatuses": [container] if container else []}
    return {"metadata": {"name": "web-1", "namespace": "n", "creationTimestamp": "2026"}, "status": status}


def behind(**status: Any) -> dict[str, Any]:
    found = copy.deepcopy(DEPLOYMENT)
    found["status"].update({"availableReplicas": 1, **status})
    return found


def failed(server: Server, limit: float = 300) -> str:
    clock = Clock()
    with pytest.raises(WaitFailed) as caught:
        wait_for(server, DEPLOYMENT, limit, clock, clock.sleep)
    assert clock.now <= limit
    return f"{clock.now:.0f} s: {caught.value.message}"


def test_ready_at_once() -> None:
    clock = Clock()
    server = Server(DEPLOYMENT, [])
    wait_for(server, DEPLOYMENT, 10, clock, clock.sleep)
    assert clock.now == 0 and server.asked == [DEPLOYMENTS]


@pytest.mark.parametrize("status", [{"observedGeneration": 1}, {"updatedReplicas": 1}, {"replicas": 3}])
def test_not_before_the_last_old_pod_is_gone(status: dict[str, int]) -> None:
    live = copy.deepcopy(DEPLOYMENT)
    live["status"].update(status)
    assert judge(Server(live, []), live) is not None


def test_an_image_that_cannot_be_pulled_ends_the_wait_after_a_while() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "manifest unknown"}
    message = failed(Server(behind(), [pod({"state": {"waiting": waiting}})]))
    assert "pod web-1: ImagePullBackOff: manifest unknown" in message
    assert 30 <= int(message.partition(" ")[0]) < 40
    assert "kubectl -n n describe pods -l app=web" in message


def test_an_image_that_cannot_exist_ends_it_at_once() -> None:
    waiting = {"reason": "InvalidImageName", "message": "couldn't parse"}
    assert failed(Server(behind(), [pod({"state": {"waiting": waiting}})])).startswith("0 s: ")


def test_a_crash_is_told_with_its_last_words() -> None:
    container = {
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
    }
    message = failed(Server(behind(), [pod(container)], "wrong configuration\n  - PORT is 'x'\n"))
    assert "pod web-1 ended with status 2 (Error), 3 restarts" in message
    assert "it said: wrong configuration | - PORT is 'x'" in message and message.startswith("0 s: ")
    mute = failed(Server(behind(), [pod(container)], ApiError("no log")))
    assert "3 restarts. Next" in mute
    structured = failed(Server(behind(), [pod(container)], {"level": "error", "text": "one line of JSON"}))
    assert "one line of JSON" in structured


def test_a_first_crash_may_heal() -> None:
    container = {"restartCount": 1, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}
    message = failed(Server(behind(), [pod(container)]), limit=50)
    assert "(limit 50 s)" in message and "1 restarts" in message


def test_quota_and_security_are_told_by_the_deployment() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: compute"}
    message = failed(Server(behind(conditions=[refused]), []))
    assert "its pods may not be made: exceeded quota: compute" in message


def test_a_pod_without_a_node_waits_until_the_end() -> None:
    message = failed(Server(behind(), [pod(PodScheduled="0/2 nodes are available")]), limit=60)
    assert "pod web-1 has no node: 0/2 nodes are available" in message and "(limit 60 s)" in message


def test_only_the_newest_pods_count() -> None:
    waiting = {"state": {"waiting": {"reason": "InvalidImageName", "message": "old"}}}
    old = pod(waiting)
    old["metadata"].update(creationTimestamp="2025", labels={"pod-template-hash": "a"})
    new = pod(PodScheduled="no node")
    new["metadata"]["labels"] = {"pod-template-hash": "b"}
    assert "has no node" in failed(Server(behind(), [old, new]), limit=5)


def test_nodes_that_answer_are_those_with_a_ready_pod_that_stays() -> None:
    def on(host: str, ready: str = "True", **metadata: str) -> dict[str, Any]:
        conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]
        return {"metadata": metadata, "status": {"hostIP": host, "conditions": conditions}}

    unscheduled: dict[str, Any] = {"metadata": {}, "status": {"phase": "Pending"}}
    starting, ending = on("192.0.2.1", "False"), on("192.0.2.2", deletionTimestamp="2026")
    found = [unscheduled, starting, ending, on("192.0.2.4"), on("192.0.2.3"), on("192.0.2.4")]
    assert ready_hosts(found) == ["192.0.2.3", "192.0.2.4"]
    assert ready_hosts([]) == []


def test_a_load_balancer_is_ready_with_its_address() -> None:
    service: dict[str, Any] = {"kind": "Service", "spec": {"type": "LoadBalancer"}, "status": {}}
    reason = judge(Server({}, []), service)
    assert reason is not None and "has not given it an address" in reason.text
    service["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}
    assert judge(Server({}, []), service) is None
    assert waits(service) and not waits({"kind": "Service", "spec": {}}) and not waits({"kind": "Secret"})


@pytest.mark.parametrize(
    "kind, part, wanted", [("Route", "ingress", "Admitted"), ("HTTPRoute", "parents", "Accepted")]
)
def test_routes_are_ready_when_somebody_serves_them(kind: str, part: str, wanted: str) -> None:
    def reason(*conditions: dict[str, str]) -> Any:
        live = {"kind": kind, "spec": {}, "status": {part: [{"conditions": list(conditions)}]}}
        return judge(Server({}, []), live)

    assert "has not looked at it" in reason().text or "no router" in reason().text
    refused = {"type": wanted, "status": "False", "reason": "HostAlreadyClaimed", "message": "by another"}
    assert f"{wanted} is False (HostAlreadyClaimed): by another" in reason(refused).text
    assert reason(refused, {"type": wanted, "status": "True"}) is None


def test_what_stays_is_named_with_its_finalizers() -> None:
    clock = Clock()
    held = {"metadata": {"name": "web", "finalizers": ["example.com/hold"]}}
    with pytest.raises(
        WaitFailed, match=r"/p is still there .* finalizers: example.com/hold. Next: kubectl get --raw"
    ):
        wait_gone(Server(held, []), ["/p"], 5, clock, clock.sleep)

    class Gone(Server):
        def request(self, method: str, path: str, *_: Any, **__: Any) -> Any:
            raise ApiError("gone", status=404)

    wait_gone(Gone({}, []), ["/p"], 5, clock, clock.sleep)
