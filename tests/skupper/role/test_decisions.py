"""What single tasks of the role decide, before stand-ins for the programs that they call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.skupper.modules.host import Host
from tests.skupper.role.sites import Run, Sites
from tests.standins.skupper.api_server import ApiServer

PROGRAMS = {
    "firewall-cmd": """\
#!/bin/sh
# Stand-in for firewalld's command, which remembers what is open for good.
echo "firewall-cmd $*" >>/run/said.log
case "$*" in
*--list-ports*) cat /run/ports 2>/dev/null || echo ;;
--permanent*) printf '%s ' "${2#--add-port=}" >>/run/ports ;;
esac
""",
    "loginctl": """\
#!/bin/sh
# Stand-in for logind's command, which keeps a file for each user that lingers, as the real one does.
echo "loginctl $*" >>/run/said.log
mkdir -p /var/lib/systemd/linger && : >"/var/lib/systemd/linger/$2"
""",
    "helm": """\
#!/bin/sh
# Stand-in for Helm without a release: it keeps the values that it is given.
echo "helm $*" >>/run/said.log
case "$*" in
*upgrade*) for one; do case "$one" in -f=*) cp "${one#-f=}" /run/values.yml ;; esac; done ;;
*"show chart"*) printf 'apiVersion: v2\\nname: network-observer\\nversion: 2.2.1\\n' ;;
*list*) echo '[]' ;;
*version*) echo v3.18.0 ;;
esac
""",
}
#: In place of Ansible's module for the distribution's packages.
PACKAGES = """\
#!/usr/bin/python
# Stand-in for a module of packages: it notes what is asked for.
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"name": {}, "state": {}}, supports_check_mode=True)
with open("/run/said.log", "a") as log:
    log.write(f"package {json.dumps(module.params, sort_keys=True)}\\n")
