"""The verification of a site: it waits for an answer that comes late, and names one that is wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from tests.skupper.modules.host import Host
from tests.skupper.role.sites import Sites
from tests.skupper.role.test_decisions import tasks


class Service(BaseHTTPRequestHandler):
    """Stand-in for what a listener leads to: it gives some statuses, then always 401."""

    late: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.send_response(self.late.pop() if self.late else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    """Answers on a port of its own, twice with 503 at first."""
    Service.late[:] = [503, 503]
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def sites(host: Host) -> Sites:
    """One host, of whose site nothing but the verification is wanted."""
    return Sites(host, {"east": {"skupper_site_platform": "linux", "skupper_site_namespace": "east"}})


def asked(service: ThreadingHTTPServer, *status: int) -> dict[str, Any]:
    """A listener that leads to the service."""
    return {"name": "model", "port": service.server_address[1], "check": {"status": [*status]}}


def test_an_answer_that_comes_late_is_waited_for(sites: Sites, service: ThreadingHTTPServer) -> None:
    listeners = [asked(service, 200, 401)]
    variables: dict[str, Any] = {"skupper_site_listeners": listeners, "skupper_site_wait_timeout": 90}
    tasks(sites, "verify.yml", **variables).fine()
    assert Service.late == []


def test_a_wrong_answer_and_none_are_named(sites: Sites, service: ThreadingHTTPServer) -> None:
    listeners = [asked(service, 200, 204), {"name": "nobody", "port": 1, "check": {}}]
    variables: dict[str, Any] = {"skupper_site_listeners": listeners, "skupper_site_wait_timeout": 10}
    run = tasks(sites, "verify.yml", **variables)
    run.refused("was answered with 401 (")
    run.refused("and 200 or 204 is right")
    run.refused("Listener nobody of site east is configured, but http://127.0.0.1:1/ was answered with -1")
    # The table is there all the same.
    assert "Verification | Table" in run.said
