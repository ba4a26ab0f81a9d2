"""The skupper command, installed by the role: by checksum, up and down, and never half."""

from __future__ import annotations

import hashlib
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.skupper.modules.host import Host
from tests.skupper.role.sites import Run, Sites

COMMAND = "/usr/local/bin/skupper"


def release(folder: Path, version: str, inside: str = "") -> dict[str, str]:
    """An archive as a release has it, with a stand-in that only tells its version; what installs it."""
    program = folder / "skupper"
    program.write_text(
        f"#!/bin/sh\n# Stand-in for skupper, for tests of its installation.\necho {inside or version}\n"
    )
    program.chmod(0o755)
    archive = folder / f"skupper-{version}-{inside}.tgz"
    with tarfile.open(archive, "w:gz") as whole:
        whole.add(program, "skupper")
    return {
        "skupper_site_cli_version": version,
        "skupper_site_cli_sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "skupper_site_cli_archive": str(archive),
        "skupper_site_cli_url": f"file://{archive}",
    }


@pytest.fixture
def sites(host: Host) -> Sites:
    """One host; nothing but the command is wanted."""
    return Sites(host, {"east": {"skupper_site_platform": "linux", "skupper_site_namespace": "east"}})


def install(sites: Sites, source: str, variables: dict[str, Any], *arguments: str) -> Run:
    """Install the command alone."""
    role = {"name": "private_ai.chatbot.skupper_site", "tasks_from": "cli.yml"}
    play = {"hosts": "all", "gather_facts": True, "tasks": [{"ansible.builtin.include_role": role}]}
    path = sites.host.folder / "command.yml"
    path.write_text(json.dumps([play]))
    return sites.playbook(str(path), *arguments, east={"skupper_site_cli_source": source, **variables})


def test_up_down_and_never_a_wrong_one(sites: Sites) -> None:
    host = sites.host
    old, new = release(host.folder, "2.2.1"), release(host.folder, "2.2.4")
    predicted = install(sites, "url", old, "--check").fine()
    assert host.run("test", "-e", COMMAND).rc != 0
    first = install(sites, "url", old).fine()
    assert predicted.changed == first.changed > 0
    assert host.run(COMMAND).stdout == "2.2.1\n"
    assert install(sites, "url", old).fine().changed == 0

    # Up by a file of the control node, as for a host without internet.
    assert install(sites, "archive", new).fine().changed > 0
    assert host.run(COMMAND).stdout == "2.2.4\n"
    # Down again without another download: it is still there, and one link says which is used.
    assert install(sites, "url", {**old, "skupper_site_cli_url": "file:///nowhere"}).fine().changed == 1
    assert host.run(COMMAND).stdout == "2.2.1\n"

    wrong = {**new, "skupper_site_cli_sha256": "0" * 64}
    install(sites, "url", wrong).refused("The checksum for")
    install(sites, "archive", wrong).refused(f"and skupper_site_cli_sha256 is {'0' * 64}")
    install(sites, "archive", release(host.folder, "2.3.0", "2.2.9")).refused("holds version '2.2.9'")
    assert host.run(COMMAND).stdout == "2.2.1\n"


@pytest.mark.extended
def test_a_template_of_a_url_and_a_place_of_the_user(sites: Sites) -> None:
    host = sites.host
    given = release(host.folder, "2.2.1")
    machine = platform.machine()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    place = host.folder / "v2.2.1"
    place.mkdir()
    Path(given["skupper_site_cli_archive"]).rename(place / f"cli-2.2.1-linux-{architecture}.tgz")
    variables = {
        **given,
        "skupper_site_cli_url": f"file://{host.folder}/vVERSION/cli-VERSION-linux-ARCHITECTURE.tgz",
        "skupper_site_cli_sha256": {"other": "0" * 64, architecture: given["skupper_site_cli_sha256"]},
        "skupper_site_cli_location": "user",
    }
    before = host.fingerprint("/usr/local")
    assert install(sites, "url", variables).fine().changed > 0
    home = host.run("sh", "-c", "getent passwd root | cut -d: -f6").stdout.strip()
    assert host.run(f"{home}/.local/bin/skupper").stdout == "2.2.1\n"
    assert host.fingerprint("/usr/local") == before
    assert install(sites, "url", variables).fine().changed == 0


def test_without_a_checksum_nothing_is_fetched(sites: Sites) -> None:
    variables = {
        "skupper_site_cli_source": "url",
        "skupper_site_cli_sha256": {"arm64": "0" * 64, "amd64": ""},
    }
    before = sites.host.fingerprint("/usr/local")
    sites.role(east=variables).refused("64 hexadecimal digits, now ''")
    assert sites.host.fingerprint("/usr/local") == before
