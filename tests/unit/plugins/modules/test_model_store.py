# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several models on one host: the demo model, and copies of it that differ in one byte of a name."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils import files
from ansible_collections.private_ai.chatbot.plugins.module_utils import store as stores
from ansible_collections.private_ai.chatbot.plugins.modules import model_store

DEMO = next(Path(model_store.__file__).parents[2].glob("roles/private_model/files/demo_model/**/*.gguf"))


class Module:
    """A stand-in for AnsibleModule."""

    def __init__(self, check_mode: bool, params: dict[str, Any]) -> None:
        defaults = {name: option.get("default") for name, option in model_store.ARGUMENTS.items()}
        self.params = {**defaults, **params}
        self.check_mode = check_mode


class Host:
    """A host with models to choose from."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "data"
        self.source = folder / "incoming"
        self.source.mkdir()

    def run(self, check_mode: bool = False, **params: Any) -> dict[str, Any]:
        return model_store.run(Module(check_mode, {"path": str(self.root), **params}))

    def model(self, letter: str) -> tuple[str, str]:
        """A model of its own checksum: path and checksum."""
        path = self.source / f"{letter}.gguf"
        content = DEMO.read_bytes().replace(b"general.name", b"general.nam" + letter.encode(), 1)
        path.write_bytes(content)
        return str(path), hashlib.sha256(content).hexdigest()

    def serve(self, letter: str, **params: Any) -> tuple[str, dict[str, Any]]:
        path, sha256 = self.model(letter)
        self.run(state="present", src=path)
        return sha256, self.run(state="served", sha256=sha256, name=f"model-{letter}", **params)

    def kept(self) -> list[str]:
        return sorted(path.name for path in (self.root / "models").iterdir() if path.is_dir())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_ready(host: Host) -> None:
    predicted = host.run(True)
    assert predicted["changed"] and not host.root.exists()
    done = host.run()
    assert done["changed"] and done["diff"] == predicted["diff"] and done["models"] == []
    assert stat.S_IMODE((host.root / "evaluations").stat().st_mode) == 0o700
    assert not host.run()["changed"] and not host.run(True)["changed"]
    (host.root / "evaluations").chmod(0o755)
    assert host.run(True)["changed"] and host.run()["changed"] and not host.run()["changed"]


def test_present(host: Host) -> None:
    path, sha256 = host.model("a")
    predicted = host.run(True, state="present", src=path)
    assert predicted["changed"] and predicted["model"]["sha256"] == sha256 and not host.root.exists()
    Path(f"{path}.manifest.json").write_text('{"inputs": {"provenance": {"repository": "a/b"}}}')
    done = host.run(state="present", src=path)
    placed = Path(done["folder"]) / "model.gguf"
    assert done["changed"] and placed.read_bytes() == Path(path).read_bytes()
    assert stat.S_IMODE(placed.stat().st_mode) == 0o644 and placed.stat().st_nlink == 1
    assert sorted(os.listdir(done["folder"])) == ["model.gguf", "model.gguf.manifest.json"]
    assert not host.run(state="present", src=path)["changed"]
    assert not host.run(True, state="present", src=path)["changed"]
    placed.write_bytes(b"damaged")
    assert host.run(True, state="present", src=path)["changed"]
    assert host.run(state="present", src=path)["changed"] and placed.read_bytes() == Path(path).read_bytes()
    with pytest.raises(ValueError, match=r"expected is 0{64}"):
        host.run(state="present", src=path, sha256="0" * 64)


def test_a_link_takes_no_room_and_no_second_reading(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sha256 = host.model("a")
    done = host.run(state="present", src=path, link=True)
    placed = Path(done["folder"]) / "model.gguf"
    assert placed.stat().st_ino == Path(path).stat().st_ino
    read: list[str] = []
    monkeypatch.setattr(files, "sha256_of", lambda name: read.append(name) or sha256)
    monkeypatch.setattr(stores, "sha256_of", lambda name: read.append(name) or sha256)
    assert not host.run(state="present", src=path, link=True)["changed"] and not read
    assert not host.run(state="present", src=path, link=True, verify="full")["changed"] and len(read) == 2


def test_where_no_link_can_be_it_is_copied(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    path = host.model("a")[0]

    def refuse(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(stores.os, "link", refuse)
    done = host.run(state="present", src=path, link=True)
    assert (Path(done["folder"]) / "model.gguf").read_bytes() == Path(path).read_bytes()
    assert os.listdir(done["folder"]) == ["model.gguf"]


def test_served_and_rolled_back(host: Host) -> None:
    first, done = host.serve("a")
    assert (
        done["changed"]
        and done["served"]["current"]["name"] == "model-a"
        and done["served"]["previous"] is None
    )
    again = host.run(state="served", sha256=first, name="model-a")
    assert not again["changed"]
    second, done = host.serve("b")
    assert done["served"]["current"]["sha256"] == second and done["served"]["previous"]["sha256"] == first
    predicted = host.run(True, state="served", sha256=first, name="model-a", hold=True)
    assert predicted["changed"] and host.run()["served"]["current"]["sha256"] == second
    back = host.run(state="served", sha256=first, name="model-a", hold=True)
    assert back["diff"] == predicted["diff"] and back["served"]["held"] == [second]
    assert back["served"]["current"]["sha256"] == first and back["served"]["previous"]["sha256"] == second
    assert [entry["role"] for entry in host.run()["models"]] == ["current", "previous"]
    once_more = host.run(state="served", sha256=second, name="model-b")
    assert once_more["served"]["held"] == []
    written = json.loads((host.root / "models/served.json").read_text())
    assert written == {"format": 1, **once_more["served"]}


def whole(folder: Path) -> bool:
    """Whether a model's directory holds what it says."""
    content = (folder / "model.gguf").read_bytes()
    return hashlib.sha256(content).hexdigest().startswith(folder.name)


