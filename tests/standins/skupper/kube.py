"""A small client of a Kubernetes API for the stand-ins.

It needs nothing but Python's own library, since the stand-in router's pods have nothing else.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from .model.kinds import GROUP, KINDS, VERSION

Object = dict[str, Any]
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MERGE = "application/merge-patch+json"
LIMIT = 30  # seconds for an answer
CORE = {"Secret": "secrets", "Service": "services", "ConfigMap": "configmaps", "Pod": "pods"}
PREFIXES = {kind: ("/api/v1", plural) for kind, plural in CORE.items()}
PREFIXES["ServiceAccount"] = ("/api/v1", "serviceaccounts")
PREFIXES["Deployment"] = ("/apis/apps/v1", "deployments")
PREFIXES["Role"] = ("/apis/rbac.authorization.k8s.io/v1", "roles")
PREFIXES["RoleBinding"] = ("/apis/rbac.authorization.k8s.io/v1", "rolebindings")
PREFIXES.update({kind.name: (f"/apis/{GROUP}/{VERSION}", kind.plural) for kind in KINDS.values()})


class KubeError(Exception):
    """What the API server refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def path_of(kind: str, namespace: str = "", name: str = "", part: str = "") -> str:
    """The path of all of a kind, of those of a namespace, of one, or of a part of it."""
    prefix, plural = PREFIXES[kind]
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{prefix}{where}/{plural}" + (f"/{name}" if name else "") + (f"/{part}" if part else "")


def api_version(kind: str) -> str:
    """The apiVersion that belongs to a kind."""
    prefix = PREFIXES[kind][0]
    return prefix.removeprefix("/apis/").removeprefix("/api/")


def _certificate_files(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # Python's library reads them from a file only.
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


def _content(entry: Object, name: str, folder: Path) -> bytes:
    """What a kubeconfig holds, or names a file of."""
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return (folder / entry[name]).read_bytes() if entry.get(name) else b""


class Kube:
    """An API server with credentials; each thread has a connection of its own."""

    def __init__(self, server: str, context: ssl.SSLContext | None, token_file: Path | None = None) -> None:
        parts = urlsplit(server)
        self.address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        self.context = context if parts.scheme == "https" else None
        self.token_file = token_file
        self.token = ""
        self._local = threading.local()

    @classmethod
    def of_kubeconfig(cls, path: Path) -> Kube:
        """By the current context of a kubeconfig with certificates or a token."""
        import yaml

        config = yaml.safe_load(path.read_text(encoding="utf-8"))

        def named(part: str, name: str) -> Object:
            key = part.removesuffix("s")
            return next(one[key] or {} for one in config[part] if one["name"] == name)

        context = named("contexts", config["current-context"])
        cluster, user = named("clusters", context["cluster"]), named("users", context["user"])
        tls = ssl.create_default_context()
        authority = _content(cluster, "certificate-authority", path.parent)
        if authority:
            tls.load_verify_locations(cadata=authority.decode())
        if cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        certificate = _content(user, "client-certificate", path.parent)
        if certificate:
            _certificate_files(tls, certificate, _content(user, "client-key", path.parent))
        one = cls(cluster["server"], tls)
        one.token = str(user.get("token") or "")
        return one

    @classmethod
    def in_cluster(cls) -> Kube:
        """By the service account of the pod that this runs in."""
        tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        return cls(f"https://{f'[{host}]' if ':' in host else host}:{port}", tls, ACCOUNT / "token")

    def _connect(self, limit: float) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection(*self.address, timeout=limit)
        return http.client.HTTPSConnection(*self.address, timeout=limit, context=self.context)

    def _headers(self) -> dict[str, str]:
        token = self.token_file.read_text(encoding="utf-8") if self.token_file else self.token
        return {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """The answer's body; KubeError when it is refused, OSError when nobody answers."""
        text = None if body is None else json.dumps(body)
        headers = {**self._headers(), "Content-Type": content_type}
        for last in (False, True):
            connection = getattr(self._local, "connection", None) or self._connect(LIMIT)
            try:
                connection.request(method, path, text, headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                # A connection that was idle may be closed already.
                if last or isinstance(error, TimeoutError):
                    raise OSError(f"{method} {path}: {error}") from error
                continue
            self._local.connection = connection
            return self._read(answer.status, content)
        raise AssertionError("unreachable")

    @staticmethod
    def _read(status: int, content: bytes) -> Any:
        try:
            said = json.loads(content) if content else {}
        except ValueError:
            said = {"message": content.decode("utf-8", "replace")}
        if status >= http.client.BAD_REQUEST:
            raise KubeError(status, str(said.get("message") or status))
        return said

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """One by its name, if it is there."""
        try:
            found: Object = self.request("GET", path_of(kind, namespace, name))
        except KubeError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise
        return found

    def create(self, one: Object) -> Object:
        """A new one."""
        found: Object = self.request("POST", path_of(one["kind"], one["metadata"]["namespace"]), one)
        return found

    def merge(self, kind: str, namespace: str, name: str, change: Object, part: str = "") -> Object:
        """Change one; None removes a field."""
        found: Object = self.request("PATCH", path_of(kind, namespace, name, part), change, MERGE)
        return found

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove one, if it is there."""
        try:
            self.request("DELETE", path_of(kind, namespace, name) + "?propagationPolicy=Background")
        except KubeError as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def all(self, kind: str, namespace: str = "") -> tuple[list[Object], str]:
        """All of a kind, each with its kind, and the version to watch from."""
        found = self.request("GET", path_of(kind, namespace))
        version = api_version(kind)
        return [{"apiVersion": version, "kind": kind, **one} for one in found["items"]], found["metadata"][
            "resourceVersion"
        ]

    def watch(
        self, kind: str, namespace: str, version: str, opened: list[http.client.HTTPConnection]
    ) -> Iterator[tuple[str, Object]]:
        """What changes from a version on, until the server ends it, or who closes what is `opened`."""
        connection = self._connect(300)
        opened.append(connection)
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        try:
            connection.request(
                "GET", f"{path_of(kind, namespace)}?{urlencode(query)}", headers=self._headers()
            )
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise KubeError(answer.status, answer.read().decode("utf-8", "replace"))
            for line in answer:
                event = json.loads(line)
                yield event["type"], event["object"]
        finally:
            opened.remove(connection)
            connection.close()
