# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What the router of a host's site says itself: whom it is linked with.

Skupper keeps no state of links where no Kubernetes is, and shows those that others dialled nowhere. The
router answers management questions on a port of the loopback interface, to who has the site's own key.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import typing as t

from . import amqp
from .amqp import Described, Symbol, UInt, field

#: Seconds for each step: the router is on this host.
PATIENCE = 5.0
CONNECTIONS = "io.skupper.router.connection", ("container", "role", "dir", "opened")
CONNECTORS = "io.skupper.router.connector", ("name", "role", "connectionStatus")
#: Roles of connections between routers; others are clients'.
LINKS = ("inter-router", "edge")
#: The identity for this site's own tools, that the command makes at every start.
IDENTITY = ("runtime", "certs", "skupper-local-client")
_NODE = "$management"


class Unanswered(Exception):
    """The router was not asked or did not answer; the text says why."""


def router_entity(root: str) -> tuple[str, int]:
    """Return name and local port of the router that a namespace's directory was started with."""
    path = os.path.join(root, "runtime", "router", "skrouterd.json")
    try:
        with open(path, encoding="utf-8") as stream:
            entities = [(str(kind), dict(entity)) for kind, entity in json.load(stream)]
        name = next(str(entity["id"]) for kind, entity in entities if kind == "router")
        port = next(
            int(entity["port"])
            for kind, entity in entities
            if kind == "listener" and entity.get("role") == "normal"
        )
    except (OSError, ValueError, TypeError, KeyError, StopIteration) as error:
        raise Unanswered(f"{path} does not say how the router is asked: {error!r}") from error
    return name, port


def ask(root: str) -> dict[str, t.Any]:
    """Return what the router of a namespace's directory says of itself and its links, or why it does not."""
    found: dict[str, t.Any] = {"name": None, "peers": [], "links": [], "message": ""}
    try:
        found["name"], port = router_entity(root)
        found["peers"], found["links"] = _asked(root, port)
    except Unanswered as error:
        found["message"] = str(error)
    return found


def _asked(root: str, port: int) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]:
    try:
        with _connected(root, port) as stream:
            conversation = Conversation(stream)
            answers = conversation.query(*CONNECTIONS), conversation.query(*CONNECTORS)
            conversation.close()
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Unanswered(f"the router does not answer on 127.0.0.1:{port}: {error}") from error
    return peers(answers[0]), own_links(answers[1])


