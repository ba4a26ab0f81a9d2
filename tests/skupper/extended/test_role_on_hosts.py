"""Sites of hosts alone: links issued anew while requests are sent, and what is not declared goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ports import free_port
from tests.skupper.modules.host import NAMESPACES, ROOT, Host
from tests.skupper.role.sites import Sites
from tests.skupper.traffic.servers import Requests, Server, greeting, until

ROTATE = str(ROOT / "playbooks/rotate.yml")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host without a site."""
    one = Host(tmp_path)
    yield one
    one.stop()


@pytest.fixture
def server() -> Iterator[Server]:
    """The workload of the private sites."""
    with Server("private") as one:
        yield one


@pytest.fixture
def address() -> tuple[str, int]:
    """Where the model is reached at the site that all dial."""
    return ("127.0.0.1", free_port())


@pytest.fixture
def sites(host: Host, server: Server, address: tuple[str, int]) -> Sites:
    """One site that others dial, and two that dial it."""
    hub: dict[str, Any] = {
        "skupper_site_link_access": "default",
        "skupper_site_router_access": {
            "bind_host": "127.0.0.1",
            "inter_router_port": free_port(),
            "edge_port": free_port(),
            "subject_alternative_names": ["127.0.0.1"],
        },
        "skupper_site_listeners": [
            {"name": "model", "port": address[1], "listener_host": address[0]},
            {"name": "other", "port": free_port(), "listener_host": address[0], "routing_key": "model"},
        ],
    }
    connectors = [
        {"name": "model", "port": server.port, "connector_host": "127.0.0.1"},
        {"name": "other", "port": server.port, "connector_host": "127.0.0.1"},
    ]
    dials = {"skupper_site_links": [{"to": "hub"}], "skupper_site_connectors": connectors}
    places: dict[str, dict[str, Any]] = {"hub": hub, "east": dials, "west": dials}
    return Sites(
        host,
        {
            name: {"skupper_site_platform": "linux", "skupper_site_namespace": name, **one}
            for name, one in places.items()
        },
    )


def files(host: Host, site: str) -> list[str]:
    """What a site is made of."""
    return host.run("ls", str(NAMESPACES / site / "input/resources")).stdout.split()


def key(host: Host, site: str, name: str) -> str:
    """The key of a link."""
    text = host.read(NAMESPACES / site / f"input/resources/Secret-{name}.yaml")
    return str(yaml.safe_load(text)["data"]["tls.key"])


def test_links_to_a_host_are_issued_anew(sites: Sites, address: tuple[str, int]) -> None:
    host = sites.host
    refused = sites.playbook(ROTATE, "--limit", "localhost,east")
    refused.refused("has no link to hub that could be issued anew. Remedy: run the playbook site.yml first")
    sites.role().fine()
    until(lambda: greeting(address) == "private", "the model answers")
    old = {site: key(host, site, f"{site}-to-hub") for site in ("east", "west")}

    before = host.fingerprint()
    predicted = sites.playbook(ROTATE, "--check").fine()
    assert host.fingerprint() == before, "check mode wrote something"
    with Requests(address, "private") as requests:
        rotated = sites.playbook(ROTATE, "-vvvv").fine()
    until(lambda: greeting(address) == "private", "the model answers by the new links")
    print(f"{requests.answered.count(False)} of {len(requests.answered)} lost, in gaps {requests.gaps}")
    # The one router that all dial makes new keys by its reload. Each of the others is reloaded twice, while
    # the other one answers: what is on its way through a router that stops is lost, the next request is not.
    *single, _reload = sorted(requests.gaps)
    assert set(single) <= {1} and len(single) <= 4, requests.gaps
    assert predicted.count("changed") == rotated.count("changed")
    new = {}
    for site in ("east", "west"):
        links = [one for one in files(host, site) if one.startswith(("Link-", "Secret-"))]
        assert links == [f"Link-{site}-to-hub-r2.yaml", f"Secret-{site}-to-hub-r2.yaml"]
        assert host.mode(NAMESPACES / site / f"input/resources/Secret-{site}-to-hub-r2.yaml") == "600"
        new[site] = key(host, site, f"{site}-to-hub-r2")
    assert not set(new.values()) & set(old.values())
    for secret in (*old.values(), *new.values()):
        assert secret not in rotated.said
    assert sites.role().fine().changed == 0


