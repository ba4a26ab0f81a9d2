"""The running site of a host: started, reloaded when needed, revived, removed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.skupper.modules.host import NAMESPACES, Host

WHERE: dict[str, Any] = {"platform": "linux", "namespace": "east"}
DROP_IN = "/etc/systemd/system/skupper-east.service.d/50-private-ai-restart.conf"


def calls(host: Host) -> list[str]:
    """What systemd was told so far, without questions."""
    said = host.run("cat", "/run/systemctl.log").stdout.splitlines()
    return [one for one in said if not one.startswith(("is-active", "list-units"))]


@pytest.fixture
def defined(host: Host) -> Host:
    """A host whose namespace has a site and a listener, and was never started."""
    host.module("skupper_site", **WHERE, name="east", link_access="default")
    host.module("skupper_listener", **WHERE, name="web", port=8000, listener_host="127.0.0.1")
    return host


def test_started_reloaded_and_left_alone(defined: Host) -> None:
    host = defined
    before = host.fingerprint()
    predicted = host.module("skupper_system", **WHERE, check=True)
    assert predicted["actions"] == ["drop-in", "start"] and host.fingerprint() == before
    started = host.module("skupper_system", **WHERE)
    assert started["actions"] == ["drop-in", "start"] and started["diff"] == predicted["diff"]
    system = started["system"]
    assert system["started"] and system["running"] and system["pending"] == [] and system["uid"]
    assert "Restart=always" in host.read(DROP_IN)

    before, told = host.fingerprint(), len(calls(host))
    for check in (True, False):
        again = host.module("skupper_system", **WHERE, check=check)
        assert not again["changed"] and again["actions"] == []
    assert host.fingerprint() == before and len(calls(host)) == told

    changed = host.module("skupper_listener", **WHERE, name="web", port=8001, listener_host="127.0.0.1")
    assert changed["changed"] and changed["reload_needed"]
    assert host.module("skupper_info", **WHERE)["pending"] == ["Listener/web"]
    assert host.module("skupper_system", **WHERE, reload="never")["actions"] == []
    assert host.module("skupper_system", **WHERE, check=True)["actions"] == ["reload"]
    reloaded = host.module("skupper_system", **WHERE)
    assert reloaded["actions"] == ["reload"] and reloaded["system"]["pending"] == []
    # The site keeps its identity, and what systemd does with it.
    assert reloaded["system"]["uid"] == system["uid"] and "Restart=always" in host.read(DROP_IN)
    assert not host.module(
        "skupper_listener", **{**WHERE, "name": "web"}, port=8001, listener_host="127.0.0.1"
    )["reload_needed"]
    # Labels make no router behave otherwise.
    labelled = host.module("skupper_site", **WHERE, name="east", link_access="default", labels={"a": "b"})
    assert labelled["changed"] and not labelled["reload_needed"]
    assert host.module("skupper_system", **WHERE)["actions"] == []


def test_a_router_that_stopped_is_started_again(defined: Host) -> None:
    host = defined
    host.module("skupper_system", **WHERE)
    host.run("systemctl", "stop", "skupper-east.service")
    assert host.module("skupper_system", **WHERE, check=True)["actions"] == ["revive"]
    assert host.module("skupper_system", **WHERE)["system"]["running"]
    assert not host.module("skupper_system", **WHERE)["changed"]
    # Without the drop-in a router that dies stays dead, so it is kept.
    host.run("rm", DROP_IN)
    assert host.module("skupper_system", **WHERE)["actions"] == ["drop-in"]


def test_no_key_is_left_open(defined: Host) -> None:
    host = defined
    # As the command is mostly run: its files with keys are for everybody to read.
    assert host.run("sh", "-c", f"umask 022; {host.cli} --platform linux -n east system start").rc == 0
    find = "find /var/lib/skupper -name tls.key -perm /077 -o -path '*/runtime/links/*' -type f -perm /077"
    assert host.run("sh", "-c", find).stdout
    predicted = host.module("skupper_system", **WHERE, check=True)
    assert "close" in predicted["actions"] and predicted["diff"]["before"]["open files"]
    host.module("skupper_system", **WHERE)
    assert host.run("sh", "-c", find).stdout == ""
    host.module("skupper_system", **WHERE, reload="always")
    assert host.run("sh", "-c", find).stdout == ""
    assert not host.module("skupper_system", **WHERE)["changed"]


def test_what_would_fail_is_refused_and_what_runs_stays(defined: Host) -> None:
    host = defined
    host.module("skupper_system", **WHERE)
    host.module("skupper_listener", **WHERE, name="dup", port=8000, listener_host="127.0.0.1")
    result = host.module("skupper_system", **WHERE)
    assert result["failed"] and "listeners dup and web both have 127.0.0.1:8000" in result["msg"]
    assert host.run("systemctl", "is-active", "skupper-east.service").rc == 0


def test_nothing_to_start(host: Host) -> None:
    predicted = host.module("skupper_system", **WHERE, check=True)
    assert predicted["changed"] and "has no site in" in str(predicted["warnings"])
    real = host.module("skupper_system", **WHERE)
    assert real["failed"] and "make it first with the module skupper_site" in real["msg"]


def test_absent_needs_no_container_engine_and_keeps_a_backup(defined: Host) -> None:
    host = defined
    host.module("skupper_system", **WHERE)
    host.module("skupper_site", platform="linux", namespace="other", name="other")
    backup = str(host.folder / "backup.tar.gz")
    before = host.fingerprint()
    predicted = host.module("skupper_system", **WHERE, state="absent", backup=backup, check=True)
    assert predicted["actions"] == ["backup", "stop"] and host.fingerprint() == before
    gone = host.module("skupper_system", **WHERE, state="absent", backup=backup)
    assert gone["changed"] and not gone["system"]["started"]
    assert host.run("ls", str(NAMESPACES)).stdout.split() == ["other"]
    assert host.run("ls", "/etc/systemd/system").stdout.find("skupper-east") == -1
    assert host.run("systemctl", "is-active", "skupper-east.service").rc == 3
    assert host.mode(backup) == "600"
    assert "east/input/resources/Listener-web.yaml" in host.run("tar", "tzf", backup).stdout
    assert not host.module("skupper_system", **WHERE, state="absent", backup=backup)["changed"]


def test_a_host_that_the_command_takes_for_its_container(defined: Host) -> None:
    host = defined
    host.write("/.dockerenv", "")
    result = host.module("skupper_system", **WHERE)
    assert result["failed"] and "because /.dockerenv exists" in result["msg"] and "remove" in result["msg"]
    assert host.run("ls", f"{NAMESPACES}/east/runtime").rc != 0


def test_router_that_ends_again(defined: Host) -> None:
    host = defined
    bad = host.folder / "bad"
    bad.mkdir()
    (bad / "skrouterd").write_text("#!/bin/sh\nexit 1\n")
    (bad / "skrouterd").chmod(0o755)
    environ = {"PATH": f"{bad}:{host.environ['PATH']}"}
    began = time.monotonic()
    result = host.module("skupper_system", **WHERE, wait_timeout=2, environ=environ)
    assert result["failed"] and "does not listen on 127.0.0.1:" in result["msg"]
    assert "Next: journalctl -u skupper-east.service" in result["msg"]
    assert time.monotonic() - began >= 2


PODMAN = """\
#!/bin/sh
# Stand-in for podman where the one container is that the system controller runs in.
case "$1 $2" in
"container inspect") cat /run/controller.json 2>/dev/null || exit 125 ;;
"rm --force") rm /run/controller.json ;;
esac
"""
INSTALLER = """\
#!/bin/sh
# Stand-in for a command that can install, which the other stand-in does only before a container engine.
case "$*" in
*" system install --reload-type "*)
  for type; do :; done
  printf '[{"State": {"Running": true}, "Config": {"Env": ["SKUPPER_SYSTEM_RELOAD_TYPE=%s"]}}]' "$type" \\
    >/run/controller.json
  ;;
