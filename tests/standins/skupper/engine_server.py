"""Stand-in for the API socket of Podman: for tests of sites on podman where no router's image is at hand.

    python -m skupper.engine_server SOCKET

It pulls whatever is asked for but images called `missing`, keeps containers in memory, and runs, for the
container of a router, the program `skrouterd` of this host with the mounted configuration.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

VERSION = {
    "Version": "5.4.2",
    "ApiVersion": "1.41",
    "Os": "linux",
    "Arch": "amd64",
    "KernelVersion": "6",
    "Components": [{"Name": "Podman Engine", "Version": "5.4.2", "Details": {"APIVersion": "5.4.2"}}],
}
ACTION = re.compile(r"^/containers/(?P<name>[^/]+)(?:/(?P<verb>json|start|stop|rename))?$")
Answer = tuple[HTTPStatus, Any]


class Engine:
    """The containers of an engine."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        #: Started, and nothing runs for them here.
        self.idle: set[str] = set()
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        """One request."""
        if path == "/version":
            return HTTPStatus.OK, VERSION
        if path == "/images/create":
            image = f"{query['fromImage'][0]}:{query.get('tag', ['latest'])[0]}"
            if "missing" in image:
                return HTTPStatus.INTERNAL_SERVER_ERROR, {
                    "message": f"{image}: not found",
                    "cause": "",
                    "response": 500,
                }
            return HTTPStatus.OK, {"status": "Download complete", "id": image}
        if path == "/containers/json":
            return HTTPStatus.OK, [self._shown(name) for name in sorted(self.held)]
        if path == "/containers/create":
            return self._create(query["name"][0], body)
        match = ACTION.match(path)
        name = match["name"] if match else ""
        if match is None or name not in self.held:
            return HTTPStatus.NOT_FOUND, {"message": f"no container with name or ID {name}", "response": 404}
        return self._act(method, name, match["verb"] or "", query)

    def _create(self, name: str, body: Any) -> Answer:
        if name in self.held:
            message = f'the container name "{name}" is already in use'
            return HTTPStatus.CONFLICT, {"message": message, "response": 409}
        self.held[name] = {"Id": uuid.uuid4().hex, **body}
        return HTTPStatus.CREATED, {"Id": self.held[name]["Id"], "Warnings": []}

    def _act(self, method: str, name: str, verb: str, query: dict[str, list[str]]) -> Answer:
        if verb == "json":
            return HTTPStatus.OK, self._inspected(name)
        if verb == "rename":
            self._end(name)
            self.held[query["name"][0]] = self.held.pop(name)
        elif verb == "start":
            self._start(name)
        elif verb == "stop":
            self._end(name)
        elif method == "DELETE":
            self._end(name)
            del self.held[name]
        return HTTPStatus.NO_CONTENT, None

    def _start(self, name: str) -> None:
        binds = [bind.split(":") for bind in self.held[name]["HostConfig"].get("Binds") or []]
        folder = next((bind[0] for bind in binds if bind[1] == "/etc/skupper-router/config"), "")
        router = shutil.which("skrouterd")
        if folder and router and name not in self.running:
            home = Path(folder).parents[1]
            environment = {**os.environ, "SSL_PROFILE_BASE_PATH": str(home)}
            self.running[name] = subprocess.Popen([router, "-c", f"{folder}/skrouterd.json"], env=environment)
        elif not folder:
            self.idle.add(name)

    def _end(self, name: str) -> None:
        self.idle.discard(name)
        process = self.running.pop(name, None)
        if process:
            process.terminate()
            process.wait()

    def _state(self, name: str) -> str:
        return "running" if self._runs(name) else "exited"

    def _runs(self, name: str) -> bool:
        return name in self.running or name in self.idle

    def _shown(self, name: str) -> dict[str, Any]:
        one = self.held[name]
        return {
            "Id": one["Id"],
            "Names": [f"/{name}"],
            "Image": one["Image"],
            "Labels": one.get("Labels") or {},
            "Command": "",
            "State": self._state(name),
            "Created": 0,
            "NetworkSettings": {"Networks": {}},
            "Mounts": [],
            "Ports": [],
        }

    def _inspected(self, name: str) -> dict[str, Any]:
        one = self.held[name]
        return {
            "Id": one["Id"],
            "Name": f"/{name}",
            "Created": "2026-01-01T00:00:00Z",
            "RestartCount": 0,
            "State": {"Status": self._state(name), "Running": self._runs(name), "ExitCode": 0},
            "Config": {
                "Image": one["Image"],
                "Labels": one.get("Labels") or {},
                "Env": one.get("Env") or [],
                "Cmd": [],
                "Entrypoint": [],
            },
            "HostConfig": {"Binds": [], "RestartPolicy": {"Name": "always"}, "PortBindings": {}},
            "NetworkSettings": {"Networks": {}, "Ports": {}},
            "Mounts": [],
        }


def handler(engine: Engine) -> type[BaseHTTPRequestHandler]:
    """The requests of one engine."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            path = re.sub(r"^/v[0-9.]+", "", parts.path)
            with engine.lock:
                status, said = engine.answer(
                    self.command, path, parse_qs(parts.query), json.loads(body) if body.strip() else None
                )
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if said is not None:
                self.wfile.write(json.dumps(said).encode())

        do_GET = do_POST = do_DELETE = answer

        def address_string(self) -> str:
            """A socket has no address."""
            return "socket"

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests look at what is held."""

    return Handler


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """HTTP on a socket file."""

    daemon_threads = True


def main() -> None:
    """Entry point: serves until it is stopped."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = Engine()
    with Server(str(path), handler(engine)) as server:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
        try:
            server.serve_forever()
        finally:
            for name in list(engine.running):
                engine._end(name)


if __name__ == "__main__":
    main()
