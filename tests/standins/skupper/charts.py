"""Stand-ins for Skupper's Helm charts, for tests of how they are installed.

They have the values of the real charts 2.2 by name, and of their objects only what the role gives values
for. No pod of them ever runs: `ready` says of all pods that they are ready, as nodes would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import yaml

ROUTER = "3.5.1"
MERGE = "application/merge-patch+json"
_CHART = """\
apiVersion: v2
name: {name}
version: {version}
appVersion: "{version}"
"""
_CONTROLLER_VALUES = """\
controllerImage: quay.io/skupper/controller:{version}
kubeAdaptorImage: quay.io/skupper/kube-adaptor:{version}
routerImage: quay.io/skupper/skupper-router:{router}
scope: cluster
clusterHost: ""
enabledAccessTypes: "local,loadbalancer,route"
defaultAccessType: ""
"""
_CONTROLLER = """\
{{- if eq .Values.scope "namespace" }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: skupper
data:
  controller: skupper-controller
---
{{- end }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: skupper-controller
  labels:
    app.kubernetes.io/name: skupper-controller
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: skupper-controller
spec:
  replicas: 1
  selector:
    matchLabels:
      application: skupper-controller
  template:
    metadata:
      labels:
        application: skupper-controller
        app.kubernetes.io/name: skupper-controller
    spec:
      serviceAccountName: skupper-controller
      containers:
        - name: controller
          image: {{ .Values.controllerImage }}
          env:
            {{- if .Values.clusterHost }}
            - name: SKUPPER_CLUSTER_HOST
              value: {{ .Values.clusterHost | quote }}
            {{- end }}
            - name: SKUPPER_ENABLED_ACCESS_TYPES
              value: {{ .Values.enabledAccessTypes | quote }}
            - name: SKUPPER_KUBE_ADAPTOR_IMAGE
              value: {{ .Values.kubeAdaptorImage }}
            - name: SKUPPER_ROUTER_IMAGE
              value: {{ .Values.routerImage }}
"""
_PROBE = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: probes.chart.example.com
spec:
  group: chart.example.com
  scope: Namespaced
  names: {plural: probes, singular: probe, kind: Probe}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
_OBSERVER_VALUES = """\
image:
  repository: quay.io/skupper/network-observer
  pullPolicy: Always
  tag: ""
auth:
  strategy: "basic"
  basic:
    create: true
    secretName: ""
service:
  type: ClusterIP
  port: 443
"""
_OBSERVER = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app.kubernetes.io/instance: {{ .Release.Name }}
    spec:
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: network-observer
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          env:
            - name: STRATEGY
              value: {{ .Values.auth.strategy }}
      volumes:
        - name: auth
          secret:
            secretName: {{ .Values.auth.basic.secretName | default (printf "%s-auth" .Release.Name) }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
spec:
  type: {{ .Values.service.type }}
  ports:
    - port: {{ .Values.service.port }}
      name: https
  selector:
    app.kubernetes.io/instance: {{ .Release.Name }}
---
"""
#: As in the real chart 2.2, whose observer says its figures here without a password.
_OBSERVER_METRICS = """\
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-metrics
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/component: metrics
spec:
  type: ClusterIP
  ports:
    - name: metrics
      port: 9000
      targetPort: metrics
  selector:
    app.kubernetes.io/instance: {{ .Release.Name }}
"""


class Client(Protocol):
    """Asks an API server."""

    def request(self, method: str, path: str, *arguments: Any, **more: Any) -> Any:
        """One request."""


def write(folder: Path, name: str, version: str) -> Path:
    """Write the chart `skupper` or `network-observer` in some version; its directory."""
    chart = folder / f"{name}-{version}"
    values, objects = (
        (_CONTROLLER_VALUES, _CONTROLLER)
        if name == "skupper"
        else (_OBSERVER_VALUES, _OBSERVER + _OBSERVER_METRICS)
    )
    files = {
        "Chart.yaml": _CHART.format(name=name, version=version),
        "values.yaml": values.format(version=version, router=ROUTER) if name == "skupper" else values,
        "templates/all.yaml": objects,
    }
    if name == "skupper":
        files["crds/probe.yaml"] = _PROBE
    for path, text in files.items():
        file = chart / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return chart


def observer_metrics(release: str) -> dict[str, Any]:
    """The Service of the network observer's figures, as Helm makes it of the chart."""
    text = _OBSERVER_METRICS.replace("{{ .Release.Name }}", release)
    found: dict[str, Any] = yaml.safe_load(text.replace("{{ .Chart.Name }}", "network-observer"))
    return found


@contextmanager
def ready(client: Client) -> Iterator[None]:
    """Meanwhile, every pod is ready as soon as it is there."""
    ended = threading.Event()
    states = ("Initialized", "PodScheduled", "ContainersReady", "Ready")

    def work() -> None:
        while not ended.wait(0.2):
            for pod in client.request("GET", "/api/v1/pods")["items"]:
                metadata = pod["metadata"]
                if pod["status"].get("phase") != "Pending" or metadata.get("deletionTimestamp"):
                    continue
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                conditions = [{"type": one, "status": "True", "lastTransitionTime": now} for one in states]
                path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
                status = {"phase": "Running", "conditions": conditions}
                client.request("PATCH", path, body={"status": status}, content_type=MERGE)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)