@pytest.mark.parametrize("link", [False, True], ids=["copied", "linked"])
@pytest.mark.parametrize("before", ["nothing", "damaged"])
def test_killed_while_a_model_is_kept(cut_everywhere: Callable[..., int], link: bool, before: str) -> None:
    """What has a model's name is whole, and says where it is from; a damaged one is there until then."""
    host: Host

    def prepare(folder: Path) -> Callable[[], Any]:
        nonlocal host
        host = Host(folder)
        host.serve("a")
        path = host.model("b")[0]
        Path(f"{path}.manifest.json").write_text('{"inputs": {"provenance": {"repository": "a/b"}}}')
        if before == "damaged":
            placed = Path(host.run(state="present", src=path)["folder"])
            (placed / "model.gguf").unlink()
            (placed / "model.gguf").write_bytes(b"damaged")
        return lambda: host.run(state="present", src=path, link=link)

    def look() -> None:
        sha256 = {letter: host.model(letter)[1] for letter in "ab"}
        assert whole(host.root / "models" / sha256["a"][:12])
        folder = host.root / "models" / sha256["b"][:12]
        placed = folder / "model.gguf"
        assert placed.exists() or before == "nothing"
        if placed.exists() and placed.read_bytes() != b"damaged":
            assert whole(folder) and (folder / "model.gguf.manifest.json").exists()
        assert host.run()["served"]["current"]["sha256"] == sha256["a"]
        host.run(state="present", src=str(host.source / "b.gguf"), link=link)
        assert whole(folder)
        assert sorted(os.listdir(folder)) == ["model.gguf", "model.gguf.manifest.json"]

    assert cut_everywhere(prepare, look) >= 5


def test_killed_while_it_is_written_down(cut_everywhere: Callable[..., int]) -> None:
    """What is said to be served is there and whole, and the next run ends what was begun."""
    host: Host

    def prepare(folder: Path) -> Callable[[], Any]:
        nonlocal host
        host = Host(folder)
        for letter in "abc":
            Path(f"{host.model(letter)[0]}.manifest.json").write_text("{}")
            sha256 = host.serve(letter, keep=9)[0]
            (host.root / "evaluations" / f"{sha256[:12]}.json").write_text("{}")
        sha256 = host.model("d")[1]
        host.run(state="present", src=str(host.source / "d.gguf"))
        return lambda: host.run(state="served", sha256=sha256, name="model-d", keep=1)

    def look() -> None:
        state = host.run()["served"]
        for role in ("current", "previous"):
            assert not state[role] or whole(host.root / "models" / state[role]["sha256"][:12]), role
        last = host.model("d")[1]
        host.run(state="served", sha256=last, name="model-d", keep=1)
        # Of one that went, an empty directory may be left, which is no model.
        left = [name for name in host.kept() if os.listdir(host.root / "models" / name)]
        assert left == [last[:12]] and os.listdir(host.root / "evaluations") == []

    assert cut_everywhere(prepare, look) >= 5