module.exit_json(changed=True)
"""


@pytest.fixture
def sites(host: Host) -> Sites:
    """One host, whose programs are stand-ins."""
    for name, text in PROGRAMS.items():
        (host.folder / name).write_text(text)
        (host.folder / name).chmod(0o755)
    host.environ["PATH"] = f"{host.folder}:{host.environ['PATH']}"
    return Sites(host, {"east": {"skupper_site_platform": "linux", "skupper_site_namespace": "east"}})


def said(host: Host) -> list[str]:
    """What the programs were asked to do."""
    return host.run("cat", "/run/said.log").stdout.splitlines()


def tasks(sites: Sites, file: str, *arguments: str, facts: dict[str, Any] | None = None, **east: Any) -> Run:
    """Run a file of tasks of the role."""
    place = {"platform": "linux", "namespace": "east", "executable": sites.host.cli}
    place.update(
        platform=east.get("skupper_site_platform", "linux"), **east.get("skupper_site_kubernetes", {})
    )
    known = {"user_uid": 0, "user_id": "root", "user_dir": "/root", "architecture": "x86_64", **(facts or {})}
    play = {
        "hosts": "east",
        "gather_facts": False,
        # What tasks/main.yml gives all modules.
        "module_defaults": {"group/private_ai.chatbot.skupper": place},
        "tasks": [
            {"ansible.builtin.set_fact": {**known, "cacheable": True}},
            {"ansible.builtin.include_role": {"name": "private_ai.chatbot.skupper_site", "tasks_from": file}},
        ],
    }
    path: Path = sites.host.folder / "tasks.yml"
    path.write_text(json.dumps([play]))
    library = {"ANSIBLE_LIBRARY": str(sites.host.folder / "library")}
    return sites.playbook(str(path), *arguments, environ=library, east=east)


def test_the_firewall_is_opened_only_when_that_is_asked_for(sites: Sites) -> None:
    host = sites.host
    access: dict[str, Any] = {
        "skupper_site_link_access": "default",
        "skupper_site_router_access": {"edge_port": 45680},
    }
    quiet = tasks(sites, "system.yml", "--check", **access).fine()
    assert "Firewall" not in quiet.said and said(host) == []
    asked: dict[str, Any] = {**access, "skupper_site_firewall": True}
    # Who only dials out needs no port.
    tasks(sites, "system.yml", "--check", **{**asked, "skupper_site_link_access": "none"}).fine()
    assert said(host) == []
    tasks(sites, "firewall.yml", **asked).fine()
    opened = [f"firewall-cmd --permanent --add-port={port}/tcp" for port in (55671, 45680)]
    opened += [f"firewall-cmd --add-port={port}/tcp" for port in (55671, 45680)]
    assert said(host)[1:] == opened
    assert tasks(sites, "firewall.yml", **asked).fine().changed == 0
    assert said(host)[5:] == ["firewall-cmd --permanent --list-ports"]


@pytest.mark.extended
def test_an_ordinary_user_needs_no_login(sites: Sites) -> None:
    host = sites.host
    ana = {"user_uid": 1000, "user_id": "ana", "user_dir": "/srv/ana"}
    start = tasks(sites, "system.yml", "--check").fine().changed
    declined: dict[str, Any] = {"skupper_site_linger": False}
    assert tasks(sites, "system.yml", "--check", facts=ana, **declined).fine().changed == start
    # systemd keeps a file for each of these users, by which it is known.
    assert tasks(sites, "system.yml", "--check", facts=ana).fine().changed == start + 1
    assert said(host) == []
    assert not host.module("skupper_site", platform="linux", namespace="east", name="east").get("failed")
    assert tasks(sites, "system.yml", facts=ana).fine().changed == start + 1
    assert said(host) == ["loginctl enable-linger ana"]
    assert tasks(sites, "system.yml", facts=ana).fine().changed == 0
    assert said(host) == ["loginctl enable-linger ana"]
    assert host.run("systemctl", "is-active", "skupper-east.service").rc == 0


WRAPPER = """\
#!/bin/sh
# Notes what the command finds in its environment.
echo "$5 $6: $SKUPPER_IMAGE_REGISTRY $SKUPPER_ROUTER_IMAGE $REGISTRY_AUTH_FILE" >>/run/said.log
exec {cli} "$@"
"""


def test_images_and_the_registrys_credentials_reach_the_command(sites: Sites) -> None:
    host = sites.host
    wrapper = host.folder / "skupper"
    wrapper.write_text(WRAPPER.format(cli=host.cli))
    wrapper.chmod(0o755)
    assert not host.module("skupper_site", platform="linux", namespace="east", name="east").get("failed")
    host.cli = str(wrapper)
    given: dict[str, Any] = {
        "skupper_site_image_registry": "registry.example.com/skupper",
        "skupper_site_router_image": "registry.example.com/mine:1",
        "skupper_site_registry_auth_file": "/srv/auth.json",
    }
    assert tasks(sites, "start.yml", **given).fine().changed == 1
    environment = "registry.example.com/skupper registry.example.com/mine:1 /srv/auth.json"
    assert [one for one in said(host) if "start" in one] == [f"system start: {environment}"]


@pytest.fixture
def cluster(sites: Sites, tmp_path: Path) -> Iterator[tuple[ApiServer, dict[str, Any]]]:
    """An API server with the namespace of the site, and what the role needs to use it."""
    with ApiServer(["east"]) as server:
        where = {"kubeconfig": str(server.kubeconfig(tmp_path / "kubeconfig"))}
        yield server, {"skupper_site_platform": "kubernetes", "skupper_site_kubernetes": where}


def test_version_1_on_a_cluster_is_seen_first(
    sites: Sites, cluster: tuple[ApiServer, dict[str, Any]]
) -> None:
    server, place = cluster
    server.handle("POST", "/api/v1/namespaces/east/configmaps", {"metadata": {"name": "skupper-site"}})
    # The playbook that only looks asks for this file alone, and the role before it installs a controller.
    run = tasks(sites, "look.yml", **place)
    run.refused("Namespace east has a network of Skupper version 1 (ConfigMap skupper-site)")
    assert len(server.held) == 1


def test_a_listener_that_leads_nowhere_ends_the_verification(
    sites: Sites, cluster: tuple[ApiServer, dict[str, Any]]
) -> None:
    server, place = cluster
    for name in ("model", "other"):
        listener = {"metadata": {"name": name}, "spec": {"host": name, "port": 8000, "routingKey": name}}
        server.handle("POST", "/apis/skupper.io/v2alpha1/namespaces/east/listeners", listener)
    listeners = [{"name": "model", "port": 8000}]
    more: dict[str, Any] = {"skupper_site_listeners": listeners, "skupper_site_wait_timeout": 1}
    run = tasks(sites, "verify.yml", **place, **more)
    run.refused("Listener model of site east has no destination after 1 s: no linked site has a connector")


def test_the_command_from_a_package(sites: Sites) -> None:
    library = sites.host.folder / "library"
    library.mkdir()
    (library / "apt.py").write_text(PACKAGES)
    facts = {"pkg_mgr": "apt"}
    source: dict[str, Any] = {"skupper_site_cli_source": "package", "skupper_site_cli_package": "skupper-v2"}
    assert tasks(sites, "cli.yml", facts=facts, **source).fine().changed == 1
    assert said(sites.host) == ['package {"name": "skupper-v2", "state": "present"}']


def test_the_observer_asks_who_looks(sites: Sites) -> None:
    host = sites.host
    cluster: dict[str, Any] = {
        "skupper_site_platform": "kubernetes",
        "skupper_site_observer": True,
        "skupper_site_image_registry": "registry.example.com/skupper",
        "skupper_site_observer_values": {"route": {"enabled": False}},
    }
    openly = {"skupper_site_observer_values": {"auth": {"strategy": "none"}}}
    tasks(sites, "observer.yml", **{**cluster, **openly}).refused("with which everybody could look")
    assert said(host) == []
    tasks(sites, "observer.yml", **cluster).fine()
    assert yaml.safe_load(host.read("/run/values.yml")) == {
        "auth": {"strategy": "basic", "basic": {"create": True, "secretName": ""}},
        "image": {"repository": "registry.example.com/skupper/network-observer"},
        "route": {"enabled": False},
    }
    release = next(one for one in said(host) if " upgrade " in one)
    assert "oci://quay.io/skupper/helm/network-observer" in release and "--version=2.2.1" in release


@pytest.mark.parametrize("platform", ["podman", pytest.param("docker", marks=pytest.mark.extended)])
def test_a_fresh_host_with_containers_is_predicted(sites: Sites, platform: str) -> None:
    host = sites.host
    (host.folder / platform).write_text(
        f"#!/bin/sh\n# Stand-in for {platform} without a container.\nexit 125\n"
    )
    (host.folder / platform).chmod(0o755)
    host.write(f"/etc/systemd/system/{platform}.socket", "[Service]\n")
    before = host.fingerprint()
    wanted = {"skupper_site_platform": platform, "skupper_site_link_access": "default"}
    predicted = sites.role("--check", "--diff", east=wanted).fine()
    # Site, the engine's socket, the system controller, the start.
    assert predicted.count("changed") == {"east": 4}
    assert host.fingerprint() == before
