"""An API server that does not know Skupper yet: the first file here, so that no test has told it."""

from __future__ import annotations

from tests.cluster.fixtures import Api
from tests.skupper.modules.agent_client import Agent
from tests.skupper.on_kubernetes.cluster import Cluster, install_crds


def test_crds_are_missing(api: Api, agent: Agent) -> None:
    """Before anything has installed them; a given cluster has them already."""
    one = Cluster(api, agent, "default")
    if api.plane is None:
        install_crds(one.client)
        return
    predicted = one.module("skupper_site", name="pub", check=True)
    assert predicted["changed"] and "CRDs are not installed" in str(predicted["warnings"])
    real = one.module("skupper_site", name="pub")
    assert real["failed"] and "install Skupper 2.1" in real["msg"]
    assert not one.module("skupper_listener", name="a", state="absent")["changed"]
