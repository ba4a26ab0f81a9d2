"""The running site of a host: started, reloaded when needed, revived, removed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.skupper.modules.host import NAMESPACES, Host
from tests.skupper.traffic.servers import until

WHERE: dict[str, Any] = {"platform": "linux", "namespace": "east"}
DROP_IN = "/etc/systemd/system/skupper-east.service.d/50-private-ai-restart.conf"


def calls(host: Host) -> list[str]:
    """What systemd was told so far, without questions."""
    said = host.run("cat", "/run/systemctl.log").stdout.splitlines()
    return [one for one in said if not one.startswith(("show", "is-active", "list-units"))]


def router(host: Host, namespace: str) -> str:
    """The process of root's router of a namespace, empty when none runs."""
    # By the environment: whoever has it among its arguments would find itself.
    place = {"PLACE": f"/var/lib/skupper/namespaces/{namespace}/runtime/router/skrouterd.json"}
    # The sandbox shares the processes of this host.
    script = 'for one in /proc/[0-9]*; do tr "\\0" "\\n" <$one/cmdline 2>/dev/null | grep -qx "$PLACE" || '
    script += "continue; "
    script += '[ "$(readlink $one/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ] && echo "${one#/proc/}"; done'
    found = host.run("sh", "-c", script, environ=place).stdout.split()
    return found[0] if found else ""


def listening(host: Host, pid: str) -> list[str]:
    """The ports on which a process listens."""
    script = "ls -l /proc/$0/fd | grep -o 'socket:.[0-9]*' | grep -o '[0-9]*'"
    sockets = set(host.run("sh", "-c", script, pid).stdout.split())
    lines = [line.split() for line in host.read("/proc/net/tcp").splitlines()[1:]]
    return [line[1] for line in lines if line[3] == "0A" and line[9] in sockets]


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
    for spoil in (["rm", DROP_IN], ["sed", "-i", "s/always/no/", DROP_IN]):
        host.run(*spoil)
        predicted = host.module("skupper_system", **WHERE, check=True)
        assert predicted["actions"] == ["drop-in"] and predicted["diff"]["after"]["restart by systemd"]
        assert host.module("skupper_system", **WHERE)["actions"] == ["drop-in"]
        assert not host.module("skupper_system", **WHERE)["changed"]


def test_a_router_that_dies_comes_back(defined: Host) -> None:
    host = defined
    host.module("skupper_system", **WHERE)
    first = router(host, "east")
    host.run("kill", "-9", first)
    for _ in range(100):
        now = router(host, "east")
        if now and now != first:
            break
        time.sleep(0.05)
    assert now and now != first
    assert not host.module("skupper_system", **WHERE)["changed"]


def test_two_namespaces_of_one_host_do_not_touch_each_other(defined: Host) -> None:
    host = defined
    west: dict[str, Any] = {"platform": "linux", "namespace": "west"}
    host.module("skupper_site", **west, name="west", link_access="default")
    host.module("skupper_listener", **west, name="web", port=8010, listener_host="127.0.0.1")
    systems = [host.module("skupper_system", **one)["system"] for one in (WHERE, west)]
    assert all(one["running"] for one in systems) and systems[0]["uid"] != systems[1]["uid"]
    routers = [router(host, name) for name in ("east", "west")]
    assert all(routers) and routers[0] != routers[1]
    # Each has ports of its own for tools and for links.
    ports = [set(listening(host, pid)) for pid in routers]
    assert len(ports[0]) == len(ports[1]) == 3 and not ports[0] & ports[1]

    host.module("skupper_listener", **west, name="web", port=8011, listener_host="127.0.0.1")
    assert host.module("skupper_system", **west)["actions"] == ["reload"]
    assert router(host, "east") == routers[0] and not host.module("skupper_system", **WHERE)["changed"]
    host.module("skupper_system", **west, state="absent")
    assert router(host, "west") == "" and router(host, "east") == routers[0]
    assert host.module("skupper_info", **WHERE)["started"]


def test_sites_of_one_host_start_one_after_the_other(defined: Host) -> None:
    host = defined
    # As the start of another site, which is done when this one has seen what there is of ours.
    hold = f"touch /run/held; sleep 3; ls {NAMESPACES}/east"
    with ThreadPoolExecutor() as pool:
        other = pool.submit(host.run, "flock", str(NAMESPACES), "sh", "-c", hold)
        until(lambda: host.run("test", "-e", "/run/held").rc == 0, "another site starts")
        assert host.module("skupper_system", **WHERE)["actions"] == ["drop-in", "start"]
        assert other.result().stdout.split() == ["input"]


