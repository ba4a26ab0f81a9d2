# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A glance at a host: whatever is different is seen, and what does not count is not."""

from __future__ import annotations

import copy
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.modules import converged


class Host:
    """A host whose podman answers from ``objects``, and the stand-in for AnsibleModule on it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.results = folder / "data", folder / "results"
        self.data.mkdir()
        self.results.mkdir()
        (self.results / "haproxy.cfg").write_text("global\n")
        self.questions = folder / "questions.json"
        self.questions.write_text("[]")
        self.check_mode = False
        self.params: dict[str, Any] = {}
        self.up: int | None = 1
        self.systemd: dict[str, str] | None = None
        self.asked: list[list[str]] = []
        address = {"private-ai-model": {"IPAddress": "10.131.77.11"}}
        server = {
            "Name": "private-ai-model-1",
            "Id": "aa",
            "Image": "sha256:" + "1" * 64,
            "State": {"Status": "running", "StartedAt": "now", "Pid": 1},
            "Config": {"Labels": {"io.private-ai.chatbot": "managed"}},
            "NetworkSettings": {"Networks": address},
        }
        self.objects: dict[str, dict[str, dict[str, Any]]] = {
            "container": {"private-ai-model-1": server, "somebody-elses": {"Name": "somebody-elses"}},
            "network": {"private-ai-model": {"name": "private-ai-model", "internal": True}},
            "secret": {"inner": {"ID": "7", "Spec": {"Name": "inner"}}},
            "image": {"ilab": {"Id": "1" * 64, "NamesHistory": ["ilab"]}},
        }

    def get_bin_path(self, name: str) -> str | None:
        return "/bin/sh" if name == "podman" else None

    def run_command(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        self.asked.append(argv[1:])
        if argv[1] == "ps":
            return 0, "\n".join(self.objects["container"]), ""
        found = [self.objects[argv[1]][name] for name in argv[3:] if name in self.objects[argv[1]]]
        return 0 if len(found) == len(argv) - 3 else 125, json.dumps(found), "Error"

    def run(self, **params: Any) -> dict[str, Any]:
        given = {
            "path": str(self.data / "note.json"),
            "settings": {"replicas": 1},
            "inputs": [str(self.questions)],
            "results": [str(self.results)],
            "containers": "private-ai-model-[0-9]+(-replaced)?",
            "networks": ["private-ai-model"],
            "secrets": ["inner"],
            "images": ["ilab"],
            "url": "http://gateway/status",
        }
        defaults = {name: option.get("default") for name, option in converged.ARGUMENTS.items()}
        self.params = {**defaults, **given, **params}
        return converged.run(self)

    def note(self, **params: Any) -> dict[str, Any]:
        return self.run(state="noted", seen=self.run(**params)["seen"], keep={"name": "products"}, **params)


class SystemdOf:
    """What systemd of this host says."""

    uid = 0

    def __init__(self, host: Host) -> None:
        self.host = host

    def usable(self) -> bool:
        return self.host.systemd is not None

    def run(self, args: list[str], check: bool) -> Any:
        return type("Done", (), {"stdout": (self.host.systemd or {})["active"]})

    def enablement(self, unit: str) -> str:
        return (self.host.systemd or {})["restart"]

    def lingers(self) -> bool:
        return True


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(converged, "make_systemd", SystemdOf)
    monkeypatch.setattr(converged.glance, "answers", lambda url, key: "" if made.up is None else str(made.up))
    return made


def test_noted_then_the_same(host: Host) -> None:
    assert host.run()["stale"] == ["note"]
    assert host.note()["same"]
    again = host.run()
    assert again["same"] and again["stale"] == [] and again["kept"] == {"name": "products"}
    path = host.data / "note.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and "replicas" in path.read_text()
    assert not host.run(verify="full")["same"]


def test_check_mode_notes_nothing(host: Host) -> None:
    host.check_mode = True
    host.note()
    assert list(host.data.iterdir()) == []
    host.check_mode = False
    host.note()
    host.check_mode = True
    assert host.run()["same"]


def test_what_does_not_count(host: Host) -> None:
    host.note()
    server = host.objects["container"]["private-ai-model-1"]
    server["State"] |= {"StartedAt": "later", "Pid": 2}
    server["Id"] = "bb"
    host.objects["container"]["another"] = {"Name": "another"}
    host.objects["network"]["private-ai-model"]["containers"] = {"bb": {}}
    assert host.run()["same"]


def stop(host: Host) -> None:
    host.objects["container"]["private-ai-model-1"]["State"]["Status"] = "exited"


def move(host: Host) -> None:
    networks = host.objects["container"]["private-ai-model-1"]["NetworkSettings"]["Networks"]
    networks["private-ai-model"]["IPAddress"] = "10.131.77.99"


def surplus(host: Host) -> None:
    spare = {**copy.deepcopy(host.objects["container"]["private-ai-model-1"]), "Name": "private-ai-model-2"}
    host.objects["container"]["private-ai-model-2"] = spare


def edit(host: Host) -> None:
    (host.results / "haproxy.cfg").write_text("nonsense\n")


def shut(host: Host) -> None:
    host.results.chmod(0o700)


def shut_the_data(host: Host) -> None:
    host.data.chmod(0o700)


@pytest.mark.parametrize(
    ("drift", "named"),
    [
        (stop, "container private-ai-model-1"),
        (move, "container private-ai-model-1"),
        (lambda host: host.objects["container"].pop("private-ai-model-1"), "container private-ai-model-1"),
        (surplus, "container private-ai-model-2"),
        (lambda host: host.objects["network"].clear(), "network private-ai-model"),
        (lambda host: host.objects["secret"]["inner"].update(ID="8"), "secret inner"),
        (lambda host: host.objects["image"].clear(), "images"),
        (lambda host: host.objects["image"]["ilab"].update(Id="2" * 64), "images"),
        (edit, "results"),
        (shut, "results"),
        (shut_the_data, "mode"),
        (lambda host: host.questions.write_text("[{}]"), "questions.json"),
        (lambda host: setattr(host, "up", 0), "http://gateway/status"),
        (lambda host: setattr(host, "up", None), "http://gateway/status"),
        (lambda host: setattr(host, "systemd", {"active": "active", "restart": "enabled"}), "units"),
    ],
)
def test_drift_is_seen(host: Host, drift: Any, named: str) -> None:
    host.note()
    drift(host)
    found = host.run()
    assert not found["same"] and found["kept"] == {}
    assert [name for name in found["stale"] if name.endswith(named)], found["stale"]


def test_what_systemd_says_counts(host: Host) -> None:
    host.systemd = {"active": "active", "restart": "enabled"}
    host.note()
    assert host.run()["same"]
    host.systemd["active"] = "inactive"
    assert host.run()["stale"] == ["units"]


def test_other_settings(host: Host) -> None:
    host.note()
    assert host.run(settings={"replicas": 2})["stale"] == ["replicas"]
    assert host.run(settings={"replicas": 1, "more": 1})["stale"] == ["more"]


def test_a_gateway_that_says_nothing_is_never_noted(host: Host) -> None:
    host.up = None
    assert not host.note()["same"]
    assert not (host.data / "note.json").exists() and not host.run()["same"]


def test_changed_while_the_run_went_on(host: Host) -> None:
    seen = host.run()["seen"]
    host.questions.write_text("[{}]")
    assert host.run(state="noted", seen=seen)["stale"] == [str(host.questions)]
    assert not (host.data / "note.json").exists()


def test_few_questions(host: Host) -> None:
    host.note()
    host.asked.clear()
    assert host.run()["same"]
    assert len(host.asked) == 5 and all(argv[0] == "ps" or argv[1] == "inspect" for argv in host.asked)


def test_a_note_that_was_damaged_is_none(host: Host) -> None:
    host.note()
    (host.data / "note.json").write_text("{")
    assert host.run()["stale"] == ["note"]
