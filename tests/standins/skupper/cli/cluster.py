"""Kubernetes as the program sees it: resources by the `kubernetes` client, errors in the words of Go's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..model.conditions import find
from ..model.encode import complete
from ..model.kinds import API, GROUP, KINDS, VERSION, Resource, name_of
from .command import Call
from .errors import Failed, Refused

CRDS_MISSING = (
    "The Skupper CRDs are not yet installed. To install them, run\n"
    '"kubectl apply -f https://skupper.io/v2/install.yaml"'
)
NO_CONFIG = (
    "invalid configuration: no configuration has been provided, "
    "try setting KUBERNETES_MASTER environment variable"
)
AGENT = "skupper/v0.0.0 (linux/amd64) kubernetes/$Format"
# How often a waiting command looks; the program's second is for people.
TICK = float(os.environ.get("SKUPPER_STANDIN_TICK", "1"))
VERBS = {"GET": "get", "POST": "post", "PUT": "put", "DELETE": "delete"}
CORE = {"Secret": "api/v1", "Service": "api/v1", "Deployment": "apis/apps/v1"}
CORE |= {"DaemonSet": "apis/apps/v1", "StatefulSet": "apis/apps/v1"}


class ApiError(Failed):
    """What the API server, or the way to it, answered."""

    def __init__(self, text: str, code: int = 0, unknown_kind: bool = False) -> None:
        super().__init__(CRDS_MISSING if unknown_kind else text)
        self.code = code


def _connection_words(error: BaseException, url: str, method: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host, port = parts.hostname, parts.port or 443
    reason: Any = getattr(error, "reason", error)
    cause = getattr(reason, "__cause__", None) or getattr(reason, "__context__", None) or reason
    text = str(reason)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        words = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    elif "Name or service not known" in text or "name resolution" in text:
        words = f"dial tcp: lookup {host}: no such host"
    elif isinstance(cause, TimeoutError):
        words = f"dial tcp {host}:{port}: i/o timeout"
    else:
        why = getattr(cause, "strerror", None) or "connection refused"
        words = f"dial tcp {host}:{port}: connect: {why.lower()}"
    return f'{method.title()} "{url}": {words}'


class Cluster:
    """A namespace of a cluster."""

    def __init__(self, call: Call) -> None:
        import kubernetes.client
        import kubernetes.config

        path = str(call["kubeconfig"])
        if path and not Path(path).exists():
            raise Failed(f"stat {path}: no such file or directory")
        configuration = kubernetes.client.Configuration()
        file = path or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")
        try:
            contexts, current = kubernetes.config.list_kube_config_contexts(config_file=file)
            names = [one["name"] for one in contexts]
            if call["context"] and call["context"] not in names:
                raise Failed(f'context "{call["context"]}" does not exist')
            kubernetes.config.load_kube_config(
                config_file=file, context=call["context"] or None, client_configuration=configuration
            )
            chosen = next((one for one in contexts if one["name"] == call["context"]), current)
            own = chosen["context"].get("namespace") or "default"
        except kubernetes.config.ConfigException as error:
            try:
                kubernetes.config.load_incluster_config(client_configuration=configuration)
            except kubernetes.config.ConfigException:
                raise Failed(NO_CONFIG) from error
            own = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text(encoding="utf-8")
        configuration.retries = False
        self.client = kubernetes.client.ApiClient(configuration)
        self.client.user_agent = AGENT
        self.namespace = call.namespace or own

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        try:
            answer = self.client.call_api(
                f"/{path}",
                method,
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
            )
        except ApiException as error:
            raise self._refused(method, path, error.status, error.body) from error
        except urllib3.exceptions.HTTPError as error:
            url = f"{self.client.configuration.host}/{path}"
            raise ApiError(_connection_words(error, url, method)) from error
        return json.loads(answer.data)

    @staticmethod
    def _refused(method: str, path: str, status: int, body: Any) -> ApiError:
        text = body.decode() if isinstance(body, bytes) else str(body or "")
        try:
            return ApiError(str(json.loads(text)["message"]), status)
        except (ValueError, KeyError, TypeError):
            plural = path.split("/")[5] if path.startswith("apis/") and path.count("/") > 4 else path
            what = f"({VERBS[method]} {plural}.{GROUP})"
            return ApiError(f"the server could not find the requested resource {what}", status, status == 404)

    def _path(self, kind: str, name: str = "") -> str:
        group = CORE.get(kind, f"apis/{GROUP}/{VERSION}")
        plural = KINDS[kind].plural if kind in KINDS else f"{kind.lower()}s"
        return f"{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def all_of(self, kind: str) -> list[Resource]:
        """All of a kind, each with its kind."""
        items = self._call("GET", self._path(kind))["items"]
        return [{"apiVersion": API, "kind": kind, **one} for one in items]

    def get(self, kind: str, name: str) -> Resource:
        """One by its name."""
        return self._call("GET", self._path(kind, name))

    def find(self, kind: str, name: str) -> Resource | None:
        """One by its name, if it is there."""
        try:
            return self.get(kind, name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def create(self, one: Resource) -> Resource:
        """A new one."""
        return self._call("POST", self._path(one["kind"]), complete(one))

    def update(self, one: Resource) -> Resource:
        """Replaces one, with what the program's types know of it."""
        return self._call("PUT", self._path(one["kind"], name_of(one)), complete(one))

    def delete(self, kind: str, name: str) -> None:
        """Removes one."""
        self._call("DELETE", self._path(kind, name))

    def checked(self, kind: str) -> list[Resource]:
        """The list that validation begins with: what is wrong there ends it."""
        try:
            return self.all_of(kind)
        except ApiError as error:
            raise Refused(str(error)) from error


def typed(one: Resource) -> Resource:
    """One that was asked for by its name: Go's client leaves kind and version out."""
    return {key: value for key, value in one.items() if key not in ("apiVersion", "kind")}


def poll(seconds: float, look: Callable[[], bool]) -> bool:
    """Look once a tick, not at once, until it is true or the time, whole seconds, is over.

    Who knows that it will wait in vain divides the time by SKUPPER_STANDIN_HASTE.
    """
    end = time.monotonic() + int(seconds) / float(os.environ.get("SKUPPER_STANDIN_HASTE", "1"))
    while True:
        left = end - time.monotonic()
        if left < TICK:
            time.sleep(max(0.0, left))
            return False
        time.sleep(TICK)
        try:
            if look():
                return True
        except ApiError:
            continue


def wait_for(cluster: Cluster, kind: str, name: str, state: str, seconds: float, default: str) -> None:
    """Wait for Configured or Ready, on whatever generation; a state that is not known is `default`."""
    type_ = state.title() if state in ("ready", "configured") else default
    last: list[dict[str, Any] | None] = [None]

    def look() -> bool:
        last[0] = find(cluster.get(kind, name), type_)
        return last[0] is not None and last[0]["status"] == "True"

    if poll(seconds, look):
        return
    if last[0] is None:
        raise Failed(f'{kind} "{name}" is not yet {state}, check the status for more information\n')
    raise Failed(f'{kind} "{name}" is not yet {state}: {last[0]["message"]}\n')


def wait_gone(cluster: Cluster, kind: str, name: str, seconds: float) -> bool:
    """Wait until there is none of the name."""

    def look() -> bool:
        try:
            cluster.get(kind, name)
        except ApiError:
            return True
        return False

    return poll(seconds, look)
