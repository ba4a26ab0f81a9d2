"""The documents say what is so: links lead somewhere; quoted messages, variables and playbooks exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*(ROOT / "docs").rglob("*.md"), ROOT / "SECURITY.md", *(ROOT / "roles").glob("*/README.md")]
)
IMAGES = sorted((ROOT / "docs/images").glob("*.svg"))
SOURCES = ("roles", "playbooks", "plugins", "chatbot_app/src", "tools")


def sources() -> str:
    """All code, in one line, without the joints of Python's and Jinja's strings."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *SOURCES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    kinds = (".py", ".yml", ".j2", ".sh", "")
    texts = [
        (ROOT / name).read_text(encoding="utf-8")
        for name in listed.stdout.split("\0")
        if name and Path(name).suffix in kinds and (ROOT / name).is_file() and "demo_model" not in name
    ]
    joined = re.sub(r'["\']\s*\n\s*f?["\']', "", "\n".join(texts))
    return re.sub(r"\s+", " ", joined.replace('\\"', '"').replace("' \\ '", ""))


def headings() -> list[str]:
    """The messages that troubleshooting.md explains."""
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"^### `(.+)`$", text, flags=re.M)


@pytest.fixture(scope="module")
def code() -> str:
    return sources()


#: Words of Ansible's own argument validation.
ANSIBLE = {"value of … must be one of"}


@pytest.mark.parametrize("message", headings())
def test_message_is_one_of_ours(code: str, message: str) -> None:
    if message in ANSIBLE:
        return
    for piece in message.split("…"):
        assert piece.strip() in code, f"no code says {piece.strip()!r}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, (
                target
            )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_variables_and_playbooks_exist(document: Path) -> None:
    known: set[str] = set()
    for role in (ROOT / "roles").iterdir():
        known |= set(yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")))
    text = document.read_text(encoding="utf-8")
    for name in re.findall(r"\b((?:private_model|public_chatbot|skupper_site)_\w+)", text):
        assert name in known, f"{document.name} names {name}, which no role has"
    for name in re.findall(r"playbooks/(\w+)\.yml", text):
        assert (ROOT / f"playbooks/{name}.yml").is_file(), f"{document.name} names playbooks/{name}.yml"


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_pictures_are_described_and_have_a_dark_form(image: Path) -> None:
    picture = ElementTree.parse(image).getroot()  # noqa: S314 - our own file
    space = "{http://www.w3.org/2000/svg}"
    assert picture.get("role") == "img"
    for name in ("title", "desc"):
        found = picture.find(space + name)
        assert found is not None and found.text
    assert "prefers-color-scheme: dark" in image.read_text(encoding="utf-8")
