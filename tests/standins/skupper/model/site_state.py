"""A site's resources as `skupper system start` loads and checks them, errors in its words."""

from __future__ import annotations

import copy
import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .encode import read_documents
from .kinds import API, KINDS, Resource, name_of, namespace_of, resource, spec_of

NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
HOST = re.compile(r"^[a-z0-9]+([-.]{1}[a-z0-9]+)*$")
_NAME_RULE = (
    "a lowercase RFC 1123 name must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
HELD = (*(name for name in KINDS if not name.startswith("Attached")), "Secret", "ConfigMap")
LINK_ROLES = ("edge", "inter-router")
LOCAL = "skupper-local"


class StateError(Exception):
    """Why a site cannot be loaded or started."""


def is_address(host: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass
class SiteState:
    """The resources of one site, by kind and name."""

    site: Resource
    held: dict[str, dict[str, Resource]] = field(default_factory=lambda: {kind: {} for kind in HELD})
    site_id: str = ""

    @property
    def name(self) -> str:
        """The site's name."""
        return name_of(self.site)

    @property
    def namespace(self) -> str:
        """The site's namespace."""
        return namespace_of(self.site)

    def __getitem__(self, kind: str) -> dict[str, Resource]:
        return self.held[kind]

    def add(self, one: Resource) -> Resource:
        """Hold a resource; the last of a name wins."""
        self.held[one["kind"]][name_of(one)] = one
        return one

    def all(self) -> list[Resource]:
        """The site and everything else."""
        return [self.site, *(one for kind in self.held.values() for one in kind.values())]

    def copy(self) -> SiteState:
        """A state of its own."""
        return copy.deepcopy(self)

    def has_link_access(self) -> bool:
        """Whether others can link to this site."""
        roles = [role for one in self["RouterAccess"].values() for role in spec_of(one).get("roles") or []]
        return any(role.get("name") in LINK_ROLES for role in roles)

    def certificate(self, name: str, **spec: Any) -> None:
        """Declare a certificate."""
        made = resource("Certificate", name, self.namespace, **{"ca": "", **spec})
        made["status"] = {"message": "OK"}
        self.add(made)

    def set_namespace(self, namespace: str) -> None:
        """Move everything to a namespace."""
        for one in self.all():
            one["metadata"]["namespace"] = namespace


def load(folder: Path) -> SiteState:
    """The state in the YAML files of a directory."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise StateError(f"open {folder}: no such file or directory") from error
    state = SiteState(site={})
    for file in files:
        try:
            for one in read_documents(file.read_text(encoding="utf-8")):
                _take(state, one)
        except (StateError, ValueError) as error:
            raise StateError(f'error loading "{file}": {error}') from error
    if not name_of(state.site):
        raise StateError("no valid site definition has been found")
    state.site_id = str(state.site["metadata"].get("uid") or "")
    namespaces = sorted({namespace_of(one) for one in state.all()})
    if len(namespaces) > 1:
        raise StateError(
            "multiple namespaces found, but only a unique namespace must be used across all resources - "
            f"namespaces found: [{' '.join(namespaces)}]"
        )
    return state


def _take(state: SiteState, one: Any) -> None:
    """Hold a document that is of a known kind; others are passed over."""
    if not isinstance(one, dict) or one.get("apiVersion") not in (API, "v1"):
        return
    kind = one.get("kind")
    if kind == "Site":
        if state.site:
            raise StateError("multiple sites found, but only one site is allowed for bootstrapping")
        state.site = one
    elif kind in HELD:
        state.add(one)


def _check_name(what: str, name: str) -> None:
    if not NAME.match(name):
        raise StateError(f'invalid {what}: invalid name "{name}": {_NAME_RULE}')


def _check_host(kind: str, name: str, host: str) -> None:
    if not is_address(host) and not HOST.match(host):
        raise StateError(
            f'invalid {kind} host: {host} - a valid IP address or hostname is expected ({kind}: "{name}")'
        )


def _check_links(state: SiteState) -> None:
    if state["Link"] and not state["Secret"]:
        raise StateError("unable to process links (no secrets found)")
    for name, link in state["Link"].items():
        _check_name("link name", name)
        credentials = spec_of(link).get("tlsCredentials") or ""
        if credentials not in state["Secret"]:
            raise StateError(f'invalid link "{name}" - secret "{credentials}" not found')


def _check_accesses(state: SiteState) -> None:
    for name, access in state["RouterAccess"].items():
        _check_name("router access name", name)
        roles = spec_of(access).get("roles") or []
        if not roles:
            raise StateError(f"invalid router access: {name} - roles are required")
        for role in roles:
            if role.get("name") not in LINK_ROLES:
                raise StateError(
                    f"invalid router access: {name} - invalid role: {role.get('name')} "
                    f"(valid roles: [{' '.join(LINK_ROLES)}])"
                )


def _check_services(state: SiteState) -> None:
    taken: set[tuple[str, int]] = set()
    for name, listener in state["Listener"].items():
        _check_name("listener name", name)
        spec = spec_of(listener)
        host, port = spec.get("host") or "", spec.get("port") or 0
        if not host or not port:
            raise StateError(f"invalid listener: {name} - host and port are required")
        _check_host("listener", name, host)
        if (host, port) in taken:
            raise StateError(f'port {port} is already mapped for host "{host}" (listener: "{name}")')
        if not spec.get("routingKey"):
            raise StateError(f"routingKey is missing for listener: {name}")
        taken.add((host, port))
    for name, connector in state["Connector"].items():
        _check_name("connector name", name)
        spec = spec_of(connector)
        if not spec.get("host") or not spec.get("port"):
            raise StateError(f'connector host and port are required (connector: "{name}")')
        _check_host("connector", name, spec["host"])
        if not spec.get("routingKey"):
            raise StateError(f"routingKey is missing for connector: {name}")


def check(state: SiteState) -> None:
    """What is wrong with a state, before anything is touched."""
    _check_name("site name", state.name)
    _check_accesses(state)
    _check_links(state)
    for name in state["AccessToken"]:
        _check_name("access token name", name)
    for name in state["AccessGrant"]:
        _check_name("grant name", name)
    _check_services(state)
