# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our units, given to podman's own generator: it must accept them and make the command we mean.

Run with: pytest tests/quadlet
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import quadlet
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import spec as specs

MODEL = {
    "name": "private-ai-model-1",
    "image": "localhost/private-ai/ilab:0.26.1",
    "command": ["ilab", "--config=DEFAULT", "model", "serve", "--chat-template", "tokenizer"],
    "env": {"HOME": "/tmp", "N_THREADS": "2"},
    "networks": [{"name": "private-ai-model", "ip": "10.131.77.11"}],
    "mounts": [
        {"source": "/var/lib/private-ai/models", "target": "/models", "read_only": True},
        {"type": "tmpfs", "target": "/home/ilab", "options": ["tmpfs-size=64m", "tmpfs-mode=1777"]},
    ],
    "secrets": [{"name": "private-ai-inner-key", "type": "env", "target": "API_KEY"}],
    "user": "1001",
    "read_only": True,
    "cap_drop": ["all"],
    "security_opt": ["no-new-privileges"],
    "ulimits": {"nofile": "1024:1024", "nproc": "512:512"},
    "runtime": "runc",
    "memory": "2g",
    "cpus": "1.5",
    "pids_limit": 256,
    "stop_timeout": 10,
    "triggers": {"model": "0f" * 32},
}
GATEWAY = {
    "name": "private-ai-gateway",
    "image": "localhost/private-ai/gateway:1",
    "networks": [
        {"name": "private-ai-model", "ip": "10.131.77.2"},
        {"name": "private-ai-edge", "ip": "10.131.78.2"},
    ],
    "publish": ["127.0.0.1:8000:8000", "127.0.0.1:8404:8404"],
    "init": True,
    "stop_signal": "SIGUSR1",
    "entrypoint": ["/usr/sbin/haproxy", "-W"],
    "log_driver": "k8s-file",
    "log_opts": {"max-size": "10mb"},
}
# Everything that systemd or the generator could take for syntax.
AWKWARD = {
    "name": "awkward",
    "image": "localhost/x:1",
    "command": ["sh", "-c", "echo \"$HOME\" $$ %h 100% \\n 'single' ; # no comment", "a\tb", "c\nd", "é ✓"],
    "env": {
        "SPACES": "a b  c",
        "QUOTES": "\"double\" 'single'",
        "DOLLAR": "$HOME ${HOME} $$",
        "PERCENT": "%n 50%",
        "BACKSLASH": "C:\\new\\table",
        "LINES": "one\ntwo\n",
        "EQUALS": "a=b=c",
        "HASH": "#no comment; really",
        "EMPTY": "",
    },
    "labels": {"org.example.note": '50% of "all" $things'},
    "hosts": {"gateway": "10.131.78.2"},
    "dns": ["none"],
}


def split_exec(line: str) -> list[str]:
    """Split and unescape a command line as systemd does it for ExecStart (see systemd.service(5))."""
    words: list[str] = []
    word: str | None = None
    closing = ""
    position = 0
    simple = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "s": " "}
    while position < len(line):
        character = line[position]
        if character == "\\":
            code = line[position + 1]
            if code == "x":
                word = (word or "") + chr(int(line[position + 2 : position + 4], 16))
                position += 4
                continue
            word = (word or "") + simple[code]
            position += 2
            continue
        if closing:
            if character == closing:
                closing = ""
            else:
                word = (word or "") + character
        elif character in "\"'":
            closing, word = character, word or ""
        elif character == " ":
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + character
        position += 1
    if word is not None:
        words.append(word)
    # No specifier and no variable of our own text may be left for systemd to expand.
    for found in words:
        for left in re.findall(r"%(.)", found.replace("%%", "")):
            assert left in ("N", "t", "n"), f"systemd would expand %{left} in {found!r}"
        if "--cidfile" not in found:
            assert "$" not in found.replace("$$", ""), f"systemd would expand a variable in {found!r}"
    return [found.replace("%%", "%").replace("$$", "$") for found in words]


