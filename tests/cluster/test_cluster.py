"""The Kubernetes of the tests does what others are shown on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tests.cluster.cluster import Cluster
from tests.cluster.objects import deployment, service


def all_answer(names: set[str], ask: Callable[[], str], times: int = 20) -> bool:
    """Whether these answered somebody that asked this often, and nothing went wrong."""
    return {ask() for _ in range(times)} == names


def test_restricted_pods_run_on_both_nodes_and_others_are_refused(cluster: Cluster, web: str) -> None:
    pods = cluster.core.list_namespaced_pod(web, label_selector="app=web").items
    assert len({pod.spec.node_name for pod in pods}) == 2
    container = {"name": "probe", "image": cluster.probe_image}
    body = {"metadata": {"name": "loose"}, "spec": {"containers": [container]}}
    with pytest.raises(ApiException) as refused:
        cluster.core.create_namespaced_pod(web, body)
    assert refused.value.status == 403
    assert "restricted" in refused.value.body


def test_a_service_is_found_by_its_name_and_reached_at_its_address(cluster: Cluster, web: str) -> None:
    pods = {
        pod.metadata.name for pod in cluster.core.list_namespaced_pod(web, label_selector="app=web").items
    }
    address = cluster.core.read_namespaced_service("web", web).spec.cluster_ip
    assert cluster.run(web, "asker", ["dns", f"web.{web}.svc.cluster.local"]).output.split() == [address]
    assert cluster.run(web, "asker", ["dns", f"nobody.{web}.svc.cluster.local"]).status == 1
    assert cluster.own.dns

    def from_a_pod() -> str:
        done = cluster.run(web, "asker", ["get", "http://web/"])
        return done.output.split()[1] if done.status == 0 else done.output

    def from_here() -> str:
        try:
            return httpx.get(f"http://{address}/", trust_env=False).text.split()[0]
        except httpx.TransportError as error:
            return str(error)

    # A pod that is ready is known to the proxy of each node a moment later.
    for ask in (from_a_pod, from_here):
        cluster.until(partial(all_answer, pods, ask), f"both pods answer {ask.__name__}")


def test_node_ports_and_load_balancers_lead_to_the_pods(cluster: Cluster, web: str) -> None:
    own = cluster.own
    cluster.apply(service(web, "outside", "web", type="LoadBalancer"))
    given = cluster.until(partial(address_of, cluster, web, "outside"), "the Service has an address")
    port = cluster.core.read_namespaced_service("outside", web).spec.ports[0].node_port
    places = [given, *(f"{address}:{port}" for address in own.nodes.values())]
    for place in places:
        cluster.until(partial(answers, f"http://{place}/"), f"{place} answers")


def address_of(cluster: Cluster, namespace: str, name: str) -> str:
    found = cluster.core.read_namespaced_service(name, namespace).status.load_balancer.ingress
    return found[0].ip if found else ""


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_drain_moves_pods_and_waits_for_the_disruption_budget(cluster: Cluster) -> None:
    first, second = cluster.own.nodes
    with cluster.namespace() as namespace:
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
        budget["metadata"] = {"name": "web", "namespace": namespace}  # type: ignore[assignment]
        budget["spec"] = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}  # type: ignore[assignment]
        cluster.apply(deployment(namespace, "web", cluster.probe_image, 2), budget)
        cluster.available(namespace, "web")
        try:
            with pytest.raises(pytest.fail.Exception, match="no pod is left"):
                cluster.drain(second, seconds=3)
            cluster.apply(deployment(namespace, "web", cluster.probe_image, 3))
            cluster.drain(second)
            pods = cluster.core.list_namespaced_pod(namespace, label_selector="app=web").items
            alive = [pod for pod in pods if not pod.metadata.deletion_timestamp]
            assert {pod.spec.node_name for pod in alive} == {first}
        finally:
            cluster.uncordon(second)


@pytest.mark.extended  # The chatbot's own autoscaler is tested in `make test`.
def test_the_autoscaler_sees_what_pods_use(cluster: Cluster) -> None:
    with cluster.namespace() as namespace:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        use = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
        scaler = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {
                "scaleTargetRef": target,
                "minReplicas": 1,
                "maxReplicas": 2,
                "metrics": [{"type": "Resource", "resource": use}],
            },
        }
        wanted = deployment(namespace, "web", cluster.probe_image, 1)
        del wanted["spec"]["replicas"]
        cluster.apply(wanted, service(namespace, "web", "web"), scaler)
        cluster.available(namespace, "web")
        cluster.start_probe(namespace, "asker")

        def figure() -> Any:
            found = cluster.get("autoscaling/v2", "HorizontalPodAutoscaler", "web", namespace) or {}
            metrics = found.get("status", {}).get("currentMetrics") or [{}]
            return metrics[0].get("resource", {}).get("current", {}).get("averageValue")

        cluster.until(figure, "the autoscaler knows how much CPU is used", 120)
        assert cluster.run(namespace, "asker", ["get", "http://web/burn?seconds=120"]).status == 0
        cluster.until(
            lambda: cluster.apps.read_namespaced_deployment("web", namespace).spec.replicas == 2,
            "a busy pod gets company",
            120,
        )


@pytest.mark.parametrize("name, kind", [("openshift", "Route"), ("gateway", "HTTPRoute")])
def test_further_kinds_come_and_go(cluster: Cluster, web: str, name: str, kind: str) -> None:
    rule = {"timeouts": {"request": "1h"}, "backendRefs": [{"name": "web", "port": 80}]}
    good: dict[str, dict[str, Any]] = {
        "Route": {"to": {"kind": "Service", "name": "web"}, "tls": {"termination": "edge"}},
        "HTTPRoute": {"parentRefs": [{"name": "door"}], "rules": [rule]},
    }
    bad: dict[str, dict[str, Any]] = {
        "Route": {**good["Route"], "tls": {"termination": "edgy"}},
        "HTTPRoute": {"rules": [{"timeouts": {"request": "an hour"}}]},
    }
    versions = {"Route": "route.openshift.io/v1", "HTTPRoute": "gateway.networking.k8s.io/v1"}
    one = {"apiVersion": versions[kind], "kind": kind, "metadata": {"name": "web", "namespace": web}}
    with cluster.crds(name):
        cluster.apply({**one, "spec": good[kind]})
        found = cluster.get(versions[kind], kind, "web", web)
        assert found and found["spec"]
        with pytest.raises(ApiException) as refused:
            cluster.apply({**one, "spec": bad[kind]})
        assert refused.value.status == 422
    apis = client.ApisApi(cluster.client)
    group = versions[kind].partition("/")[0]
    cluster.until(lambda: group not in {one.name for one in apis.get_api_versions().groups}, "they are gone")


def test_a_load_balancer_finds_the_only_node_that_serves(cluster: Cluster) -> None:
    with cluster.namespace() as namespace:
        for node in cluster.own.nodes:
            name = f"on-{node}"
            alone = deployment(namespace, name, cluster.probe_image, 1)
            alone["spec"]["template"]["spec"]["nodeName"] = node
            local = service(namespace, name, name, type="LoadBalancer", externalTrafficPolicy="Local")
            cluster.apply(alone, local)
            address = cluster.until(partial(address_of, cluster, namespace, name), "it has an address")
            url = f"http://{address}/headers"
            cluster.until(partial(answers, url), f"the pod on {node} answers")
            # Nobody stands between: that is what such a Service is for.
            remote = httpx.get(url, trust_env=False).json()["Remote"][0]
            assert remote.rsplit(":", 1)[0] == cluster.own.host
