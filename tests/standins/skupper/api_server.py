"""Stand-in for kube-apiserver: for the rows of the `skupper` program where no API server is at hand.

It keeps resources in memory, counts generations and versions, and refuses as the real one does what the
rows show: a namespace or a kind that is not there, a name that is taken or missing, a version that is old.
It has no schemas, no admission, no watches and no users; what needs those is tested on a real API server.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import uuid
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from .model.conditions import now
from .model.encode import to_yaml
from .model.kinds import GROUP, KINDS, Resource

PATH = re.compile(
    r"^/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/[^/]+)/namespaces/(?P<namespace>[^/]+)"
    r"/(?P<plural>[^/?]+)(?:/(?P<name>[^/?]+))?(?P<status>/status)?(?:\?.*)?$"
)
BUILT_IN = {"": ("configmaps", "secrets", "services"), "apps": ("deployments", "daemonsets", "statefulsets")}
OWN = {kind.plural: kind.name for kind in KINDS.values()}


class Refusal(Exception):
    """An answer that is not a resource."""

    def __init__(self, code: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.code = code


class ApiServer:
    """An API server on a free port, without TLS."""

    def __init__(self, namespaces: Iterable[str], crds: bool = True) -> None:
        self.namespaces = set(namespaces)
        self.crds = crds
        self.held: dict[tuple[str, str, str], Resource] = {}
        self.version = 100
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kind, code = "application/json", HTTPStatus.OK
                try:
                    with api.lock:
                        answer = api.handle(self.command, self.path, json.loads(body) if body else None)
                    text = json.dumps(answer)
                except Refusal as refusal:
                    code = refusal.code
                    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
                    text = json.dumps({**status, "message": str(refusal)})
                except LookupError:
                    code, kind, text = HTTPStatus.NOT_FOUND, "text/plain", "404 page not found\n"
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the tests look at what is held."""

        return Handler

    def handle(self, method: str, path: str, body: Any) -> Resource:
        """One request; LookupError for a path that means nothing here."""
        match = PATH.match(path)
        if not match:
            raise LookupError(path)
        group, plural = match["group"] or "", match["plural"]
        if group == GROUP:
            if not self.crds or plural not in OWN:
                raise LookupError(path)
        elif plural not in BUILT_IN.get(group, ()):
            raise LookupError(path)
        resource = f"{plural}.{group}" if group else plural
        namespace, name = match["namespace"], match["name"]
        if method == "POST":
            return self._create(resource, plural, namespace, body)
        if not name:
            found = [one for key, one in sorted(self.held.items()) if key[:2] == (resource, namespace)]
            version = f"{group}/{path.split('/')[3]}" if group else "v1"
            return {
                "kind": f"{OWN.get(plural, '')}List",
                "apiVersion": version,
                "metadata": {},
                "items": found,
            }
        key = (resource, namespace, name)
        if key not in self.held:
            raise Refusal(HTTPStatus.NOT_FOUND, f'{resource} "{name}" not found')
        if method == "DELETE":
            return self.held.pop(key)
        return self.held[key] if method == "GET" else self._update(key, body, bool(match["status"]))

    def _create(self, resource: str, plural: str, namespace: str, body: Resource) -> Resource:
        if namespace not in self.namespaces:
            raise Refusal(HTTPStatus.NOT_FOUND, f'namespaces "{namespace}" not found')
        name = str(body["metadata"].get("name") or "")
        if not name:
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f'{OWN.get(plural, plural)}.{GROUP} "" is invalid: metadata.name: Required value: '
                "name or generateName is required",
            )
        key = (resource, namespace, name)
        if key in self.held:
            raise Refusal(HTTPStatus.CONFLICT, f'{resource} "{name}" already exists')
        made = copy.deepcopy(body)
        made.pop("status", None)
        made["metadata"].update(
            namespace=namespace, uid=str(uuid.uuid4()), creationTimestamp=now(), generation=1
        )
        return self._keep(key, made)

    def _update(self, key: tuple[str, str, str], body: Resource, status: bool) -> Resource:
        old = self.held[key]
        if body["metadata"].get("resourceVersion", "") not in ("", old["metadata"]["resourceVersion"]):
            raise Refusal(
                HTTPStatus.CONFLICT,
                f'Operation cannot be fulfilled on {key[0]} "{key[2]}": the object has been modified; '
                "please apply your changes to the latest version and try again",
            )
        new = copy.deepcopy(old)
        if status:
            new["status"] = body.get("status") or {}
        else:
            new["spec"] = body.get("spec") or {}
            for part in ("labels", "annotations"):
                new["metadata"].pop(part, None)
                if body["metadata"].get(part):
                    new["metadata"][part] = body["metadata"][part]
            if new["spec"] != old.get("spec"):
                new["metadata"]["generation"] += 1
        return old if new == old else self._keep(key, new)

    def _keep(self, key: tuple[str, str, str], one: Resource) -> Resource:
        self.version += 1
        one["metadata"]["resourceVersion"] = str(self.version)
        self.held[key] = one
        return one

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for this server."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": {"server": self.url}}],
            "users": [{"name": "tests", "user": {}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "current-context": "tests",
        }
        path.write_text(to_yaml(config), encoding="utf-8")
        return path

    def __enter__(self) -> ApiServer:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
