"""A playbook as a person writes it: the connection given once, and no secret in what it prints or runs."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_GRANT,
    LINK,
    SECRET,
)

from tests.skupper.key_traces import given_away
from tests.skupper.modules.host import ROOT
from tests.skupper.on_kubernetes.cluster import Cluster

WRAPPER = """#!/bin/sh
# Notes with which words the command is called.
echo "$@" >>{log}
exec {cli} "$@"
"""


def task(module: str, **options: Any) -> dict[str, Any]:
    """A task of one of the modules."""
    return {f"private_ai.chatbot.skupper_{module}": options}


def play(cluster: Cluster, tmp_path: Path, tasks: list[dict[str, Any]]) -> str:
    """Run tasks at the highest verbosity; return what is printed."""
    log, wrapper = tmp_path / "words", tmp_path / "skupper"
    wrapper.write_text(WRAPPER.format(log=log, cli=cluster.cli))
    wrapper.chmod(0o755)
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    group = {"namespace": cluster.namespace, "executable": str(wrapper), "kubeconfig": "{{ content }}"}
    defaults = {"group/private_ai.chatbot.skupper": group}
    book = {"hosts": "all", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([book]))
    (tmp_path / "vars.json").write_text(json.dumps({"content": content}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-vvvv", "--diff", "-i", "localhost,"]
    command += ["-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run(
        [*command, "-e", f"@{tmp_path}/vars.json", str(tmp_path / "play.yml")],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "SKUPPER_STANDIN_PYTHON": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout + done.stderr + log.read_text()


def test_connection_once_and_no_secret_is_printed(public: Cluster, private: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "token.yaml"
    there = {"namespace": private.namespace}
    said = play(
        public,
        tmp_path,
        [
            task("site", name="pub", link_access="default"),
            task("token", name="to-pub", dest=str(path)),
            {**task("token", name="other", return_token=True), "register": "issued", "no_log": True},
            task("link", token_file=str(path), **there),
            task("link", token="{{ issued.token }}", **there),
            task("listener", name="web", port=8000),
            task("info", **there),
        ],
    )
    hidden = []
    for name in ("to-pub", "other"):
        assert private.get(LINK, name)
        hidden.append(public.get(ACCESS_GRANT, name)["status"]["code"])
        hidden.append(private.get(SECRET, name)["data"]["tls.key"])
    content = yaml.safe_load(public.kubeconfig.read_text())
    keys = ("client-key-data", "token", "password")
    hidden += [user["user"][key] for user in content["users"] for key in keys if user["user"].get(key)]
    for secret in hidden:
        assert secret not in said
    # Every key that Skupper keeps here, those of its authorities first.
    kept = {
        one["metadata"]["name"]: base64.b64decode(one["data"]["tls.key"]).decode()
        for place in (public, private)
        for one in place.client.all(SECRET, place.namespace)
        if "tls.key" in (one.get("data") or {})
    }
    assert {"skupper-site-ca", "skupper-local-ca"} <= set(kept)
    assert given_away(said, "".join(kept.values())) == []
    assert path.stat().st_mode & 0o777 == 0o600
    left = [one for one in tmp_path.rglob("*") if one.is_file() and one not in (path, tmp_path / "vars.json")]
    assert not [one for one in left if hidden[0].encode() in one.read_bytes()]
