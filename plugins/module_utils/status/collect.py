# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a host says about itself; each part is asked by itself, so that one being down hides no other."""

from __future__ import annotations

import json
import os
import re
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

from ..directories import default_data_directory
from ..podman.client import MANAGED_LABEL, MANAGED_VALUE, PodmanClient, PodmanError
from ..podman.cni import network_of, published
from ..skupper.namespaces import data_home
from ..store import Store
from .host_metrics import certificates, not_after

DAY = 86400
#: What a model is served with.
MODEL_SERVER = ("instructlab", "llama-cpp-python")
_ASK_VERSIONS = (
    "import importlib.metadata as m, json, sys\n"
    "print(json.dumps({name: one.version for name in sys.argv[1:] for one in m.distributions(name=name)}))"
)

Facts = dict[str, t.Any]
#: ``(url, headers) -> (status, body)``; OSError when nobody answers.
Fetch = t.Callable[[str, t.Mapping[str, str]], tuple[int, str]]


def fetch(timeout: float) -> Fetch:
    """Return a function that asks without any proxy: everything here is on this host."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(url: str, headers: t.Mapping[str, str]) -> tuple[int, str]:
        try:
            request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - the operator's own parts
            with opener.open(request, timeout=timeout) as answer:
                return answer.status, answer.read(1 << 20).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, ""

    return get


def part(name: str, side: str, state: str, detail: str) -> Facts:
    """Return a line about one part: state is up, down or absent."""
    return {"part": name, "side": side, "state": state, "detail": detail}


class Host:
    """One host; ``problems`` are what could not be found out, each with its reason."""

    def __init__(self, params: t.Mapping[str, t.Any], podman: PodmanClient, get: Fetch) -> None:
        self.params = params
        self.podman = podman
        self.get = get
        self.data = Path(params["data_directory"])
        self.problems: list[str] = []

    def facts(self) -> Facts:
        """Return everything."""
        sides = self.params["sides"]
        running = self.containers()
        parts: list[Facts] = []
        gateway = model = None
        if "private" in sides:
            parts += self.container_parts("private", r"private-ai-(model-\d+|gateway)$", running)
            gateway = None if parts[0]["state"] == "absent" else self.gateway(parts)
            model = self.model()
        chatbot = None
        if "public" in sides:
            ours = self.container_parts("public", r"private-ai-chatbot$", running)
            parts += ours
            chatbot = None if ours[0]["state"] == "absent" else self.chatbot(parts)
        return {
            "parts": parts,
            "gateway": gateway,
            "model": model,
            "chatbot": chatbot,
            "versions": {**self.versions(gateway, chatbot), **self.model_server_versions(running)},
            "certificates": self.ends_of_certificates(),
            "access": self.access(running),
            "problems": self.problems,
        }

    # --- Containers -------------------------------------------------------------------------------------

    def containers(self) -> list[Facts]:
        """Return what Podman lists of ours."""
        command = ["ps", "--all", "--filter", f"label={MANAGED_LABEL}={MANAGED_VALUE}", "--format", "json"]
        try:
            return list(json.loads(self.podman.run(command, timeout=30).stdout or "[]"))
        except (PodmanError, ValueError, OSError) as error:
            self.problems.append(f"Podman could not be asked: {error}")
            return []

    @staticmethod
    def container_parts(side: str, names: str, listed: t.Sequence[Facts]) -> list[Facts]:
        """Return a line for each container of a side; one that says there is none."""
        lines = []
        for one in listed:
            name = str((one.get("Names") or ["?"])[0])
            if not re.match(names, name):
                continue
            state = str(one.get("State", "unknown"))
            ended = f", exit status {one.get('ExitCode')}" if state == "exited" else ""
            lines.append(part(name, side, "up" if state == "running" else "down", f"{state}{ended}"))
        return sorted(lines, key=lambda line: str(line["part"])) or [
            part("containers", side, "absent", "none; site.yml makes them")
        ]

    # --- Who answers ------------------------------------------------------------------------------------

    def key(self) -> tuple[str, str]:
        """Return a key of the gateway, empty when there is none, and what it is called."""
        if self.params["api_key"]:
            return self.params["api_key"], "the key that was given"
        path = self.params["api_key_file"]
        try:
            return Path(path).read_text(encoding="ascii").strip(), f"the key in {path}"
        except (OSError, ValueError) as error:
            return "", f"no key ({path} cannot be read: {getattr(error, 'strerror', None) or error})"

    def answer(self, url: str, **headers: str) -> tuple[int, str]:
        """Return status and body; status 0 with the reason as the body when nobody answers."""
        try:
            return self.get(url, headers)
        except OSError as error:
            return 0, str(getattr(error, "reason", error))

    def gateway(self, parts: list[Facts]) -> Facts | None:
        """Return queue and replicas as the gateway tells them."""
        key, name = self.key()
        status, body = self.answer(
            self.params["gateway_url"] + "/gateway/status", Authorization=f"Bearer {key}"
        )
        if not status:
            parts.append(part("gateway answers", "private", "down", f"{self.params['gateway_url']}: {body}"))
            return None
        found: Facts = {}
        if status == 200:
            found = {name: json.loads(body)[name] for name in ("queued", "active", "up", "limit")}
            detail = "{up} replicas up, {active} answering, {queued} of {limit} places in the queue".format(
                **found
            )
            parts.append(part("gateway answers", "private", "up" if found["up"] else "down", detail))
        else:
            parts.append(part("gateway answers", "private", "up", f"HTTP {status} to {name}"))
            self.problems.append(
                f"The gateway says HTTP {status} to {name}; the inventory has to name what it was given: "
                "private_model_api_keys, or private_model_api_key_file for the generated key"
            )
        return {**found, **self.gateway_metrics()}

    def gateway_metrics(self) -> Facts:
        """Return version and replicas from the metrics."""
        status, body = self.answer(self.params["gateway_metrics_url"])
        if status != 200:
            self.problems.append(f"The gateway's metrics do not answer: {body or status}")
            return {"version": None, "replicas": []}
        version = re.search(r'haproxy_process_build_info\{version="([^"]+)"', body)
        servers = re.findall(r'haproxy_server_status\{proxy="model",server="([^"]+)",state="UP"\} (\d)', body)
        return {
            "version": version.group(1) if version else None,
            "replicas": [{"name": name, "up": up == "1"} for name, up in servers],
        }

    def chatbot(self, parts: list[Facts]) -> Facts | None:
        """Return what the chatbot says about itself and about the model."""
        url = self.params["chatbot_url"]
        status, body = self.answer(url + "/healthz")
        if status != 200:
            parts.append(part("chatbot answers", "public", "down", f"{url}: {body or f'HTTP {status}'}"))
            return None
        found: Facts = {"url": url, "version": json.loads(body).get("version")}
        parts.append(part("chatbot answers", "public", "up", f"{url}, version {found['version']}"))
        status, body = self.answer(url + "/api/backend-status")
        if status != 200:
            detail = f"the chatbot does not tell: {body or f'HTTP {status}'}"
            parts.append(part("model, seen by the chatbot", "public", "down", detail))
            return found
        found["model"] = json.loads(body)
        state, reason = found["model"].get("status"), found["model"].get("reason")
        up = state in ("online", "busy")
        detail = str(state) + (f": {reason}" if reason else "")
        parts.append(part("model, seen by the chatbot", "public", "up" if up else "down", detail))
        return found

    # --- Files ------------------------------------------------------------------------------------------

    def model(self) -> Facts | None:
        """Return the model that is served, the one before, and where they are from."""
        store = Store(str(self.data))
        try:
            listed = store.listing(store.state())
        except (OSError, ValueError) as error:
            self.problems.append(f"The models cannot be listed: {error}")
            return None
        roles = {entry["role"]: entry for entry in listed}
        return {"current": roles.get("current"), "previous": roles.get("previous"), "kept": len(listed)}

    def ends_of_certificates(self) -> list[Facts]:
        """Return when each certificate of Skupper's sites on this host ends."""
        found = []
        for path in certificates(Path(self.params["skupper_directory"])):
            try:
                end = not_after(path)
            except (OSError, ValueError) as error:
                self.problems.append(str(error))
                continue
            ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
            found.append({"path": str(path), "ends": ends, "days": int((end - time.time()) // DAY)})
        return sorted(found, key=lambda one: (one["days"], one["path"]))

    # --- Derived ----------------------------------------------------------------------------------------

    def versions(self, gateway: Facts | None, chatbot: Facts | None) -> Facts:
        """Return the versions of what answers."""
        try:
            podman = ".".join(map(str, self.podman.version()))
        except (PodmanError, OSError):
            podman = None
        found = {
            "podman": podman,
            "haproxy": (gateway or {}).get("version"),
            "chatbot": (chatbot or {}).get("version"),
        }
        return {name: version for name, version in found.items() if version}

    def model_server_versions(self, listed: t.Sequence[Facts]) -> Facts:
        """Return what serves the model, as one of its running containers tells."""
        for one in listed:
            name = str((one.get("Names") or ["?"])[0])
            if one.get("State") != "running" or not re.match(r"private-ai-model-\d+$", name):
                continue
            try:
                asked = ["exec", name, "python3", "-c", _ASK_VERSIONS, *MODEL_SERVER]
                return dict(self.podman.run_json(asked, timeout=30))
            except (PodmanError, OSError) as error:
                self.problems.append(f"{name} does not tell what it serves with: {error}")
        return {}

    def access(self, listed: t.Sequence[Facts]) -> list[Facts]:
        """Return who can reach what on this host, from the ports that are published now."""
        found = []
        for one in listed:
            if one.get("State") != "running":
                continue
            name = str((one.get("Names") or ["?"])[0])
            for port in one.get("Ports") or []:
                address, number = published(port)
                who = "this host" if address.startswith("127.") else f"whoever reaches {address}"
                found.append({"who": who, "reaches": name, "how": f"{address}:{number}"})
            if not one.get("Ports"):
                networks = ", ".join(map(network_of, one.get("Networks") or [])) or "none"
                found.append({"who": f"network {networks}", "reaches": name, "how": "no published port"})
        return sorted(found, key=lambda one: (one["reaches"], one["how"]))


def settled(params: Facts, uid: int | None = None, environ: t.Mapping[str, str] | None = None) -> Facts:
    """Return the module's options with the paths that were left out, as they are for this user."""
    user = os.geteuid() if uid is None else uid
    variables = os.environ if environ is None else environ
    data = params["data_directory"] or default_data_directory(user)
    return {
        **params,
        "data_directory": data,
        "api_key_file": params["api_key_file"] or os.path.join(data, "api-key"),
        "skupper_directory": params["skupper_directory"]
        or os.path.join(data_home(user, variables), "namespaces"),
    }
