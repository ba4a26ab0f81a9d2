"""AccessGrants, and the server that redeems them over HTTPS."""

from __future__ import annotations

import secrets
import ssl
import string
import tempfile
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..kube import KubeError, Object
from ..model import certs, conditions, durations
from ..model.grants import Grant, answer
from ..model.kinds import Resource, resource, secret, spec_of, status_of
from .parts import Parts
from .world import log, own_copy

SECRET = "skupper-grant-server"
STAMP = "%Y-%m-%dT%H:%M:%SZ"
LETTERS = string.ascii_letters + string.digits


class Grants(Parts):
    """Handles AccessGrants."""

    def __init__(self, controller: Any) -> None:
        super().__init__(controller)
        self.server: GrantServer | None = None

    def handle(self, event: str, grant: Object) -> None:
        """One is new or has changed; one that is spent or over stays Ready."""
        if event == "DELETED" or self.server is None:
            return
        new, spec, status = own_copy(grant), spec_of(grant), status_of(own_copy(grant))
        if not spec.get("redemptionsAllowed"):
            metadata = grant["metadata"]
            change = {"spec": {"redemptionsAllowed": 1}}
            self.world.kube.merge("AccessGrant", metadata["namespace"], metadata["name"], change)
        if not status.get("expirationTime"):
            window = durations.parse(spec.get("expirationWindow") or "10m")
            until = datetime.fromtimestamp(time.time() + window, timezone.utc)
            status_of(new)["expirationTime"] = until.strftime(STAMP)
        if not status.get("code"):
            made = "".join(secrets.choice(LETTERS) for _each in range(24))
            status_of(new)["code"] = spec.get("code") or made
        conditions.put(new, "Processed")
        status_of(new)["url"] = f"{self.server.url}/{grant['metadata']['uid']}"
        status_of(new)["ca"] = self.server.files["ca.crt"].decode()
        conditions.put(new, "Resolved")
        self.world.tell(grant, new)


class GrantServer:
    """Redeems; its authority is kept in a Secret, so that tokens outlive the controller."""

    def __init__(self, grants: Grants) -> None:
        self.grants = grants
        self._lock = threading.Lock()
        options = grants.options
        self.files = self._kept()
        handler = self._handler()
        self.server = ThreadingHTTPServer((options.host, options.grant_port), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.files["tls.crt"] + self.files["tls.key"])
            file.flush()
            context.load_cert_chain(file.name)
        # Each connection shakes hands in its own thread, so that one that says nothing holds up nobody.
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://{options.host}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Redeem no more."""
        self.server.shutdown()
        self.server.server_close()

    def _kept(self) -> certs.Files:
        world, options = self.grants.world, self.grants.options
        try:
            found = world.kube.find("Secret", options.home, SECRET)
            files = certs.decoded(found["data"]) if found else {}
            if options.host in certs.hosts_of(files.get("tls.crt", b"")):
                return files
        except KubeError as error:
            log(f"the grant server's certificate is not kept: {error}")
        quick = self.grants.habits.quick_keys
        authority = certs.issue("skupper-grant-server-ca", quick=quick)
        files = certs.issue("skupper-grant-server", [options.host], authority, quick)
        self._keep(files)
        return files

    def _keep(self, files: certs.Files) -> None:
        kube, home = self.grants.world.kube, self.grants.options.home
        try:
            if kube.find("Secret", home, SECRET):
                kube.merge("Secret", home, SECRET, {"data": certs.encoded(files)})
            else:
                kube.create(secret(SECRET, certs.encoded(files), home, "kubernetes.io/tls"))
        except KubeError:
            # There is no such namespace: then tokens end with this process.
            return

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                code = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                name, subject = self.headers.get("name", ""), self.headers.get("subject", "")
                status, text = server.redeem(self.path.lstrip("/"), code, name, subject)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the counters in the grants say it."""

        return Handler

    def redeem(self, uid: str, code: str, name: str, subject: str) -> tuple[int, str]:
        """The answer to a redemption; the counter is in the grant itself."""
        with self._lock:
            found = self._grant(uid)
            if found is None:
                return answer(None, code, name, subject, lambda token, who: [])
            status, namespace = status_of(found), found["metadata"]["namespace"]
            until = datetime.strptime(status["expirationTime"], STAMP).replace(tzinfo=timezone.utc)
            allowed = int(spec_of(found).get("redemptionsAllowed") or 1)
            grant = Grant(status["code"], allowed, until.timestamp(), int(status.get("redemptions") or 0))

            def make(token: str, who: str) -> list[Resource]:
                change = {"status": {"redemptions": grant.redeemed}}
                self.grants.world.kube.merge(
                    "AccessGrant", namespace, found["metadata"]["name"], change, "status"
                )
                return self._links(namespace, token, who)

            return answer(grant, code, name, subject, make)

    def _grant(self, uid: str) -> Object | None:
        cached = self.grants.world.cache["AccessGrant"].values()
        known = next((one for one in list(cached) if one["metadata"]["uid"] == uid), None)
        if known is None:
            return None
        metadata = known["metadata"]
        live = self.grants.world.kube.find("AccessGrant", metadata["namespace"], metadata["name"])
        return live if live and live["metadata"]["uid"] == uid and status_of(live).get("code") else None

    def _links(self, namespace: str, name: str, subject: str) -> list[Resource]:
        """A certificate of the site's authority, and a Link for each of its routers."""
        kube, site = self.grants.world.kube, self.grants.active_site(namespace)
        issuer = status_of(site or {}).get("defaultIssuer") or "skupper-site-ca"
        authority = kube.find("Secret", namespace, issuer)
        if site is None or authority is None:
            return []
        files = certs.issue(
            subject or name, None, certs.decoded(authority["data"]), self.grants.habits.quick_keys
        )
        groups: dict[str, list[Object]] = {}
        for endpoint in status_of(site).get("endpoints") or []:
            groups.setdefault(endpoint["group"], []).append(endpoint)
        links = [
            resource(
                "Link",
                name if len(groups) == 1 else f"{name}-{number}",
                tlsCredentials=name,
                endpoints=endpoints,
            )
            for number, endpoints in enumerate(groups.values(), 1)
        ]
        return [secret(name, certs.encoded(files), type_="kubernetes.io/tls"), *links]
