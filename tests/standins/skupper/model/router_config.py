"""The router's configuration, `skrouterd.json`, as Skupper renders it where no Kubernetes is."""

from __future__ import annotations

import json
import time
from typing import Any

from .kinds import CLI_VERSION, Resource, name_of, spec_of

Entity = tuple[str, dict[str, Any]]
# Where a router in a container finds its certificates; it knows the variable.
IN_CONTAINER = "${SSL_PROFILE_BASE_PATH}/runtime/certs"


def router_name(site: str) -> str:
    """A new name at every start and reload."""
    nanoseconds = time.time_ns()
    return f"{site}-{nanoseconds // 10**9}-{nanoseconds % 10**9}"


class Config:
    """The entities of a configuration, in the order in which they are written."""

    KINDS = (
        "router",
        "sslProfile",
        "connector",
        "listener",
        "address",
        "tcpConnector",
        "tcpListener",
        "log",
        "site",
    )

    def __init__(self, certs: str) -> None:
        self.certs = certs
        self.entities: list[Entity] = []

    def add(self, kind: str, **attributes: Any) -> None:
        """An entity without its empty attributes."""
        self.entities.append(
            (kind, {key: value for key, value in attributes.items() if value not in ("", None)})
        )

    def profile(self, name: str, own: bool = True) -> None:
        """The files of an identity, or only of the authority that it trusts; the same name once."""
        if any(kind == "sslProfile" and one["name"] == name for kind, one in self.entities):
            return
        folder = f"{self.certs}/{name}"
        self.add(
            "sslProfile",
            name=name,
            certFile=f"{folder}/tls.crt" if own else "",
            privateKeyFile=f"{folder}/tls.key" if own else "",
            caCertFile=f"{folder}/ca.crt",
        )

    def text(self) -> str:
        """As it is written to the file."""
        ordered = sorted(self.entities, key=lambda entity: self.KINDS.index(entity[0]))
        return json.dumps([list(entity) for entity in ordered], indent=4)


def _accesses(config: Config, accesses: list[Resource]) -> None:
    for access in accesses:
        spec = spec_of(access)
        config.profile(spec["tlsCredentials"])
        for role in spec["roles"]:
            config.add(
                "listener",
                name=f"{name_of(access)}-{role['name']}",
                role=role["name"],
                host=spec.get("bindHost", ""),
                port=role.get("port", 0),
                sslProfile=spec["tlsCredentials"],
                saslMechanisms="EXTERNAL",
                authenticatePeer=True,
            )


def _links(config: Config, links: list[Resource], role: str) -> None:
    for link in links:
        spec = spec_of(link)
        endpoint = next((one for one in spec.get("endpoints") or [] if one.get("name") == role), None)
        if endpoint is None:
            continue
        profile = f"{spec.get('tlsCredentials', '')}-profile"
        config.profile(profile)
        config.add(
            "connector",
            name=name_of(link),
            role=role,
            host=endpoint["host"],
            port=endpoint["port"],
            cost=max(1, spec.get("cost") or 0),
            sslProfile=profile,
        )


def _services(config: Config, listeners: list[Resource], connectors: list[Resource]) -> None:
    for kind, prefix, ones in (
        ("tcpConnector", "connector", connectors),
        ("tcpListener", "listener", listeners),
    ):
        for one in ones:
            spec = spec_of(one)
            profile = spec.get("tlsCredentials", "")
            # A connector that shows no certificate of its own trusts by a profile with another name.
            own = kind == "tcpListener" or bool(spec.get("useClientCert"))
            if profile and not own:
                profile += "-profile"
            if profile:
                config.profile(profile, own)
            suffix = f"@{spec['host']}" if kind == "tcpConnector" else ""
            config.add(
                kind,
                name=f"{prefix}/{name_of(one)}{suffix}",
                host=spec["host"],
                port=str(spec["port"]),
                address=spec["routingKey"],
                sslProfile=profile,
                observer=spec.get("observer", ""),
            )


def render(
    *,
    name: str,
    site: Resource,
    site_id: str,
    platform: str,
    certs: str,
    resources: dict[str, list[Resource]],
    identity: str = "",
    namespace: str = "",
) -> str:
    """The configuration of a site.

    :param certs: the directory of TLS profiles as the router sees it.
    :param identity: the router's own name; that of the site if not given.
    :param namespace: the site's own if not given.
    """
    edge = bool(spec_of(site).get("edge"))
    config = Config(certs)
    metadata = json.dumps(
        {"id": site_id, "version": CLI_VERSION, "platform": platform}, separators=(",", ":")
    )
    config.add(
        "router",
        id=identity or name,
        mode="edge" if edge else "interior",
        helloMaxAgeSeconds="3",
        metadata=metadata,
    )
    config.add("address", prefix="mc", distribution="multicast")
    _accesses(config, resources["RouterAccess"])
    _links(config, resources["Link"], "edge" if edge else "inter-router")
    _services(config, resources["Listener"], resources["Connector"])
    config.add("log", module="ROUTER_CORE", enable="error+")
    namespace = namespace or site["metadata"].get("namespace") or "default"
    config.add("site", name=name, platform=platform, namespace=namespace, version=CLI_VERSION)
    return config.text()


def read(text: str) -> dict[str, list[dict[str, Any]]]:
    """The entities of a configuration by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, attributes in json.loads(text):
        found.setdefault(kind, []).append(attributes)
    return found


def site_id_of(text: str) -> str:
    """The site's id, which outlives a reload."""
    return str(json.loads(read(text)["router"][0]["metadata"])["id"])