*) exec CLI "$@" ;;
esac
"""


def test_controller_is_installed_changed_and_removed(host: Host) -> None:
    for name, text in (("podman", PODMAN), ("installer", INSTALLER.replace("CLI", host.cli))):
        (host.folder / name).write_text(text)
        (host.folder / name).chmod(0o755)
    options: dict[str, Any] = {
        "platform": "podman",
        "executable": str(host.folder / "installer"),
        "environ": {"PATH": f"{host.folder}:{host.environ['PATH']}"},
    }

    def call(state: str, **more: Any) -> list[str]:
        predicted = host.module("skupper_system", **options, state=state, check=True, **more)
        done = host.module("skupper_system", **options, state=state, **more)
        assert predicted["actions"] == done["actions"] and predicted["diff"] == done["diff"]
        assert done["changed"] == bool(done["actions"])
        actions: list[str] = done["actions"]
        return actions

    assert call("uninstalled") == []
    assert call("installed") == ["install"]
    assert call("installed") == []
    assert call("installed", reload_type="auto") == ["uninstall", "install"]
    assert call("installed", reload_type="auto") == []
    assert call("uninstalled") == ["uninstall"]


def test_controller_is_for_containers(host: Host) -> None:
    result = host.module("skupper_system", **WHERE, state="installed")
    assert result["failed"] and "state=installed is for platform podman and docker" in result["msg"]
