# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a token lies while the command redeems it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import links

TOKEN: dict[str, Any] = {
    "kind": "AccessToken",
    "metadata": {"name": "priv"},
    "spec": {"url": "https://127.0.0.1:1/uid", "code": "s3cret", "ca": "ca"},
}


class Session:
    """In place of a module's session: its command keeps what it is given, and fails."""

    def __init__(self) -> None:
        self.path = ""
        self.text = ""
        self.mode = 0

    def cli(self) -> Session:
        """Itself is the command."""
        return self

    def run(self, words: list[str]) -> None:
        """Read the token."""
        self.path = words[-1]
        with open(self.path, encoding="utf-8") as stream:
            self.text = stream.read()
        self.mode = os.stat(self.path).st_mode & 0o777
        raise OSError("the command failed")


@pytest.mark.parametrize("memory", ["memory", "nothing", "file"])
def test_a_token_lies_in_memory_where_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    disk = tmp_path / "disk"
    for folder in (tmp_path / "memory", disk):
        folder.mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(links, "_CLI_PATH", links.re.compile(".*"))
    monkeypatch.setattr(links, "_MEMORY", str(tmp_path / memory))
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    session = Session()
    with pytest.raises(OSError, match="the command failed"):
        links.redeem_on_host(cast(Any, session), TOKEN)
    wanted = tmp_path / memory if memory == "memory" else disk
    assert Path(session.path).parent.parent == wanted
    assert "s3cret" in session.text and session.mode == 0o600
    # Nothing of it is left, the command's failure notwithstanding.
    assert not os.path.exists(os.path.dirname(session.path))
