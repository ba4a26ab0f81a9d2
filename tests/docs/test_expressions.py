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


GB = 1_000_000_000
#: Cores, memory, the replicas and threads that are asked for, and what a model of 1 GB is served with.
HOSTS = [
    (4, 8 * GB, 0, 0, {"replicas": 1, "threads": 4}),
    (16, 64 * GB, 0, 0, {"replicas": 4, "threads": 4}),
    (16, 9 * GB, 0, 0, {"replicas": 3, "threads": 5}),  # 5.4 GB for three of 1.6 GB
    (16, 1 * GB, 0, 0, {"replicas": 1, "threads": 8}),  # one at least, and eight threads at most
    (1, 1 * GB, 0, 0, {"replicas": 1, "threads": 1}),
    (4, 1 * GB, 3, 0, {"replicas": 3, "threads": 1}),
    (16, 64 * GB, 2, 0, {"replicas": 2, "threads": 8}),
    (16, 64 * GB, 0, 2, {"replicas": 4, "threads": 2}),
]


def test_cores_and_memory_decide_how_many_replicas_there_are(tmp_path: Path) -> None:
    own = yaml.safe_load((ROOT / "roles/private_model/vars/main.yml").read_text(encoding="utf-8"))
    needed = ("cores", "replica_bytes", "replicas", "threads")
    variables: dict[str, Any] = {"__private_model_gguf": {"size": GB}}
    asked: dict[str, str] = {}
    for number, (cores, memory, replicas, threads, _) in enumerate(HOSTS):
        # Each host's variables have names of their own, so that one play answers for all of them.
        for name in needed:
            text = own[f"__private_model_{name}"]
            for other in (*needed, "ansible_facts"):
                text = re.sub(rf"\b(\w*{other})\b", rf"\1_{number}", text)
            variables[f"__private_model_{name}_{number}"] = text
        variables[f"ansible_facts_{number}"] = {"processor_vcpus": cores, "memtotal_mb": memory // 1_048_576}
        variables[f"private_model_replicas_{number}"] = replicas
        variables[f"private_model_threads_{number}"] = threads
        for name in ("replicas", "threads"):
            asked[f"{name} {number}"] = f"{{{{ __private_model_{name}_{number} | int }}}}"
    found = computed(tmp_path, asked, **variables)
    for number, (*_, there) in enumerate(HOSTS):
        assert {name: int(found[f"{name} {number}"]) for name in there} == there, HOSTS[number]


@pytest.mark.parametrize("readme", ["README.md", "README.pt-BR.md"])
def test_the_summary_names_the_network_as_the_readme_shows(tmp_path: Path, readme: str) -> None:
    own = yaml.safe_load((ROOT / "roles/public_chatbot/vars/main.yml").read_text(encoding="utf-8"))
    expressions = {"note": own["__public_chatbot_network_note"]}
    note = computed(tmp_path, expressions, __public_chatbot_api_key_host="localhost")["note"]
    assert "inventories/hybrid joins" in note and (ROOT / "inventories/hybrid/hosts.yml").is_file()
    assert f"Network:  {note}\n" in (ROOT / readme).read_text(encoding="utf-8")


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
