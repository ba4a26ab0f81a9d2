"""Runs the stand-in Hub: in a thread of a test, or as a process of its own.

    python tests/standins/hub/serve.py [--port N] OWNER/NAME=DIRECTORY...

A stand-in for huggingface.co, for tests only. It prints its address, to be used as HF_ENDPOINT or endpoint;
`/_stats` tells what it sent. A directory is served as one commit, the branch `main`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from tests.standins.hub.app import HubApp
from tests.standins.hub.repository import Repository, from_directory


class _Server(uvicorn.Server):
    """One listening address in a thread."""

    def __init__(self, app: Starlette, port: int, certificate: Path | None) -> None:
        # A connection that is cut on purpose is no error worth a line.
        settings: dict[str, Any] = {"log_level": 60, "lifespan": "off", "timeout_keep_alive": 30}
        settings["ssl_certfile"] = certificate
        super().__init__(uvicorn.Config(app, host="127.0.0.1", port=port, **settings))
        self.scheme = "https" if certificate else "http"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        while not self.started:
            if not self.thread.is_alive():
                raise RuntimeError(f"the stand-in Hub cannot listen on port {port}")
            time.sleep(0.01)

    @property
    def url(self) -> str:
        """The address."""
        return f"{self.scheme}://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """End it, also in the middle of an answer."""
        self.should_exit = self.force_exit = True
        self.thread.join(10)


class StandInHub:
    """The Hub and its CDN on two ports; `app` has the repositories and the counters.

    :param page: entries of the listing on one page.
    :param certificate: key and certificate in one file; HTTP without it.
    """

    def __init__(self, port: int = 0, page: int = 1000, certificate: Path | None = None) -> None:
        self.app = HubApp(page)
        self.stats = self.app.stats
        self._servers = [_Server(self.app.hub, port, certificate), _Server(self.app.cdn, 0, certificate)]
        self.url, self.app.cdn_url = (server.url for server in self._servers)

    def add(self, repository: Repository) -> Repository:
        """Serve a repository."""
        return self.app.add(repository)

    def __enter__(self) -> StandInHub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.stop()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("repositories", nargs="+", metavar="OWNER/NAME=DIRECTORY")
    options = parser.parse_args()
    with StandInHub(options.port) as hub:
        for one in options.repositories:
            name, _, folder = one.partition("=")
            hub.add(from_directory(name, Path(folder)))
        print(hub.url, flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
