"""The kinds of Skupper's API with their fields, and the resource that a command describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GROUP = "skupper.io"
VERSION = "v2alpha1"
API = f"{GROUP}/{VERSION}"
CLI_VERSION = "2.2.1"

Resource = dict[str, Any]

# A field's type: a JSON type, `strings` (a list), `map` (string to string), or the fields of a list's items.
Fields = dict[str, Any]
ENDPOINT: Fields = {"name": "string", "host": "string", "port": "string", "group": "string"}
POD: Fields = {"name": "string", "ip": "string"}
LINK_RECORD: Fields = {
    "name": "string",
    "remoteSiteId": "string",
    "remoteSiteName": "string",
    "operational": "boolean",
}
SERVICE_RECORD: Fields = {"routingKey": "string", "connectors": "strings", "listeners": "strings"}
SITE_RECORD: Fields = {
    "id": "string",
    "name": "string",
    "namespace": "string",
    "platform": "string",
    "version": "string",
    "links": [LINK_RECORD],
    "services": [SERVICE_RECORD],
}


@dataclass(frozen=True)
class Kind:
    """A kind: its fields, those that must be there, and the conditions that make it Ready."""

    name: str
    plural: str
    spec: Fields
    required: tuple[str, ...] = ()
    status: Fields | None = None
    conditions: tuple[str, ...] = ("Configured",)

    def zero(self, field: str) -> Any:
        """What an unset field is written as when it must be there."""
        return {"string": "", "integer": 0, "boolean": False}.get(str(self.spec[field]))


_KINDS = (
    Kind(
        "Site",
        "sites",
        {
            "serviceAccount": "string",
            "linkAccess": "string",
            "defaultIssuer": "string",
            "edge": "boolean",
            "ha": "boolean",
            "settings": "map",
        },
        status={
            "endpoints": [ENDPOINT],
            "sitesInNetwork": "integer",
            "network": [SITE_RECORD],
            "defaultIssuer": "string",
            "controller": {"name": "string", "namespace": "string", "version": "string"},
        },
        conditions=("Configured", "Running"),
    ),
    Kind(
        "Listener",
        "listeners",
        {
            "routingKey": "string",
            "host": "string",
            "port": "integer",
            "tlsCredentials": "string",
            "type": "string",
            "observer": "string",
            "exposePodsByName": "boolean",
            "settings": "map",
        },
        required=("routingKey", "host", "port"),
        status={"hasMatchingConnector": "boolean"},
        conditions=("Configured", "Matched"),
    ),
    Kind(
        "Connector",
        "connectors",
        {
            "routingKey": "string",
            "host": "string",
            "selector": "string",
            "port": "integer",
            "tlsCredentials": "string",
            "useClientCert": "boolean",
            "verifyHostname": "boolean",
            "type": "string",
            "exposePodsByName": "boolean",
            "includeNotReadyPods": "boolean",
            "settings": "map",
        },
        required=("routingKey", "port"),
        status={"selectedPods": [POD], "hasMatchingListener": "boolean"},
        conditions=("Configured", "Matched"),
    ),
    Kind(
        "Link",
        "links",
        {"endpoints": [ENDPOINT], "tlsCredentials": "string", "cost": "integer", "settings": "map"},
        required=("endpoints",),
        status={"remoteSiteId": "string", "remoteSiteName": "string"},
        conditions=("Configured", "Operational"),
    ),
    Kind(
        "AccessToken",
        "accesstokens",
        {"url": "string", "code": "string", "ca": "string", "linkCost": "integer", "settings": "map"},
        required=("url", "code", "ca"),
        status={"redeemed": "boolean"},
        conditions=("Redeemed",),
    ),
    Kind(
        "AccessGrant",
        "accessgrants",
        {
            "redemptionsAllowed": "integer",
            "expirationWindow": "string",
            "code": "string",
            "issuer": "string",
            "settings": "map",
        },
        status={
            "url": "string",
            "code": "string",
            "ca": "string",
            "redemptions": "integer",
            "expirationTime": "string",
        },
        conditions=("Processed", "Resolved"),
    ),
    Kind(
        "RouterAccess",
        "routeraccesses",
        {
            "accessType": "string",
            "roles": [{"name": "string", "port": "integer"}],
            "tlsCredentials": "string",
            "generateTlsCredentials": "boolean",
            "issuer": "string",
            "bindHost": "string",
            "subjectAlternativeNames": "strings",
            "settings": "map",
        },
        required=("roles", "tlsCredentials"),
        status={"endpoints": [ENDPOINT]},
        conditions=("Configured", "Resolved"),
    ),
    Kind(
        "SecuredAccess",
        "securedaccesses",
        {
            "accessType": "string",
            "selector": "map",
            "ports": [{"name": "string", "port": "integer", "targetPort": "integer", "protocol": "string"}],
            "certificate": "string",
            "issuer": "string",
            "settings": "map",
        },
        required=("selector", "ports"),
        status={"endpoints": [ENDPOINT], "ca": "string"},
        conditions=("Configured", "Resolved"),
    ),
    Kind(
        "Certificate",
        "certificates",
        {
            "ca": "string",
            "subject": "string",
            "hosts": "strings",
            "client": "boolean",
            "server": "boolean",
            "signing": "boolean",
            "settings": "map",
        },
        required=("ca", "subject"),
        status={"expiration": "string"},
        conditions=(),
    ),
    Kind(
        "AttachedConnector",
        "attachedconnectors",
        {
            "siteNamespace": "string",
            "selector": "string",
            "port": "integer",
            "tlsCredentials": "string",
            "useClientCert": "boolean",
            "type": "string",
            "includeNotReadyPods": "boolean",
            "settings": "map",
        },
        required=("siteNamespace", "selector", "port"),
        status={"selectedPods": [POD]},
    ),
    Kind(
        "AttachedConnectorBinding",
        "attachedconnectorbindings",
        {
            "connectorNamespace": "string",
            "routingKey": "string",
            "exposePodsByName": "boolean",
            "settings": "map",
        },
        required=("connectorNamespace", "routingKey"),
        status={"hasMatchingListener": "boolean"},
        conditions=("Configured", "Matched"),
    ),
    Kind(
        "MultiKeyListener",
        "multikeylisteners",
        {
            "host": "string",
            "port": "integer",
            "tlsCredentials": "string",
            "requireClientCert": "boolean",
            "observer": "string",
            "strategy": "object",
            "settings": "map",
        },
        required=("host", "port", "strategy"),
        status={"hasDestination": "boolean", "strategy": "object"},
        conditions=("Configured", "Operational"),
    ),
)
KINDS = {kind.name: kind for kind in _KINDS}


def resource(kind: str, name: str, namespace: str = "", **spec: Any) -> Resource:
    """A resource as a command describes it; fields that are empty are not there."""
    metadata = {"name": name, "namespace": namespace}
    given = {key: value for key, value in spec.items() if value not in ("", 0, False, None)}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": given}


def secret(name: str, data: dict[str, str], namespace: str = "", type_: str = "") -> Resource:
    """A Secret; `data` is base64 already."""
    made: Resource = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
    if namespace:
        made["metadata"]["namespace"] = namespace
    if type_:
        made["type"] = type_
    return made


def name_of(one: Resource) -> str:
    """The name of a resource."""
    return str((one.get("metadata") or {}).get("name") or "")


def namespace_of(one: Resource) -> str:
    """The namespace of a resource; none is `default`."""
    return str((one.get("metadata") or {}).get("namespace") or "default")


def spec_of(one: Resource) -> dict[str, Any]:
    """The spec of a resource, made when it is not there."""
    if not one.get("spec"):
        one["spec"] = {}
    return one["spec"]


def status_of(one: Resource) -> dict[str, Any]:
    """The status of a resource, made when it is not there."""
    if not one.get("status"):
        one["status"] = {}
    return one["status"]


def find_role(access: Resource, name: str) -> dict[str, Any] | None:
    """A role of a RouterAccess by its name."""
    return next((role for role in spec_of(access).get("roles") or [] if role.get("name") == name), None)
