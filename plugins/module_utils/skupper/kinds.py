# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The kinds of objects that the modules manage, as a table: option, field, and what an absent field means."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

API_VERSION = "skupper.io/v2alpha1"

KUBERNETES = "kubernetes"
CONTAINER_PLATFORMS = ("podman", "docker")
FILE_PLATFORMS = (*CONTAINER_PLATFORMS, "linux")
PLATFORMS = (KUBERNETES, *FILE_PLATFORMS)


@dataclass(frozen=True)
class Field:
    """One field of a spec.

    :param option: the module's name for it.
    :param key: Skupper's name for it.
    :param zero: what an absent field means; writing it and leaving it out are the same.
    """

    option: str
    key: str
    zero: t.Any = ""


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    :param noun: the CLI's word for it; empty when the CLI cannot render it.
    :param plural: its name in the API's paths.
    :param target: the condition that is waited for.
    """

    name: str
    noun: str
    plural: str
    fields: tuple[Field, ...] = ()
    target: str = "Configured"
    api_version: str = API_VERSION

    @property
    def keys(self) -> frozenset[str]:
        """Names of the fields that the modules manage, apart from settings."""
        return frozenset(one.key for one in self.fields)

    def zero(self, key: str) -> t.Any:
        """Return what the absence of ``key`` means."""
        return next((one.zero for one in self.fields if one.key == key), "")

    def spec(self, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Return the spec that a module's options ask for; options that are not given are left out."""
        found = {one.key: params[one.option] for one in self.fields if params.get(one.option) is not None}
        if params.get("settings"):
            found["settings"] = {key: str(value) for key, value in params["settings"].items()}
        return found


SITE = Kind(
    "Site",
    "site",
    "sites",
    (
        Field("link_access", "linkAccess", "none"),
        Field("ha", "ha", False),
        Field("edge", "edge", False),
        Field("service_account", "serviceAccount"),
        Field("default_issuer", "defaultIssuer"),
    ),
    target="Ready",
)
LISTENER = Kind(
    "Listener",
    "listener",
    "listeners",
    (
        Field("routing_key", "routingKey"),
        Field("listener_host", "host"),
        Field("port", "port", 0),
        Field("tls_credentials", "tlsCredentials"),
        Field("observer", "observer", "auto"),
        Field("expose_pods_by_name", "exposePodsByName", False),
    ),
)
CONNECTOR = Kind(
    "Connector",
    "connector",
    "connectors",
    (
        Field("routing_key", "routingKey"),
        Field("connector_host", "host"),
        Field("port", "port", 0),
        Field("selector", "selector"),
        Field("tls_credentials", "tlsCredentials"),
        Field("use_client_cert", "useClientCert", False),
        Field("verify_hostname", "verifyHostname", False),
        Field("include_not_ready", "includeNotReadyPods", False),
        Field("expose_pods_by_name", "exposePodsByName", False),
    ),
)
ROUTER_ACCESS = Kind(
    "RouterAccess",
    "",
    "routeraccesses",
    (
        Field("roles", "roles", None),
        Field("bind_host", "bindHost"),
        Field("subject_alternative_names", "subjectAlternativeNames", None),
        Field("tls_credentials", "tlsCredentials"),
        Field("issuer", "issuer"),
    ),
)
LINK = Kind(
    "Link",
    "link",
    "links",
    (
        Field("endpoints", "endpoints", None),
        Field("tls_credentials", "tlsCredentials"),
        Field("cost", "cost", 0),
    ),
    target="Operational",
)
ACCESS_GRANT = Kind(
    "AccessGrant",
    "",
    "accessgrants",
    (
        Field("redemptions_allowed", "redemptionsAllowed", 1),
        Field("expiration_window", "expirationWindow"),
    ),
    target="Ready",
)
ACCESS_TOKEN = Kind("AccessToken", "", "accesstokens", target="Redeemed")
SECRET = Kind("Secret", "", "secrets", api_version="v1")

KINDS = {
    kind.name: kind
    for kind in (SITE, LISTENER, CONNECTOR, ROUTER_ACCESS, LINK, ACCESS_GRANT, ACCESS_TOKEN, SECRET)
}
