"""Sites of hosts alone: links that one generates for the other, and what the role refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.ports import free_ports
from tests.skupper.modules.host import NAMESPACES, Host
from tests.skupper.role.sites import Run, Sites

EAST: dict[str, Any] = {
    "skupper_site_platform": "linux",
    "skupper_site_namespace": "east",
    "skupper_site_links": [{"to": "west"}],
    "skupper_site_connectors": [{"name": "model", "port": 18080, "connector_host": "127.0.0.1"}],
}
BETWEEN, EDGE = free_ports(2)
WEST: dict[str, Any] = {
    "skupper_site_platform": "linux",
    "skupper_site_namespace": "west",
    "skupper_site_link_access": "default",
    "skupper_site_router_access": {
        "bind_host": "127.0.0.1",
        "inter_router_port": BETWEEN,
        "edge_port": EDGE,
        "subject_alternative_names": ["127.0.0.1"],
    },
}


@pytest.fixture
def sites(host: Host) -> Sites:
    """Two sites, of which one dials the other."""
    return Sites(host, {"east": EAST, "west": WEST})


def test_a_link_to_a_host(sites: Sites) -> None:
    host = sites.host
    before = host.fingerprint()
    sites.role("--check").fine()
    assert host.fingerprint() == before
    # With Ansible's own settings, which write what modules are given into files: all but the link's key.
    first = sites.role("-vvvv", environ={"ANSIBLE_PIPELINING": "0"}).fine()
    assert "AnsiballZ_skupper_site.py" in first.said
    assert "/plugins/modules/skupper_link.py" in first.said and "AnsiballZ_skupper_link.py" not in first.said
    resources = NAMESPACES / "east/input/resources"
    assert host.run("ls", str(resources)).stdout.split() == [
        "Connector-model.yaml",
        "Link-east-to-west.yaml",
        "Secret-east-to-west.yaml",
        "Site-east.yaml",
    ]
    assert host.mode(resources / "Secret-east-to-west.yaml") == "600"
    assert "tlsCredentials: east-to-west" in host.read(resources / "Link-east-to-west.yaml")
    assert sites.role().fine().changed == 0

    # What is not declared goes when that is asked for, and only then.
    other = {**EAST, "skupper_site_connectors": [], "skupper_site_links": [], "skupper_site_prune": True}
    assert sites.role(east={**other, "skupper_site_prune": False}).fine().changed == 0
    # A check knows that the site would be reloaded, too.
    assert sites.role("--check", east=other).fine().count("changed") == {"east": 3, "west": 0}
    assert sites.role(east=other).fine().count("changed") == {"east": 3, "west": 0}
    assert host.run("ls", str(resources)).stdout.split() == ["Site-east.yaml"]

    absent = {"skupper_site_state": "absent"}
    assert sites.role(east=absent, west=absent).fine().count("changed") == {"east": 1, "west": 1}
    assert host.run("ls", str(NAMESPACES)).stdout == ""


@pytest.mark.extended
def test_a_router_that_does_not_answer_is_named(sites: Sites) -> None:
    sites.role().fine()
    sites.host.run("systemctl", "stop", "skupper-west.service")
    impatient = {"skupper_site_wait_timeout": 4}
    alone = sites.role("--limit", "east", "--tags", "verify", east=impatient)
    alone.refused("Site west does not see the link east-to-west of east (")
    alone.refused("after 4 s; it sees the sites none. the router does not answer on 127.0.0.1:")


@pytest.mark.parametrize(
    "variables, words",
    [
        ({"skupper_site_name": "Not_A_Name"}, "names are lower-case letters, digits and dashes"),
        ({"skupper_site_links": [{"to": "nowhere"}]}, "neither a host of the inventory"),
        ({"skupper_site_links": [{"to": "west", "via": "token"}]}, "where no tokens are issued"),
        ({"skupper_site_connectors": [{"name": "a", "port": 70000}]}, "ports are 1 to 65535"),
        ({"skupper_site_cli_path": "no-such-command"}, "is not on this host, or is older than 2.1"),
    ],
)
def test_refused_before_anything_is_changed(sites: Sites, variables: dict[str, Any], words: str) -> None:
    sites.role("--limit", "east", east=variables).refused(words)
    assert sites.host.run("ls", str(NAMESPACES)).stdout == ""


PODMAN = """\
#!/bin/sh
# Stand-in for podman on a host with a site of Skupper version 1.
[ "$1 $2 $3" = "container inspect skupper-router" ]
"""


def test_version_1_is_left_alone(sites: Sites) -> None:
    program = sites.host.folder / "podman"
    program.write_text(PODMAN)
    program.chmod(0o755)
    environ = {"PATH": f"{sites.host.folder}:{sites.host.environ['PATH']}"}
    run = sites.role("--limit", "east", environ=environ, east={"skupper_site_platform": "podman"})
    run.refused("This host has a site of Skupper version 1")
    assert sites.host.run("ls", str(NAMESPACES)).stdout == ""


CONTAINER_HOST = {
    "podman": """\
#!/bin/sh
# Stand-in for podman on a host where a router runs.
echo quay.io/skupper/skupper-router:3.5.1
""",
    "systemctl": """\
#!/bin/sh
# Stand-in for systemd with a socket of Podman that was never started.
echo "$*" >>/run/said.log
case "$*" in
*show*) printf 'Id=podman.socket\\nLoadState=loaded\\nActiveState=inactive\\nUnitFileState=disabled\\n' ;;
*is-enabled*) echo disabled; exit 1 ;;
esac
""",
}


def test_what_containers_need(sites: Sites) -> None:
    host = sites.host
    for name, text in CONTAINER_HOST.items():
        (host.folder / name).write_text(text)
        (host.folder / name).chmod(0o755)
    role = {"name": "private_ai.chatbot.skupper_site", "tasks_from": "containers.yml"}
    task = {"ansible.builtin.include_role": role, "vars": {"__skupper_site_info": {"started": True}}}
    play = {"hosts": "east", "gather_facts": True, "tasks": [task]}
    (host.folder / "containers.yml").write_text(json.dumps([play]))

    def run(image: str, *arguments: str) -> Run:
        variables = {
            "skupper_site_platform": "podman",
            "skupper_site_system_controller": False,
            "skupper_site_router_image": image,
            "skupper_site_registries": [{"prefix": "quay.io/skupper", "location": "registry.example.com/s"}],
        }
        environ = {"PATH": f"{host.folder}:{host.environ['PATH']}"}
        return sites.playbook(
            str(host.folder / "containers.yml"), *arguments, environ=environ, east=variables
        )

    assert run("quay.io/skupper/skupper-router:3.5.1").fine().changed == 2
    path = "/etc/containers/registries.conf.d/50-private-ai-skupper.conf"
    assert host.read(path).splitlines()[1:] == [
        "[[registry]]",
        'prefix = "quay.io/skupper"',
        'location = "registry.example.com/s"',
        "insecure = false",
    ]
    said = host.read("/run/said.log")
    assert "start podman.socket" in said and "enable podman.socket" in said
    # Another image takes effect by a reload, which nothing else asks for.
    other = run("registry.example.com/s/skupper-router:3.5.1", "--check").fine()
    assert "Reload the site with its links" in other.said
