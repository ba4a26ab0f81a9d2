"""What `make quickstart` says and runs, by the model that is asked for.

tools/quickstart.sh is the real one; the two programs that it starts are stand-ins, which install and serve
nothing: the molecule scenario does that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT
from tests.packaging.test_packaging import ROLES, TYPES, load

DEEPSEEK = "playbooks/vars/deepseek.yml"


#: A play that says on what it is, and ends when somebody has seen that.
PATIENT = """
echo 'compiling, 3 of 9' >>"$PRIVATE_AI_PROGRESS_FILE"
until [ -e seen ] || [ $((tries += 1)) -gt 600 ]; do sleep 0.1; done
[ -e seen ] && echo 'seen before the end'
"""


def prepared(folder: Path, play: str = 'echo "play $*"') -> list[str]:
    """The command, in a directory where installing does nothing; ansible-playbook repeats its arguments."""
    stand_ins = {"tools/bootstrap.sh": "echo installed", ".venv/bin/ansible-playbook": play}
    for name, does in stand_ins.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    shutil.copy(ROOT / "tools/quickstart.sh", folder / "tools")
    return [str(folder / "tools/quickstart.sh")]


def quickstart(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    env = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(prepared(folder), env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_model_that_it_does_not_know(tmp_path: Path) -> None:
    done = quickstart(tmp_path, MODEL="x")
    assert done.returncode == 2 and not done.stdout
    assert "MODEL is 'x'; it can be demo or deepseek." in done.stderr and DEEPSEEK in done.stderr


@pytest.mark.parametrize("model", [{}, {"MODEL": "demo"}])
def test_the_demo_model_needs_no_warning(tmp_path: Path, model: dict[str, str]) -> None:
    done = quickstart(tmp_path, **model)
    assert done.returncode == 0, done.stderr
    assert "installed" in done.stdout and "play -i inventories/quickstart site.yml\n" in done.stdout
    assert "download" not in done.stdout and DEEPSEEK not in done.stdout


def test_what_the_large_model_costs_is_said_before_anything_is_done(tmp_path: Path) -> None:
    done = quickstart(tmp_path, MODEL="deepseek", QUICKSTART_ARGS="--diff")
    assert done.returncode == 0, done.stderr
    before, _, after = done.stdout.partition("installed\n")
    for word, unit in {"download": "GB", "disk": "GB", "memory": "GB", "time": "minutes"}.items():
        assert re.search(rf"^  {word} .*\d+(\.\d+)? {unit}\b", before, flags=re.M), f"{word}: {before}"
    assert f"play -i inventories/quickstart site.yml -e @{DEEPSEEK} --diff\n" in after


def test_a_long_step_is_seen_while_it_runs(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(prepared(tmp_path, PATIENT), env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            if line == "    ... compiling, 3 of 9\n":
                (tmp_path / "seen").touch()
    assert running.returncode == 0 and said[-1] == "seen before the end\n", said


def test_variables_of_the_large_model_are_options_of_the_roles() -> None:
    """A name that no role has would be passed over in silence."""
    options = {
        name: option
        for role in ROLES
        for name, option in load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"][
            "options"
        ].items()
    }
    given = load(DEEPSEEK)
    assert not [name for name in given if name not in options]
    for name, value in given.items():
        option = options[name]
        assert isinstance(value, TYPES[option["type"]]), f"{name}: {value!r} is no {option['type']}"
        assert value in option.get("choices", [value]), f"{name}: {value!r} is not one of the choices"
