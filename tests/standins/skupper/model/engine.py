"""The container engine's API (Docker's), as far as Skupper uses it; errors in the words of Skupper."""

from __future__ import annotations

import http.client
import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from .layout import in_container, runtime_dir

LOCAL = {"127.0.0.1", "::1"}
OLDEST_PODMAN = 4
_ADVICE = (
    "Recommendation: "
    """
If the image is being pulled from an authenticated registry,
make sure to log in first, using:

    podman login <registry-url>

In case you are using a custom authentication file, you should
set the REGISTRY_AUTH_FILE environment variable.
"""
)


class EngineError(Exception):
    """What the engine, or the way to it, lacks."""


@dataclass
class Container:
    """A container that Skupper runs, on the host's network."""

    name: str
    image: str
    env: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    binds: list[str] = field(default_factory=list)
    restart: str = "always"

    def body(self) -> dict[str, Any]:
        """What the engine is asked to create."""
        host: dict[str, Any] = {
            "Binds": self.binds,
            "NetworkMode": "host",
            "OomScoreAdj": 100,
            "RestartPolicy": {"Name": self.restart},
        }
        if os.getuid():
            host["UsernsMode"] = "keep-id"
        return {
            "Name": self.name,
            "Image": self.image,
            "Env": [f"{name}={value}" for name, value in self.env.items()],
            "Labels": {"application": "skupper-v2", **self.labels},
            "User": f"{os.getuid()}:{os.getgid()}",
            "HostConfig": host,
        }


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("unix")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def default_endpoint(platform: str) -> str:
    """Where the engine listens."""
    if os.environ.get("CONTAINER_ENDPOINT"):
        return os.environ["CONTAINER_ENDPOINT"]
    if in_container():
        return "unix:///var/run/docker.sock" if platform == "docker" else "unix:///var/run/podman.sock"
    return "unix:///run/docker.sock" if platform == "docker" else f"unix://{runtime_dir()}/podman/podman.sock"


class Engine:
    """An engine that answers."""

    def __init__(self, endpoint: str) -> None:
        if endpoint.startswith("/"):
            endpoint = f"unix://{endpoint}"
        self.path = ""
        self.address = ("", 0)
        if endpoint.startswith("unix://"):
            self.path = endpoint.removeprefix("unix://")
            if not Path(self.path).exists():
                raise EngineError(
                    "Container engine is not available on provided endpoint - "
                    f"stat {self.path}: no such file or directory"
                )
        else:
            parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
            host = parts.hostname or ""
            try:
                found = {one[4][0] for one in socket.getaddrinfo(host, None)}
            except OSError as error:
                raise EngineError(f"unable to resolve hostname: {host}") from error
            if found & LOCAL:
                raise EngineError(f"local addresses cannot be used, got: {host}")
            self.address = (host, parts.port or 80)
        self._version()

    def _version(self) -> None:
        try:
            _, found = self.call("GET", "/version")
        except EngineError as error:
            endpoint = f"unix://{self.path}" if self.path else self.address[0]
            raise EngineError(
                f'container engine is not available on the provided endpoint: "{endpoint}" '
                f"(unable to verify version) - {error}"
            ) from error
        for part in (found or {}).get("Components") or []:
            api = str((part.get("Details") or {}).get("APIVersion") or (found or {}).get("ApiVersion"))
            if "podman" in str(part.get("Name")).lower() and int(api.split(".")[0] or 0) < OLDEST_PODMAN:
                raise EngineError(f"podman version must be 4.0.0 or greater, found: {api}")

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, answer); no answer is an error."""
        connection = _SocketConnection(self.path) if self.path else http.client.HTTPConnection(*self.address)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read().decode()
        except OSError as error:
            where = f"dial unix {self.path}" if self.path else f"dial tcp {self.address[0]}:{self.address[1]}"
            raise EngineError(f"{where}: connect: {(error.strerror or str(error)).lower()}") from error
        finally:
            connection.close()
        # A pull answers with one JSON text for each step; the last one tells.
        lines = [line for line in content.splitlines() if line.strip()]
        try:
            return answer.status, json.loads(
                lines[-1] if len(lines) > 1 and path.startswith("/images") else content
            )
        except ValueError:
            return answer.status, None

    def _must(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.call(method, path, body)
        if status == http.client.INTERNAL_SERVER_ERROR and path.startswith("/images"):
            raise EngineError("server error")
        if status >= http.client.BAD_REQUEST:
            raise EngineError(str((answer or {}).get("message") or f"status {status}"))
        return answer

    def pull(self, image: str) -> None:
        """Always asked for, also when the image is there."""
        name, _, tag = image.rpartition(":")
        try:
            answer = self._must("POST", f"/images/create?fromImage={quote(name, safe='')}&tag={quote(tag)}")
        except EngineError as error:
            raise EngineError(f"error pulling image {image}: {error}\n\n{_ADVICE}") from error
        if isinstance(answer, dict) and answer.get("error"):
            raise EngineError(f"unable to pull image {image}: {answer['error']}\n\n{_ADVICE}")

    def exists(self, name: str) -> bool:
        """Whether there is a container of this name."""
        return self.call("GET", f"/containers/{name}/json")[0] == http.client.OK

    def names(self, site_id: str = "") -> list[str]:
        """The names of all containers, or of a site's."""
        _, found = self.call("GET", "/containers/json?all=true")
        return [
            str(one["Names"][0]).lstrip("/")
            for one in found or []
            if not site_id or (one.get("Labels") or {}).get("skupper.io/site-id") == site_id
        ]

    def create(self, container: Container) -> None:
        """Create a container."""
        self._must("POST", f"/containers/create?name={container.name}", container.body())

    def start(self, name: str) -> None:
        """Start a container."""
        self._must("POST", f"/containers/{name}/start")

    def stop(self, name: str) -> None:
        """Stop a container."""
        self._must("POST", f"/containers/{name}/stop")

    def rename(self, name: str, new: str) -> None:
        """Give a container another name."""
        self._must("POST", f"/containers/{name}/rename?name={new}")

    def remove(self, name: str) -> None:
        """Remove a container, running or not."""
        self._must("DELETE", f"/containers/{name}?force=true")
