"""A playbook as a person writes it: defaults set once, and no secret in what it prints at any verbosity."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.skupper.modules.host import NAMESPACES, ROOT, Host
from tests.standins.skupper.grant_server import CODE, GrantServer

INPUT = NAMESPACES / "east/input/resources"


def test_defaults_once_and_no_secret_is_printed(host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    tasks = [
        {"private_ai.chatbot.skupper_site": {"name": "east"}},
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
    defaults = {
        "group/private_ai.chatbot.skupper": {"platform": "linux", "namespace": "east", "executable": host.cli}
    }
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
    said = done.stdout + done.stderr
    assert done.rc == 0 and "ignored=1" in said, said[-3000:]
    assert "redeemed as often as it may be" in said
    # What the router runs with: the key of the link.
    key = host.run(
        "sh", "-c", "cat /var/lib/skupper/namespaces/east/runtime/certs/to-public-profile/tls.key"
    ).stdout
    assert "PRIVATE KEY" in key
    snapshot = yaml.safe_load(host.read(NAMESPACES / "east/internal/snapshot/Secret-to-public.yaml"))
    for secret in (CODE, snapshot["data"]["tls.key"], key.splitlines()[1]):
        assert secret not in said
    assert host.run("ls", str(INPUT)).stdout.split() == ["Connector-web.yaml", "Site-east.yaml"]
