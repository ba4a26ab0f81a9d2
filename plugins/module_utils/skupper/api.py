# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The one place that speaks to a Kubernetes API server, by the kubernetes client's configuration and TLS.

Paths are built from the table of kinds, so that no discovery is needed: an unchanged object costs one
request.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import sys
import types
import typing as t

from .errors import ApiError, MissingPrerequisite, SkupperError
from .kinds import API_VERSION, Kind
from .ownership import FIELD_MANAGER, Object

#: Seconds for a connection and for an answer.
TIMEOUT = (10, 60)
APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"

CRDS_MISSING = (
    "the API server at {host} does not know {group}: Skupper's CRDs are not installed; install Skupper 2.1 "
    "or "
    "newer there first (https://skupper.io/docs/install/index.html)"
)
NAMESPACE_MISSING = (
    "namespace {namespace} does not exist at {host}; create it first: kubectl create namespace {namespace}"
)

_SECRET_KEYS = frozenset(
    ("token", "password", "client-key-data", "id-token", "refresh-token", "client-secret", "access-token")
)


def sensitive_values(kubeconfig: t.Any) -> set[str]:
    """Return what must not be shown of a kubeconfig given as a mapping."""
    found: set[str] = set()
    if isinstance(kubeconfig, dict):
        for key, value in kubeconfig.items():
            if key in _SECRET_KEYS and isinstance(value, str) and value:
                found.add(value)
            else:
                found |= sensitive_values(value)
    elif isinstance(kubeconfig, list):
        for value in kubeconfig:
            found |= sensitive_values(value)
    return found


def path_of(kind: Kind, namespace: str, name: str = "") -> str:
    """Return the path of an object, or of all of a kind in the namespace."""
    group = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
    return f"{group}/namespaces/{namespace}/{kind.plural}" + (f"/{name}" if name else "")


def explain(status: int, body: t.Any, method: str, path: str, host: str) -> SkupperError:
    """Return the exception for an answer that is not a success."""
    said = body if isinstance(body, dict) else {}
    reason, message = str(said.get("reason") or ""), str(said.get("message") or body or "").strip()
    evidence: dict[str, t.Any] = {"status": status, "reason": reason}
    if status == 401:
        text = (
            f"the API server at {host} does not accept the credentials (401); renew them or choose a context"
        )
    elif status == 403 and "is being terminated" not in message:
        text = (
            f"not allowed at {host}: {message or 'forbidden'}; grant it, for example with a Role for the API "
            f"group {API_VERSION.partition('/')[0]} and a RoleBinding in the namespace"
        )
    elif status == 404 and not said.get("details", {}).get("name"):
        return MissingPrerequisite(CRDS_MISSING.format(host=host, group=API_VERSION))
    elif status == 404 and said.get("details", {}).get("kind") == "namespaces":
        namespace = said["details"]["name"]
        return MissingPrerequisite(NAMESPACE_MISSING.format(namespace=namespace, host=host))
    else:
        text = f"{method} {path} at {host} was answered with {status} {reason}: {message}"
    return ApiError(text, **evidence)