def peers(connections: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the routers at the other end of a router's open connections, and who has dialled."""
    found = [
        {"router": str(one.get("container")), "role": str(one.get("role")), "direction": str(one.get("dir"))}
        for one in connections
        if one.get("role") in LINKS and one.get("opened")
    ]
    return sorted(found, key=lambda one: (one["router"], one["direction"], one["role"]))


def own_links(connectors: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the links that a router dials, by name, and whether each is open."""
    found = [
        {"name": str(one.get("name")), "open": one.get("connectionStatus") == "SUCCESS"}
        for one in connectors
        if one.get("role") in LINKS
    ]
    return sorted(found, key=lambda one: str(one["name"]))


def _connected(root: str, port: int) -> ssl.SSLSocket:
    certs = os.path.join(root, *IDENTITY)
    context = ssl.create_default_context(cafile=os.path.join(certs, "ca.crt"))
    context.load_cert_chain(os.path.join(certs, "tls.crt"), os.path.join(certs, "tls.key"))
    # The authority is this site's alone, so whoever has its certificate is the site's router.
    context.check_hostname = False
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    try:
        return context.wrap_socket(plain)
    except OSError:
        plain.close()
        raise


class Conversation:
    """Questions to a router, over a connection that shows who asks."""

    def __init__(self, stream: ssl.SSLSocket) -> None:
        self.stream = stream
        self._asked = 0
        self._begin()
        self._reply_to = self._attach()

    def query(self, entity: str, attributes: t.Sequence[str]) -> list[dict[str, t.Any]]:
        """Return attributes of all entities of a type."""
        properties = [None, None, _NODE, None, self._reply_to, str(self._asked)]
        about = {"operation": "QUERY", "entityType": entity, "type": "org.amqp.management", "name": "self"}
        message = b"".join(
            amqp.encode(Described(kind, value))
            for kind, value in (
                (amqp.PROPERTIES, properties),
                (amqp.APPLICATION_PROPERTIES, about),
                (amqp.VALUE, {"attributeNames": list(attributes)}),
            )
        )
        tag = str(self._asked).encode()
        self._say(amqp.TRANSFER, [UInt(1), UInt(self._asked), tag, UInt(0), True], message)
        self._asked += 1
        found = self._message()
        status = (found.get(amqp.APPLICATION_PROPERTIES) or {}).get("statusCode")
        if status != 200:
            raise amqp.Malformed(f"it refuses the question for {entity} with status {status}")
        body = found.get(amqp.VALUE) or {}
        return [dict(zip(body["attributeNames"], one)) for one in body["results"]]

    def close(self) -> None:
        """Say that nothing more is asked."""
        self._say(amqp.CLOSE, [])
        self._heard(amqp.CLOSE)

    def _begin(self) -> None:
        """Agree on who asks, by the certificate that was shown, and open a session."""
        self._header(amqp.SASL_HEADER)
        self._heard(amqp.MECHANISMS)
        self._say(amqp.INIT, [Symbol("EXTERNAL"), b""], sasl=True)
        outcome, _payload = self._heard(amqp.OUTCOME)
        if field(outcome, 0):
            raise amqp.Malformed(f"it does not take the site's own key (outcome {field(outcome, 0)})")
        self._header(amqp.AMQP_HEADER)
        self._say(amqp.OPEN, ["private_ai.chatbot", None, UInt(amqp.MAX_FRAME)])
        self._heard(amqp.OPEN)
        self._say(amqp.BEGIN, [None, UInt(0), UInt(1000), UInt(1000)])
        self._heard(amqp.BEGIN)

    def _attach(self) -> str:
        """Make an address for the answer, and a way for the question; return the address."""
        source = Described(amqp.SOURCE, [None, UInt(0), None, UInt(0), True])
        target = Described(amqp.TARGET, [])
        self._say(amqp.ATTACH, ["answer", UInt(0), True, None, None, source, target])
        attached, _payload = self._heard(amqp.ATTACH)
        given = field(attached, 5)
        address = field(given.value, 0) if isinstance(given, Described) else None
        if not isinstance(address, str):
            raise amqp.Malformed("it gives no address for an answer")
        flow = [UInt(0), UInt(1000), UInt(0), UInt(1000), UInt(0), UInt(0), UInt(10)]
        self._say(amqp.FLOW, flow)
        source, target = Described(amqp.SOURCE, []), Described(amqp.TARGET, [_NODE])
        self._say(amqp.ATTACH, ["question", UInt(1), False, None, None, source, target, None, None, UInt(0)])
        # It may say how much it takes only after it was asked for more than one thing.
        while not field(self._heard(amqp.FLOW)[0], 6):
            continue
        return address

    def _message(self) -> dict[int, t.Any]:
        whole = b""
        while True:
            transfer, payload = self._heard(amqp.TRANSFER)
            whole += payload
            if not field(transfer, 5):
                return amqp.sections(whole)

    def _header(self, header: bytes) -> None:
        self.stream.sendall(header)
        found = self._read(len(header))
        if found != header:
            raise amqp.Malformed(f"it speaks another protocol ({found!r})")

    def _say(self, kind: int, fields: list[t.Any], payload: bytes = b"", sasl: bool = False) -> None:
        self.stream.sendall(amqp.frame(Described(kind, fields), payload, sasl))

    def _heard(self, wanted: int) -> tuple[t.Any, bytes]:
        """Return the next frame of a kind; others say nothing that matters, but for the end."""
        while True:
            found, payload = amqp.read_frame(self._read)
            if found is not None and found.descriptor == wanted:
                return found.value, payload
            if found is not None and found.descriptor in (amqp.DETACH, amqp.END, amqp.CLOSE):
                raise amqp.Malformed(f"it ends the conversation: {found.value}")

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self.stream.recv(length - len(data))
            if not piece:
                raise ConnectionError("it closes the connection")
            data += piece
        return data
