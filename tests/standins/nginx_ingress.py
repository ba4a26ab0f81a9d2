"""Stand-in for the Helm chart of F5's NGINX Ingress Controller, for tests of how the role installs it.

It has the names of the real chart 2.7 for the values that the role gives and that these tests choose, its
class, its Service and a Deployment with its pods' labels. Nothing of it ever runs.
"""

from __future__ import annotations

from pathlib import Path

#: The release of the controller in a version of its chart.
RELEASES = {"2.7.1": "5.6.1", "2.7.2": "5.6.2"}
_CHART = """\
apiVersion: v2
name: nginx-ingress
version: {version}
appVersion: {release}
"""
_VALUES = """\
controller:
  kind: deployment
  hostNetwork: false
  replicaCount: 1
  image:
    repository: nginx/nginx-ingress
  ingressClass:
    name: nginx
    create: true
    setAsDefaultIngress: false
  service:
    create: true
    type: LoadBalancer
"""
_OBJECTS = """\
{{- $labels := dict "app.kubernetes.io/name" .Chart.Name "app.kubernetes.io/instance" .Release.Name }}
{{- with .Values.controller }}
{{- if .ingressClass.create }}
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: {{ .ingressClass.name }}
spec:
  controller: nginx.org/ingress-controller
---
{{- end }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $.Release.Name }}-controller
spec:
  replicas: {{ .replicaCount }}
  selector:
    matchLabels: {{ toJson $labels }}
  template:
    metadata:
      labels: {{ toJson $labels }}
    spec:
      hostNetwork: {{ .hostNetwork }}
      containers:
        - name: nginx-ingress
          image: {{ .image.repository }}:{{ .image.tag | default $.Chart.AppVersion }}
          args:
            - -ingress-class={{ .ingressClass.name }}
---
{{- if .service.create }}
apiVersion: v1
kind: Service
metadata:
  name: {{ $.Release.Name }}-controller
spec:
  type: {{ .service.type }}
  selector: {{ toJson $labels }}
  ports:
    - {name: http, port: 80}
    - {name: https, port: 443}
{{- end }}
{{- end }}
"""


def write(folder: Path, version: str) -> Path:
    """Write the chart in some version; its directory."""
    chart = folder / f"nginx-ingress-{version}"
    files = {
        "Chart.yaml": _CHART.format(version=version, release=RELEASES[version]),
        "values.yaml": _VALUES,
        "templates/all.yaml": _OBJECTS,
    }
    for path, text in files.items():
        file = chart / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return chart
