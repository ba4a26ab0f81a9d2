"""The configuration of NGINX for Ingress objects: a part of the stand-in for an ingress controller.

Two dialects of annotations are understood, by the controller that an IngressClass names. Where an annotation
says nothing, NGINX's own defaults hold (buffering on, 60 s of silence): less kind than ingress-nginx's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

COMMUNITY, F5 = "k8s.io/ingress-nginx", "nginx.org/ingress-controller"
PREFIXES = {COMMUNITY: "nginx.ingress.kubernetes.io/", F5: "nginx.org/"}
SAFE = re.compile(r"[\w./$:=,*()\[\]^?+\\ -]*")

# Annotation (without its prefix) to directive. A number alone means seconds where the directive is a time.
DIRECTIVES = {
    "proxy-connect-timeout": "proxy_connect_timeout",
    "proxy-read-timeout": "proxy_read_timeout",
    "proxy-send-timeout": "proxy_send_timeout",
    "proxy-buffering": "proxy_buffering",
    "proxy-request-buffering": "proxy_request_buffering",
    "proxy-body-size": "client_max_body_size",
    "client-max-body-size": "client_max_body_size",
    "proxy-buffer-size": "proxy_buffer_size",
    "proxy-max-temp-file-size": "proxy_max_temp_file_size",
    "proxy-http-version": "proxy_http_version",
    "proxy-next-upstream": "proxy_next_upstream",
}
# What `Location` looks at by name.
OTHERS = {
    "ssl-redirect",
    "force-ssl-redirect",
    "redirect-to-https",
    "rewrite-target",
    "use-regex",
    "rewrites",
    "backend-protocol",
}
SWITCHES = {"true": "on", "false": "off", "on": "on", "off": "off"}

FORWARDED = """\
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
"""

FRAME = """\
daemon off;
user root;
worker_processes 1;
error_log stderr notice;
pid {folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server_names_hash_bucket_size 128;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  # Pods see the ingress's address, not the machine's.
  proxy_bind {address};
  server {{
    listen {address}:80 default_server;
    listen {address}:443 ssl http2 default_server;
    ssl_certificate {folder}/self.crt;
    ssl_certificate_key {folder}/self.key;
    {default}
  }}
{servers}}}
"""


@dataclass(frozen=True)
class Location:
    """One path of a host and where it leads."""

    path: str
    kind: str
    upstream: str
    addresses: tuple[str, ...]
    annotations: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def regex(self) -> bool:
        return self.annotations.get("use-regex") == "true" or "rewrite-target" in self.annotations

    def matches(self) -> list[str]:
        """NGINX's ways to say which requests are meant."""
        path = self.path or "/"
        if self.regex:
            return [f'~* "^{path}"']
        if self.kind == "Exact":
            return [f"= {path}"]
        bare = path.rstrip("/")
        return ["/"] if not bare else [f"= {bare}", f"{bare}/"]

    def secure_only(self, tls: bool) -> bool:
        """Whether plain requests are sent to HTTPS."""
        said = self.annotations
        if "true" in (said.get("force-ssl-redirect"), said.get("redirect-to-https")):
            return True
        return tls and said.get("ssl-redirect", "true").lower() == "true"

    def render(self, tls: bool) -> str:
        """The blocks of this path."""
        lines = []
        if self.secure_only(tls):
            lines.append("if ($scheme = http) { return 308 https://$host$request_uri; }")
        for name, value in sorted(self.annotations.items()):
            if name in DIRECTIVES:
                lines.append(f"{DIRECTIVES[name]} {SWITCHES.get(value.lower(), value)};")
        if "proxy-http-version" not in self.annotations:
            lines.append("proxy_http_version 1.1;")
        if not self.addresses:
            lines.append("return 503;")
            target = ""
        else:
            target = f"http://{self.upstream}{self._rewritten()}"
        if "rewrite-target" in self.annotations:
            lines.append(f'rewrite "(?i){self.path}" {self.annotations["rewrite-target"]} break;')
        if target:
            lines.append(f"proxy_pass {target};")
        body = "".join(f"      {line}\n" for line in lines)
        return "".join(f"    location {match} {{\n{FORWARDED}{body}    }}\n" for match in self.matches())

    def _rewritten(self) -> str:
        """The path that F5's annotation puts in the place of the matched one."""
        for one in self.annotations.get("rewrites", "").split(";"):
            words = dict(word.split("=", 1) for word in one.split() if "=" in word)
            if words.get("serviceName") and self.upstream.startswith(f"{words['serviceName']}."):
                return words.get("rewrite", "")
        return ""


@dataclass
class Server:
    """A host, its paths, and the files of its certificate."""

    locations: list[Location] = field(default_factory=list)
    certificate: str = ""


def annotations_of(ingress: dict[str, Any], controller: str) -> tuple[dict[str, str], list[str]]:
    """The annotations for this controller without their prefix, and what is wrong with others."""
    prefix, known, wrong = PREFIXES[controller], {}, []
    name = f"{ingress['metadata']['namespace']}/{ingress['metadata']['name']}"
    for key, value in (ingress["metadata"].get("annotations") or {}).items():
        if not key.startswith(prefix):
            continue
        short = key.removeprefix(prefix)
        if short not in DIRECTIVES and short not in OTHERS:
            wrong.append(f"{name}: annotation {key} is not known here and is ignored")
        elif not SAFE.fullmatch(value.replace(";", "") if short == "rewrites" else value):
            wrong.append(f"{name}: annotation {key} is refused: {value!r}")
        else:
            known[short] = value
    return known, wrong


def render(servers: dict[str, Server], address: str, folder: str) -> str:
    """The whole configuration. The host '' is the server for names that nobody else has."""
    upstreams = {
        one.upstream: one.addresses
        for server in servers.values()
        for one in server.locations
        if one.addresses
    }
    text = "".join(
        f"  upstream {name} {{\n{''.join(f'    server {where};' + chr(10) for where in places)}  }}\n"
        for name, places in sorted(upstreams.items())
    )
    for host, server in sorted(servers.items()):
        if host:
            certificate = server.certificate or f"{folder}/self"
            text += (
                f"  server {{\n    server_name {host};\n    listen {address}:80;\n"
                f"    listen {address}:443 ssl http2;\n    ssl_certificate {certificate}.crt;\n"
                f"    ssl_certificate_key {certificate}.key;\n{_locations(server)}  }}\n"
            )
    default = _locations(servers[""]) if "" in servers else "location / { return 404; }"
    return FRAME.format(folder=folder, address=address, default=default, servers=text)


def _locations(server: Server) -> str:
    # NGINX takes the first expression that fits, so the longest comes first; the first Ingress has a path.
    kept: dict[str, Location] = {}
    for one in server.locations:
        kept.setdefault(one.matches()[0], one)
    ordered = sorted(kept.values(), key=lambda one: -len(one.path))
    text = "".join(one.render(bool(server.certificate)) for one in ordered)
    rest = any("/" in one.matches() for one in ordered)
    return text if rest else f"{text}    location / {{ return 404; }}\n"
