"""What the role says at its end of links on Kubernetes that do not work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.skupper.modules.host import Host
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.test_truth import GENERATED
from tests.skupper.role.sites import Run, Sites


@pytest.fixture
def sites(empty: Cluster, tmp_path: Path) -> Iterator[Sites]:
    """A site whose link was made by nobody who answers."""
    host = Host(tmp_path)
    shutil.copy(empty.kubeconfig, tmp_path / "kubeconfig")
    place: dict[str, Any] = {
        "skupper_site_name": "priv",
        "skupper_site_namespace": empty.namespace,
        "skupper_site_kubernetes": {"kubeconfig": str(tmp_path / "kubeconfig")},
        "skupper_site_links": [{"to": "cluster", "name": "far"}],
        "skupper_site_wait_timeout": 10,
    }
    empty.module("skupper_site", name="priv", wait=False)
    assert empty.module("skupper_link", link=GENERATED, name="far", wait=False)["changed"]
    yield Sites(host, {"cluster": place})
    host.stop()


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


def test_a_side_that_does_not_see_the_link_is_named(sites: Sites) -> None:
    link = sites.places["cluster"]["skupper_site_links"][0]
    run = tasks(sites, "agree.yml", __skupper_site_link=link, __skupper_site_info={"sites": [{"uid": "0"}]})
    run.refused("Site cluster does not see the link far of priv (0) after 10 s; it sees the sites none")
