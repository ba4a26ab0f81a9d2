"""The files that the role writes, for promtool and Prometheus."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.playbook import run_playbook


def play(folder: Path, variables: dict[str, Any], *arguments: str) -> str:
    """Run this part of the role on this host; return what Ansible said."""
    role = {"name": "private_ai.chatbot.private_model", "tasks_from": "monitoring.yml"}
    return run_tasks(folder, [{"ansible.builtin.include_role": role, "vars": variables}], *arguments)


def run_tasks(folder: Path, tasks: list[dict[str, Any]], *arguments: str) -> str:
    """Run tasks on this host; return what Ansible said."""
    book = folder / "play.yml"
    book.write_text(yaml.safe_dump([{"hosts": "localhost", "tasks": tasks}]))
    here = ("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}")
    return run_playbook(*here, book, *arguments)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes the files with these variables: `files(interval="1s")` -> directory."""

    def render(**variables: Any) -> Path:
        folder = tmp_path_factory.mktemp("monitoring")
        settings = {f"private_model_monitoring_{name}": value for name, value in variables.items()}
        play(folder, {"private_model_monitoring_directory": str(folder / "out"), **settings})
        return folder / "out"

    return render
