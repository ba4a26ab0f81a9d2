# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The chatbot's pods and what keeps them running: account, settings, Deployment, Service, scaling."""

from __future__ import annotations

import typing as t

from .common import HTTP, METRICS, OPENSHIFT, Object, Settings, labels, obj

#: The user of the image, where the cluster does not choose one.
USER = 1001
#: Seconds beyond the drain in which the application says goodbye.
LAST_WORDS = 5
_KEY_FOLDER = "/run/chatbot"
_CERTIFICATE_FOLDER = "/run/chatbot-tls"
#: By it OpenShift makes a certificate for a Service, and keeps it fresh.
SERVING_CERTIFICATE = "service.beta.openshift.io/serving-cert-secret-name"


def service_account(settings: Settings) -> Object:
    """Return the account: it may do nothing, and pods get no token of it."""
    secrets = [{"name": name} for name in settings["pull_secrets"]]
    return obj(
        settings,
        "v1",
        "ServiceAccount",
        automountServiceAccountToken=False,
        imagePullSecrets=secrets or None,
    )


def config_map(settings: Settings) -> Object:
    """Return the application's environment; an empty variable counts as not set."""
    data = {key: str(value) for key, value in settings["env"].items() if str(value) != ""}
    return obj(settings, "v1", "ConfigMap", data=data)


def _probe(path: str, **more: int) -> Object:
    # On the port of the metrics: it goes on answering while the visitors' port drains, and knows neither
    # sub-path nor TLS.
    return {"httpGet": {"path": path, "port": METRICS}, "timeoutSeconds": 5, **more}


def _environment(settings: Settings) -> list[Object]:
    found = {"API_KEY_FILE": f"{_KEY_FOLDER}/key"}
    if settings["certificate"]:
        found["TLS_CERTIFICATE_FILE"] = f"{_CERTIFICATE_FOLDER}/tls.crt"
        found["TLS_KEY_FILE"] = f"{_CERTIFICATE_FOLDER}/tls.key"
    return [{"name": name, "value": value} for name, value in found.items()]


def _files(settings: Settings) -> list[tuple[Object, Object]]:
    """Return volumes with their mounts."""
    key = settings["key_secret"]
    secrets = [("key", _KEY_FOLDER, key["name"], [{"key": key["key"], "path": "key"}])]
    if settings["certificate"]:
        names = [{"key": name, "path": name} for name in ("tls.crt", "tls.key")]
        secrets.append(("certificate", _CERTIFICATE_FOLDER, settings["certificate"], names))
    found: list[tuple[Object, Object]] = [
        (
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  the container's own
        )
    ]
    for name, folder, secret, items in secrets:
        volume = {"secretName": secret, "defaultMode": 0o440, "items": items}
        mount = {"name": name, "mountPath": folder, "readOnly": True}
        found.append(({"name": name, "secret": volume}, mount))
    return found


def _container(settings: Settings) -> Object:
    return {
        "name": "chatbot",
        "image": settings["image"],
        "imagePullPolicy": settings["pull_policy"],
        "envFrom": [{"configMapRef": {"name": settings["name"]}}],
        "env": _environment(settings),
        "ports": [
            {"name": HTTP, "containerPort": settings["app_port"], "protocol": "TCP"},
            {"name": METRICS, "containerPort": settings["metrics_port"], "protocol": "TCP"},
        ],
        "resources": settings["resources"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        "startupProbe": _probe("/healthz", periodSeconds=1, failureThreshold=60),
        "livenessProbe": _probe("/healthz", periodSeconds=10, failureThreshold=6),
        "readinessProbe": _probe("/readyz", periodSeconds=5, failureThreshold=2),
        # Everybody who sends visitors here has heard of the end before the application does.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(settings["drain_delay"])]}}},
        "volumeMounts": [mount for _volume, mount in _files(settings)],
    }


def _pod_security(settings: Settings) -> Object:
    found: Object = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if settings["platform"] != OPENSHIFT:
        # OpenShift gives each namespace users of its own and refuses others.
        found.update(runAsUser=USER, runAsGroup=USER, fsGroup=USER)
    return found


def _spread(settings: Settings) -> list[Object]:
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels(settings)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


def deployment(settings: Settings) -> Object:
    """Return the Deployment. Without a number of replicas while an autoscaler decides."""
    pod: Object = {
        "serviceAccountName": settings["name"],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": settings["drain_delay"] + settings["drain_timeout"] + LAST_WORDS,
        "securityContext": _pod_security(settings),
        "topologySpreadConstraints": _spread(settings),
        "containers": [_container(settings)],
        "volumes": [volume for volume, _mount in _files(settings)],
    }
    for name, value in (("nodeSelector", "node_selector"), ("tolerations", "tolerations")):
        if settings.get(value):
            pod[name] = settings[value]
    spec: Object = {
        "replicas": settings["replicas"],
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 600,
        # A new pod is ready before an old one begins to end.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": labels(settings)},
        "template": {"metadata": {"labels": labels(settings)}, "spec": pod},
    }
    if settings.get("autoscaling"):
        del spec["replicas"]
    return obj(settings, "apps/v1", "Deployment", spec=spec)


def service(settings: Settings) -> Object:
    """Return the Service inside of the cluster, which is what every kind of exposure leads to."""
    ports = [
        {"name": name, "port": settings[port], "targetPort": name, "protocol": "TCP"}
        for name, port in ((HTTP, "app_port"), (METRICS, "metrics_port"))
    ]
    spec = {"type": "ClusterIP", "selector": labels(settings), "ports": ports}
    asked = settings["certificate"] if settings["certificate_from_openshift"] else ""
    annotations = {SERVING_CERTIFICATE: asked} if asked else None
    return obj(settings, "v1", "Service", annotations=annotations, spec=spec)


def disruption_budget(settings: Settings) -> Object:
    """Return the budget: nodes are emptied pod by pod, and also when there is one pod only."""
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": labels(settings)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return obj(settings, "policy/v1", "PodDisruptionBudget", spec=spec)


def autoscaler(settings: Settings) -> Object | None:
    """Return the autoscaler when one is wanted: by CPU, and by open answers where the cluster counts them."""
    wanted = settings.get("autoscaling")
    if not wanted:
        return None
    cpu = {"type": "Utilization", "averageUtilization": wanted["cpu"]}
    metrics: list[Object] = [{"type": "Resource", "resource": {"name": "cpu", "target": cpu}}]
    if wanted.get("streams_metric"):
        streams = {"type": "AverageValue", "averageValue": str(wanted["streams"])}
        metrics.append(
            {"type": "Pods", "pods": {"metric": {"name": wanted["streams_metric"]}, "target": streams}}
        )
    spec: dict[str, t.Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": settings["name"]},
        "minReplicas": settings["replicas"],
        "maxReplicas": wanted["max"],
        "metrics": metrics,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": wanted["scale_down_delay"]}},
    }
    return obj(settings, "autoscaling/v2", "HorizontalPodAutoscaler", spec=spec)
