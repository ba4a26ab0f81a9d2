"""Bytes between sites on hosts: they flow when link, routing key and credentials match, and only then."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import pytest
import yaml

from tests.ports import free_port
from tests.skupper.traffic.servers import Server, connect, greeting, stays_silent, until
from tests.skupper.traffic.sites import Sites
from tests.standins.skupper.model import certs


def test_bytes_flow_both_ways_and_end_by_end(sites: Sites, server: Server) -> None:
    """Much at once, and half-closed connections as TCP knows them."""
    address = sites.public()
    # Before there is anybody to serve, nobody is let in.
    assert greeting(address) == ""
    sites.private("private", server, link=sites.link())
    until(lambda: greeting(address) == "private", "the other site answers")
    sent = os.urandom(3 << 20)
    with connect(address) as client:

        def send() -> None:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        came = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert came == b"private\n" + sent
    until(lambda: server.open == 0, "the server's side has ended")


def test_a_client_that_leaves_is_seen_to_leave(sites: Sites, server: Server) -> None:
    """Else the model would go on answering to nobody."""
    address = sites.public()
    sites.private("private", server, link=sites.link())
    until(lambda: greeting(address) == "private", "the other site answers")
    until(lambda: server.open == 0, "nobody is there")
    client = connect(address)
    until(lambda: server.open == 1, "somebody is there")
    client.close()
    until(lambda: server.open == 0, "nobody is there any more")


def test_each_token_arrives_before_the_next_is_said(sites: Sites) -> None:
    """Nothing is kept back: the server says the next letter only when this one was read."""
    address = sites.public()
    with Server("paced", paced=True) as server:
        sites.private("private", server, link=sites.link())
        with _first(address) as client:
            for letter in b"abcdefghij":
                server.more()
                assert client.recv(10) == bytes([letter])
            assert client.recv(1) == b""


def _first(address: tuple[str, int]) -> socket.socket:
    """The first connection that an address takes."""
    found: list[socket.socket] = []

    def look() -> bool:
        try:
            found.append(connect(address))
        except OSError:
            return False
        return True

    until(look, "the listener is open")
    return found[0]


def _is_open(address: tuple[str, int]) -> bool:
    try:
        connect(address).close()
    except OSError:
        return False
    return True


def _of_another_authority(link: str) -> str:
    """The same link with a certificate that the other site's authority did not sign."""
    documents = list(yaml.safe_load_all(link))
    for one in documents:
        if one["kind"] == "Secret":
            other = certs.issue("another-ca")
            made = certs.encoded(certs.issue("private", None, other))
            # The other site is still trusted; it must not trust this one.
            one["data"].update({"tls.crt": made["tls.crt"], "tls.key": made["tls.key"]})
    return yaml.safe_dump_all(documents)


@pytest.mark.parametrize("wrong", ["no link", "routing key", "credentials", "trust"])
def test_nothing_flows(sites: Sites, server: Server, wrong: str) -> None:
    address = sites.public()
    link = sites.link()
    if wrong == "no link":
        link = ""
    elif wrong == "credentials":
        link = _of_another_authority(link)
    elif wrong == "trust":
        ca = certs.encoded(certs.issue("another-ca"))["ca.crt"]
        documents = list(yaml.safe_load_all(link))
        next(one for one in documents if one["kind"] == "Secret")["data"]["ca.crt"] = ca
        link = yaml.safe_dump_all(documents)
    sites.private("private", server, link=link, key="another" if wrong == "routing key" else "model")
    assert stays_silent(address) and server.served == 0
    # That was all that was missing.
    if wrong == "routing key":
        sites.do(
            "private",
            "connector",
            name="model",
            routing_key="model",
            port=server.port,
            connector_host="127.0.0.1",
        )
    else:
        sites.do("private", "link", link=sites.link())
    sites.start("private")
    until(lambda: greeting(address) == "private", "the other site answers")


def test_both_routers_tell_of_their_link(sites: Sites, server: Server) -> None:
    """Skupper shows the side that was dialled nothing; its router knows who is there."""
    sites.public()
    sites.private("private", server, link=sites.link())

    def told(namespace: str) -> Any:
        return sites.do(namespace, "info")["router"]

    until(lambda: [one["open"] for one in told("private")["links"]] == [True], "the link is open")
    here, there = told("private"), told("public")
    role = {"role": "inter-router"}
    assert here["peers"] == [{"router": there["name"], "direction": "out", **role}]
    assert there["peers"] == [{"router": here["name"], "direction": "in", **role}]
    assert there["links"] == [] and here["message"] == there["message"] == ""
    sites.cut("public")
    until(lambda: not told("private")["links"][0]["open"], "the link is cut")
    assert "does not answer on 127.0.0.1:" in told("public")["message"]


def test_cut_and_restored(sites: Sites, server: Server) -> None:
    """An open stream ends as a file ends, nobody is let in meanwhile, and it comes back by itself."""
    address = sites.public()
    sites.private("private", server, link=sites.link())
    until(lambda: greeting(address) == "private", "the other site answers")
    client = connect(address)
    assert client.makefile("rb").readline() == b"private\n"
    sites.cut("private")
    # The ordinary end, no reset: who reads a stream must know its last word.
    assert client.recv(1) == b""
    client.close()
    until(lambda: not _is_open(address), "nobody is let in")
    sites.restore("private")
    until(lambda: greeting(address) == "private", "the other site answers again")


def test_two_private_sites_share_the_work_and_stand_in_for_each_other(sites: Sites) -> None:
    address = sites.public()
    with Server("first") as first, Server("second") as second:
        for server in (first, second):
            sites.private(server.name, server, link=sites.link())
        until(lambda: greeting(address) != "" and first.served * second.served > 0, "both answer")
        clients = [connect(address) for _each in range(10)]
        names = [client.makefile("rb").readline().strip() for client in clients]
        assert names.count(b"first") == names.count(b"second") == 5
        sites.cut("first")
        ended = [client for client, name in zip(clients, names) if name == b"first"]
        assert [client.recv(1) for client in ended] == [b""] * 5
        for client, name in zip(clients, names):
            if name == b"second":
                client.sendall(b"still there\n")
                assert client.recv(100) == b"still there\n"
            client.close()
        until(lambda: greeting(address) == "second", "the second answers")
        assert {greeting(address) for _each in range(6)} == {"second"}
        sites.restore("first")
        until(lambda: greeting(address) == "first", "the first answers, too")


def test_a_site_behind_a_site(sites: Sites, server: Server) -> None:
    """Two private sites reach each other over the public one that both have dialled."""
    sites.public()
    sites.private("private", server, link=sites.link())
    with Server("unused") as unused:
        sites.private("office", unused, key="unused", link=sites.link())
    address = ("127.0.0.1", free_port())
    sites.do(
        "office", "listener", name="model", routing_key="model", port=address[1], listener_host=address[0]
    )
    sites.start("office")
    until(lambda: greeting(address) == "private", "the far site answers")
