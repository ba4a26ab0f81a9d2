"""What is shipped, and that it runs by its full name from where it was installed, and from a plain clone."""

from __future__ import annotations

import html
import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.context import (
    EVERYTHING,
    Selection,
    scan,
)

from tests.packaging.conftest import ROOT, Place

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
# What site.yml lists: the two sides, and the network for the hosts that have a site.
PARTS = ("private_model : ", "public_chatbot : ", "Join the site")
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
# The Python types that a value of an option's type may have; a template is text until it runs.
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}


def load(path: str) -> Any:
    """A YAML file of the repository."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def repository_files() -> list[Path]:
    """Files that are, or are about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


# --- The archive -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE",
        "CHANGELOG.md",
        "README.md",
        "meta/runtime.yml",
        "playbooks/site.yml",
        "plugins/modules/podman_service.py",
        "plugins/module_utils/podman/client.py",
        "chatbot_app/Containerfile",
        "chatbot_app/.containerignore",
        "chatbot_app/hatch_build.py",
        "chatbot_app/requirements.lock",
        "chatbot_app/requirements-build.lock",
        "chatbot_app/frontend/package-lock.json",
        "chatbot_app/tools/vendor.py",
        "chatbot_app/src/private_ai_chatbot/server.py",
        "chatbot_app/src/private_ai_chatbot/static/index.html",
        "roles/private_model/files/demo_model/demo.gguf",
        "roles/private_model/files/demo_model/model.safetensors",
        "roles/private_model/files/demo_model/tokenizer.model",
        "roles/private_model/files/images/base/Containerfile",
        "roles/private_model/files/images/ilab/Containerfile",
        "roles/private_model/files/images/gateway/Containerfile",
    ],
)
def test_archive_holds_what_running_needs(names: set[str], name: str) -> None:
    assert name in names


def test_archive_holds_the_build_context_of_every_image(names: set[str]) -> None:
    contexts = (
        "chatbot_app/src/",
        "chatbot_app/frontend/",
        "chatbot_app/tools/",
        "roles/private_model/files/images/",
    )
    tracked = {str(path.relative_to(ROOT)) for path in repository_files()}
    wanted = {name for name in tracked if name.startswith(contexts) and not name.endswith(".gitignore")}
    assert wanted <= names


def test_archive_keeps_scripts_executable(archive: Path) -> None:
    with tarfile.open(archive) as content:
        modes = {member.name: member.mode for member in content.getmembers()}
    for path in repository_files():
        name = str(path.relative_to(ROOT))
        if name in modes and not path.is_symlink() and path.stat().st_mode & 0o100:
            assert modes[name] & 0o111 == 0o111, f"{name} has mode {modes[name]:o} in the archive"


def test_archive_holds_nothing_of_the_development(names: set[str]) -> None:
    allowed = re.compile(
        r"(CHANGELOG\.md|CONTRIBUTING\.md|FILES\.json|LICENSE|MANIFEST\.json|README(\.pt-BR)?\.md|SECURITY\.md|site\.yml"
        r"|(changelogs|chatbot_app|docs|inventories|meta|playbooks|plugins|roles)/.*)"
    )
    assert not [name for name in sorted(names) if not allowed.fullmatch(name)]
    unwanted = re.compile(
        r"(^|/)(__pycache__|\.[a-z]+_cache|static/vendor|chatbot_app/tests|demo_model/training|dist)(/|$)|\.pyc$"
    )
    assert not [name for name in sorted(names) if unwanted.search(name)]


def test_archive_holds_only_files_of_the_repository(names: set[str]) -> None:
    """A leftover of somebody's work must not be published with the rest."""
    tracked = {str(path.relative_to(ROOT)) for path in repository_files()}
    assert names - tracked == {"FILES.json", "MANIFEST.json"}


def test_archive_declares_its_dependencies(archive: Path) -> None:
    with tarfile.open(archive) as content:
        member = content.extractfile("MANIFEST.json")
        assert member is not None
        info = json.load(member)["collection_info"]
    assert (info["namespace"], info["name"]) == ("private_ai", "chatbot")
    assert all(re.match(r">=\d+\.\d+\.\d+", bound) for bound in info["dependencies"].values())
    assert sorted(info["dependencies"]) == ["community.general", "containers.podman", "kubernetes.core"]


# --- The installed copy ----------------------------------------------------------------------------------


