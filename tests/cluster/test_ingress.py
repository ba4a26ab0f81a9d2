"""Ingress objects are served by NGINX on the cluster of the tests."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.objects import HOST, ingress
from tests.cluster.pki import Authority


@pytest.fixture
def visit(cluster: Cluster) -> Iterator[httpx.Client]:
    """A visitor of the ingress under the host's name, from an address of its own."""
    own = cluster.own
    transport = httpx.HTTPTransport(local_address=own.visitors[0])
    address = f"http://{own.ingress}"
    with httpx.Client(transport=transport, base_url=address, headers={"Host": HOST}) as client:
        yield client


def test_an_ingress_routes_hosts_and_paths_over_all_pods(
    cluster: Cluster, web: str, visit: httpx.Client
) -> None:
    assert visit.get("/").status_code == 404
    cluster.apply(ingress(web, path="/chat"))
    cluster.until(lambda: visit.get("/chat/one").status_code == 200, "the path is served")

    def told() -> Any:
        found = cluster.get("networking.k8s.io/v1", "Ingress", "web", web) or {}
        return found["status"]["loadBalancer"].get("ingress")

    assert cluster.until(told, "its address is told")[0]["ip"] == cluster.own.ingress
    pods = {
        pod.metadata.name for pod in cluster.core.list_namespaced_pod(web, label_selector="app=web").items
    }
    answers = [visit.get("/chat/one?a=1").text.split() for _ in range(20)]
    assert {name for name, _ in answers} == pods
    assert {path for _, path in answers} == {"/chat/one?a=1"}
    assert visit.get("/chat").status_code == 200
    assert visit.get("/chats").status_code == 404
    assert visit.get("/chat/", headers={"Host": "other.example.org"}).status_code == 404
    cluster.apply(ingress(web, {"nginx.ingress.kubernetes.io/rewrite-target": "/$2"}, path="/chat(/|$)(.*)"))
    cluster.until(lambda: visit.get("/chat/headers").text.startswith("{"), "the prefix is taken away")
    headers = visit.get("/chat/headers", headers={"X-Forwarded-For": "192.0.2.9"}).json()
    assert headers["X-Forwarded-For"] == [cluster.own.visitors[0]]
    assert headers["Remote"][0].rsplit(":", 1)[0] == cluster.own.ingress
    cluster.apply(
        ingress(web, {"nginx.org/rewrites": "serviceName=web rewrite=/"}, path="/chat/", class_="nginx-f5")
    )
    cluster.until(lambda: visit.get("/chat/x").text.endswith(" /x\n"), "F5's annotation takes it away, too")
    cluster.remove(ingress(web))
    cluster.until(lambda: visit.get("/chat/x").status_code == 404, "nothing is served any more")


def test_an_ingress_ends_tls_with_the_secrets_certificate(
    cluster: Cluster, web: str, visit: httpx.Client, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("site", HOST, addresses=(HOST,))
    keys = zip(("tls.crt", "tls.key"), pair, strict=True)
    data = {name: base64.b64encode(file.read_bytes()).decode() for name, file in keys}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": data}
    secret["metadata"] = {"name": "site", "namespace": web}
    cluster.apply(secret, ingress(web, tls="site"))
    cluster.until(lambda: visit.get("/").status_code == 308, "plain requests are sent to HTTPS")
    assert visit.get("/a?b=c").headers["Location"] == f"https://{HOST}/a?b=c"
    trusting = ssl.create_default_context(cafile=str(authority.certificate_file))
    address = f"https://{cluster.own.ingress}"
    extensions = {"sni_hostname": HOST}
    with httpx.Client(verify=trusting, base_url=address, headers={"Host": HOST}) as client:
        answer = client.get("/headers", extensions=extensions)
        assert answer.json()["X-Forwarded-Proto"] == ["https"]
    cluster.apply(ingress(web, {"nginx.ingress.kubernetes.io/ssl-redirect": "false"}, tls="site"))
    cluster.until(lambda: visit.get("/").status_code == 200, "plain requests are served when that is wanted")
    cluster.remove(ingress(web), secret)


def test_the_controller_is_found_as_a_pod(cluster: Cluster) -> None:
    """Not the pod that it would be: nobody runs it, and its address is the one that pods see."""
    own = cluster.own
    found = cluster.core.list_pod_for_all_namespaces(
        label_selector="app.kubernetes.io/name=ingress-nginx"
    ).items
    assert [(pod.metadata.namespace, pod.status.pod_ip) for pod in found] == [("ingress-nginx", own.ingress)]


def test_streams_pass_and_outlive_changes(cluster: Cluster, web: str, visit: httpx.Client) -> None:
    cluster.apply(ingress(web, {"nginx.ingress.kubernetes.io/proxy-buffering": "off"}))
    cluster.until(lambda: visit.get("/").status_code == 200, "it is served")
    with visit.stream("GET", "/stream?n=30&ms=200") as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert next(lines) == "data: 0"
        # A reload in the middle of it.
        cluster.apply(ingress(web, name="another", host="another.example.org"))
        cluster.until(
            lambda: visit.get("/", headers={"Host": "another.example.org"}).status_code == 200,
            "it is changed",
        )
        assert list(lines) == [f"data: {number}" for number in range(1, 30)]
    cluster.remove(ingress(web), ingress(web, name="another"))
