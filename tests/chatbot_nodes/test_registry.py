"""An image that is pushed to a registry; nodes pull it by its digest, with the credentials of a Secret."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.chatbot_nodes.deployed import Deployed, Model
from tests.cluster.cluster import Cluster
from tests.cluster.node import REGISTRIES
from tests.cluster.processes import found
from tests.gateway.gateway_stack import wait_until
from tests.ports import free_ports

pytestmark = pytest.mark.extended

USER, PASSWORD = "puller", "password-of-the-test-1"
#: Of that password, by bcrypt, the only way that the registry takes.
HASH = "$2b$05$hvdobMBc2tB8o5qhHcDdqu9gkeB.gDj4JMRfazy4ko4DGDXUMNdw6"


@pytest.fixture
def registry(cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """The distribution's registry, which asks for credentials; its address, without TLS for the nodes."""
    address = f"{cluster.own.host}:{free_ports(1)[0]}"
    told = Path(cluster.own.folder) / REGISTRIES / address
    told.mkdir(parents=True)
    # Without a section `host`, containerd 1.6 does not take the file.
    host = f'server = "http://{address}"\n[host."http://{address}"]\ncapabilities = ["pull", "resolve"]\n'
    (told / "hosts.toml").write_text(host)
    (tmp_path / "htpasswd").write_text(f"{USER}:{HASH}\n")
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address, "secret": "of-the-test"},
        "auth": {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}},
    }
    (tmp_path / "registry.yml").write_text(yaml.safe_dump(settings))
    with (tmp_path / "registry.log").open("wb") as log:
        command = [found("docker-registry", "docker-registry"), "serve", str(tmp_path / "registry.yml")]
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def asks() -> bool:
        try:
            return httpx.get(f"http://{address}/v2/", trust_env=False).status_code == 401
        except httpx.TransportError:
            return False

    try:
        wait_until(asks, 60, "the registry asks for credentials")
        yield address
    finally:
        process.kill()
        process.wait()
        (told / "hosts.toml").unlink()
        told.rmdir()


@pytest.fixture
def chatbot(cluster: Cluster, model: Model) -> Iterator[Deployed]:
    """A namespace of the test's own."""
    one = Deployed(cluster, model)
    yield one
    one.remove()


def test_pushed_and_pulled_by_digest(cluster: Cluster, registry: str, chatbot: Deployed) -> None:
    image = f"{registry}/chat/chatbot:1"
    given = {
        "public_chatbot_image_source": "push",
        "public_chatbot_image": image,
        "public_chatbot_image_registry_username": USER,
        "public_chatbot_image_registry_password": PASSWORD,
        "public_chatbot_image_registry_tls_verify": False,
        "public_chatbot_exposure": "none",
        "public_chatbot_replicas": 1,
    }
    assert chatbot.play("--check", **given).changed > 0
    assert httpx.get(f"http://{registry}/v2/_catalog", auth=(USER, PASSWORD), trust_env=False).json() == {
        "repositories": []
    }, "check mode pushed"
    assert chatbot.play(**given).changed > 0
    manifest = httpx.get(
        f"http://{registry}/v2/chat/chatbot/manifests/1",
        auth=(USER, PASSWORD),
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        trust_env=False,
    )
    digest = manifest.headers["Docker-Content-Digest"]
    (pod,) = chatbot.pods()
    assert pod.spec.containers[0].image == f"{registry}/chat/chatbot@{digest}"
    assert pod.status.container_statuses[0].image_id.endswith(digest)
    assert pod.status.container_statuses[0].ready
    (secret,) = pod.spec.image_pull_secrets
    made = cluster.core.read_namespaced_secret(secret.name, chatbot.namespace)
    assert made.type == "kubernetes.io/dockerconfigjson"
    said = [one.message for one in cluster.core.list_namespaced_event(chatbot.namespace).items]
    assert any(f'Successfully pulled image "{registry}/chat/chatbot@{digest}"' in one for one in said), said

    assert chatbot.play(**given).changed == 0, "what the registry has is not pushed again"
    assert chatbot.play("--check", **given).changed == 0


def test_without_credentials_the_reason_is_told(cluster: Cluster, registry: str, chatbot: Deployed) -> None:
    done = chatbot.attempt(
        public_chatbot_image_source="registry",
        public_chatbot_image=f"{registry}/chat/chatbot@sha256:{'0' * 64}",
        public_chatbot_exposure="none",
        public_chatbot_replicas=1,
        public_chatbot_wait_timeout=60,
    )
    assert done.status != 0
    assert "ErrImagePull" in done.said or "ImagePullBackOff" in done.said, done.said[-3000:]
    assert registry in done.said