def test_dependencies_come_from_the_ansible_package(installed: Place) -> None:
    """The bounds are those of collections that really are there."""
    found = json.loads(
        installed.run("ansible-galaxy", "collection", "list", "--format", "json").split("\n[")[0]
    )
    versions = {name: info["version"] for place in found.values() for name, info in place.items()}
    for name, bound in load("galaxy.yml")["dependencies"].items():
        lowest = tuple(map(int, bound.removeprefix(">=").split(".")))
        assert tuple(map(int, versions[name].split("."))) >= lowest, (
            f"{name} {versions[name]} is older than {bound}"
        )
    assert versions["private_ai.chatbot"] == load("galaxy.yml")["version"]


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_playbook_by_its_full_name(installed: Place, name: str) -> None:
    playbook = f"private_ai.chatbot.{name}"
    installed.run("ansible-playbook", "-i", "inventory.yml", playbook, "--syntax-check")
    listed = installed.run("ansible-playbook", "-i", "inventory.yml", playbook, "--list-tasks")
    assert "TAGS:" in listed
    assert str(ROOT) not in listed


def test_site_reaches_both_sides_and_the_network(installed: Place) -> None:
    listed = installed.run(
        "ansible-playbook", "-i", "inventory.yml", "private_ai.chatbot.site", "--list-tasks"
    )
    for part in PARTS:
        assert part in listed


@pytest.mark.parametrize("name", sorted(load("playbooks/vars/arguments.yml")["playbook_arguments"]))
def test_arguments_of_a_playbook_are_looked_at_before_a_host(name: str) -> None:
    """In its first play, on the control node; and where AWX has a template, its survey asks for them."""
    first = load(f"playbooks/{name}.yml")[0]
    assert (first["hosts"], first["gather_facts"]) == ("localhost", False)
    (options,) = [task["ansible.builtin.validate_argument_spec"] for task in first["tasks"][:1]]
    assert options["argument_spec"] == f"{{{{ '{name}' | private_ai.chatbot.playbook_options }}}}"
    templates = (ROOT / "playbooks/vars/awx.yml").read_text(encoding="utf-8")
    asked = dict(re.findall(r"playbook: playbooks/(\w+)\.yml(?:\n    survey: (\w+))?", templates))
    assert asked.get(name, name) == name


@pytest.mark.parametrize("role", ROLES)
def test_role_by_its_full_name(installed: Place, role: str) -> None:
    play = [{"hosts": "one", "gather_facts": False, "roles": [f"private_ai.chatbot.{role}"]}]
    (installed.folder / f"{role}.yml").write_text(yaml.safe_dump(play))
    listed = installed.run("ansible-playbook", "-i", "inventory.yml", f"{role}.yml", "--list-tasks")
    assert f"{role} : " in listed
    documented = installed.run("ansible-doc", "-t", "role", "-j", f"private_ai.chatbot.{role}")
    assert "main" in json.loads(documented)[f"private_ai.chatbot.{role}"]["entry_points"]


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "plugins/modules").glob("[a-z]*.py")))
def test_module_by_its_full_name(installed: Place, module: str) -> None:
    found = json.loads(installed.run("ansible-doc", "-t", "module", "-j", f"private_ai.chatbot.{module}"))
    documented = found[f"private_ai.chatbot.{module}"]
    assert str(installed.folder) in documented["doc"]["filename"]
    assert documented["examples"]
    assert documented["return"]


def test_images_of_an_installed_copy_are_those_of_the_repository(installed: Place) -> None:
    """Or each would be built anew for the other."""
    copy = installed.folder / "collections/ansible_collections/private_ai/chatbot"
    own = load("roles/public_chatbot/vars/main.yml")["__public_chatbot_app_files"]
    (build,) = [
        task["private_ai.chatbot.podman_image"]
        for task in load("roles/public_chatbot/tasks/podman/build.yml")
        if "private_ai.chatbot.podman_image" in task
    ]
    images = "roles/private_model/files/images"
    chosen = {f"{images}/{path.name}": EVERYTHING for path in (ROOT / images).iterdir() if path.is_dir()}
    assert len(chosen) >= 5
    for name, selection in {"chatbot_app": Selection(own, build["exclude"]), **chosen}.items():
        found = [scan(str(place / name), selection, portable=True) for place in (ROOT, copy)]
        assert set(found[0]) ^ set(found[1]) == set(), name


# --- A plain clone ---------------------------------------------------------------------------------------


