"""The role private_model on a host with systemd as process 1: units, drift, a reboot, and its end.

Quadlet makes the units for root, and for an ordinary user on version 2 of the control groups. On version 1
systemd would end that user's containers: "New main PID does not belong to service, refusing". There the role
leaves them to Podman and to the unit with which it starts them again, that of the user, who lingers.

On version 2 limits are not shown where this host has no controllers for it; see machine.py.
"""

from __future__ import annotations

import pytest

from tests.systemd_host.machine import USER, Machine, until

SERVICES = ("private-ai-model-1.service", "private-ai-gateway.service")


def systemctl(machine: Machine, user: str, *words: str) -> str:
    """What the user's manager says."""
    scope = [] if user == "root" else ["--user"]
    return machine.run(user, "systemctl", *scope, *words, check=False)


def active(machine: Machine, user: str) -> list[str]:
    """The services that run."""
    return [one for one in SERVICES if systemctl(machine, user, "is-active", one) == "active"]


def units(machine: Machine, user: str, folder: str) -> list[str]:
    """The units of Quadlet; the package has directories beside them."""
    words = ["find", folder, "-maxdepth", "1", "-name", "*.container", "-printf", "%f\n"]
    return sorted(machine.run(user, *words, check=False).split())


def drift_of_a_unit(machine: Machine, user: str, folder: str) -> None:
    """Units are there and run; one that was changed by hand is put right."""
    assert units(machine, user, folder) == ["private-ai-gateway.container", "private-ai-model-1.container"]
    assert active(machine, user) == list(SERVICES)
    unit = f"{folder}/private-ai-gateway.container"
    written = machine.run(user, "cat", unit)
    machine.run(user, "sed", "-i", "s/^Restart=.*/Restart=no/", unit)
    assert machine.run(user, "cat", unit) != written
    assert machine.play(user) > 0
    assert machine.run(user, "cat", unit) == written


def drift_of_a_container(machine: Machine, user: str, folder: str) -> None:
    """Podman has the containers, and starts them with the host; one that was stopped is put right."""
    assert not units(machine, user, folder)
    policies = [
        machine.facts(user, one.removesuffix(".service"))["HostConfig"]["RestartPolicy"] for one in SERVICES
    ]
    assert [policy["Name"] for policy in policies] == ["always", "always"]
    assert systemctl(machine, user, "is-enabled", "podman-restart.service") == "enabled"
    machine.run(user, "podman", "stop", "--time=5", "private-ai-gateway")
    assert not machine.answer(user)
    assert machine.play(user) > 0


@pytest.mark.parametrize("user", ["root", USER])
def test_a_private_host(machine: Machine, user: str) -> None:
    machine.load(user)
    assert machine.play(user) > 0
    assert machine.answer(user)
    assert machine.play(user) == 0

    folder = "/etc/containers/systemd" if user == "root" else f"/home/{user}/.config/containers/systemd"
    by_podman = user == USER and machine.version == 1
    (drift_of_a_container if by_podman else drift_of_a_unit)(machine, user, folder)
    until(lambda: machine.answer(user))

    machine.reboot()
    until(lambda: machine.answer(user))
    assert machine.play(user) == 0, "nobody had to run the role after the reboot"

    assert machine.play(user, private_model_state="absent") > 0
    assert machine.left(user) == []
    assert not units(machine, user, folder)
    assert not active(machine, user)
    assert machine.play(user, private_model_state="absent") == 0
