# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module asks podman for, how the program's answers are understood, room, and leftovers."""

from __future__ import annotations

import json
import os
import struct
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.directories import Places
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanError
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.tool import result_of, tool_argv
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Finished, Progress
from ansible_collections.private_ai.chatbot.plugins.module_utils.training import model, run
from ansible_collections.private_ai.chatbot.plugins.modules import ilab_train

PARAMS: dict[str, t.Any] = {
    "dest": "/srv/trained/own",
    "base": "/srv/base",
    "data": "/srv/data.jsonl",
    "taxonomy": None,
    "image": "localhost/trainer:1",
    "epochs": 4,
    "effective_batch_size": 8,
    "max_batch_len": 2048,
    "max_seq_len": 512,
    "device": "cpu",
    "devices": [],
    "dtype": "base",
    "threads": 0,
    "memory": None,
    "ulimits": {"nofile": "1024:1024"},
    "keep_checkpoints": 1,
}


def test_container_has_no_network_and_writes_nowhere_else() -> None:
    """As user 1001, with nothing but what it needs."""
    argv = tool_argv(run.tool_params(PARAMS, "run", "/work", "/result"), False)
    for option in (
        "--network=none",
        "--read-only",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--user=1001:1001",
        "--pull=never",
        "--ulimit=nofile=1024:1024",
        "--mount=type=bind,source=/srv/base,target=/base,readonly=true",
        "--mount=type=bind,source=/srv/data.jsonl,target=/data.jsonl,readonly=true",
        "--mount=type=bind,source=/work,target=/work",
    ):
        assert option in argv, option
    end = argv.index("localhost/trainer:1")
    assert not [word for word in argv[:end] if word.startswith(("--device", "--memory", "--userns"))]
    program = argv[end + 1 :]
    assert program[:3] == ["run", "--base=/base", "--data=/data.jsonl"]
    assert "--effective-batch-size=8" in program


def test_the_teacher_is_asked_with_a_network_and_a_key_that_nobody_sees() -> None:
    """It is the only container of the training that has a network, and it gets no result to write."""
    teacher = {"url": "https://one/v1", "model": "big", "family": "llama", "rows": 3}
    teacher |= {"api_key": "s3cret", "network": "own"}
    params = {**PARAMS, "data": None, "taxonomy": "/srv/taxonomy", "teacher": teacher}
    argv = tool_argv(run.teacher_params(params, "/srv/work"), False)
    assert "--network=own" in argv and "s3cret" not in " ".join(argv)
    assert f"--name={run.container_name(PARAMS['dest'])}" in argv
    assert "--mount=type=bind,source=/srv/work/.teacher-key,target=/run/teacher-key,readonly=true" in argv
    program = argv[argv.index("localhost/trainer:1") + 1 :]
    assert program[0] == "ask" and "--teacher-url=https://one/v1" in program and "--teacher-rows=3" in program
    assert not [word for word in argv if "/result" in word]


def test_check_gets_nothing_to_write_into() -> None:
    """And another name, so that it disturbs no training."""
    params = run.tool_params({**PARAMS, "data": None, "taxonomy": "/srv/taxonomy"}, "check")
    assert all(mount.get("read_only") for mount in params["mounts"])
    assert params["argv"][:3] == ["check", "--base=/base", "--taxonomy=/taxonomy"]
    assert params["name"].startswith(run.container_name(PARAMS["dest"]) + "-check")


def test_devices_and_rootless() -> None:
    """GPUs by their CDI names; rootless, files stay those of the user."""
    params = {**PARAMS, "device": "cuda", "devices": ["nvidia.com/gpu=all"], "memory": "16g"}
    argv = tool_argv(run.tool_params(params, "run", "/work", "/result"), True)
    assert "--device=nvidia.com/gpu=all" in argv and "--memory=16g" in argv
    assert "--userns=keep-id:uid=1001,gid=1001" in argv and "--device=cuda" in argv


def test_name_depends_on_the_destination_alone() -> None:
    """Two runs for one destination meet, two destinations do not."""
    assert run.container_name("/srv/a") == run.container_name("/srv/./a") != run.container_name("/srv/b")


