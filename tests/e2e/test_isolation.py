"""Nothing gets out of the model containers and nothing of ours accepts a connection from another host.

Each attempt is also made with its measure taken away, where it must succeed: an attempt that can't succeed
anywhere proves nothing.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.quickstart_host import inspect, podman, replicas, unique

IMAGE = "localhost/private-ai/ilab:0.26.1"
OUTSIDE, NEAR = "198.51.100.2", "198.51.100.1"

# Runs inside a container with only Python: prints what could be reached.
PROBE = """
import json, re, socket, struct, sys
target = json.loads(sys.argv[1])
def tcp(host, port):
    try:
        with socket.create_connection((host, port), 3) as s:
            s.settimeout(3)
            return s.recv(2).decode() == "ok"
    except OSError:
        return False
def dns(server):
    query = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0)
    for label in target["name"].split("."):
        query += bytes([len(label)]) + label.encode()
    query += b"\\x00" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(4)
        try:
            s.sendto(query, (server, 53))
            return len(s.recv(512)) > 0
        except OSError:
            return False
def name():
    try:
        return socket.gethostbyname(target["name"])
    except OSError:
        return ""
servers = re.findall(r"^nameserver +([0-9.]+)", open("/etc/resolv.conf").read(), re.M)
print(json.dumps({
    "outside": tcp(target["outside"], target["port"]),
    "host": [a for a in target["host"] if tcp(a, target["port"])],
    "dns": sorted(server for server in {*servers, *target["dns"]} if dns(server)),
    "name": name(),
}))
"""


def run_options() -> list[str]:
    """The options with which containers start on this host, as the running gateway was started with."""
    gateway = inspect("private-ai-gateway")
    options = []
    for limit in gateway["HostConfig"].get("Ulimits") or []:
        name = limit["Name"].removeprefix("RLIMIT_").lower()
        options += ["--ulimit", f"{name}={limit['Soft']}:{limit['Hard']}"]
    return options


def runtime() -> list[str]:
    """The runtime that the gateway runs with."""
    return ["--runtime", os.path.basename(inspect("private-ai-gateway")["OCIRuntime"])]


class Greeter:
    """A service of the host on every address (or of a namespace), which says `ok` to whoever connects."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("0.0.0.0", 0))
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                peer.sendall(b"ok")

    def close(self) -> None:
        self.socket.close()


