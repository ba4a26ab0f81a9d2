"""The pages of modules and roles, as they are rendered for readers: complete, and without a warning."""

from __future__ import annotations

import subprocess

import pytest

from tests.packaging.conftest import ROOT, Place

MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


OPTIONS = ["collection", "--use-current", "--fail-on-error", "--squash-hierarchy"]


@pytest.fixture(scope="module")
def pages(installed: Place) -> Place:
    """The installed collection with its pages below `pages`."""
    folder = installed.folder / "pages"
    folder.mkdir(mode=0o700)
    said = installed.run("antsibull-docs", *OPTIONS, "--dest-dir", str(folder), "private_ai.chatbot")
    assert said == ""
    return installed


def test_every_page_is_there(pages: Place) -> None:
    """One for each module and role."""
    found = {path.name for path in (pages.folder / "pages").glob("*.rst")}
    wanted = {f"{name}_module.rst" for name in MODULES} | {f"{name}_role.rst" for name in ROLES}
    assert wanted <= found


def test_they_are_rendered_for_a_person_in_the_same_way() -> None:
    """`make docs`, into a directory that git leaves out."""
    said = subprocess.run(["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"antsibull-docs {' '.join(OPTIONS)} --dest-dir build/reference private_ai.chatbot" in said.stdout
    subprocess.run(["git", "check-ignore", "--quiet", "build/reference/any.rst"], cwd=ROOT, check=True)


def test_nothing_is_to_be_said_about_them(installed: Place) -> None:
    """Schema, markup, references to modules and options, and the rendered text itself."""
    collection = str(installed.folder / "collections/ansible_collections/private_ai/chatbot")
    options = ["--plugin-docs", "--validate-collection-refs", "self"]
    assert installed.run("antsibull-docs", "lint-collection-docs", *options, collection) == ""
