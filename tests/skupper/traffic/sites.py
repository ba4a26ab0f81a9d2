"""Sites on this host for tests of traffic: several namespaces of one machine, joined by generated links."""

from __future__ import annotations

from typing import Any

from tests.ports import free_ports
from tests.skupper.modules.host import Host
from tests.skupper.traffic.servers import Server

KEY = "model"


class Sites:
    """The namespaces of a host."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def do(self, namespace: str, module: str, **options: Any) -> Any:
        """Run a module that must not fail."""
        done = self.host.module(f"skupper_{module}", platform="linux", namespace=namespace, **options)
        assert not done.get("failed"), done
        return done

    def public(self, namespace: str = "public", key: str = KEY) -> tuple[str, int]:
        """A site that others link to, with a listener; the listener's address."""
        port, between, edge = free_ports(3)
        self.do(namespace, "site", name=namespace, link_access="default")
        self.do(
            namespace,
            "router_access",
            bind_host="127.0.0.1",
            inter_router_port=between,
            edge_port=edge,
            subject_alternative_names=["127.0.0.1"],
        )
        self.do(namespace, "listener", name="model", routing_key=key, port=port, listener_host="127.0.0.1")
        self.start(namespace)
        return "127.0.0.1", port

    def private(self, namespace: str, server: Server, key: str = KEY, link: str = "") -> None:
        """A site that nobody can link to, with a connector to a server; it dials out by `link`."""
        self.do(namespace, "site", name=namespace)
        self.do(
            namespace,
            "connector",
            name="model",
            routing_key=key,
            port=server.port,
            connector_host="127.0.0.1",
        )
        if link:
            self.do(namespace, "link", link=link)
        self.start(namespace)

    def start(self, namespace: str) -> None:
        """Start a site, or reload it."""
        self.do(namespace, "system")

    def link(self, namespace: str = "public") -> str:
        """A link to a site, as its command generates it."""
        words = ["--platform", "linux", "-n", namespace, "link", "generate", "--host", "127.0.0.1"]
        done = self.host.run(self.host.cli, *words)
        assert done.rc == 0 and "kind: Link" in done.stdout, done
        return done.stdout

    def cut(self, namespace: str) -> None:
        """End a site's router."""
        assert self.host.run("systemctl", "stop", f"skupper-{namespace}.service").rc == 0

    def restore(self, namespace: str) -> None:
        """Start it again."""
        assert self.host.run("systemctl", "start", f"skupper-{namespace}.service").rc == 0
