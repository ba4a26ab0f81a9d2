# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a host gives to somebody who helps: only what is known to hold no secret, no prompt and no answer.

Everything passes a list of what may be there; after that, known secrets and whatever looks like one go.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from pathlib import Path

from ..podman.client import MANAGED_LABEL, MANAGED_VALUE, PodmanClient, PodmanError, RunCommand
from ..podman.cni import network_of

HIDDEN = "<hidden>"

#: Fields of the JSON lines that the chatbot and the gateway log.
LOG_FIELDS = frozenset(
    """ts level logger message request_id method path status duration_ms outcome visitor ttft_ms queue_ms
    completion_tokens retries exception time bytes first_byte_ms total_ms replica state queued""".split()
)
#: Other lines that say nothing of what was asked: of ilab, llama.cpp, our `serve`, HAProxy, Skupper's router.
#: That one's debug lines may quote what passes.
_LINES = re.compile(
    r"^(?:(?:DEBUG|INFO|WARNING|ERROR) [\d-]{10} [\d:,]+ instructlab\.[\w.]+:\d+: "
    r"|(?:llama_|load|print_info|ggml_|llm_|gguf_)\w*:? |serve: |\[(?:NOTICE|WARNING|ALERT)\] "
    r"|[\d-]{10} [\d:.]+ [+-]\d{4} [A-Z_]+ \((?:info|notice|warning|error|critical)\) )"
)
#: Environment variables of the containers whose values are settings.
SETTINGS = frozenset(
    """ADDRESS HOST PORT METRICS_PORT MODEL_NAME MODEL_ALIAS TEMPERATURE TOP_P MAX_TOKENS LANGUAGE
    RATE_LIMIT_PER_MINUTE MAX_OPEN_PER_VISITOR ALLOWED_SOURCES TRUSTED_PROXIES DRAIN_SECONDS
    QUEUE_POLL_SECONDS ROOT_PATH LOG_LEVEL""".split()
)
_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:pai|hf|sk|ghp)_[A-Za-z0-9_-]{8,}"
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
    re.S,
)
_NAMED = re.compile(
    r"((?<![A-Za-z0-9])(?:[\w-]*(?:api[_-]?key|_key|token|secret|passw(?:or)?d|authorization|credentials?))"
    r"[\"']?\s*[=:]\s*)([\"']?)(?!<hidden>|null|none|true|false)[^\s\"',}]{4,}\2",
    re.I,
)

Facts = dict[str, t.Any]


def redact(text: str, known: t.Sequence[str] = ()) -> str:
    """Take known secrets, what looks like one, and what is named like one out of a text."""
    for value in sorted((one for one in known if len(one) >= 4), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    text = _SECRETS.sub(HIDDEN, text)
    return _NAMED.sub(lambda match: f"{match.group(1)}{match.group(2)}{HIDDEN}{match.group(2)}", text)


def log_line(line: str) -> str:
    """Return what may be shown of a line of a log."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line if _LINES.match(line) else f"<a line of {len(line)} characters>"
    if not isinstance(entry, dict):
        return f"<a line of {len(line)} characters>"
    kept = {name: value for name, value in entry.items() if name in LOG_FIELDS}
    # The gateway and the chatbot write fixed sentences; a longer one would quote somebody.
    kept = {name: value for name, value in kept.items() if not isinstance(value, str) or len(value) <= 200}
    return json.dumps(kept, separators=(",", ":"))


def setting(name: str, value: str) -> str:
    """Return what may be shown of an environment variable."""
    return value if name in SETTINGS else f"<{len(value)} characters>"


def container(inspected: Facts) -> Facts:
    """Return what may be shown of an inspected container."""
    config, host = inspected.get("Config") or {}, inspected.get("HostConfig") or {}
    environment = [str(entry).partition("=") for entry in config.get("Env") or []]
    state = inspected.get("State") or {}
    return {
        "name": inspected.get("Name"),
        "image": inspected.get("ImageName"),
        "state": {
            key: state.get(key)
            for key in ("Status", "ExitCode", "OOMKilled", "StartedAt", "FinishedAt", "Error")
        },
        "restarts": inspected.get("RestartCount"),
        "environment": {name: setting(name, value) for name, _equals, value in environment},
        "command": config.get("Cmd"),
        "user": config.get("User"),
        "mounts": [
            {key: mount.get(key) for key in ("Type", "Source", "Destination", "RW")}
            for mount in inspected.get("Mounts") or []
        ],
        "ports": host.get("PortBindings"),
        "memory": host.get("Memory"),
        "ulimits": host.get("Ulimits"),
        "networks": {
            network_of(name): {"address": one.get("IPAddress")}
            for name, one in ((inspected.get("NetworkSettings") or {}).get("Networks") or {}).items()
        },
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def shown(log: str) -> str:
    """Return what may be shown of a log."""
    return "\n".join(map(log_line, log.splitlines())) + "\n"


class Router(t.NamedTuple):
    """The router of this host's Skupper site."""

    run_command: RunCommand
    platform: str
    namespace: str

    def log(self, lines: int) -> str:
        """Return the last lines of its log; OSError says why there is none."""
        if self.platform == "linux":
            unit = f"--{'user-unit' if os.geteuid() else 'unit'}=skupper-{self.namespace}.service"
            argv = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}", unit]
        else:
            argv = [self.platform, "logs", "--tail", str(lines), f"{self.namespace}-skupper-router"]
        status, said, problem = self.run_command(["timeout", "--kill-after=5", "60", *argv])
        if status != 0:
            raise OSError(f"{' '.join(argv)} ended with {status}: {problem.strip()}")
        return shown(said + problem)