def test_a_source_that_changes_while_it_is_copied(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sha256 = host.model("a")
    real = model_store.verified

    def and_then_somebody_writes(*arguments: Any) -> dict[str, Any]:
        found = real(*arguments)
        Path(path).write_bytes(Path(host.model("b")[0]).read_bytes())
        return found

    monkeypatch.setattr(model_store, "verified", and_then_somebody_writes)
    with pytest.raises(ValueError, match="changed while it was copied"):
        host.run(state="present", src=path)
    assert os.listdir(host.root / "models" / sha256[:12]) == []


def test_no_room(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sha256 = host.model("a")
    host.run()
    size = os.path.getsize(path)
    usage = model_store.shutil.disk_usage(host.root)
    monkeypatch.setattr(model_store.shutil, "disk_usage", lambda _: usage._replace(free=size - 1))
    for check_mode in (True, False):
        with pytest.raises(
            ValueError, match=rf"has {size - 1} bytes free, the model .* needs {size}; make room"
        ):
            host.run(check_mode, state="present", src=path)
    assert host.kept() == []
    # Another name takes none.
    assert host.run(state="present", src=path, link=True)["changed"] and host.kept() == [sha256[:12]]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_surplus(host: Host, keep: int) -> None:
    made = []
    for number, letter in enumerate("abcd"):
        sha256, done = host.serve(letter, keep=9)
        made.append(sha256[:12])
        os.utime(host.root / "models" / made[-1], (1000 + number, 1000 + number))
        (host.root / "evaluations" / f"{made[-1]}.json").write_text("{}")
    last: dict[str, Any] = {"state": "served", "sha256": sha256, "name": "model-d", "keep": keep}
    predicted = host.run(True, **last)
    assert len(host.kept()) == 4
    done = host.run(**last)
    assert done["changed"] and done["diff"] == predicted["diff"]
    assert done["removed"] == predicted["removed"] == made[: 4 - keep]
    assert host.kept() == sorted(made[4 - keep :])
    assert sorted(os.listdir(host.root / "evaluations")) == sorted(
        f"{name}.json" for name in made[4 - keep :]
    )
    assert (done["served"]["previous"] is None) == (keep == 1)
    assert not host.run(**last)["changed"]


def test_the_served_one_stays_however_old(host: Host) -> None:
    first = host.serve("a", keep=9)[0]
    for letter in "bc":
        host.run(state="present", src=host.model(letter)[0])
    os.utime(host.root / "models" / first[:12], (1, 1))
    done = host.run(state="served", sha256=first, name="model-a", keep=1)
    assert len(done["removed"]) == 2 and host.kept() == [first[:12]]


def test_the_one_before_stays_longer_than_the_others(host: Host) -> None:
    """However old it is: a rollback needs it."""
    names = [host.serve(letter, keep=9)[0][:12] for letter in "abc"]
    for number, name in enumerate(reversed(names)):
        os.utime(host.root / "models" / name, (1000 + number, 1000 + number))
    # Again the first: the one before is now the last, whose directory is the oldest.
    done = host.serve("a", keep=2)[1]
    assert done["removed"] == [names[1]] and host.kept() == sorted([names[0], names[2]])
    assert done["served"]["previous"]["sha256"][:12] == names[2]


def test_absent(host: Host) -> None:
    first = host.serve("a")[0]
    second = host.serve("b")[0]
    with pytest.raises(ValueError, match="is served; serve another one first"):
        host.run(state="absent", sha256=second)
    assert host.run(True, state="absent", sha256=first)["changed"] and len(host.kept()) == 2
    gone = host.run(state="absent", sha256=first)
    assert gone["changed"] and gone["served"]["previous"] is None and host.kept() == [second[:12]]
    assert not host.run(state="absent", sha256=first)["changed"]


def test_listing(host: Host) -> None:
    path = host.model("a")[0]
    Path(f"{path}.manifest.json").write_text('{"inputs": {"provenance": {"repository": "a/b"}}}')
    sha256 = host.serve("a")[0]
    report = {"total": {"asked": 30, "right": 24}}
    (host.root / "evaluations" / f"{sha256[:12]}.json").write_text(json.dumps(report))
    listed = host.run()["models"]
    assert len(listed) == 1
    assert listed[0]["name"] == "model-a" and listed[0]["architecture"] == "qwen2"
    assert listed[0]["provenance"] == {"repository": "a/b"} and listed[0]["evaluation"] == "24 of 30 right"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"state": "served", "sha256": "f" * 64, "name": "x"}, "put it there first"),
        ({"state": "served", "sha256": "short", "name": "x"}, "64 hexadecimal digits"),
        ({"state": "served", "sha256": "f" * 64, "name": "x", "keep": 0}, "keep is 0"),
        ({"state": "present", "src": "/does/not/exist"}, "there is no such file"),
    ],
)
def test_what_cannot_be(host: Host, params: dict[str, Any], said: str) -> None:
    host.run()
    with pytest.raises(ValueError, match=said):
        host.run(**params)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}'])
