"""Expressions of the roles that look for text, as Ansible computes them: it doubles backslashes itself."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted((ROOT / "roles").iterdir())
PARTS = ("defaults", "handlers", "meta", "tasks", "vars")
CPUINFO = "processor\t: 0\nflags\t\t: fpu sse2 {}\n"


def computed(folder: Path, expressions: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """What expressions come to, in a play on this host."""
    task = {"ansible.builtin.copy": {"content": "{{ asked | to_json }}", "dest": str(folder / "found.json")}}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{**task, "vars": {"asked": expressions}}]}
    (folder / "vars.json").write_text(json.dumps(variables))
    (folder / "play.json").write_text(json.dumps([{**play, "vars_files": [str(folder / "vars.json")]}]))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", str(folder / "play.json")]
    own = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")}
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


def test_what_is_looked_for_is_found(tmp_path: Path) -> None:
    """Images are built anew for another processor."""
    own = yaml.safe_load((ROOT / "roles/private_model/vars/main.yml").read_text(encoding="utf-8"))
    key: str = own["__private_model_cpu_key"]
    expressions = {"one": key, "other": key.replace("__private_model_cpuinfo", "other_cpuinfo")}
    found = computed(
        tmp_path,
        expressions,
        private_model_image_cpu="native",
        __private_model_cpuinfo={"content": base64.b64encode(CPUINFO.format("avx2").encode()).decode()},
        other_cpuinfo={"content": base64.b64encode(CPUINFO.format("avx512f").encode()).decode()},
    )
    assert re.fullmatch("[0-9a-f]{12}", found["one"]) and found["one"] != found["other"]


@pytest.mark.parametrize("promotion", ["always", "smoke"])
def test_always_is_promoted_without_a_trial(tmp_path: Path, promotion: str) -> None:
    """By the step alone, as by a run of everything."""
    own = yaml.safe_load((ROOT / "roles/private_model/vars/main.yml").read_text(encoding="utf-8"))
    whole = yaml.safe_load((ROOT / "roles/private_model/tasks/main.yml").read_text(encoding="utf-8"))
    (when,) = [task["when"][0] for task in whole if task["name"] == "Trial of the model"]
    expressions = {"step": own["__private_model_steps"]["promote"], "whole": f"{{{{ {when} }}}}"}
    found = computed(tmp_path, expressions, private_model_promotion=promotion, __private_model_looks=True)
    trial = [] if promotion == "always" else ["trial"]
    assert found == {"step": ["store", "candidate", *trial, "serve", "record"], "whole": bool(trial)}


def texts(node: Any) -> Iterator[str]:
    """Every text in what a YAML file holds."""
    if isinstance(node, dict):
        node = [*node, *node.values()]
    if isinstance(node, list):
        for one in node:
            yield from texts(one)
    if isinstance(node, str):
        yield node


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_class_of_characters_has_two_backslashes(role: Path) -> None:
    r"""`\\s` is a backslash and an s for Ansible: nothing is ever found by it."""
    files = [file for part in PARTS for file in role.glob(f"{part}/**/*.yml")]
    found = [text for file in files for text in texts(yaml.safe_load(file.read_text(encoding="utf-8")))]
    assert len(found) > 100 and not [text for text in found if re.search(r"\\\\[sdwbSDWB(]", text)]
