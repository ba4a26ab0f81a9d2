"""What is asked of the two sites of the scenario molecule/skupper_site, as they run."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.skupper.traffic.servers import Server, greeting, until

NAMESPACES = Path("/var/lib/skupper/namespaces")
SITES = ("private-site", "public-site")
CONNECTOR, LISTENER = 18701, 18702


def test_the_listener_answers_with_what_is_behind_the_connector() -> None:
    with Server("private", port=CONNECTOR):
        until(lambda: greeting(("127.0.0.1", LISTENER)) == "private", "the listener answers")


@pytest.mark.parametrize("site", SITES)
def test_the_unit_runs_and_starts_again(site: str) -> None:
    unit = f"skupper-{site}.service"
    assert subprocess.run(["systemctl", "is-active", unit], check=False).returncode == 0
    written = [path.read_text() for path in Path(f"/etc/systemd/system/{unit}.d").glob("*.conf")]
    assert any("Restart=" in one for one in written)


@pytest.mark.parametrize("site", SITES)
def test_no_key_can_be_read_by_others(site: str) -> None:
    open_to_all = []
    for folder, _folders, files in os.walk(NAMESPACES / site):
        for name in files:
            path = Path(folder, name)
            if stat.S_IMODE(path.stat().st_mode) & 0o077 and b"PRIVATE KEY" in path.read_bytes():
                open_to_all.append(path)
    assert open_to_all == []


def test_the_link_is_by_its_name() -> None:
    found = sorted(path.name for path in (NAMESPACES / "private-site/input/resources").iterdir())
    assert "Link-private-site-to-public-site.yaml" in found
    assert "Secret-private-site-to-public-site.yaml" in found
