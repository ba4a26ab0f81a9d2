"""Other forms of the pods: as OpenShift runs them, and as many as the load wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.chatbot_nodes.deployed import NAME, Deployed, Model
from tests.cluster.cluster import Cluster
from tests.cluster.pki import Authority
from tests.public_chatbot.verification import lines, verify

#: A user of OpenShift's restricted-v2: of the namespace's own range, in no group of the image's.
USER = 1000680000


@pytest.fixture
def another(cluster: Cluster, model: Model) -> Iterator[Deployed]:
    """A namespace of the test's own."""
    one = Deployed(cluster, model)
    yield one
    one.remove()


ASK = """
import http.client, json, socket, ssl
trust = ssl.create_default_context(cadata={authority!r})
way = http.client.HTTPSConnection("127.0.0.1", 5000)
way.sock = trust.wrap_socket(socket.create_connection(("127.0.0.1", 5000)), server_hostname={name!r})
question = {{"messages": [{{"role": "user", "content": "Hi"}}], "max_tokens": 12}}
way.request("POST", "/v1/chat/completions", json.dumps(question), {{"Content-Type": "application/json"}})
print(way.getresponse().read().decode())
"""


def test_pods_run_as_the_user_that_openshift_chooses_and_serve_tls_to_its_router(
    cluster: Cluster, another: Deployed, tmp_path: Path
) -> None:
    authority, name = Authority(tmp_path), f"{NAME}.{another.namespace}.svc"
    certificate, key = authority.issue("pods", "pods", addresses=(name,))
    metadata = {"name": "pods", "namespace": another.namespace}
    data = {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "stringData": data}
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.core.create_namespace({"metadata": {"name": another.namespace, "labels": labels}})
    cluster.apply({**secret, "metadata": metadata})
    trusted = authority.certificate_file.read_text()
    with cluster.crds("openshift"):
        another.play(
            public_chatbot_platform="openshift",
            public_chatbot_route_termination="reencrypt",
            public_chatbot_route_pod_tls_secret="pods",
            public_chatbot_route_destination_ca=trusted,
            public_chatbot_replicas=1,
            # No router is here that would take up the Route.
            public_chatbot_wait=False,
        )
    # What the admission of restricted-v2 adds to a pod that leaves it open.
    chosen = {"runAsUser": USER, "runAsGroup": 0, "fsGroup": USER}
    another.patch({"template": {"spec": {"securityContext": chosen}}})
    another.available()
    (pod,) = another.pods()
    program = (
        "import os; print(os.getuid(), os.getgid()); open('/run/chatbot/key').read(); open('/tmp/a', 'w')"
    )
    assert another.in_pod(pod.metadata.name, program).split() == [str(USER), "0"]
    assert "The model" in another.in_pod(pod.metadata.name, ASK.format(authority=trusted, name=name))


@pytest.mark.extended
def test_the_address_with_a_port_of_the_nodes_is_that_of_a_node_that_answers(
    cluster: Cluster, another: Deployed, tmp_path: Path
) -> None:
    addresses = {
        one.metadata.name: next(each.address for each in one.status.addresses if each.type == "InternalIP")
        for one in cluster.core.list_node().items
    }
    # Not the first, which anybody would take; its pod is the only one.
    idle, node = sorted(addresses, key=lambda name: addresses[name])[:2]
    given = {
        "public_chatbot_exposure": "nodeport",
        "public_chatbot_replicas": 1,
        "public_chatbot_node_selector": {"kubernetes.io/hostname": node},
    }
    done = another.play(**given)
    told = done.task("Objects of the chatbot")
    assert told["hosts"] == [addresses[node]]
    port = told["ports"][f"{NAME}-nodeport"]["http"]

    def answers(name: str) -> bool:
        try:
            page = httpx.get(f"http://{addresses[name]}:{port}/", trust_env=False, timeout=3)
        except httpx.TransportError:
            return False
        return page.status_code == 200

    cluster.until(lambda: answers(node), "the node with the pod answers", 60)
    # It keeps visitors' addresses, which it could not by handing on to another.
    assert not answers(idle)
    found = lines(verify(tmp_path, another.variables(**given))[1])
    good, line = found["answer"]
    assert good and f"http://{addresses[node]}:{port}/ answers" in line, line


class Load:
    """Visitors who open the page again and again until they are told to leave."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _each in range(4)]
        for one in self._threads:
            one.start()

    def _visit(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._end.is_set():
                client.get(self.url)

    def end(self) -> None:
        """Wait until they have left."""
        self._end.set()
        for one in self._threads:
            one.join(60)


def test_the_autoscaler_follows_the_load_behind_an_address_of_the_cluster(
    cluster: Cluster, another: Deployed
) -> None:
    done = another.play(
        public_chatbot_exposure="loadbalancer",
        public_chatbot_replicas=1,
        public_chatbot_max_replicas=3,
        public_chatbot_target_cpu=50,
        public_chatbot_scale_down_delay=0,
        public_chatbot_resources={"requests": {"cpu": "50m"}, "limits": {"memory": "256Mi"}},
    )
    service = cluster.core.read_namespaced_service(f"{NAME}-lb", another.namespace)
    address = service.status.load_balancer.ingress[0].ip
    # It was waited for, and is what the role tells.
    assert done.task("Objects of the chatbot")["addresses"] == {f"{NAME}-lb": address}

    def wanted() -> int:
        return int(cluster.apps.read_namespaced_deployment(NAME, another.namespace).spec.replicas)

    def answers() -> bool:
        # A connection begun before kube-proxy knows the address never comes through: each is a new one.
        try:
            return httpx.get(f"http://{address}/", trust_env=False, timeout=3).status_code == 200
        except httpx.TransportError:
            return False

    cluster.until(answers, "the address answers", 60)
    load = Load(f"http://{address}/")
    try:
        cluster.until(lambda: wanted() > 1, "more pods are wanted under load", 120)
    finally:
        load.end()
    cluster.until(lambda: wanted() == 1, "one is enough without", 180)
