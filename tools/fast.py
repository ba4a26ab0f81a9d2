"""The fast part of the suite: linters, and tests that need neither root nor containers."""

from __future__ import annotations

import re
from pathlib import Path

from steps import ROOT, Count, Job, pytest_command, together, tracked

APP = ROOT / "chatbot_app"


def lint_jobs() -> list[Job]:
    """Every linter once, the longest first."""
    shells = re.compile(rb"#!\s*/\S*(/|\s)(ba)?sh\b")
    scripts = [name for name in tracked() if shells.match((ROOT / name).read_bytes()[:64])]
    return [
        Job("ansible-lint", ["ansible-lint", "--offline", "--strict"]),
        Job("mypy, modules and tools", ["mypy"]),
        Job("mypy, application", ["mypy"], cwd=APP),
        Job("ruff check", ["ruff", "check", "--no-fix", "."]),
        Job("ruff format", ["ruff", "format", "--check", "."]),
        Job("yamllint", ["yamllint", "--strict", *tracked("*.yml", "*.yaml")]),
        Job("shellcheck", ["shellcheck", "--external-sources", *scripts]),
        Job("hadolint", ["hadolint", "--config", ".hadolint.yaml", *tracked("*Containerfile")]),
    ]


def pytest_job(name: str, *paths: str, cwd: Path = ROOT, python_path: Path) -> Job:
    """A pytest run beside others."""
    command, report = pytest_command(name, *paths)
    return Job(name, command, cwd=cwd, env={"PYTHONPATH": str(python_path)}, report=report)


def app_job() -> Job:
    """The tests of the chatbot's server."""
    return pytest_job("app", "tests", cwd=APP, python_path=APP / "src")


def unit_jobs() -> list[Job]:
    """What needs neither root nor containers, the longest first."""
    plugins = pytest_job("plugins", "tests/unit", python_path=ROOT / "collections")
    paths = ["tests/docs", "tests/demo_model", "tests/wheel_cache", "tests/training/test_program.py"]
    files = pytest_job("docs, demo model, wheels, training program", *paths, python_path=ROOT)
    return [app_job(), plugins, pytest_job("quadlet", "tests/quadlet", python_path=ROOT), files]


def fast() -> Count:
    """Linters and what needs no root, on both processors to the end."""
    linters, units = lint_jobs(), unit_jobs()
    return together([linters[0], *units, *linters[1:]])
