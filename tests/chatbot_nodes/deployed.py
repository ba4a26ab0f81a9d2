"""The chatbot on real nodes, brought there by the role, before the paced stand-in of a model."""

from __future__ import annotations

import base64
import ssl
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.cluster.cluster import Cluster
from tests.gateway.gateway_stack import STAND_IN
from tests.public_chatbot.place import Play

IMAGE = "localhost/private-ai/chatbot:0.1.0"
HOST = "chat.example.com"
PATH = "/chat"
KEY = "key-of-the-test-0123456789"
NAME = "chatbot"
SELECTOR = "app.kubernetes.io/name=private-ai-chatbot"
#: Tokens a second of the model: a crowd's answers outlive what is done to the pods meanwhile.
RATE = 4
#: What the role is told for a page behind an Ingress.
BEHIND_INGRESS: dict[str, Any] = {
    "public_chatbot_host": HOST,
    "public_chatbot_path": PATH,
    "public_chatbot_ingress_class": "nginx",
    "public_chatbot_rate_limit_per_minute": 1000,
    "public_chatbot_max_open_per_visitor": 30,
}


class Model:
    """The paced stand-in on this machine, where pods reach it."""

    def __init__(self, host: str) -> None:
        self.host, self.port, self.stats_port = host, 18771, 18772
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(STAND_IN),
                f"--host={host}",
                f"--port={self.port}",
                f"--stats-port={self.stats_port}",
                f"--rate={RATE}",
                f"--api-key={KEY}",
            ]
        )

    @property
    def stats(self) -> dict[str, Any]:
        """What it counted; empty while it does not answer."""
        try:
            found: dict[str, Any] = httpx.get(
                f"http://{self.host}:{self.stats_port}/_stats", timeout=5, trust_env=False
            ).json()
        except httpx.HTTPError:
            return {}
        return found

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@dataclass
class Deployed:
    """A namespace with the chatbot in it."""

    cluster: Cluster
    model: Model
    namespace: str = field(default_factory=lambda: f"chatbot-{uuid.uuid4().hex[:8]}")

    def play(self, *arguments: str, **variables: Any) -> Play:
        """Run the role, which waits for the pods; more variables than these are the test's."""
        done = self.attempt(*arguments, **variables)
        assert done.status == 0, done.said[-6000:]
        return done

    def attempt(self, *arguments: str, **variables: Any) -> Play:
        """The same, whatever comes of it."""
        return Play.run(self.variables(**variables), list(arguments))

    def variables(self, **more: Any) -> dict[str, Any]:
        """What the role is told."""
        host = self.cluster.own.host
        return {
            "public_chatbot_kubernetes": {"kubeconfig": str(self.cluster.kubeconfig)},
            "public_chatbot_namespace": self.namespace,
            "public_chatbot_image_source": "loaded",
            "public_chatbot_api_key": KEY,
            "public_chatbot_model_url": f"http://{host}:{self.model.port}",
            "public_chatbot_model_to": [{"ipBlock": {"cidr": f"{host}/32"}}],
            "public_chatbot_model_name": "paced",
            "ansible_python_interpreter": sys.executable,
            **more,
        }

    def remove(self) -> None:
        """Take it away with its namespace; nobody waits for the end."""
        self.cluster.core.delete_namespace(self.namespace)

    def pods(self) -> list[Any]:
        """The pods that are not ending."""
        found = self.cluster.core.list_namespaced_pod(self.namespace, label_selector=SELECTOR).items
        return [pod for pod in found if not pod.metadata.deletion_timestamp]

    def patch(self, spec: dict[str, Any]) -> None:
        """Change the Deployment as somebody with kubectl does."""
        self.cluster.apps.patch_namespaced_deployment(NAME, self.namespace, {"spec": spec})

    def available(self) -> None:
        """Wait until the newest revision is there, and nothing else."""
        self.cluster.available(self.namespace, NAME, 180)

    def in_pod(self, pod: str, program: str) -> str:
        """What a program of Python says in a pod."""
        done = self.cluster.exec(self.namespace, pod, ["python3", "-c", program])
        assert done.status == 0, done.output
        return done.output

    def streams(self, pod: str) -> int:
        """How many answers a pod is writing."""
        program = (
            "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
        )
        lines = self.in_pod(pod, program).splitlines()
        values = [line.split()[-1] for line in lines if line.startswith("chatbot_streams_in_flight")]
        return int(sum(float(value) for value in values))


def certificate(cluster: Cluster, namespace: str) -> ssl.SSLContext:
    """Trust in the certificate that the role made, and in nothing else."""
    secret = cluster.core.read_namespaced_secret(f"{NAME}-tls", namespace)
    return ssl.create_default_context(cadata=base64.b64decode(secret.data["tls.crt"]).decode())