def generate(generator: Path, folder: Path, params: dict[str, Any], **how: Any) -> tuple[str, str]:
    """Return the service the generator makes of our unit, and what it complains about."""
    spec = specs.normalise(params)
    text = quadlet.render_unit(spec, "ab" * 32, **{"rootless": False, "cgroup_v1": False, **how})
    (folder / quadlet.file_name(spec["name"])).write_text(text, encoding="utf-8")
    arguments = [str(generator), "-dryrun", *(["-user"] if how.get("rootless") else [])]
    done = subprocess.run(
        arguments,
        env={**os.environ, "QUADLET_UNIT_DIRS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "Loading source unit file" not in line]
    assert done.returncode == 0, done.stderr
    return done.stdout, "\n".join(complaints)


def exec_start(service: str) -> list[str]:
    """Return the words of the service's command."""
    return split_exec(
        next(line for line in service.splitlines() if line.startswith("ExecStart=")).partition("=")[2]
    )


def values(words: list[str], option: str) -> list[str]:
    """Return the values of a repeated option, in either of its forms."""
    separate = [after for word, after in zip(words, words[1:]) if word == option]
    return separate + [word.partition("=")[2] for word in words if word.startswith(option + "=")]


@pytest.mark.parametrize("params", [MODEL, GATEWAY, AWKWARD], ids=lambda params: params["name"])
@pytest.mark.parametrize(
    "how", [{}, {"rootless": True}, {"cgroup_v1": True}], ids=["root", "user", "cgroup1"]
)
def test_generator_makes_the_command_we_mean(
    generator: Path, tmp_path: Path, params: dict[str, Any], how: dict[str, Any]
) -> None:
    service, complaints = generate(generator, tmp_path, params, **how)
    assert complaints == ""
    words = exec_start(service)
    spec = specs.normalise(params)
    # The end of the line is the image and its command, word for word.
    tail = [spec["image"], *spec.get("command", [])]
    assert words[-len(tail) :] == tail
    assert sorted(values(words, "--env")) == sorted(f"{k}={v}" for k, v in spec.get("env", {}).items())
    labels = specs.all_labels(spec, {specs.SPEC_LABEL: "ab" * 32})
    assert sorted(values(words, "--label")) == sorted(f"{k}={v}" for k, v in labels.items())
    assert values(words, "--network") == [
        specs.network_argument(network) for network in spec.get("networks", [])
    ]
    assert values(words, "--publish") == spec.get("publish", [])
    for argument in specs.option_args(spec):
        assert argument in words
    assert values(words, "--name") == [spec["name"]]
    # What comes before "run" is for podman itself.
    assert words[1 : words.index("run")] == ([f"--runtime={spec['runtime']}"] if "runtime" in spec else [])
    # The last word on control groups wins: split needs version 2.
    assert values(words, "--cgroups")[-1] == ("enabled" if how.get("cgroup_v1") else "split")


@pytest.mark.parametrize("params", [MODEL, GATEWAY, AWKWARD], ids=lambda params: params["name"])
def test_service_restarts_for_ever_and_gives_podman_time_to_stop(
    generator: Path, tmp_path: Path, params: dict[str, Any]
) -> None:
    service, _ = generate(generator, tmp_path, params)
    lines = service.splitlines()
    assert "Restart=always" in lines
    assert "StartLimitIntervalSec=0" in lines
    assert f"TimeoutStopSec={params.get('stop_timeout', 10) + 20}" in lines


def test_empty_word_is_refused() -> None:
    # The generator (5.4.2) silently leaves out an empty word and everything after it.
    with pytest.raises(specs.SpecError, match="backend=container"):
        quadlet.render_unit(
            specs.normalise({**MODEL, "command": ["a", "", "b"]}), "ab", rootless=False, cgroup_v1=False
        )


@pytest.mark.parametrize("rootless, target", [(False, "multi-user.target"), (True, "default.target")])
def test_starts_at_boot_unless_stopped(generator: Path, tmp_path: Path, rootless: bool, target: str) -> None:
    service, _ = generate(generator, tmp_path, MODEL, rootless=rootless)
    assert f"WantedBy={target}" in service.splitlines()
    stopped, _ = generate(generator, tmp_path, MODEL, rootless=rootless, at_boot=False)
    assert "WantedBy=" not in stopped


def verified(folder: Path) -> str:
    """What systemd itself says of the services in a folder."""
    services = sorted(str(path) for path in folder.glob("*.service"))
    assert services
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *services], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr + (f"status {done.returncode}" if done.returncode else "")


def test_systemd_takes_the_services(generator: Path, tmp_path: Path) -> None:
    """Generated as at a boot, then read by systemd's own parser: no unknown setting, no doubtful word."""
    units, services = tmp_path / "units", tmp_path / "services"
    units.mkdir()
    services.mkdir()
    for params in (MODEL, GATEWAY, AWKWARD):
        spec = specs.normalise(params)
        text = quadlet.render_unit(spec, "ab" * 32, rootless=False, cgroup_v1=False)
        (units / quadlet.file_name(spec["name"])).write_text(text, encoding="utf-8")
    subprocess.run(
        [str(generator), str(services)], env={**os.environ, "QUADLET_UNIT_DIRS": str(units)}, check=True
    )
    assert verified(services) == ""
    # It would have said so: a word that systemd does not know.
    one = services / "private-ai-gateway.service"
    one.write_text(one.read_text(encoding="utf-8").replace("Restart=always", "Restart=for-ever"))
    assert "for-ever" in verified(services)
