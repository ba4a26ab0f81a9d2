# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The evaluation against a stand-in model, and through a program that stands for `podman exec`."""

from __future__ import annotations

import importlib.util
import json
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.evaluation import ask, options, transport
from ansible_collections.private_ai.chatbot.plugins.modules import model_evaluation

ROOT = Path(model_evaluation.__file__).parents[2]
KEY = "pai_a-key-that-nobody-may-see"
QUESTIONS = [
    {"question": "Who serves the model?", "expect": ["InstructLab"], "language": "en"},
    {"question": "Quem serve o modelo?", "expect": ["InstructLab"], "language": "pt"},
]
ANSWERS = {"Who serves the model?": "<think>\neasy\n</think>\n\nInstructLab does."}


def load_standin() -> Any:
    spec = importlib.util.spec_from_file_location(
        "answering_model", ROOT / "tests/standins/answering_model.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model() -> Iterator[Any]:
    server = load_standin().Model(0, dict(ANSWERS))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


class Module:
    """A stand-in for AnsibleModule."""

    def __init__(self, check_mode: bool, params: dict[str, Any]) -> None:
        defaults = {name: option.get("default") for name, option in model_evaluation.ARGUMENTS.items()}
        self.params = {**defaults, "wait_timeout": 2, "timeout": 5, **params}
        self.check_mode = check_mode
        self.no_log_values: set[str] = set()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def get_bin_path(self, name: str) -> str:
        return name

    def run_command(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("nothing but the questions may be run")


def run(model: Any, check_mode: bool = False, **params: Any) -> dict[str, Any]:
    return model_evaluation.run(Module(check_mode, {"url": model.url, "questions": QUESTIONS, **params}))


def test_asked_and_scored(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    predicted = run(model, True, report=str(path), subject={"sha256": "a"})
    assert predicted["changed"] and predicted["would_ask"] == 2 and predicted["evaluation"] is None
    assert not model.bodies and not path.exists()
    done = run(model, report=str(path), subject={"sha256": "a"})
    assert done["changed"] and done["would_ask"] == 2 and done["passed"]
    assert done["evaluation"]["right"] == 1 and done["evaluation"]["languages"]["pt"]["right"] == 0
    assert len(done["table"]) == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    saved = json.loads(path.read_text())
    assert saved["subject"] == {"sha256": "a"} and saved["answers"][0]["answer"] == "InstructLab does."
    assert saved["answers"][0]["reply"]["model"] == "answering-stand-in"
    body = model.bodies[0]
    assert body["stream"] is True and body["temperature"] == 0.0 and body["model"] == "answering-stand-in"
    assert [entry["seed"] for entry in model.bodies] == [1, 2]


def test_a_valid_report_is_not_asked_again(model: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"report": str(tmp_path / "report.json"), "subject": {"sha256": "a"}}
    run(model, **options)
    written = (tmp_path / "report.json").stat().st_mtime_ns
    for check_mode in (True, False):
        again = run(model, check_mode, **options)
        assert not again["changed"] and again["would_ask"] == 0 and again["evaluation"]["right"] == 1
    assert len(model.bodies) == 2 and (tmp_path / "report.json").stat().st_mtime_ns == written
    for check_mode in (True, False):
        judged = run(model, check_mode, **options, scoring="exact")
        assert judged["changed"] and judged["would_ask"] == 0 and judged["evaluation"]["right"] == 0
    assert len(model.bodies) == 2
    assert run(model, True, **options, force=True)["would_ask"] == 2
    other = run(model, report=options["report"], subject={"sha256": "b"})
    assert other["changed"] and len(model.bodies) == 4


def test_without_a_subject_it_is_asked_each_time(model: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "report.json")
    assert run(model, report=path)["changed"]
    assert not run(model, True, report=path)["changed"]
    assert not run(model, report=path)["changed"] and len(model.bodies) == 4
    model.answers[QUESTIONS[1]["question"]] = "InstructLab."
    after = run(model, report=path)
    assert after["changed"] and after["diff"]["before"]["right"] == 1 and after["diff"]["after"]["right"] == 2
    assert not run(model)["changed"]


def test_before_and_after(model: Any, tmp_path: Path) -> None:
    before, after = str(tmp_path / "before.json"), str(tmp_path / "after.json")
    run(model, report=before, subject={"sha256": "a"})
    model.answers.clear()
    worse = run(model, report=after, subject={"sha256": "b"}, baseline=before, tolerance=0.2)
    assert worse["passed"] is False and worse["before"]["right"] == 1
    assert "0 of 2 (0 %) are right, 1 of 2 (50 %) were before" in worse["shortfalls"][0]
    assert json.loads(Path(after).read_text())["total"]["right"] == 0
    assert run(model, report=after, subject={"sha256": "b"}, baseline=before)["passed"]
    assert run(model, baseline=before, tolerance=0.5)["passed"]


@pytest.mark.parametrize("made", [True, False])
def test_a_comparison_that_cannot_be_made(model: Any, tmp_path: Path, made: bool) -> None:
    before = str(tmp_path / "before.json")
    if made:
        run(model, report=before, questions=QUESTIONS[:1])
    model.bodies.clear()
    with pytest.raises(ValueError, match="asked other questions" if made else "is not there"):
        run(model, baseline=before, tolerance=0.0)
    assert not model.bodies
    assert run(model, baseline=before)["before"] is None


def test_minimums(model: Any) -> None:
    assert run(model, minimum=0.5, minimums={"en": 1})["passed"]
    missed = run(model, minimum=0.6, minimums={"pt": 0.1})
    assert missed["passed"] is False and len(missed["shortfalls"]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minimum": 60}, "minimum is 60; a number from 0 to 1"),
        ({"minimums": {"en": "many"}}, "minimums\\['en'\\] is 'many'"),
        ({"tolerance": -1.0, "baseline": "x"}, "tolerance is -1.0"),
        ({"questions": []}, "there are no questions"),
        ({"report": "/does/not/exist/report.json"}, "make it first"),
        ({"api_key_file": "/does/not/exist"}, "cannot be read"),
        ({"url": "127.0.0.1:8000"}, "an address such as"),
    ],
)
def test_bad_options_are_named(model: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, ask.AskError), match=said):
        run(model, **options)
    assert not model.bodies


def test_the_key_is_never_told(model: Any, tmp_path: Path) -> None:
    model.api_key = KEY
    file, report = tmp_path / "key", tmp_path / "report.json"
    file.write_text(KEY + "\n")
    model.fault = "echo"
    done = run(model, api_key_file=str(file), report=str(report))
    assert KEY not in json.dumps(done) and KEY not in report.read_text()
    assert options.HIDDEN in report.read_text()
    module = Module(False, {"url": model.url, "questions": QUESTIONS, "api_key": KEY})
    model_evaluation.run(module)
    assert module.no_log_values == {KEY}
    file.write_text("wrong-" + KEY)
    with pytest.raises(ask.AskError, match=r"status 401.*right key") as error:
        run(model, api_key_file=str(file))
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("break", "question 1 of 2: an answer of .* broke off before its end"),
        ("silent", "broke off before its end"),
        ("error", "context is full"),
        ("redirect", "redirects are not followed; give the address it leads to .http://198.51.100.1/"),
        ("html", "does not list models"),
    ],
)
def test_faults_of_the_server(model: Any, tmp_path: Path, fault: str, said: str) -> None:
    model.fault = fault
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"format": 1, "asked": "", "answers": []}))
    with pytest.raises(ask.AskError, match=said):
        run(model, report=str(path))
    assert json.loads(path.read_text())["asked"] == ""