def test_clone_finds_itself(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    place = Place(tmp_path)
    listed = place.run(
        "ansible-playbook", "-i", "inventories/quickstart", "site.yml", "--list-tasks", cwd=clone
    )
    place.run("ansible-playbook", "-i", "inventories/quickstart", "site.yml", "--syntax-check", cwd=clone)
    assert all(part in listed for part in PARTS)
    found = place.run("ansible-doc", "-t", "module", "-j", "private_ai.chatbot.podman_service", cwd=clone)
    assert str(clone) in json.loads(found)["private_ai.chatbot.podman_service"]["doc"]["filename"]


def test_clone_link_is_relative() -> None:
    """A link to an absolute path would point at the machine of whoever made it."""
    assert (ROOT / "collections/ansible_collections/private_ai/chatbot").readlink() == Path("../../..")


# --- Things written down twice are the same --------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_defaults_equal_the_argument_specification(role: str) -> None:
    defaults = load(f"roles/{role}/defaults/main.yml")
    options = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert sorted(defaults) == sorted(options)
    for name, value in defaults.items():
        option = options[name]
        assert name.startswith(f"{role}_"), f"{name} does not begin with the role's name"
        assert option.get("description"), f"{name} has no description"
        # `1 == True` in Python, not in YAML.
        assert (type(option.get("default")), option.get("default")) == (type(value), value), f"{name} differs"
        templated = isinstance(value, str) and "{{" in value
        assert templated or isinstance(value, TYPES[option["type"]]), (
            f"{name}: {value!r} is no {option['type']}"
        )
        assert option["type"] != "int" or not isinstance(value, bool), f"{name}: {value!r} is no int"
        assert "choices" not in option or value in option["choices"], (
            f"{name}: {value!r} is not one of the choices"
        )


def test_action_groups_equal_the_modules() -> None:
    modules = sorted(path.stem for path in (ROOT / "plugins/modules").glob("[a-z]*.py"))
    skupper = [name for name in modules if name.startswith("skupper_")]
    kubernetes = [name for name in modules if name.startswith("kubernetes_")]
    assert load("meta/runtime.yml")["action_groups"] == {
        "chatbot": [name for name in modules if name not in skupper + kubernetes],
        "kubernetes": kubernetes,
        "skupper": skupper,
    }


def test_versions_are_equal() -> None:
    version = load("galaxy.yml")["version"]
    package = (ROOT / "chatbot_app/src/private_ai_chatbot/__init__.py").read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(.+)"', package, flags=re.M) == [version]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("\\", "")
    assert re.findall(r"^## v(.+)", changes, flags=re.M)[0] == version
    assert list(load("changelogs/changelog.yaml")["releases"])[-1] == version
    variables = (ROOT / "roles/public_chatbot/vars/main.yml").read_text(encoding="utf-8")
    assert re.findall(r"private-ai/chatbot:([\d.]+)", variables) == [version]


def test_release_notes_can_be_made_of_the_fragments(tmp_path: Path) -> None:
    """As CONTRIBUTING.md says, in a copy; every entry of a fragment is in them."""
    copy = tmp_path / "ansible_collections/private_ai/chatbot"
    for path in repository_files():
        name = str(path.relative_to(ROOT))
        if name.startswith(("changelogs/", "plugins/", "meta/", "roles/")) or name in (
            "galaxy.yml",
            "CHANGELOG.md",
        ):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(path.read_bytes())
    said = Place(tmp_path).run("antsibull-changelog", "lint", cwd=copy)
    assert said.strip() == ""
    Place(tmp_path).run("antsibull-changelog", "release", "--version", "99.0.0", cwd=copy)
    notes = re.sub(
        r"(</?code>|[\W_])+", " ", html.unescape((copy / "CHANGELOG.md").read_text(encoding="utf-8"))
    )
    assert "v99 0 0" in notes
    for path in sorted((ROOT / "changelogs/fragments").glob("*.yml")):
        for section, entries in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            for entry in entries if section != "trivial" else []:
                assert re.sub(r"[\W_]+", " ", entry).strip() in notes, f"{path.name}: {entry}"


def test_no_file_names_a_developer_machine() -> None:
    # In pieces, so that this file does not find itself.
    pattern = re.compile(
        rb"(?<![\w}])/"
        + rb"(work/(main|shared|[.])|(root|home/[a-z0-9_.-]+)/[A-Za-z0-9_.])|/"
        + rb"tmp/[a-z]\d"
    )
    found = []
    for path in repository_files():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        found += [
            f"{path.relative_to(ROOT)}: {match.group().decode()}" for match in pattern.finditer(content)
        ]
    assert not found
