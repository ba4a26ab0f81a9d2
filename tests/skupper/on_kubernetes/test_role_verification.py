"""What the role says at its end of links on Kubernetes that do not work, and what of a cluster it removes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    CONNECTOR,
    LINK,
    LISTENER,
    SECRET,
)

from tests.skupper.modules.host import Host
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.test_truth import GENERATED
from tests.skupper.role.sites import Run, Sites


def site_with_a_link(cluster: Cluster, host: Host) -> Sites:
    """A site that declares a link of the name far."""
    shutil.copy(cluster.kubeconfig, host.folder / "kubeconfig")
    place: dict[str, Any] = {
        "skupper_site_name": "priv",
        "skupper_site_namespace": cluster.namespace,
        "skupper_site_kubernetes": {"kubeconfig": str(host.folder / "kubeconfig")},
        "skupper_site_links": [{"to": "cluster", "name": "far"}],
        "skupper_site_wait_timeout": 10,
    }
    return Sites(host, {"cluster": place})


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Where Ansible runs."""
    one = Host(tmp_path)
    yield one
    one.stop()


@pytest.fixture
def sites(empty: Cluster, host: Host) -> Sites:
    """A site whose link goes to nobody who answers."""
    empty.module("skupper_site", name="priv", wait=False)
    assert empty.module("skupper_link", link=GENERATED, name="far", wait=False)["changed"]
    return site_with_a_link(empty, host)


def tasks(sites: Sites, file: str, **more: Any) -> Run:
    """Run a file of tasks of the role against the cluster."""
    place = sites.places["cluster"]
    where = {"namespace": place["skupper_site_namespace"], **place["skupper_site_kubernetes"]}
    defaults = {"group/private_ai.chatbot.skupper": {**where, "executable": sites.host.cli}}
    role = {"name": "private_ai.chatbot.skupper_site", "tasks_from": file}
    task = {"ansible.builtin.include_role": role, "vars": more}
    play = {"hosts": "all", "gather_facts": False, "module_defaults": defaults, "tasks": [task]}
    path = sites.host.folder / "tasks.yml"
    path.write_text(json.dumps([play]))
    return sites.playbook(str(path))


def test_a_link_that_does_not_work_ends_the_verification(sites: Sites) -> None:
    run = tasks(sites, "verify.yml")
    run.refused("far of site priv not operational after 10 s (")
    run.refused("Link/far: no controller has looked at it")
    assert "link       far to 10.0.0.9: not operational" in run.said
    # What nobody declared is in the table and ends nothing.
    sites.places["cluster"]["skupper_site_links"] = []
    assert "link       far to 10.0.0.9: not operational" in tasks(sites, "verify.yml").fine().said


def test_a_link_that_works_is_no_fault(public: Cluster, private: Cluster, host: Host) -> None:
    token = public.module("skupper_token", name="far", return_token=True)["token"]
    assert private.module("skupper_link", token=token)["redeemed"]
    said = tasks(site_with_a_link(private, host), "verify.yml").fine().said
    assert "link       far to " in said and "not operational" not in said


@pytest.mark.extended
def test_a_listener_without_a_connector_ends_the_verification(site: Cluster, host: Host) -> None:
    site.module("skupper_listener", name="model", port=8000)
    site.module("skupper_listener", name="other", port=8001)
    sites = site_with_a_link(site, host)
    place = sites.places["cluster"]
    place.update(
        {"skupper_site_listeners": [{"name": "model", "port": 8000}], "skupper_site_wait_timeout": 1}
    )
    run = tasks(sites, "verify.yml")
    run.refused("Listener model of site priv has no destination after 1 s: no linked site has a connector")
    site.module("skupper_connector", name="model", port=8000, connector_host="10.0.0.1")
    place["skupper_site_wait_timeout"] = 30
    assert "a connector matches" in tasks(sites, "verify.yml").fine().said


def test_a_side_that_does_not_see_the_link_is_named(sites: Sites) -> None:
    link = sites.places["cluster"]["skupper_site_links"][0]
    run = tasks(sites, "agree.yml", __skupper_site_link=link, __skupper_site_info={"sites": [{"uid": "0"}]})
    run.refused("Site cluster does not see the link far of priv (0) after 10 s; it sees the sites none")


@pytest.mark.extended
def test_what_is_not_declared_goes_only_when_that_is_asked_for(
    public: Cluster, private: Cluster, host: Host
) -> None:
    token = public.module("skupper_token", name="old", return_token=True)["token"]
    assert private.module("skupper_link", token=token)["redeemed"]
    assert private.module("skupper_listener", name="old", port=8000)["changed"]
    assert private.module("skupper_connector", name="old", port=8001, selector="app=old")["changed"]
    sites = site_with_a_link(private, host)
    sites.places["cluster"]["skupper_site_links"] = []
    kinds = (LISTENER, CONNECTOR, LINK)

    def left() -> list[int]:
        return [len(private.client.all(kind, private.namespace)) for kind in kinds]

    assert sites.role().fine().changed == 0 and left() == [1, 1, 1]
    asked = {"skupper_site_prune": True}
    assert sites.role(cluster=asked).fine().changed == 3 and left() == [0, 0, 0]
    assert private.client.get(SECRET, private.namespace, "old") is None