def test_a_busy_server_is_waited_for(model: Any) -> None:
    model.busy = 2
    assert run(model, wait_timeout=60)["evaluation"]["asked"] == 2
    model.busy = 1000
    with pytest.raises(ask.AskError, match=r"status 503.*wait longer"):
        run(model, wait_timeout=1)


def test_nothing_listens(model: Any) -> None:
    with pytest.raises(ask.AskError, match=r"did not answer in time .*refused"):
        run(model, url="http://127.0.0.1:9", wait_timeout=0)


def test_no_proxy_unless_asked_for(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert run(model)["evaluation"]["asked"] == 2
    with pytest.raises(ask.AskError, match=r"did not answer in time"):
        run(model, use_proxy=True, wait_timeout=0)


def test_progress(model: Any, tmp_path: Path) -> None:
    file = tmp_path / "progress"
    run(model, progress_file=str(file))
    said = file.read_text().splitlines()
    assert said[0].startswith("evaluation: 2 questions") and said[-1].startswith("evaluation: ready")


@pytest.fixture
def podman(tmp_path: Path) -> Path:
    """A stand-in for podman that runs on this host what it is asked to run in a container."""
    program = tmp_path / "podman"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/argv\nshift 4\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program


def test_in_a_container(model: Any, podman: Path, tmp_path: Path) -> None:
    model.api_key = KEY
    done = run(model, container="some-trial", executable=str(podman), api_key=KEY)
    assert done["evaluation"]["right"] == 1
    argv = (tmp_path / "argv").read_text()
    assert argv.startswith("exec -i some-trial python3 -c") and KEY not in argv
    model.fault = "break"
    with pytest.raises(ask.AskError, match=r"question 1 of 2: an answer of .* broke off"):
        run(model, container="some-trial", executable=str(podman), api_key=KEY)


def test_a_container_that_is_not_there(model: Any, podman: Path) -> None:
    podman.write_text("#!/bin/sh\necho 'no such container' >&2\nexit 125\n")
    with pytest.raises(ask.AskError, match=r"exit status 125: no such container.*Remedy"):
        run(model, container="gone", executable=str(podman))


def test_a_podman_that_hangs_is_ended(model: Any, podman: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    podman.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(
        transport.threading, "Timer", lambda limit, act, timer=threading.Timer: timer(0.2, act)
    )
    with pytest.raises(ask.AskError, match=r"exit status -9"):
        run(model, container="hung", executable=str(podman))