class Upstream:
    """A name server of this host; every name that it is asked for is the other host's, and remembered."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((NEAR, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                query, peer = self.socket.recvfrom(512)
            except OSError:
                return
            # Of one question: labels, an empty one, type and class.
            end = query.index(b"\0", 12) + 5
            labels, rest = [], query[12 : end - 5]
            while rest:
                labels.append(rest[1 : rest[0] + 1].decode())
                rest = rest[rest[0] + 1 :]
            self.asked.add(".".join(labels).lower())
            answers = b""
            if query[end - 4 : end] == b"\0\1\0\1":
                answers = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(OUTSIDE)
            counts = struct.pack(">HHHH", 1, bool(answers), 0, 0)
            self.socket.sendto(query[:2] + b"\x81\x80" + counts + query[12:end] + answers, peer)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(scope="module")
def greeter() -> Iterator[Greeter]:
    made = Greeter()
    yield made
    made.close()


def ip(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *args], check=check, capture_output=True, text=True)


@pytest.fixture(scope="module")
def other_host(greeter: Greeter) -> Iterator[str]:
    """Another host on a wire to this one: a network namespace with a service on the greeter's port."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace of one's own needs root")
    name = unique("other")[:14]
    ip("netns", "add", name)
    ip("link", "add", "pai-veth0", "type", "veth", "peer", "name", "pai-veth1", "netns", name)
    try:
        ip("addr", "add", f"{NEAR}/24", "dev", "pai-veth0")
        ip("link", "set", "pai-veth0", "up")
        for args in (
            ("addr", "add", f"{OUTSIDE}/24", "dev", "pai-veth1"),
            ("link", "set", "pai-veth1", "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "via", NEAR),
        ):
            ip("-n", name, *args)
        code = (
            "import socket,sys\ns=socket.create_server(('0.0.0.0',int(sys.argv[1])))\n"
            "print('up',flush=True)\n"
            "while True:\n p,_=s.accept()\n p.sendall(b'ok')\n p.close()"
        )
        server = subprocess.Popen(
            ["ip", "netns", "exec", name, "python3", "-c", code, str(greeter.port)], stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        server.stdout.readline()
        yield name
        server.kill()
        server.wait()
    finally:
        ip("netns", "del", name, check=False)
        ip("link", "del", "pai-veth0", check=False)


@pytest.fixture(scope="module")
def upstream(other_host: str) -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


def host_addresses() -> list[str]:
    """Every IPv4 address of this host but loopback."""
    shown = json.loads(ip("-j", "-4", "addr").stdout)
    return [a["local"] for link in shown for a in link["addr_info"] if not a["local"].startswith("127.")]


def aim(bridge: str, port: int) -> dict:
    """What a container tries to reach: a name that nobody has asked for yet, too."""
    return {
        "outside": OUTSIDE,
        "port": port,
        "host": [*host_addresses(), bridge],
        "dns": [bridge, NEAR],
        "name": f"{unique('data')}.example.com",
    }


def attempt(network: str, address: str, bridge: str, port: int, *options: str) -> tuple[dict, str]:
    """Try to get out of a container on `network`: what it reached, and the name that it asked for."""
    target = aim(bridge, port)
    done = podman(
        *runtime(),
        "run",
        "--rm",
        *run_options(),
        "--network",
        network,
        "--ip",
        address,
        *options,
        "--entrypoint",
        "python3",
        IMAGE,
        "-c",
        PROBE,
        json.dumps(target),
        timeout=120,
    )
    return json.loads(done.stdout), target["name"]


def test_a_model_container_reaches_nothing(upstream: Upstream, greeter: Greeter) -> None:
    target = aim("10.131.77.1", greeter.port)
    done = podman("exec", replicas()[0], "python3", "-c", PROBE, json.dumps(target), timeout=120)
    assert json.loads(done.stdout) == {"outside": False, "host": [], "dns": [], "name": ""}
    assert target["name"] not in upstream.asked


def test_without_internal_the_outside_is_reached(
    upstream: Upstream, greeter: Greeter, throwaway: list
) -> None:
    name = unique("pai-open")
    throwaway.append(("network", name))
    podman("network", "create", "--disable-dns", "--subnet", "10.131.201.0/24", name)
    got, asked = attempt(name, "10.131.201.9", "10.131.201.1", greeter.port, "--dns", NEAR)
    assert got["outside"] and got["name"] == OUTSIDE
    assert asked in upstream.asked, "what a container asks for leaves this host"


def test_with_a_resolver_names_and_the_host_are_reached(greeter: Greeter, throwaway: list) -> None:
    name = unique("pai-dns")
    throwaway.append(("network", name))
    podman("network", "create", "--internal", "--subnet", "10.131.202.0/24", name)
    got, _ = attempt(name, "10.131.202.9", "10.131.202.1", greeter.port)
    assert "10.131.202.1" in got["dns"], "the resolver of the bridge answers"
    assert got["host"], "a service of the host is reached through the bridge"


def test_the_model_network_is_internal_and_without_resolver() -> None:
    network = json.loads(podman("network", "inspect", "private-ai-model").stdout)[0]
    assert network["internal"] is True
    assert network["dns_enabled"] is False
    assert all("gateway" not in subnet for subnet in network["subnets"])


def test_only_the_gateway_is_on_both_networks() -> None:
    found = {
        name: set(inspect(name)["NetworkSettings"]["Networks"])
        for name in [*replicas(), "private-ai-gateway", "private-ai-chatbot"]
    }
    model, edge = {"private-ai-model"}, {"private-ai-edge"}
    assert found.pop("private-ai-gateway") == model | edge
    assert found.pop("private-ai-chatbot") == edge
    assert found and all(networks == model for networks in found.values()), found


@pytest.mark.parametrize("name", ["private-ai-model-1", "private-ai-gateway", "private-ai-chatbot"])
def test_containers_are_hardened(name: str) -> None:
    found = inspect(name)
    assert found["Config"]["User"] not in ("", "0", "root")
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert not found["EffectiveCaps"]
    assert "no-new-privileges" in found["HostConfig"]["SecurityOpt"]
    assert all(not mount["RW"] for mount in found["Mounts"] if mount["Type"] == "bind")


def test_only_gateway_and_chatbot_have_ports_and_only_on_loopback() -> None:
    for name in [*replicas(), "private-ai-gateway", "private-ai-chatbot"]:
        ports = inspect(name)["HostConfig"]["PortBindings"] or {}
        assert bool(ports) == ("model" not in name), name
        for bindings in ports.values():
            assert all(binding["HostIp"] == "127.0.0.1" for binding in bindings), (name, ports)


ANSWERS = """
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
try:
    with socket.create_connection((host, port), 3) as s:
        s.settimeout(3)
        s.sendall(b"GET /healthz HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n")
        print("answer" if s.recv(1) else "closed")
except OSError:
    print("refused")
"""


def from_other_host(namespace: str, address: str, port: int) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, "python3", "-c", ANSWERS, address, str(port)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout.strip()


def test_another_host_gets_no_answer(other_host: str, greeter: Greeter) -> None:
    assert from_other_host(other_host, NEAR, greeter.port) == "answer", "the other host does reach this one"
    for port in (8000, 8080, 8404, 9464, 5000):
        assert from_other_host(other_host, NEAR, port) == "refused", port
    inside = {
        name: inspect(name)["NetworkSettings"]["Networks"]
        for name in [*replicas(), "private-ai-gateway", "private-ai-chatbot"]
    }
    for name, networks in inside.items():
        for network in networks.values():
            for port in (8000, 5000, 8404, 9464):
                got = from_other_host(other_host, network["IPAddress"], port)
                assert got != "answer", f"{name} at {network['IPAddress']}:{port} answered another host"


@pytest.mark.parametrize("network", ["private-ai-edge", "private-ai-model"])
def test_a_port_forwarded_from_inside_the_gateway_is_answered(network: str) -> None:
    """As rootless Podman forwards it: from the gateway's own address on any of its networks."""
    gateway = inspect("private-ai-gateway")
    address = gateway["NetworkSettings"]["Networks"][network]["IPAddress"]
    ask = f"import urllib.request as u; print(u.urlopen('http://{address}:8000/healthz', timeout=5).status)"
    done = podman("exec", "private-ai-gateway", "python3", "-c", ask, check=False)
    assert done.stdout == "200\n", done.stdout + done.stderr
