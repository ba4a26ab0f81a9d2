"""Keeps a router's files as its site wants them, and tells its site what the router sees.

This is what Skupper's kube-adaptor does in the router's pod: the ConfigMap `skupper-router` becomes
`skrouterd.json`, Secrets become the files of TLS profiles, and the network becomes the ConfigMap
`skupper-network-status`, late, as the real one is:

    python -m tests.standins.skupper.router.adaptor --namespace NS --folder DIR [--fast]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..kube import Kube, KubeError, Object

CONFIG, STATUS = "skrouterd.json", "network.json"
CONFIG_MAP, STATUS_MAP = "skupper-router", "skupper-network-status"
Files = dict[str, bytes]


@dataclass(frozen=True)
class Delays:
    """Seconds until others are told of a change, as they were measured."""

    new_site: float = 13.0
    lost_site: float = 27.0
    services: float = 0.6


MEASURED = Delays()
AT_ONCE = Delays(0.0, 0.0, 0.0)


def secret_of(profile: str) -> str:
    """The Secret with the files of a TLS profile."""
    return profile.removesuffix("-profile")


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    draft.replace(path)


def write_files(folder: Path, config: str, secret: Callable[[str], Files | None]) -> None:
    """The files that a router reads; the files of a Secret that is gone stay, as they do for the real one."""
    changed = False
    for kind, entity in json.loads(config):
        if kind != "sslProfile":
            continue
        files = secret(secret_of(entity["name"])) or {}
        for name, content in files.items():
            path = folder / "runtime/certs" / entity["name"] / name
            if not path.exists() or path.read_bytes() != content:
                _put(path, content)
                changed = True
    path = folder / CONFIG
    if changed or not path.exists() or path.read_text(encoding="utf-8") != config:
        _put(path, config.encode())


class News:
    """What a router sees, told when it is time."""

    def __init__(self, delays: Delays) -> None:
        self.delays = delays
        self.told: list[Any] | None = None
        self._seen: list[Any] | None = None
        self._due = 0.0

    def look(self, network: list[Any], now: float) -> list[Any] | None:
        """The network, if it is to be told now."""
        if network == self.told:
            self._seen = None
            return None
        if self._seen is None or _shape(self._seen) != _shape(network):
            self._due = now + self._delay(network)
        self._seen = network
        if now < self._due:
            return None
        self.told, self._seen = network, None
        return network

    def _delay(self, network: list[Any]) -> float:
        if self.told is None:
            return self.delays.services
        before, after = _shape(self.told), _shape(network)
        if before == after:
            return self.delays.services
        return self.delays.lost_site if before - after else self.delays.new_site


def _shape(network: list[Any]) -> set[tuple[str, ...]]:
    """Sites, and links that work."""
    links = {
        (site["id"], link["name"])
        for site in network
        for link in site.get("links", [])
        if link.get("operational")
    }
    return {(site["id"],) for site in network} | links


def read_status(folder: Path) -> list[Any] | None:
    """The network as the router sees it; None before it has looked."""
    try:
        found: list[Any] = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def publish(kube: Kube, namespace: str, network: list[Any], owners: list[Object]) -> None:
    """Write the ConfigMap of the network."""
    data = {"NetworkStatus": json.dumps(network, sort_keys=True)}
    try:
        kube.merge("ConfigMap", namespace, STATUS_MAP, {"data": data})
    except KubeError as error:
        if error.status != 404:
            raise
        metadata = {"name": STATUS_MAP, "namespace": namespace, "ownerReferences": owners}
        kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


class Adaptor:
    """In a pod: by the API server."""

    def __init__(self, kube: Kube, namespace: str, folder: Path, delays: Delays) -> None:
        self.kube = kube
        self.namespace = namespace
        self.folder = folder
        self.news = News(delays)

    def _secret(self, name: str) -> Files | None:
        found = self.kube.find("Secret", self.namespace, name)
        if found is None:
            return None
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    def look(self) -> None:
        """One round."""
        found = self.kube.find("ConfigMap", self.namespace, CONFIG_MAP)
        if found is None:
            return
        write_files(self.folder, found["data"][CONFIG], self._secret)
        network = read_status(self.folder)
        told = self.news.look(network, time.monotonic()) if network is not None else None
        if told is not None:
            publish(self.kube, self.namespace, told, found["metadata"].get("ownerReferences") or [])

    def run(self, once: bool) -> None:
        """For ever, or until the files are there."""
        while True:
            try:
                self.look()
                if once and (self.folder / CONFIG).exists():
                    return
            except (OSError, KubeError) as error:
                print(f"the API server: {error}", flush=True)
            time.sleep(0.5)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", default=os.environ.get("NAMESPACE", ""), help="the site's namespace")
    parser.add_argument("--folder", type=Path, required=True, help="where the router reads its files")
    parser.add_argument("--fast", action="store_true", help="tell changes at once")
    parser.add_argument("--once", action="store_true", help="end when the files are there")
    options = parser.parse_args()
    # As the first process of a container it is asked to end by nothing else.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(0))
    delays = AT_ONCE if options.fast else MEASURED
    Adaptor(Kube.in_cluster(), options.namespace, options.folder, delays).run(options.once)


if __name__ == "__main__":
    main()
