"""The pages of modules and roles, as they are rendered for readers: complete, and without a warning."""

from __future__ import annotations

import pytest

from tests.packaging.conftest import ROOT, Place

MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def pages(installed: Place) -> Place:
    """The installed collection with its pages below `pages`."""
    folder = installed.folder / "pages"
    folder.mkdir(mode=0o700)
    options = ["--use-current", "--fail-on-error", "--squash-hierarchy", "--dest-dir", str(folder)]
    said = installed.run("antsibull-docs", "collection", *options, "private_ai.chatbot")
    assert said == ""
    return installed


def test_every_page_is_there(pages: Place) -> None:
    """One for each module and role."""
    found = {path.name for path in (pages.folder / "pages").glob("*.rst")}
    wanted = {f"{name}_module.rst" for name in MODULES} | {f"{name}_role.rst" for name in ROLES}
    assert wanted <= found


def test_nothing_is_to_be_said_about_them(installed: Place) -> None:
    """Schema, markup, references to modules and options, and the rendered text itself."""
    collection = str(installed.folder / "collections/ansible_collections/private_ai/chatbot")
    options = ["--plugin-docs", "--validate-collection-refs", "self"]
    assert installed.run("antsibull-docs", "lint-collection-docs", *options, collection) == ""
