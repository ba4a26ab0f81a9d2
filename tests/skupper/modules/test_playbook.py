"""A playbook as a person writes it: defaults set once, and no secret in what it prints at any verbosity."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.skupper.key_traces import given_away
from tests.skupper.modules.host import NAMESPACES, ROOT, Host
from tests.standins.skupper.grant_server import CODE, GrantServer

INPUT = NAMESPACES / "east/input/resources"
WRAPPER = """#!/bin/sh
# Notes with which words the command is called.
echo "$@" >>{log}
exec {cli} "$@"
"""


def test_defaults_once_and_no_secret_is_printed(host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    tasks = [
        {"private_ai.chatbot.skupper_site": {"name": "east", "link_access": "default"}},
        {
            "private_ai.chatbot.skupper_connector": {
                "name": "web",
                "port": 8000,
                "connector_host": "127.0.0.1",
            }
        },
        {"private_ai.chatbot.skupper_link": {"name": "to-public", "token": "{{ token }}"}},
        {
            "private_ai.chatbot.skupper_link": {"name": "broken", "token": "{{ spent }}"},
            "ignore_errors": True,
        },
        {"private_ai.chatbot.skupper_system": {}},
        {"private_ai.chatbot.skupper_info": {}},
        {"private_ai.chatbot.skupper_link": {"name": "to-public", "state": "absent"}},
    ]
    log, wrapper = host.folder / "words", host.folder / "skupper"
    wrapper.write_text(WRAPPER.format(log=log, cli=host.cli))
    wrapper.chmod(0o755)
    place = {"platform": "linux", "namespace": "east", "executable": str(wrapper)}
    defaults = {"group/private_ai.chatbot.skupper": place}
    play = {"hosts": "all", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    with GrantServer(tmp_path_factory.mktemp("grants")) as server:
        variables = {"token": server.token(), "spent": server.token(allowed=0)}
        (host.folder / "play.yml").write_text(json.dumps([play]))
        (host.folder / "vars.json").write_text(json.dumps(variables))
        done = host.run(
            str(Path(sys.executable).parent / "ansible-playbook"),
            *[
                "-vvvv",
                "--diff",
                "-i",
                "localhost,",
                "-c",
                "local",
                "-e",
                f"ansible_python_interpreter={sys.executable}",
            ],
            *["-e", f"@{host.folder}/vars.json", str(host.folder / "play.yml")],
            environ={
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_HOME": str(host.folder / "ansible"),
            },
        )
    said = done.stdout + done.stderr + log.read_text()
    assert "token redeem" in said and "system start" in said
    assert done.rc == 0 and "ignored=1" in said, said[-3000:]
    assert "redeemed as often as it may be" in said
    assert CODE not in said
    # What the router runs with, and the authorities that signed it.
    found = host.run("find", str(NAMESPACES), "-name", "tls.key").stdout.split()
    assert {Path(one).parent.name for one in found} >= {
        "to-public-profile",
        "skupper-local-ca",
        "skupper-site-ca",
    }
    assert given_away(said, host.run("cat", *found).stdout) == []
    assert host.run("ls", str(INPUT)).stdout.split() == ["Connector-web.yaml", "Site-east.yaml"]