def test_stopped_keeps_all_and_started_brings_it_back(defined: Host) -> None:
    host = defined
    assert host.module("skupper_system", **WHERE, state="stopped")["actions"] == []
    uid = host.module("skupper_system", **WHERE)["system"]["uid"]
    before = host.fingerprint()
    predicted = host.module("skupper_system", **WHERE, state="stopped", check=True)
    assert host.fingerprint() == before and router(host, "east")
    done = host.module("skupper_system", **WHERE, state="stopped")
    assert predicted["actions"] == done["actions"] == ["stop"] and predicted["diff"] == done["diff"]
    assert done["system"]["running"] is False and done["system"]["started"] and router(host, "east") == ""
    again = host.module("skupper_system", **WHERE, state="stopped")
    assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"]
    back = host.module("skupper_system", **WHERE)
    assert (
        back["actions"] == ["enable", "revive"] and back["system"]["uid"] == uid and back["system"]["running"]
    )
    # Who only keeps it from starting with the host is contradicted, too.
    host.run("systemctl", "disable", "skupper-east.service")
    assert host.module("skupper_system", **WHERE)["actions"] == ["enable"]
    assert not host.module("skupper_system", **WHERE)["changed"]


def test_a_unit_that_is_gone_is_made_again(defined: Host) -> None:
    host = defined
    uid = host.module("skupper_system", **WHERE)["system"]["uid"]
    host.run("systemctl", "stop", "skupper-east.service")
    host.run("rm", "/etc/systemd/system/skupper-east.service")
    assert host.module("skupper_system", **WHERE, check=True)["actions"] == ["reload"]
    assert host.module("skupper_system", **WHERE, reload="never")["actions"] == []
    back = host.module("skupper_system", **WHERE)
    assert back["actions"] == ["reload"] and back["system"]["running"] and back["system"]["uid"] == uid


def test_a_backup_brings_the_same_site_back(defined: Host) -> None:
    host = defined
    uid = host.module("skupper_system", **WHERE)["system"]["uid"]
    backup = str(host.folder / "backup.tar.gz")
    assert host.module("skupper_system", **WHERE, state="absent", backup=backup)["changed"]
    assert host.run("tar", "xzf", backup, "-C", str(NAMESPACES)).rc == 0
    back = host.module("skupper_system", **WHERE)
    assert back["system"]["running"] and back["system"]["uid"] == uid
    nowhere = host.module("skupper_system", **WHERE, state="absent", backup="/nowhere/backup.tar.gz")
    assert nowhere["failed"] and "is no directory; make it first" in nowhere["msg"]
    assert router(host, "east"), "what cannot be kept is not removed"


def test_another_user_has_a_site_and_units_of_its_own(defined: Host) -> None:
    host = defined
    home = host.add_user("other", 1234)
    host.module("skupper_system", **WHERE)
    host.module_as("other", "skupper_site", **WHERE, name="west")
    started = host.module_as("other", "skupper_system", **WHERE)
    assert started["actions"] == ["drop-in", "start"] and started["system"]["running"], started
    assert started["system"]["path"] == str(home / ".local/share/skupper/namespaces/east")
    units = home / ".config/systemd/user"
    assert "Restart=always" in host.read(units / "skupper-east.service.d/50-private-ai-restart.conf")
    assert not host.module_as("other", "skupper_system", **WHERE)["changed"]
    assert host.module_as("other", "skupper_system", **WHERE, state="absent")["changed"]
    assert host.run("ls", str(units)).stdout.split() in ([], ["default.target.wants"])
    assert router(host, "east") and not host.module("skupper_system", **WHERE)["changed"]


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
    assert predicted["actions"] == ["backup", "remove"] and host.fingerprint() == before
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


@pytest.mark.parametrize("platform", ["podman", "docker"])
def test_controller_is_installed_changed_and_removed(host: Host, platform: str) -> None:
    for name, text in ((platform, PODMAN), ("installer", INSTALLER.replace("CLI", host.cli))):
        (host.folder / name).write_text(text)
        (host.folder / name).chmod(0o755)
    options: dict[str, Any] = {
        "platform": platform,
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
