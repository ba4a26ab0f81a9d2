# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is missing before the chatbot can be brought to a cluster: all of it, each with its remedy."""

from __future__ import annotations

import re
import typing as t

from .common import OPENSHIFT
from .decide import Decisions
from .exposure import NGINX_F5

_PATH = re.compile(r"/|(/[A-Za-z0-9._~-]+)+")
#: Sets of objects beside the chatbot's own; they are removed by name.
_OWN_ENDINGS = ("-monitoring", "-build")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?")


def problems(decided: Decisions) -> list[str]:
    """Return what is wrong with the variables, on this cluster."""
    return [
        *_names(decided),
        *_image(decided),
        *_way(decided),
        *_installation(decided),
        *_network(decided),
    ]


def _names(decided: Decisions) -> t.Iterator[str]:
    for name in ("name", "namespace"):
        if not _LABEL.fullmatch(decided[name]):
            yield (
                f"public_chatbot_{name} is {decided[name]!r}. Remedy: small letters, digits and - inside, "
                "at most 50 characters"
            )
    if decided["name"].endswith(_OWN_ENDINGS):
        yield (
            f"public_chatbot_name is {decided['name']!r}. Remedy: another end than "
            f"{' or '.join(_OWN_ENDINGS)}, by which a chatbot's own further objects are known"
        )
    if not _PATH.fullmatch(decided["path"]):
        yield (
            f"public_chatbot_path is {decided['path']!r}. Remedy: a path such as /chat, of letters, "
            "digits and . _ ~ -, without a slash at the end"
        )
    if decided["max_replicas"] and decided["max_replicas"] < decided["replicas"]:
        yield (
            f"public_chatbot_max_replicas is {decided['max_replicas']}, less than public_chatbot_replicas "
            f"({decided['replicas']}). Remedy: set it higher, or to 0 for no autoscaler"
        )


def _image(decided: Decisions) -> t.Iterator[str]:
    if decided.image_source == "unknown":
        yield (
            "it is not said where the image comes from. Remedy: set public_chatbot_image to a registry's, or "
            "public_chatbot_image_source to push (built here and pushed to public_chatbot_image) or loaded "
            "(you bring it to every node, as `kind load` does)"
        )
    if decided.image_source in ("registry", "push") and not decided["image"]:
        yield (
            f"public_chatbot_image_source is {decided.image_source} and public_chatbot_image is empty. "
            "Remedy: set it to the image's reference, such as registry.example.com/chat/chatbot@sha256:..."
        )
    if decided.image_source == "openshift" and decided.platform != OPENSHIFT:
        yield "public_chatbot_image_source is openshift on a cluster that is none. Remedy: choose another one"


def _way(decided: Decisions) -> t.Iterator[str]:
    way, groups = decided.way, decided.cluster.get("groups") or []
    if way == "gateway" and not decided["gateway"]:
        yield "public_chatbot_exposure is gateway and public_chatbot_gateway is empty. Remedy: name it"
    needed = {"gateway": "gateway.networking.k8s.io", "route": "route.openshift.io"}.get(way)
    if needed and decided.cluster and needed not in groups:
        yield (
            f"public_chatbot_exposure is {way} and the cluster does not know {needed}. Remedy: choose "
            "another way, or install what brings it"
        )
    if decided.pod_certificate and decided.platform != OPENSHIFT and not decided["route_pod_tls_secret"]:
        yield (
            "public_chatbot_route_termination is reencrypt on a cluster that is no OpenShift, which would "
            "make the pods' certificate. Remedy: set public_chatbot_route_pod_tls_secret, or choose edge"
        )
    if way == "ingress" and decided.cluster and not decided.ingress.get("class"):
        wanted = decided["ingress_class"] or "(the default one)"
        has = ", ".join((decided.cluster.get("ingress") or {}).get("classes") or []) or "none"
        yield (
            f"the cluster has no IngressClass {wanted}; it has: {has}. Remedy: set "
            "public_chatbot_ingress_class, or public_chatbot_ingress_install to install NGINX Ingress "
            "Controller, or choose another public_chatbot_exposure"
        )
    if way == "ingress" and decided.tls in ("issuer", "self_signed") and not decided["host"]:
        yield (
            f"public_chatbot_tls is {decided.tls} and public_chatbot_host is empty. Remedy: set the name "
            "that the certificate is for"
        )


def _installation(decided: Decisions) -> t.Iterator[str]:
    if decided.way != "ingress" or not decided["ingress_install"]:
        return
    if "ingress-nginx" in decided["ingress_chart"]:
        yield (
            f"public_chatbot_ingress_chart is {decided['ingress_chart']}, of kubernetes/ingress-nginx, "
            "which was retired in 2026 and is never installed here. Remedy: leave it out, or name a copy of "
            "the chart nginx-ingress of F5's NGINX Ingress Controller"
        )
    found = decided.cluster.get("ingress") or {}
    if found.get("class") and found["controller"] != NGINX_F5:
        yield (
            f"IngressClass {found['class']} belongs to the controller {found['controller']}, so NGINX "
            "Ingress Controller cannot bring it. Remedy: set public_chatbot_ingress_class to a free name"
        )


def _network(decided: Decisions) -> t.Iterator[str]:
    if not decided["network_policies"] or not decided.cluster or decided.way != "ingress":
        return
    if decided.ingress.get("class") and not decided.visitors:
        yield (
            f"the controller {decided.ingress.get('controller')} is not known here, so the network policy "
            "cannot say from where visitors come. Remedy: set public_chatbot_ingress_from, such as "
            "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}]"
        )


def warnings(decided: Decisions) -> list[str]:
    """Return what works and is still to be known."""
    found = []
    if decided.way == "ingress" and decided.ingress.get("retired"):
        found.append(
            f"IngressClass {decided.ingress.get('class')} belongs to kubernetes/ingress-nginx, which was "
            "retired in 2026 and gets no more security fixes (release 1.8.2 of the published articles is "
            "open to CVE-2025-1974). It works; public_chatbot_ingress_install brings a maintained controller "
            "beside it, with another public_chatbot_ingress_class"
        )
    if decided.image_source == "registry" and "@sha256:" not in decided["image"]:
        found.append(
            f"public_chatbot_image is {decided['image']}, which names no digest: what runs is whatever the "
            "registry has under this tag"
        )
    if decided.way in ("ingress", "route", "gateway") and decided.cluster and not decided.trusted_proxies:
        found.append(
            "the networks of the pods may not be read, so all visitors behind the ingress are limited "
            "together. Remedy: set public_chatbot_trusted_proxies"
        )
    if decided.pod_certificate and decided["route_pod_tls_secret"] and not decided["route_destination_ca"]:
        found.append(
            f"OpenShift's router trusts a certificate in Secret {decided.pod_certificate} only when its own "
            "service CA signed it; otherwise set public_chatbot_route_destination_ca"
        )
    if decided.way == "ingress" and decided.tls == "none":
        found.append("visitors reach the page without TLS; set public_chatbot_host and public_chatbot_tls")
    if decided.way in ("loadbalancer", "nodeport"):
        found.append(f"visitors reach the page without TLS: public_chatbot_exposure {decided.way} has none")
    return found
