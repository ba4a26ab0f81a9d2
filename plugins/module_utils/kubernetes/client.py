# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The one place that speaks to a Kubernetes API server, by the kubernetes client's configuration and TLS."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import json
import os
import sys
import types
import typing as t

from .errors import ApiError, ClusterError, MissingPrerequisite

#: Seconds for a connection and for an answer.
TIMEOUT = (10, 60)
APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"

Object = dict[str, t.Any]
C = t.TypeVar("C", bound="Client")

#: What to install for a group of kinds that the server does not know.
GROUPS = {
    "skupper.io": "Skupper's CRDs are not installed; install Skupper 2.1 or newer there first "
    "(https://skupper.io/docs/install/index.html)",
    "gateway.networking.k8s.io": "the Gateway API's CRDs are not installed; install them, and a controller "
    "for them, first (https://gateway-api.sigs.k8s.io/)",
    "route.openshift.io": "it is no OpenShift; choose another kind of exposure",
    "build.openshift.io": "it is no OpenShift; choose another source of the image",
    "image.openshift.io": "it is no OpenShift; choose another source of the image",
}
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


def group_of(path: str) -> str:
    """Return the API group of a path, "" for the core group."""
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[1] == "apis" else ""


def _lacks_namespace(said: Object, path: str) -> bool:
    """Whether an object cannot be there because its namespace is not."""
    details = said.get("details") or {}
    return details.get("kind") == "namespaces" and not path.endswith(f"/namespaces/{details.get('name')}")


def explain(status: int, body: t.Any, method: str, path: str, host: str) -> ClusterError:
    """Return the exception for an answer that is not a success."""
    said = body if isinstance(body, dict) else {}
    reason, message = str(said.get("reason") or ""), str(said.get("message") or body or "").strip()
    evidence: dict[str, t.Any] = {"status": status, "reason": reason}
    group = group_of(path)
    if status == 401:
        text = (
            f"the API server at {host} does not accept the credentials (401); renew them or choose a context"
        )
    elif status == 403 and "is being terminated" not in message and "exceeded quota" not in message:
        text = (
            f"not allowed at {host}: {message or 'forbidden'}; grant it, for example with a Role for the API "
            f"group {group or '(core)'} and a RoleBinding in the namespace"
        )
    elif status == 404 and not said.get("details", {}).get("name"):
        remedy = GROUPS.get(group, "its version is too old, or a CRD is not installed")
        return MissingPrerequisite(f"the API server at {host} does not know {group or path}: {remedy}")
    elif status == 404 and _lacks_namespace(said, path):
        namespace = said["details"]["name"]
        return MissingPrerequisite(NAMESPACE_MISSING.format(namespace=namespace, host=host))
    else:
        text = f"{method} {path} at {host} was answered with {status} {reason}: {message}"
    return ApiError(text, **evidence)


class Client:
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


def _placeholder(name: str, folder: str) -> t.Any:
    module = types.ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module
    return module


class _Later(types.ModuleType):
    """In the place of a package that is seldom needed; whoever uses something of it gets the real one."""

    def __getattr__(self, name: str) -> t.Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)

    def offer(self, function: str) -> None:
        """Let a function be imported from it without the package."""

        def call(*args: t.Any, **options: t.Any) -> t.Any:
            return getattr(importlib.import_module(self.__name__), function)(*args, **options)

        setattr(self, function, call)


#: What the library imports for logins by OpenID Connect, and behind a proxy: a third of its time.
_SELDOM: dict[str, tuple[str, ...]] = {
    "oauthlib": (),
    "oauthlib.oauth2": (),
    "requests_oauthlib": ("OAuth2Session",),
    "requests": (),
    "requests.utils": ("should_bypass_proxies",),
}


#: Clouds' logins, which the library uses where they are there, and which need the real ones at once.
_LOGINS = ("adal", "google.auth")


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


@contextlib.contextmanager
def _seldom_later() -> t.Iterator[None]:
    names = () if any(map(_is_there, _LOGINS)) else _SELDOM
    later = [_Later(name) for name in names if name not in sys.modules]
    for one in later:
        for function in _SELDOM[one.__name__]:
            one.offer(function)
        sys.modules[one.__name__] = one
    try:
        yield
    finally:
        # What has imported them keeps them; others find the real ones.
        for one in later:
            sys.modules.pop(one.__name__, None)


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
            with _seldom_later():
                rest = importlib.import_module("kubernetes.client.rest").RESTClientObject
                loaded = importlib.import_module("kubernetes.config")
            return loaded, client.Configuration, rest
        except (ImportError, AttributeError):
            _forget_library()
    from kubernetes import config
    from kubernetes.client import Configuration
    from kubernetes.client.rest import RESTClientObject

    return config, Configuration, RESTClientObject


def connected(client: type[C], params: t.Mapping[str, t.Any]) -> C:
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
    return client(configuration, rest_class(configuration), headers)


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
        raise ClusterError(
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
