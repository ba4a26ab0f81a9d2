# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of the chatbot's objects, from what was decided."""

from __future__ import annotations

from .common import Object
from .decide import Decisions

_LIMIT = 98304


def settings(decided: Decisions, image: str, model_name: str, tag: str = "") -> Object:
    """Return what :func:`objects.objects` needs."""
    return {
        "name": decided["name"],
        "platform": decided.platform,
        "image": image,
        "pull_policy": "IfNotPresent",
        "pull_secrets": _pull_secrets(decided),
        "env": _env(decided, model_name),
        "key_secret": decided.key_secret,
        "certificate": decided.pod_certificate,
        # Without one of somebody's own OpenShift makes it, for the Service that asks.
        "certificate_from_openshift": not decided["route_pod_tls_secret"],
        "app_port": decided["app_port"],
        "metrics_port": decided["pod_metrics_port"],
        "replicas": decided["replicas"],
        "resources": decided["resources"],
        "drain_delay": decided["drain_delay"],
        "drain_timeout": decided["drain_timeout"],
        "node_selector": decided["node_selector"],
        "tolerations": decided["tolerations"],
        "autoscaling": _autoscaling(decided),
        "network": _network(decided),
        "exposure": _exposure(decided),
        "build": _build(decided, tag),
    }


def _pull_secrets(decided: Decisions) -> list[str]:
    names = [decided["image_pull_secret"]] if decided["image_pull_secret"] else []
    return names + ([f"{decided['name']}-pull"] if decided["image_registry_username"] else [])


def _env(decided: Decisions, model_name: str) -> dict[str, str]:
    found = {
        "ADDRESS": decided.model_url,
        "PORT": decided["app_port"],
        "METRICS_PORT": decided["pod_metrics_port"],
        "MODEL_NAME": decided["model_name"] or model_name,
        "SYSTEM_PROMPT": decided["system_prompt"],
        "TEMPERATURE": decided["temperature"],
        "TOP_P": decided["top_p"],
        "MAX_TOKENS": decided["max_tokens"],
        "TITLE": decided["title"],
        "LANGUAGE": decided["language"],
        "RATE_LIMIT_PER_MINUTE": decided["rate_limit_per_minute"],
        "MAX_OPEN_PER_VISITOR": decided["max_open_per_visitor"],
        "ALLOWED_SOURCES": ",".join(decided["allowed_sources"]),
        "TRUSTED_PROXIES": ",".join(decided.trusted_proxies),
        "ROOT_PATH": decided["path"].rstrip("/"),
        "DRAIN_SECONDS": decided["drain_timeout"],
    }
    return {key: str(value) for key, value in {**found, **decided["env"]}.items()}


def _autoscaling(decided: Decisions) -> Object | None:
    if not decided["max_replicas"]:
        return None
    return {
        "max": decided["max_replicas"],
        "cpu": decided["target_cpu"],
        "streams": decided["target_streams"],
        "streams_metric": decided.streams_metric,
        "scale_down_delay": decided["scale_down_delay"],
    }


def _network(decided: Decisions) -> Object | None:
    if not decided["network_policies"]:
        return None
    return {
        "visitors": decided.visitors,
        "monitoring": decided.monitoring,
        "dns": list(decided["name_servers"]),
        "model": decided.model,
        "router_ports": list(decided["router_ports"]) if decided["guard_listener"] else None,
    }


def _exposure(decided: Decisions) -> Object:
    body = int(decided["env"].get("MAX_BODY_BYTES", _LIMIT))
    return {
        "way": decided.way,
        "host": decided["host"],
        "path": decided["path"],
        "class": decided.ingress.get("class", ""),
        "controller": decided.ingress.get("controller", ""),
        "annotations": decided["exposure_annotations"],
        "tls_secret": decided.tls_secret,
        "issuer": decided["tls_issuer"] if decided.tls == "issuer" else "",
        "issuer_kind": decided["tls_issuer_kind"],
        "redirect": decided["tls_redirect"],
        "timeout": decided["stream_timeout"],
        # Somewhat more, so that the application itself says what is too long.
        "max_body": body * 4 // 3,
        "termination": decided["route_termination"],
        "destination_ca": decided["route_destination_ca"] if decided.pod_certificate else "",
        "gateway": decided["gateway"],
        "gateway_namespace": decided["gateway_namespace"],
        "gateway_section": decided["gateway_section"],
        "load_balancer_class": decided["load_balancer_class"],
        "source_ranges": decided["load_balancer_source_ranges"],
        "port": decided["load_balancer_port"],
        "node_port": decided["node_port"],
    }


def _build(decided: Decisions, tag: str) -> Object | None:
    if decided.image_source != "openshift":
        return None
    return {
        "base_image": decided["build_base_image"],
        "tag": tag,
        "resources": decided["build_resources"],
    }
