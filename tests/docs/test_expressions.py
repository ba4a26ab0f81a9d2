"""Expressions of the roles that look for text, as Ansible computes them: it doubles backslashes itself."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.playbook import ROOT, run_playbook

ROLES = sorted((ROOT / "roles").iterdir())
PARTS = ("defaults", "handlers", "meta", "tasks", "vars")
CPUINFO = "processor\t: 0\nflags\t\t: fpu sse2 {}\n"


def computed(folder: Path, asked: dict[str, Any], *cases: dict[str, Any], **variables: Any) -> list[Any]:
    """What expressions come to in each case, whose variables stand beside those of all, in one play here."""
    names = {name: f"{{{{ item.{name} }}}}" for name in cases[0]} if cases else {}
    look: dict[str, Any] = {
        "ansible.builtin.debug": {"msg": asked},
        "loop": cases or [{}],
        "register": "seen",
        "vars": names,
    }
    content = "{{ seen.results | map(attribute='msg') | to_json }}"
    keep = {"ansible.builtin.copy": {"content": content, "dest": str(folder / "found.json")}}
    book, given = folder / "play.json", folder / "vars.json"
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": [str(given)], "tasks": [look, keep]}
    given.write_text(json.dumps(variables))
    book.write_text(json.dumps([play]))
    here = ("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}")
    run_playbook(*here, book)
    found: list[Any] = json.loads((folder / "found.json").read_text())
    return found


def test_what_is_looked_for_is_found(tmp_path: Path) -> None:
    """Images are built anew for another processor."""
    own = yaml.safe_load((ROOT / "roles/private_model/vars/main.yml").read_text(encoding="utf-8"))
    key: str = own["__private_model_cpu_key"]
    expressions = {"one": key, "other": key.replace("__private_model_cpuinfo", "other_cpuinfo")}
    (found,) = computed(
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
    tasks = [inner for task in whole for inner in task.get("block", [task])]
    (when,) = [task["when"][0] for task in tasks if task["name"] == "Trial of the model"]
    expressions = {"step": own["__private_model_steps"]["promote"], "whole": f"{{{{ {when} }}}}"}
    (found,) = computed(tmp_path, expressions, private_model_promotion=promotion, __private_model_looks=True)
    trial = [] if promotion == "always" else ["trial"]
    assert found == {"step": ["store", "claim", "candidate", *trial, "serve", "record"], "whole": bool(trial)}


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
    cases = [
        {
            "ansible_facts": {"processor_vcpus": cores, "memtotal_mb": memory // 1_048_576},
            "private_model_replicas": replicas,
            "private_model_threads": threads,
        }
        for cores, memory, replicas, threads, _ in HOSTS
    ]
    expressions = {name: f"{{{{ __private_model_{name} | int }}}}" for name in ("replicas", "threads")}
    variables = {f"__private_model_{name}": own[f"__private_model_{name}"] for name in needed}
    found = computed(tmp_path, expressions, *cases, **variables, __private_model_gguf={"size": GB})
    for host, one in zip(HOSTS, found, strict=True):
        assert {name: int(value) for name, value in one.items()} == host[-1], host


@pytest.mark.parametrize("readme", ["README.md", "README.pt-BR.md"])
def test_the_summary_names_the_network_as_the_readme_shows(tmp_path: Path, readme: str) -> None:
    own = yaml.safe_load((ROOT / "roles/public_chatbot/vars/main.yml").read_text(encoding="utf-8"))
    expressions = {"note": own["__public_chatbot_network_note"]}
    (found,) = computed(tmp_path, expressions, __public_chatbot_api_key_host="localhost")
    note = found["note"]
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


def test_a_pod_that_reaches_nothing_at_all_shows_nothing(tmp_path: Path) -> None:
    """An attempt that fails counts where one that has to work does."""
    file = ROOT / "roles/public_chatbot/tasks/kubernetes/test_pod.yml"
    (whole,) = yaml.safe_load(file.read_text(encoding="utf-8"))
    (task,) = [one for one in whole["block"] if "ansible.builtin.set_fact" in one]
    targets = ["kubernetes.default.svc:443", "instructlab:8000", "192.0.2.7:8000"]
    given = {
        **whole["vars"],
        **task["vars"],
        "public_chatbot_listener_host": "instructlab",
        "public_chatbot_listener_port": 8000,
        "__public_chatbot_private_targets": targets[2:],
        "__public_chatbot_said": {"log": json.dumps(dict.fromkeys(targets, "timed out"))},
        "__public_chatbot_tried": {"resources": [{"status": {"phase": "Succeeded"}}]},
    }
    (told,) = computed(tmp_path, task["ansible.builtin.set_fact"], **given)
    found = told["__public_chatbot_test_pod_checks"]
    assert [one["name"] for one in found] == ["listener from another pod", "private host from another pod"]
    for one in found:
        assert not one["ok"], one
        assert "FAILED: another pod did not even reach the API of its cluster" in one["line"]