STOPS_WEST = """\
#!/bin/sh
# The skupper command on a host where another site's router stops while this one is reloaded.
case "$*" in *"-n hub system reload"*) systemctl stop skupper-west.service ;; esac
exec {cli} "$@"
"""


def test_no_site_is_touched_before_the_others_are_back(sites: Sites) -> None:
    host = sites.host
    sites.role().fine()
    wrapper = host.folder / "skupper"
    wrapper.write_text(STOPS_WEST.format(cli=host.cli))
    wrapper.chmod(0o755)
    mine = {"skupper_site_cli_path": str(wrapper)}
    before = host.fingerprint(*(NAMESPACES / site / "input" for site in sites.places))
    run = sites.playbook(ROTATE, hub=mine, east={"skupper_site_wait_timeout": 15})
    run.refused("had a link with hub and has none 15 s after hub was reloaded for new keys")
    assert "west-" in run.said.partition(" had a link with hub")[0].rpartition("msg")[2]
    assert host.fingerprint(*(NAMESPACES / site / "input" for site in sites.places)) == before


def test_what_is_not_declared_goes_when_that_is_asked_for(sites: Sites, address: tuple[str, int]) -> None:
    host = sites.host
    del sites.places["west"]
    listeners = sites.places["hub"]["skupper_site_listeners"]
    connectors = sites.places["east"]["skupper_site_connectors"]
    sites.role().fine()
    other = (address[0], listeners[1]["port"])
    for one in (address, other):
        until(lambda at=one: greeting(at) == "private", "it answers")  # type: ignore[misc]
    assert "Listener-other.yaml" in files(host, "hub") and "Connector-other.yaml" in files(host, "east")

    # Asked for by nobody, or in a check, everything stays.
    fewer = {
        "hub": {"skupper_site_listeners": listeners[:1]},
        "east": {"skupper_site_connectors": connectors[:1]},
    }
    before = host.fingerprint()
    assert sites.role(**fewer).fine().changed == 0
    pruned = {name: {**one, "skupper_site_prune": True} for name, one in fewer.items()}
    predicted = sites.role("--check", "--diff", **pruned).fine().count("changed")
    assert predicted == {"east": 2, "hub": 2}
    assert host.fingerprint() == before
    # The reload of the site that is dialled renews the key of the link, which is taken up, too.
    assert sites.role(**pruned).fine().count("changed") == {"east": 4, "hub": 2}
    assert [one for one in files(host, "hub") if "er-" in one] == ["Listener-model.yaml"]
    assert [one for one in files(host, "east") if "or-" in one] == ["Connector-model.yaml"]
    until(lambda: greeting(address) == "private", "what is declared answers")
    assert greeting(other) == ""


def test_a_tag_does_its_part_only(sites: Sites) -> None:
    host = sites.host
    del sites.places["west"]
    sites.role().fine()
    resources = NAMESPACES / "east/input/resources"
    link = ["Link-east-to-hub.yaml", "Secret-east-to-hub.yaml"]
    east = sites.places["east"]
    for each in link:
        host.run("rm", str(resources / each))
    east["skupper_site_labels"] = {"example.com/team": "one"}
    east["skupper_site_connectors"] = [*east["skupper_site_connectors"], {"name": "new", "port": 9}]
    east["skupper_site_connectors"][-1]["connector_host"] = "127.0.0.1"

    def done(tag: str, changed: int) -> tuple[bool, bool, bool]:
        """Whether the service, the link and the label are there after a run."""
        assert sites.role("--tags", tag).fine().count("changed") == {"east": changed, "hub": 0}
        there = files(host, "east")
        labelled = "example.com/team" in host.read(resources / "Site-east.yaml")
        return "Connector-new.yaml" in there, set(link) <= set(there), labelled

    # What is done, and a reload, which a label does not need.
    assert done("expose", 2) == (True, False, False)
    assert done("token", 2) == (True, True, False)
    assert done("link", 0) == (True, True, False)
    assert done("init", 1) == (True, True, True)
    assert sites.role().fine().changed == 0
