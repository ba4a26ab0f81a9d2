"""A private site of a host joins a public one of a cluster by a link that the cluster generates."""

from __future__ import annotations

import pytest

from tests.skupper.modules.host import NAMESPACES, ROOT
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.conftest import controller
from tests.skupper.on_kubernetes.joined import certificates, keys, links, listener, server, sites
from tests.skupper.role.sites import Sites
from tests.skupper.traffic.servers import greeting, until
from tests.standins.skupper.controller import Controller

__all__ = ["controller", "server", "sites"]


def test_a_generated_link_where_the_tokens_server_is_out_of_reach(
    sites: Sites, cluster: Cluster, controller: Controller | None
) -> None:
    if controller is None:
        pytest.skip("the server of a given cluster's controller is not ours to stop")
    host = sites.host
    del sites.places["west"]
    assert controller.grants.server is not None
    controller.grants.server.stop()
    only = {"skupper_site_links": [{"to": "public", "via": "token"}]}
    sites.role(east=only).refused("refuses connections")
    assert links(host, "east") == []

    # With Ansible's own settings, which write what modules are given into files.
    first = sites.role("-vvvv", environ={"ANSIBLE_PIPELINING": "0"}).fine()
    assert "so a link is generated" in first.said
    assert "AnsiballZ_skupper_site.py" in first.said
    for module in ("skupper_token", "skupper_link"):
        assert f"/plugins/modules/{module}.py" in first.said and f"AnsiballZ_{module}.py" not in first.said
    assert links(host, "east") == ["Link-east-to-public.yaml", "Secret-east-to-public.yaml"]
    address = listener(cluster)
    until(lambda: greeting(address) == "private", "the model answers on the public side")
    for key in keys(host, "east"):
        assert key not in first.said

    # The same way, asked for; drift is repaired, and issued anew it has another key.
    chosen = {"skupper_site_links": [{"to": "public", "via": "link"}]}
    assert sites.role(east=chosen).fine().changed == 0
    link = NAMESPACES / "east/input/resources/Link-east-to-public.yaml"
    host.run("sed", "-i", "s/host: 127.0.0.1/host: 10.0.0.1/", str(link))
    # What runs is as it was, so nothing is reloaded.
    assert sites.role(east=chosen).fine().count("changed")["east"] == 1
    old = keys(host, "east")
    before = cluster.fingerprint() + host.fingerprint()
    sites.playbook(str(ROOT / "playbooks/rotate.yml"), "--check", east=chosen).fine()
    assert cluster.fingerprint() + host.fingerprint() == before
    rotated = sites.playbook(str(ROOT / "playbooks/rotate.yml"), east=chosen).fine()
    assert links(host, "east") == ["Link-east-to-public-r2.yaml", "Secret-east-to-public-r2.yaml"]
    new = keys(host, "east")
    assert not set(new) & set(old)
    for key in (*old, *new):
        assert key not in rotated.said
    # The other side keeps a certificate for the link that is there, and none for the one that is not.
    assert certificates(cluster, "east") == ["east-to-public-r2"]
    until(lambda: greeting(address) == "private", "it answers by the new link")
    sites.role("--limit", "east", east={**chosen, "skupper_site_state": "absent"}).fine()
    assert certificates(cluster, "east") == []
