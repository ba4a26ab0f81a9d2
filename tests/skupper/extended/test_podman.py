"""Two sites of one host on platform podman, before a stand-in of Podman's socket whose routers really run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.skupper.modules.host import NAMESPACES, STANDINS, Host
from tests.skupper.role.sites import Sites
from tests.skupper.traffic.servers import Server, greeting, until

UNIT = """\
[Service]
ExecStart={python} -m skupper.engine_server /run/podman/podman.sock
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host with Podman, whose socket was never started."""
    one = Host(tmp_path)
    one.environ["PATH"] = f"{Path(__file__).parents[1] / 'role/bin'}:{one.environ['PATH']}"
    one.environ["PYTHONPATH"] += f":{STANDINS}"
    one.write("/etc/systemd/system/podman.socket", UNIT.format(python=sys.executable))
    yield one
    one.stop()


def containers(host: Host) -> list[str]:
    """The containers that are asked for by name, and are there."""
    names = ("east-skupper-router", "west-skupper-router", "root-skupper-controller")
    return [one for one in names if host.run("podman", "container", "inspect", one).rc == 0]


def test_two_sites_in_containers(host: Host) -> None:
    address = ("127.0.0.1", free_port())
    access = {
        "bind_host": "127.0.0.1",
        "inter_router_port": free_port(),
        "edge_port": free_port(),
        "subject_alternative_names": ["127.0.0.1"],
    }
    with Server("private") as server:
        places: dict[str, dict[str, Any]] = {
            "east": {
                "skupper_site_links": [{"to": "west"}],
                "skupper_site_connectors": [
                    {"name": "model", "port": server.port, "connector_host": "127.0.0.1"}
                ],
            },
            "west": {
                "skupper_site_link_access": "default",
                "skupper_site_router_access": access,
                "skupper_site_listeners": [
                    {"name": "model", "port": address[1], "listener_host": address[0]}
                ],
            },
        }
        common = {"skupper_site_platform": "podman"}
        named = {name: {**common, "skupper_site_namespace": name, **one} for name, one in places.items()}
        sites = Sites(host, named)
        before = host.fingerprint()
        sites.role("--check").fine()
        assert host.fingerprint() == before
        sites.role().fine()
        assert containers(host) == ["east-skupper-router", "west-skupper-router", "root-skupper-controller"]
        assert host.run("systemctl", "is-active", "podman.socket").rc == 0
        until(lambda: greeting(address) == "private", "the listener answers through both containers")
        assert sites.role().fine().changed == 0

        # A router's container was removed by somebody.
        assert host.run("podman", "rm", "--force", "east-skupper-router").rc == 0
        assert sites.role().fine().count("changed") == {"east": 1, "west": 0}
        until(lambda: greeting(address) == "private", "the listener answers again")
        absent = {"skupper_site_state": "absent"}
        sites.role(east=absent, west=absent).fine()
    assert host.run("ls", str(NAMESPACES)).stdout == ""
    assert [one for one in containers(host) if one.endswith("-router")] == []
