# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which visitors reach the chatbot: Ingress, Route, HTTPRoute, and Services that are open."""

from __future__ import annotations

import typing as t

from .common import HTTP, Object, Settings, labels, obj

NGINX_COMMUNITY = "k8s.io/ingress-nginx"
NGINX_F5 = "nginx.org/ingress-controller"


def controller_annotations(settings: Settings) -> dict[str, str]:
    """Return what the Ingress's controller has to be told; nothing that the page needs depends on it.

    An answer may be silent for longer than a proxy's usual minute only while the model reads a long question;
    the application sends a heartbeat then. The limits make it sure, and redirects are the controller's.
    """
    exposure = settings["exposure"]
    seconds, body = exposure["timeout"], exposure["max_body"]
    redirect = bool(exposure["redirect"] and exposure["tls_secret"])
    if exposure["controller"] == NGINX_COMMUNITY:
        prefix = "nginx.ingress.kubernetes.io"
        return {
            f"{prefix}/proxy-buffering": "off",
            f"{prefix}/proxy-read-timeout": str(seconds),
            f"{prefix}/proxy-send-timeout": str(seconds),
            f"{prefix}/proxy-body-size": str(body),
            f"{prefix}/ssl-redirect": str(redirect).lower(),
            f"{prefix}/force-ssl-redirect": str(redirect).lower(),
        }
    if exposure["controller"] == NGINX_F5:
        return {
            "nginx.org/proxy-buffering": "False",
            "nginx.org/proxy-read-timeout": f"{seconds}s",
            "nginx.org/proxy-send-timeout": f"{seconds}s",
            "nginx.org/client-max-body-size": str(body),
            "ingress.kubernetes.io/ssl-redirect": str(redirect),
        }
    return {}


def _issuer(exposure: Settings) -> dict[str, str]:
    if not exposure.get("issuer"):
        return {}
    kind = "issuer" if exposure["issuer_kind"] == "Issuer" else "cluster-issuer"
    return {f"cert-manager.io/{kind}": exposure["issuer"]}


def ingress(settings: Settings) -> Object:
    """Return the Ingress. The path is not rewritten: the application knows its sub-path."""
    exposure = settings["exposure"]
    backend = {"service": {"name": settings["name"], "port": {"name": HTTP}}}
    rule: Object = {"http": {"paths": [{"path": exposure["path"], "pathType": "Prefix", "backend": backend}]}}
    if exposure["host"]:
        rule = {"host": exposure["host"], **rule}
    spec: Object = {"rules": [rule]}
    if exposure["class"]:
        spec["ingressClassName"] = exposure["class"]
    if exposure["tls_secret"]:
        hosts = [exposure["host"]] if exposure["host"] else []
        spec["tls"] = [{"hosts": hosts, "secretName": exposure["tls_secret"]}]
    annotations = {**controller_annotations(settings), **_issuer(exposure), **exposure["annotations"]}
    return obj(settings, "networking.k8s.io/v1", "Ingress", annotations=annotations, spec=spec)


def route(settings: Settings) -> Object:
    """Return OpenShift's Route."""
    exposure = settings["exposure"]
    tls: Object = {
        "termination": exposure["termination"],
        "insecureEdgeTerminationPolicy": "Redirect" if exposure["redirect"] else "None",
    }
    if exposure["tls_secret"]:
        tls["externalCertificate"] = {"name": exposure["tls_secret"]}
    if exposure["destination_ca"]:
        tls["destinationCACertificate"] = exposure["destination_ca"]
    spec: Object = {
        "to": {"kind": "Service", "name": settings["name"], "weight": 100},
        "port": {"targetPort": HTTP},
        "tls": tls,
        "wildcardPolicy": "None",
    }
    if exposure["host"]:
        spec["host"] = exposure["host"]
    if exposure["path"] != "/":
        spec["path"] = exposure["path"]
    annotations = {
        "haproxy.router.openshift.io/timeout": f"{exposure['timeout']}s",
        **_issuer(exposure),
        **exposure["annotations"],
    }
    return obj(settings, "route.openshift.io/v1", "Route", annotations=annotations, spec=spec)


def http_route(settings: Settings) -> Object:
    """Return the HTTPRoute on the given Gateway; TLS is the Gateway's."""
    exposure = settings["exposure"]
    parent: Object = {"name": exposure["gateway"]}
    for key, name in (("namespace", "gateway_namespace"), ("sectionName", "gateway_section")):
        if exposure.get(name):
            parent[key] = exposure[name]
    limit = f"{exposure['timeout']}s"
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": exposure["path"]}}],
        "backendRefs": [{"name": settings["name"], "port": settings["app_port"]}],
        "timeouts": {"request": limit, "backendRequest": limit},
    }
    spec: Object = {"parentRefs": [parent], "rules": [rule]}
    if exposure["host"]:
        spec["hostnames"] = [exposure["host"]]
    annotations = exposure["annotations"]
    return obj(settings, "gateway.networking.k8s.io/v1", "HTTPRoute", annotations=annotations, spec=spec)


def _open_service(settings: Settings, suffix: str, port: Object, **more: t.Any) -> Object:
    exposure = settings["exposure"]
    spec = {
        "selector": labels(settings),
        "ports": [{"name": HTTP, "targetPort": HTTP, "protocol": "TCP", **port}],
        # The visitor's own address arrives, so that visitors are limited apart.
        "externalTrafficPolicy": "Local",
        **more,
    }
    return obj(settings, "v1", "Service", suffix, annotations=exposure["annotations"], spec=spec)


def load_balancer(settings: Settings) -> Object:
    """Return the Service with an address of its own."""
    exposure = settings["exposure"]
    more: Object = {"type": "LoadBalancer"}
    if exposure["load_balancer_class"]:
        more["loadBalancerClass"] = exposure["load_balancer_class"]
    if exposure["source_ranges"]:
        more["loadBalancerSourceRanges"] = list(exposure["source_ranges"])
    return _open_service(settings, "-lb", {"port": exposure["port"]}, **more)


def node_port(settings: Settings) -> Object:
    """Return the Service with a port of every node."""
    exposure = settings["exposure"]
    port: Object = {"port": settings["app_port"]}
    if exposure["node_port"]:
        port["nodePort"] = exposure["node_port"]
    return _open_service(settings, "-nodeport", port, type="NodePort")


WAYS: dict[str, t.Callable[[Settings], Object]] = {
    "ingress": ingress,
    "route": route,
    "gateway": http_route,
    "loadbalancer": load_balancer,
    "nodeport": node_port,
}
