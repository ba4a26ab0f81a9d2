"""What the support bundle has of the logs of real pods, of containers that ended and began again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.client import Client, connected
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.cluster_support import (
    ClusterCollector,
)

from tests.cluster.cluster import RESTRICTED, Cluster

pytestmark = pytest.mark.extended

PROMPT = "canary prompt: what is the weather on the moon"
KEY = "key-of-the-owner-0001"
ROUTER = "2026-11-21 14:46:07.104221 +0000 SERVER (info) [C5] Connection opened"
LINES = [json.dumps({"request_id": "id-4711", "prompt": PROMPT}), f"Traceback: {PROMPT}", f"{ROUTER} {KEY}"]
LABELS = {
    "app.kubernetes.io/name": "private-ai-chatbot",
    "app.kubernetes.io/instance": "chatbot",
    "skupper.io/component": "router",
}


@pytest.fixture
def lines(cluster: Cluster) -> Iterator[str]:
    """Where a pod gets the lines that it logs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(("\n".join(LINES) + "\n").encode())

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((cluster.own.host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{cluster.own.host}:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_bundle_has_the_logs_of_pods_without_prompts_and_secrets(cluster: Cluster, lines: str) -> None:
    with cluster.namespace() as namespace:
        container = {
            "name": "one",
            "image": cluster.probe_image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["get", lines],
            "securityContext": RESTRICTED,
        }
        metadata = {"name": "chatbot-1", "labels": LABELS}
        spec = {"containers": [container], "restartPolicy": "Always"}
        cluster.core.create_namespaced_pod(namespace, {"metadata": metadata, "spec": spec})

        def restarted() -> bool:
            status = cluster.core.read_namespaced_pod("chatbot-1", namespace).status
            return any(
                one.restart_count and one.last_state.terminated for one in status.container_statuses or []
            )

        cluster.until(restarted, "the pod has ended and begun again", 120)
        client = connected(Client, {"kubeconfig": str(cluster.kubeconfig)})
        files = ClusterCollector(client, namespace, "chatbot", 100, [KEY], namespace).files()
    whole = json.dumps(files)
    assert PROMPT not in whole and KEY not in whole
    for name in ("logs/chatbot-1-one.log", "logs/chatbot-1-one.before.log"):
        assert "id-4711" in files[name] and "a line of" in files[name], files[name]
        assert f"{ROUTER} <hidden>" in files[name]
    (pod,) = json.loads(files["kubernetes/chatbot-pods.json"])
    assert pod["node"] in cluster.own.nodes and pod["containers"][0]["restartCount"] > 0
    assert "Pod/chatbot-1" in files["kubernetes/events.txt"]