@pytest.mark.parametrize(
    "lines, found",
    [
        (["x", 'result: {"ok": true}', "late warning"], {"ok": True}),
        (["result: {"], None),
        (["result: []"], None),
        (["result", ""], None),
    ],
)
def test_result_line(lines: list[str], found: t.Any) -> None:
    """The last one counts; one that is cut is none."""
    assert result_of(lines) == found


def test_unfit_data_are_told_without_a_traceback() -> None:
    """They are the user's to change; everything else names the log."""
    done = Finished(2, ["x"], "")
    with pytest.raises(ValueError, match=r"^line 3: short$"):
        run.answer(done, {"ok": False, "problems": ["line 3: short"]}, "training", "/log", 60)
    for rc, words in ((1, "exit status 1: x"), (124, "within 60 s"), (137, "memory ran out")):
        with pytest.raises(PodmanError, match=rf"training .*{words}.*/log"):
            run.answer(Finished(rc, ["x"], ""), None, "training", "/log", 60)
    with pytest.raises(PodmanError, match=r"^training diverged$"):
        run.answer(Finished(1, [], ""), {"ok": False, "problems": ["diverged"]}, "training", None, 60)
    assert run.answer(Finished(0, [], ""), {"ok": True, "a": 1}, "training", None, 60)["a"] == 1


def test_a_disk_that_filled_is_told_instead_of_what_the_program_made_of_it(tmp_path: Path) -> None:
    """The first one that is too full; a stop for another reason keeps its own words."""
    found = os.statvfs(tmp_path)
    assert run.full_disk([str(tmp_path)], 1) == ""
    full = run.full_disk([str(tmp_path), "/"], found.f_blocks * found.f_frsize + 1)
    assert full.startswith(f"found no room: {tmp_path} has ") and "name another checkpoint_dir" in full
    failed = {"ok": False, "problems": ["ilab failed: unexpected pos 64 vs 0"]}
    with pytest.raises(PodmanError, match=r"^training found no room: .*; the whole output is in /log"):
        run.answer(Finished(1, [], ""), failed, "training", "/log", 60, full)
    with pytest.raises(PodmanError, match="did not end within 60 s"):
        run.answer(Finished(124, [], ""), None, "training", None, 60, full)


@pytest.mark.parametrize(
    "need, words",
    [
        (model.Need(1 << 60, 1, 1), "bytes of memory.*smaller base"),
        (model.Need(1, 1 << 60, 1), "bytes free.*checkpoint_dir"),
        (model.Need(1, 1, 1 << 60), "bytes free.*checkpoint_dir"),
    ],
)
def test_too_little_room(tmp_path: Path, need: model.Need, words: str) -> None:
    """Said before the long work."""
    with pytest.raises(ValueError, match=words):
        run.check_room(PARAMS, need, Places(str(tmp_path / "own")), str(tmp_path / "work"))


def test_room_that_is_there(tmp_path: Path) -> None:
    """A first run finds no directory of checkpoints yet."""
    run.check_room(PARAMS, model.Need(1, 1, 1), Places(str(tmp_path / "own")), str(tmp_path / "work"))