class Collector:
    """One host; what cannot be read is a file that says why."""

    def __init__(
        self,
        podman: PodmanClient,
        data: Path,
        log_lines: int,
        root: Path = Path("/"),
        keys: t.Sequence[str] = (),
        key_file: Path | None = None,
        router: Router | None = None,
    ) -> None:
        self.podman = podman
        self.data = data
        self.log_lines = log_lines
        self.root = root
        self.keys = keys
        self.key_file = key_file or data / "api-key"
        self.router = router

    def secrets(self) -> list[str]:
        """Return the keys of this host, to take them out wherever they stand."""
        try:
            return [*self.keys, _text(self.key_file).strip()]
        except (OSError, ValueError):
            return list(self.keys)

    def files(self) -> dict[str, str]:
        """Return the files by their names."""
        found: dict[str, str] = {}
        self._add(found, "podman/version.txt", lambda: ".".join(map(str, self.podman.version())))
        for kind in ("network", "image"):
            self._add(found, f"podman/{kind}s.json", self._listed, kind)
        for name in ("etc/os-release", "proc/sys/kernel/osrelease", "proc/loadavg", "proc/meminfo"):
            self._add(found, f"host/{os.path.basename(name)}", _text, self.root / name)
        for name in self._names(found):
            self._add(found, f"containers/{name}.json", self._inspected, name)
            self._add(found, f"logs/{name}.log", self._log, name)
        if self.router:
            self._add(found, f"logs/skupper-{self.router.namespace}.log", self.router.log, self.log_lines)
        for name in ("gateway/haproxy.cfg", "models/served.json"):
            if (self.data / name).is_file():
                self._add(found, f"data/{os.path.basename(name)}", _text, self.data / name)
        return found

    def _add(self, found: dict[str, str], name: str, read: t.Callable[..., str], *arguments: t.Any) -> None:
        try:
            text = read(*arguments)
        except (PodmanError, OSError, ValueError) as error:
            text = f"not available: {error}"
        found[name] = redact(text, self.secrets())

    def _names(self, found: dict[str, str]) -> list[str]:
        command = ["ps", "--all", "--filter", f"label={MANAGED_LABEL}={MANAGED_VALUE}", "--format", "json"]
        try:
            listed = json.loads(self.podman.run(command, timeout=30).stdout or "[]")
        except (PodmanError, OSError, ValueError) as error:
            found["podman/containers.txt"] = redact(f"not available: {error}", self.secrets())
            return []
        return sorted(str(one["Names"][0]) for one in listed)

    def _listed(self, kind: str) -> str:
        return self.podman.run([kind, "ls", "--format", "json"], timeout=30).stdout

    def _inspected(self, name: str) -> str:
        inspected = json.loads(self.podman.run(["inspect", name], timeout=30).stdout)[0]
        return json.dumps(container(inspected), indent=1)

    def _log(self, name: str) -> str:
        done = self.podman.run(["logs", "--tail", str(self.log_lines), name], timeout=60)
        return shown(done.stdout + done.stderr)
