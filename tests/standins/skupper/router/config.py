"""The router's configuration: the entities of `skrouterd.json`, and the TLS of their profiles."""

from __future__ import annotations

import json
import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Entity = dict[str, Any]
LINK_ROLES = ("inter-router", "edge")


def expanded(path: str) -> str:
    """A path whose `${NAME}` are the environment's, as the router in a container knows them."""
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), path)


@dataclass
class Config:
    """A configuration; entities by kind and name."""

    identity: str = ""
    site: Entity = field(default_factory=dict)
    entities: dict[str, dict[str, Entity]] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> dict[str, Entity]:
        return self.entities.get(kind, {})

    def _profile(self, entity: Entity) -> dict[str, str]:
        profile = self["sslProfile"][entity["sslProfile"]]
        return {key: expanded(value) for key, value in profile.items() if key.endswith("File")}

    def state(self, kind: str, name: str) -> tuple[Entity | None, tuple[int, ...]]:
        """What must stay the same for an entity to go on; a listener for links shows new certificates."""
        entity = self[kind].get(name)
        if kind != "listener" or entity is None or not entity.get("sslProfile"):
            return entity, ()
        files = [Path(file) for file in self._profile(entity).values()]
        return entity, tuple(file.stat().st_mtime_ns for file in files if file.exists())

    def server_tls(self, entity: Entity) -> ssl.SSLContext | None:
        """What a listener shows, and whom it asks for a certificate; None without a profile."""
        if not entity.get("sslProfile"):
            return None
        profile = self._profile(entity)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(profile["certFile"], profile["privateKeyFile"])
        if entity.get("authenticatePeer"):
            context.load_verify_locations(profile["caCertFile"])
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_tls(self, entity: Entity) -> ssl.SSLContext | None:
        """Whom a connector trusts, and what it shows; the name is checked unless it is told not to."""
        if not entity.get("sslProfile"):
            return None
        profile = self._profile(entity)
        context = ssl.create_default_context(cafile=profile["caCertFile"])
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        context.check_hostname = entity.get("verifyHostname", True) not in (False, "false")
        if "certFile" in profile:
            context.load_cert_chain(profile["certFile"], profile["privateKeyFile"])
        return context


def load(path: Path) -> Config:
    """The configuration in a file."""
    config = Config()
    for kind, entity in json.loads(path.read_text(encoding="utf-8")):
        config.entities.setdefault(kind, {})[str(entity.get("name", ""))] = entity
    router = next(iter(config["router"].values()))
    metadata = json.loads(router.get("metadata") or "{}")
    site = next(iter(config["site"].values()), {})
    config.identity = expanded(str(router["id"]))
    config.site = {
        "id": metadata.get("id", ""),
        "name": site.get("name", config.identity),
        "namespace": site.get("namespace", ""),
        "platform": site.get("platform", ""),
        "version": site.get("version", ""),
    }
    return config
