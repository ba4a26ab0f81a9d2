"""The router of a site: links to others, listeners that take connections, connectors that make them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from . import carry, management
from .config import LINK_ROLES, Config, Entity, load
from .framing import Kind, packed
from .link import Channel, Link
from .table import Table

AGAIN = 1.0  # seconds between two tries to dial a link, or to listen on a port that is taken
# How long connections are still taken, and closed at once, when nobody is left to serve them.
GRACE = 1.5


def log(text: str) -> None:
    """Tell what a person looks for when a link does not come up."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Router:
    """A router; `status` is a file that always holds the network as this router sees it."""

    def __init__(self, path: Path, status: Path | None = None) -> None:
        self.path = path
        self.status = status
        self.config = Config()
        self.identity = ""
        self.table = Table("")
        self.links: list[Link] = []
        self._open: Counter[tuple[str, str]] = Counter()
        # Among equals the one whose last turn is longest ago.
        self._turn: Counter[tuple[str, str]] = Counter()
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._states: dict[tuple[str, str], Any] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside everything else."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception():
            log(f"unexpected: {task.exception()!r}")

    # --- configuration

    def configure(self) -> None:
        """Take the configuration as it is now: what is new or different starts anew, what is gone ends."""
        old, self.config = self.config, load(self.path)
        if not self.identity:
            self.identity = self.config.identity
            self.table = Table(self.identity)
        works = {
            "listener": self._accept_links,
            "connector": self._dial,
            "tcpListener": self._listen,
        }
        for kind, work in works.items():
            for name in {*old[kind], *self.config[kind]}:
                state = self.config.state(kind, name)
                if state == self._states.get((kind, name)):
                    continue
                self._states[kind, name] = state
                running = self._tasks.pop((kind, name), None)
                if running:
                    running.cancel()
                if state[0] is not None:
                    self._tasks[kind, name] = self.spawn(work(name, state[0]))
        self.announce()

    async def run(self, watch: bool) -> None:
        """Until cancelled; with `watch` the configuration is read again whenever it changes."""
        # Looked at before it is read: it may be replaced meanwhile.
        stamp = self._stamp()
        self.configure()
        while True:
            await asyncio.sleep(0.1)
            with contextlib.suppress(OSError):
                now = self._stamp()
                if watch and now != stamp:
                    stamp = now
                    self.configure()

    def _stamp(self) -> tuple[int, int]:
        # Two that follow each other quickly have the same time.
        found = self.path.stat()
        return found.st_mtime_ns, found.st_ino

    # --- what routers tell each other

    def announce(self) -> None:
        """Tell everybody what this router is, what it offers and whom it is linked with."""
        services: dict[str, dict[str, list[str]]] = {}
        for kind, part in (("tcpConnector", "connectors"), ("tcpListener", "listeners")):
            for name, entity in self.config[kind].items():
                held = services.setdefault(entity["address"], {"connectors": [], "listeners": []})
                held[part].append(entity["host"] if part == "connectors" else name)
        known = {one["name"]: one for one in self.table.records.get(self.identity, {}).get("links", [])}
        links = [
            {
                "name": name,
                "open": any(one.name == name for one in self.links),
                "router": next((one.peer for one in self.links if one.name == name), "")
                or known.get(name, {}).get("router", ""),
            }
            for name in sorted(self.config["connector"])
        ]
        record = {
            "router": self.identity,
            "sequence": time.time_ns(),
            "site": self.config.site,
            "links": links,
            "neighbours": {one.peer: one.cost for one in self.links},
            "services": services,
        }
        self.learn([record], None)

    def learn(self, records: list[dict[str, Any]], source: Link | None) -> None:
        """Keep what is news, and pass it on."""
        news = [one for one in records if self.table.take(one)]
        if not news:
            return
        for link in self.links:
            if link is not source:
                link.send(packed(Kind.RECORDS, 0, news))
        self._changed.set()
        self._changed = asyncio.Event()
        if self.status:
            draft = self.status.with_suffix(".new")
            draft.write_text(json.dumps(self.table.network()), encoding="utf-8")
            draft.replace(self.status)

    def joined(self, link: Link) -> None:
        """A link is up: it is told everything that is known."""
        log(f"link with {link.peer} is open ({link.name or 'dialled by the other side'})")
        self.links.append(link)
        link.send(packed(Kind.RECORDS, 0, list(self.table.records.values())))
        self.announce()

    def lost(self, link: Link) -> None:
        """A link is gone."""
        if link in self.links:
            log(f"link with {link.peer} is gone")
            self.links.remove(link)
            self.announce()

    def link_towards(self, router: str) -> Link | None:
        """The first link on the way to a router."""
        way = self.table.ways().get(router)
        found = [one for one in self.links if way is not None and one.peer == way[1]]
        return min(found, key=lambda one: one.cost, default=None)

    # --- links

    async def _accept_links(self, name: str, entity: Entity) -> None:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if entity["role"] not in LINK_ROLES:
                with contextlib.suppress(EOFError, OSError, LookupError, ValueError):
                    await management.serve(reader, writer, self._entities())
                writer.close()
                return
            carry.at_once(writer)
            await Link(self, reader, writer, entity["role"], "").run(1)

        await self._serve_port(name, entity, take, self.config.server_tls)

    def _entities(self) -> management.Entities:
        """What the router's management tells of its links."""
        open_ = {one.name for one in self.links}
        return {
            "connection": [
                {
                    "container": one.peer,
                    "role": one.role,
                    "dir": "out" if one.name else "in",
                    "opened": True,
                }
                for one in self.links
            ],
            "connector": [
                {
                    "name": name,
                    "role": entity["role"],
                    "connectionStatus": "SUCCESS" if name in open_ else "CONNECTING",
                }
                for name, entity in self.config["connector"].items()
            ],
        }

    async def _dial(self, name: str, entity: Entity) -> None:
        said = ""
        while True:
            try:
                tls = self.config.client_tls(entity)
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection(entity["host"], int(entity["port"]), ssl=tls), 10
                )
                carry.at_once(writer)
                said = ""
                await Link(self, reader, writer, entity["role"], name).run(int(entity.get("cost") or 1))
            except (OSError, asyncio.TimeoutError, KeyError) as error:
                if str(error) != said:
                    said = str(error)
                    log(f"link {name} to {entity['host']}:{entity['port']}: {error or type(error).__name__}")
            await asyncio.sleep(AGAIN)

    async def _serve_port(self, name: str, entity: Entity, take: Any, tls: Any) -> None:
        """Listen until cancelled; a port that is taken is asked for again."""
        said = ""
        while True:
            try:
                server = await asyncio.start_server(
                    take, entity.get("host") or None, int(entity["port"]), ssl=tls(entity), backlog=1000
                )
            except (OSError, KeyError) as error:
                if str(error) != said:
                    said = str(error)
                    log(f"{name} cannot listen on {entity.get('host', '')}:{entity['port']}: {error}")
                await asyncio.sleep(AGAIN)
                continue
            try:
                await asyncio.Event().wait()
            finally:
                server.close()

    # --- services

    async def _listen(self, name: str, entity: Entity) -> None:
        """The port is open only while there is somebody to connect to."""

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._connected(entity["address"], reader, writer)

        serving: asyncio.Task[None] | None = None
        try:
            while True:
                changed = self._changed
                served = bool(self.table.providers(entity["address"]))
                if served and serving is None:
                    serving = asyncio.create_task(
                        self._serve_port(name, entity, take, self.config.server_tls)
                    )
                elif not served and serving is not None:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(changed.wait(), GRACE)
                    if not self.table.providers(entity["address"]):
                        serving.cancel()
                        serving = None
                    continue
                await changed.wait()
        finally:
            if serving is not None:
                serving.cancel()

    async def _connected(self, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Choose the router with the least to do, far ones later than near ones, equals in turn."""
        found = self.table.providers(key)
        router = min(
            found, key=lambda one: (found[one] + self._open[one, key], self._turn[one, key], one), default=""
        )
        link = self.link_towards(router) if router and router != self.identity else None
        if router != self.identity and link is None:
            await carry.close(reader, writer)
            return
        self._open[router, key] += 1
        self._turn[router, key] = time.monotonic_ns()
        try:
            if link is None:
                await self._here(key, reader, writer)
            else:
                await carry.through(link.open(router, key), reader, writer)
        finally:
            self._open[router, key] -= 1

    async def _make(self, key: str) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection by the connector of a routing key that has the fewest; OSError when there is none."""
        found = {name: one for name, one in self.config["tcpConnector"].items() if one["address"] == key}
        name = min(found, key=lambda one: (self._open["", one], self._turn["", one], one), default="")
        if not name:
            raise ConnectionError(f"no connector has the routing key {key}")
        self._turn["", name] = time.monotonic_ns()
        entity = found[name]
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(entity["host"], int(entity["port"]), ssl=self.config.client_tls(entity)),
            30,
        )
        return name, reader, writer

    async def _here(self, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Listener and connector are both ours."""
        try:
            name, inner, outer = await self._make(key)
        except (OSError, asyncio.TimeoutError, KeyError):
            await carry.close(reader, writer)
            return
        self._open["", name] += 1
        try:
            await carry.across((reader, writer), (inner, outer))
        finally:
            self._open["", name] -= 1

    def serve(self, channel: Channel, key: str) -> None:
        """A stream from elsewhere is for a connector of ours."""
        self.spawn(self._serve(channel, key))

    async def _serve(self, channel: Channel, key: str) -> None:
        try:
            name, reader, writer = await self._make(key)
        except (OSError, asyncio.TimeoutError, KeyError) as error:
            log(f"a connection for {key} cannot be made: {error}")
            channel.close(in_order=False)
            return
        self._open["", name] += 1
        try:
            await carry.through(channel, reader, writer)
        finally:
            self._open["", name] -= 1
