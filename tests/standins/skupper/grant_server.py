"""Stand-in for a site's grant server: for tests of `token redeem` where no Kubernetes is.

It redeems by the shared rules in skupper.model.grants, and gives out one link to an address that nobody
listens on.
"""

from __future__ import annotations

import ssl
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from .model import certs
from .model.encode import to_yaml
from .model.grants import Grant, answer
from .model.kinds import Resource, resource, secret

CODE = "AAAABBBBCCCCDDDDEEEEFFFF"
ENDPOINT = {"host": "10.88.0.12", "group": "skupper-router"}


class GrantServer:
    """A server on a free port of this host."""

    def __init__(self, folder: Path) -> None:
        self.authority = certs.issue("skupper-grant-server-ca")
        files = certs.issue("skupper-grant-server", ["127.0.0.1"], self.authority)
        chain = folder / "server.pem"
        chain.write_bytes(files["tls.crt"] + files["tls.key"])
        chain.chmod(0o600)
        self.grants: dict[str, Grant] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                code = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                grant = server.grants.get(self.path.lstrip("/"))
                name, subject = self.headers.get("name", ""), self.headers.get("subject", "")
                status, text = answer(grant, code, name, subject, server.make)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the tests look at the program's side."""

        return Handler

    def make(self, name: str, subject: str) -> list[Resource]:
        """What a redemption gives."""
        data = certs.encoded(certs.issue(subject or "linux", None, self.authority))
        endpoints = [
            {**ENDPOINT, "name": "edge", "port": "45671"},
            {**ENDPOINT, "name": "inter-router", "port": "55671"},
        ]
        link = resource("Link", name, tlsCredentials=name, endpoints=endpoints)
        return [secret(name, data, type_="kubernetes.io/tls"), link]

    def token(self, allowed: int = 1, *, code: str = "", port: int = 0, ca: str = "") -> str:
        """The text of a token's file."""
        uid = str(uuid.uuid4())
        self.grants[uid] = Grant(CODE, allowed)
        own = self.authority["ca.crt"].decode()
        url = f"https://127.0.0.1:{port or self.port}/{uid}"
        return to_yaml(
            resource(
                "AccessToken", f"pub-{uuid.uuid4()}", url=url, code=code or CODE, ca=ca or own, linkCost=7
            )
        )

    @staticmethod
    def other_authority() -> str:
        """An authority that signed nothing here."""
        return certs.issue("another-ca")["ca.crt"].decode()

    def __enter__(self) -> GrantServer:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