def test_a_damaged_state_is_told(host: Host, text: str) -> None:
    host.run()
    (host.root / "models/served.json").write_text(text)
    with pytest.raises(ValueError, match=r"served\.json cannot be used.*remove it"):
        host.run()


def test_a_cut_promotion_leaves_the_old_state(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    first = host.serve("a")[0]

    def cut(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores, "write_file", cut)
    monkeypatch.setattr(files, "write_file", cut)
    with pytest.raises(OSError, match="No space"):
        host.serve("b")
    monkeypatch.undo()
    assert host.run()["served"]["current"]["sha256"] == first


def test_current(host: Host, tmp_path: Path) -> None:
    """A run that changed nothing says so at a glance; whatever was changed is named."""
    data = tmp_path / "rows"
    data.write_text("1")
    made: dict[str, Any] = {
        "settings": {"outtype": "f16"},
        "inputs": [str(data)],
        "results": [str(tmp_path / "incoming/a.gguf")],
    }
    path, sha256 = host.model("a")
    begun = host.run(**made)
    assert not begun["current"] and "outtype" in begun["stale"]
    host.run(state="present", src=path)
    serve: dict[str, Any] = {"state": "served", "sha256": sha256, "name": "a", "seen": begun["seen"], **made}
    assert host.run(True, **serve)["changed"] and not (host.root / "models/.made-from.json").exists()
    assert host.run(**serve)["changed"]
    found = host.run(**made)
    assert found["current"] and not found["stale"] and found["reports"] == []
    assert not host.run(verify="full", **made)["current"]
    assert host.run(**{**made, "settings": {"outtype": "bf16"}})["stale"] == ["outtype"]
    assert not host.run(**serve)["changed"], "a note is no change"

    report = host.root / f"evaluations/{sha256[:12]}.json"
    report.write_text("{}")
    assert host.run(**made)["stale"] == [str(report)] and host.run(**made)["reports"] == [report.name]
    report.unlink()
    (host.root / f"models/{sha256[:12]}/model.gguf").chmod(0o640)
    assert host.run(**made)["stale"] == [str(host.root / f"models/{sha256[:12]}")]


def test_what_was_changed_meanwhile_is_not_noted(host: Host, tmp_path: Path) -> None:
    data = tmp_path / "rows"
    data.write_text("1")
    made: dict[str, Any] = {"settings": {}, "inputs": [str(data)]}
    path, sha256 = host.model("a")
    begun = host.run(**made)
    host.run(state="present", src=path)
    data.write_text("22")
    serve: dict[str, Any] = {"state": "served", "sha256": sha256, "name": "a", **made}
    host.run(**serve, seen=begun["seen"])
    assert not host.run(**made)["current"]
    host.run(**serve, seen=host.run(**made)["seen"])
    assert host.run(**made)["current"]
    host.serve("b")
    assert host.run(**made)["stale"][0] == "model"


def test_what_other_models_were_made_from(host: Host) -> None:
    """It stays, or goes when asked; what this model was made from and the models themselves stay."""
    host.serve("a")
    folders = ("sources/own", "sources/other", "trained/other")
    for name in folders:
        (host.root / name).mkdir()
        (host.root / name / "file").write_text("x")
    (host.root / "converted/other.gguf").write_text("x")
    (host.root / "sources/.other.new").mkdir()
    results = [str(host.root / "sources/own"), str(host.root / "converted/own.gguf")]
    assert host.serve("a", results=results)[1]["removed"] == []
    sha256 = host.model("a")[1]
    served: dict[str, Any] = {
        "state": "served",
        "sha256": sha256,
        "name": "model-a",
        "results": results,
        "keep_others": False,
    }
    predicted = host.run(True, **served)
    assert predicted["changed"] and (host.root / "sources/other/file").exists()
    done = host.run(**served)
    assert done["diff"] == predicted["diff"] and len(done["removed"]) == 3
    assert sorted(path.name for path in (host.root / "sources").iterdir()) == [".other.new", "own"]
    assert not list((host.root / "converted").iterdir()) and host.kept() == [sha256[:12]]
    assert not host.run(**served)["changed"]