def test_checkpoints_count_for_the_same_inputs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others go; a directory of somebody else stays."""
    monkeypatch.setattr(run, "hand_over", lambda path, rootless: None)
    work = tmp_path / "work"
    run.prepare_work(str(work), {"a": 1}, False)
    (work / "checkpoint").write_text("x")
    run.prepare_work(str(work), {"a": 1}, False)
    assert (work / "checkpoint").exists()
    run.prepare_work(str(work), {"a": 2}, False)
    assert not (work / "checkpoint").exists()
    run.remove_work(str(work))
    assert not work.exists()
    work.mkdir()
    (work / "letters").write_text("x")
    with pytest.raises(ValueError, match="not of a training"):
        run.prepare_work(str(work), {"a": 1}, False)
    run.remove_work(str(work))
    assert os.listdir(work) == ["letters"]


INPUTS: dict[str, t.Any] = {"base": {}, "data": {"sha256": "0"}, "hyperparameters": {"epochs": 4}}
MADE = {
    "config.json": b"{}",
    "model.safetensors": b"",
    "tokenizer_config.json": b"{}",
}
HEAD = json.dumps({"a": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}).encode()
MADE["model.safetensors"] = struct.pack("<Q", len(HEAD)) + HEAD + bytes(8)


class Training:
    """A training that has checkpoints already, for a destination with a model that was trained before."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, made: dict[str, bytes]) -> None:
        self.dest, self.work = folder / "own", folder / "work"
        self.dest.mkdir()
        (self.dest / "before").write_text("x")
        self.params = {**PARAMS, "base": str(folder), "dest": str(self.dest)}
        self.params |= {"name": "own", "teacher": None, "log_file": None, "timeout": 60}

        def container(
            _client: t.Any, params: dict[str, t.Any], *_: t.Any
        ) -> tuple[Finished, dict[str, t.Any]]:
            result = next(mount["source"] for mount in params["mounts"] if mount["target"] == "/result")
            for name, content in made.items():
                Path(result, name).write_bytes(content)
            return Finished(0, [], ""), {"ok": True, "data": {"rows": 1}, "versions": {}}

        monkeypatch.setattr(run, "run_tool", container)
        monkeypatch.setattr(run, "hand_over", lambda path, rootless: None)
        run.prepare_work(str(self.work), INPUTS, False)
        (self.work / "checkpoint").write_text("x")

        monkeypatch.setattr(ilab_train.inputs, "wanted", lambda params, sha256: ({}, INPUTS))
        monkeypatch.setattr(ilab_train.model, "estimate", lambda *_: model.Need(1, 1, 1))
        monkeypatch.setattr(ilab_train, "check_data", lambda *_: None)

    def run(self) -> None:
        places, nobody = Places(str(self.dest)), t.cast(t.Any, None)
        run.train(nobody, self.params, INPUTS, places, str(self.work), Progress(None, ""))

    def module(self, check_mode: bool = False) -> dict[str, t.Any]:
        """A run of the module, which looks first."""
        own = {"checksum_cache": None, "verify": "full", "progress_file": None, "lock_timeout": 0}
        module = types.SimpleNamespace(params={**self.params, **own}, check_mode=check_mode)
        podman = types.SimpleNamespace(exists=lambda *_: True)
        return ilab_train.run_present(
            t.cast(t.Any, module), t.cast(t.Any, podman), Places(str(self.dest)), str(self.work)
        )

    def done(self) -> bool:
        """Whether the new model is there, whole; otherwise it is the one before."""
        there = set(os.listdir(self.dest))
        assert there in ({"before"}, {*MADE, run.record.RECORD})
        return there != {"before"}


def test_killed_while_it_ends(cut_everywhere: t.Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of work are never lost: while the new model is not in its place, the checkpoints are."""
    training: Training

    def prepare(folder: Path) -> t.Callable[[], t.Any]:
        nonlocal training
        training = Training(folder, monkeypatch, MADE)
        return training.run

    def look() -> None:
        assert training.done() or (training.work / "checkpoint").exists()
        training.run()
        assert training.done() and not training.work.exists()

    assert cut_everywhere(prepare, look) >= 10


def test_killed_after_it_ended(cut_everywhere: t.Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left beside a model that is as it should be goes, too, and nothing is trained for that."""
    training: Training

    def prepare(folder: Path) -> t.Callable[[], t.Any]:
        nonlocal training
        training = Training(folder, monkeypatch, MADE)
        return training.module

    def look() -> None:
        folder, done = training.dest.parent, training.done()
        # Of checkpoints that went, an empty directory may be left: it says no more whose it was.
        if done and training.work.exists() and not os.listdir(training.work):
            training.work.rmdir()
        left, made = set(os.listdir(folder)) - {"own"}, training.dest.stat().st_ino
        assert training.module(check_mode=True)["changed"] == (not done or bool(left))
        assert training.module()["changed"] == (not done or bool(left))
        assert training.done() and os.listdir(folder) == ["own"]
        assert not done or training.dest.stat().st_ino == made
        assert not training.module(check_mode=True)["changed"]

    assert cut_everywhere(prepare, look) >= 10


def test_a_result_that_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before stays, and so do the checkpoints."""
    training = Training(tmp_path, monkeypatch, {**MADE, "model.safetensors": MADE["model.safetensors"][:-1]})
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        training.run()
    assert not training.done() and (training.work / "checkpoint").exists()
    assert sorted(os.listdir(tmp_path)) == ["own", "work"]