class Api:
    """Requests with credentials.

    :param configuration: a ``kubernetes.client.Configuration``.
    :param rest: a ``kubernetes.client.rest.RESTClientObject``.
    :param headers: more headers for every request.
    """

    def __init__(self, configuration: t.Any, rest: t.Any, headers: t.Mapping[str, str] | None = None) -> None:
        self._configuration = configuration
        self._rest = rest
        self._headers = dict(headers or {})
        self.requests = 0

    @property
    def host(self) -> str:
        """The server's address."""
        return str(self._configuration.host).rstrip("/")

    def request(
        self,
        method: str,
        path: str,
        query: t.Sequence[tuple[str, str]] = (),
        body: t.Any = None,
        content_type: str = "application/json",
    ) -> Object:
        """Return the answer's body; an exception of :mod:`errors` for all but success."""
        headers = {"Accept": "application/json", "Content-Type": content_type, **self._headers}
        for auth in self._configuration.auth_settings().values():
            if auth.get("in") == "header" and auth.get("value"):
                headers[auth["key"]] = auth["value"]
        self.requests += 1
        try:
            answer = self._rest.request(
                method,
                self.host + path,
                query_params=list(query),
                headers=headers,
                body=body,
                _request_timeout=TIMEOUT,
            )
            text, status = answer.data, answer.status
        except Exception as error:
            status = getattr(error, "status", None) or 0
            if not status:
                raise self._unreachable(error) from error
            text = getattr(error, "body", "") or ""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        try:
            found = json.loads(text) if text else {}
        except ValueError:
            found = text
        if not 200 <= status < 300:
            raise explain(status, found, method, path, self.host)
        return t.cast(Object, found)

    def _unreachable(self, error: Exception) -> ApiError:
        cause = getattr(error, "reason", None) or error
        return ApiError(
            f"no API server answers at {self.host}: {cause}; check the options host, kubeconfig and "
            "context, and "
            "that the server runs and its certificate is trusted (ca_cert)"
        )

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Return one object, None when it does not exist."""
        try:
            return self.request("GET", path_of(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def all(self, kind: Kind, namespace: str) -> list[Object]:
        """Return the objects of a kind in a namespace, each with its apiVersion and kind."""
        found = self.request("GET", path_of(kind, namespace)).get("items") or []
        return [{"apiVersion": kind.api_version, "kind": kind.name, **one} for one in found]

    def apply(self, kind: Kind, body: Object, dry_run: bool) -> Object:
        """Apply on the server's side as our field manager."""
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        return self._patch(kind, body, query, APPLY_PATCH, dry_run)

    def merge(self, kind: Kind, body: Object, dry_run: bool, manager: str = FIELD_MANAGER) -> Object:
        """Merge into an object that exists; null removes a field whoever owns it."""
        return self._patch(kind, body, [("fieldManager", manager)], MERGE_PATCH, dry_run)

    def _patch(
        self, kind: Kind, body: Object, query: list[tuple[str, str]], content_type: str, dry_run: bool
    ) -> Object:
        metadata = body["metadata"]
        if dry_run:
            query = [*query, ("dryRun", "All")]
        path = path_of(kind, metadata["namespace"], metadata["name"])
        return self.request("PATCH", path, query, body, content_type)

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object; that it is gone already is no failure."""
        try:
            self.request("DELETE", path_of(kind, namespace, name), [("propagationPolicy", "Background")])
        except ApiError as error:
            if error.status != 404:
                raise


def _placeholder(name: str, folder: str) -> t.Any:
    module = types.ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module
    return module


def _forget_library() -> None:
    for name in [one for one in sys.modules if one.split(".")[0] == "kubernetes"]:
        del sys.modules[name]


def _whole_client(*args: t.Any, **options: t.Any) -> t.Any:
    # Renewing a token of OpenID Connect is the one thing for which config makes a client.
    _forget_library()
    return importlib.import_module("kubernetes.client").ApiClient(*args, **options)


@functools.lru_cache(maxsize=1)
def load_library() -> tuple[t.Any, t.Any, t.Any]:
    """Return the kubernetes library's config module, Configuration and RESTClientObject.

    Its packages import a thousand classes for objects of which we need none; with empty packages in their
    place a module starts in a quarter of the time. Where that does not work, they are imported as they are.

    :raises ImportError: when the library is not there.
    """
    if "kubernetes" not in sys.modules:
        found = importlib.util.find_spec("kubernetes")
        if found is None or not found.origin:
            raise ImportError("kubernetes")
        folder = os.path.dirname(found.origin)
        _placeholder("kubernetes", folder)
        client = _placeholder("kubernetes.client", os.path.join(folder, "client"))
        try:
            client.Configuration = importlib.import_module("kubernetes.client.configuration").Configuration
            client.ApiClient = _whole_client
            rest = importlib.import_module("kubernetes.client.rest")
            return importlib.import_module("kubernetes.config"), client.Configuration, rest.RESTClientObject
        except (ImportError, AttributeError):
            _forget_library()
    from kubernetes import config
    from kubernetes.client import Configuration
    from kubernetes.client.rest import RESTClientObject

    return config, Configuration, RESTClientObject


def connect(params: t.Mapping[str, t.Any]) -> Api:
    """Return the client for the connection options; they mean what they mean in kubernetes.core.

    :raises ImportError: when the kubernetes library is not there.
    """
    config, configuration_class, rest_class = load_library()
    configuration = configuration_class()
    if not params.get("host"):
        _load(config, configuration, params)
    _override(configuration, params)
    # One try more is enough for a connection that an idle proxy has closed.
    configuration.retries = 1
    headers: dict[str, t.Any] = {}
    if params.get("impersonate_user"):
        headers["Impersonate-User"] = params["impersonate_user"]
    return Api(configuration, rest_class(configuration), headers)


def _load(config: t.Any, configuration: t.Any, params: t.Mapping[str, t.Any]) -> None:
    source, context = params.get("kubeconfig"), params.get("context")
    try:
        if isinstance(source, dict):
            config.load_kube_config_from_dict(source, context=context, client_configuration=configuration)
            return
        path = os.path.expanduser(source) if source else None
        config.load_kube_config(
            path, context=context, client_configuration=configuration, persist_config=False
        )
    except (config.ConfigException, OSError, ValueError) as error:
        if not source and not context:
            try:
                config.load_incluster_config(client_configuration=configuration)
                return
            except config.ConfigException:
                pass
        raise SkupperError(
            f"no connection to a cluster can be made from kubeconfig {_named(source)}"
            f"{f', context {context}' if context else ''}: {error}; give the options kubeconfig and "
            "context, or "
            "host and api_key"
        ) from error


def _named(source: t.Any) -> str:
    if isinstance(source, dict):
        return "(given as a mapping)"
    return str(source or os.environ.get("KUBECONFIG") or "~/.kube/config")


def _override(configuration: t.Any, params: t.Mapping[str, t.Any]) -> None:
    plain = {
        "host": "host",
        "username": "username",
        "password": "password",
        "ca_cert": "ssl_ca_cert",
        "client_cert": "cert_file",
        "client_key": "key_file",
        "validate_certs": "verify_ssl",
        "proxy": "proxy",
        "no_proxy": "no_proxy",
    }
    for option, attribute in plain.items():
        if params.get(option) is not None:
            setattr(configuration, attribute, params[option])
    if params.get("api_key"):
        configuration.api_key["authorization"] = f"Bearer {params['api_key']}"
    if params.get("username"):
        configuration.api_key.pop("authorization", None)


WORKLOADS = {
    "deployment": ("/apis/apps/v1", "deployments"),
    "statefulset": ("/apis/apps/v1", "statefulsets"),
    "daemonset": ("/apis/apps/v1", "daemonsets"),
    "service": ("/api/v1", "services"),
}


def workload_selector(api: Api, namespace: str, workload: str) -> Object:
    """Return the selector of ``<kind>/<name>``; MissingPrerequisite when it is not there."""
    kind, _slash, name = workload.partition("/")
    group, plural = WORKLOADS[kind]
    try:
        found = api.request("GET", f"{group}/namespaces/{namespace}/{plural}/{name}")
    except ApiError as error:
        if error.status == 404:
            raise MissingPrerequisite(
                f"workload {workload} does not exist in namespace {namespace}; deploy it before its "
                "connector, or "
                "give the option selector instead"
            ) from error
        raise
    selector = (found.get("spec") or {}).get("selector") or {}
    if not selector:
        raise SkupperError(
            f"workload {workload} in namespace {namespace} has no selector; give the option selector"
        )
    return t.cast(Object, selector)


def has_pods(api: Api, namespace: str, selector: str) -> bool | None:
    """Return whether a pod matches; None when we may not look."""
    try:
        query = [("labelSelector", selector), ("limit", "1")]
        return bool(api.request("GET", f"/api/v1/namespaces/{namespace}/pods", query).get("items"))
    except ApiError:
        return None
