"""A public site of a cluster and private ones of a host, as the role joins them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import Kind

from tests.skupper.modules.host import NAMESPACES, Host
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.role.sites import Sites
from tests.skupper.traffic.servers import Server
from tests.standins.skupper.address import address_of

CERTIFICATE = Kind("Certificate", "", "certificates")


@pytest.fixture
def server() -> Iterator[Server]:
    """The workload of the private sites."""
    with Server("private") as one:
        yield one


@pytest.fixture
def sites(cluster: Cluster, server: Server, tmp_path: Path) -> Iterator[Sites]:
    """A public site and two private ones; the controller is there, and nothing else."""
    host = Host(tmp_path)
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(cluster.kubeconfig, kubeconfig)
    places: dict[str, dict[str, Any]] = {
        "cluster": {
            "skupper_site_name": "public",
            "skupper_site_namespace": cluster.namespace,
            "skupper_site_kubernetes": {"kubeconfig": str(kubeconfig)},
            "skupper_site_link_access": "default",
            "skupper_site_listeners": [{"name": "model", "port": 8000}],
        }
    }
    for name in ("east", "west"):
        places[name] = {
            "skupper_site_platform": "linux",
            "skupper_site_namespace": name,
            "skupper_site_connectors": [
                {"name": "model", "port": server.port, "connector_host": "127.0.0.1"}
            ],
            "skupper_site_links": [{"to": "public"}],
        }
    yield Sites(host, places)
    host.stop()


def listener(cluster: Cluster) -> tuple[str, int]:
    """Where the public site's listener is."""
    path = f"/api/v1/namespaces/{cluster.namespace}/services/model"
    return address_of(cluster.client.request("GET", path))


def links(host: Host, site: str) -> list[str]:
    """The files that make the links of a private site."""
    listed = host.run("ls", str(NAMESPACES / site / "input/resources")).stdout.split()
    return [one for one in listed if one.startswith(("Link-", "Secret-", "AccessToken-"))]


def certificates(cluster: Cluster, site: str) -> list[str]:
    """The certificates that the public side keeps for links of a site."""
    names = [one["metadata"]["name"] for one in cluster.client.all(CERTIFICATE, cluster.namespace)]
    return [one for one in names if one.startswith(f"{site}-")]


def keys(host: Host, *names: str) -> list[str]:
    """The keys of the links, which must not be seen."""
    found = []
    for site in names:
        for name in links(host, site):
            if name.startswith("Secret-"):
                data = yaml.safe_load(host.read(NAMESPACES / site / "input/resources" / name))["data"]
                found.append(data["tls.key"])
    assert found
    return found
