"""The files of a site that runs: router configuration, certificates, static links, states."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import subprocess
import sys
import tarfile
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from ..model import certs, conditions, router_config
from ..model.encode import complete, to_yaml
from ..model.kinds import find_role, name_of, resource, secret, spec_of, status_of
from ..model.layout import (
    CERTS,
    INPUT_CERTS,
    INPUT_ISSUERS,
    ISSUERS,
    LINKS,
    MADE,
    PLATFORM,
    ROUTER,
    RUNTIME,
    SNAPSHOT,
    namespace_path,
    shown_path,
)
from ..model.site_state import LINK_ROLES, LOCAL, SiteState, StateError

SITE_CA, SERVICE_CA = "skupper-site-ca", "skupper-service-ca"
_CONNECT = """
{{
    "scheme": "amqps",
    "host": "{host}",
    "port": "{port}",
    "tls": {{
        "ca": "/etc/messaging/ca.crt",
        "cert": "/etc/messaging/tls.crt",
        "key": "/etc/messaging/tls.key",
        "verify": true
    }}
}}
"""


def addresses() -> list[str]:
    """The addresses of this host's interfaces that are not its own loop."""
    with contextlib.suppress(OSError):
        done = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=False)
        words = [line.split() for line in done.stdout.splitlines()]
        found = [one[3].partition("/")[0] for one in words if len(one) > 3 and one[2] in ("inet", "inet6")]
        return [one for one in found if not ipaddress.ip_address(one).is_loopback]
    return []


def certificates(state: SiteState) -> None:
    """Declare the certificates that accesses and services need."""
    state.certificate(SITE_CA, subject=SITE_CA, signing=True)
    for name, access in state["RouterAccess"].items():
        spec = spec_of(access)
        if not any(find_role(access, role) for role in LINK_ROLES):
            continue
        hosts = list(spec.get("subjectAlternativeNames") or [])
        if spec.get("bindHost") and spec["bindHost"] not in hosts:
            hosts.append(spec["bindHost"])
        issuer = spec.get("issuer") or SITE_CA
        if issuer != SITE_CA:
            state.certificate(issuer, subject=issuer, signing=True)
        held = spec.setdefault("tlsCredentials", "") or name
        spec["tlsCredentials"] = held
        state.certificate(held, ca=issuer, subject=name, hosts=hosts, server=True)
        state.certificate(f"client-{held}", ca=issuer, subject=f"client-{held}", client=True)
    state.certificate(SERVICE_CA, subject=SERVICE_CA, signing=True)
    for one in [*state["Listener"].values(), *state["Connector"].values()]:
        spec = spec_of(one)
        if spec.get("tlsCredentials"):
            state.certificate(
                spec["tlsCredentials"], ca=SERVICE_CA, subject=spec["host"], hosts=[spec["host"]], server=True
            )


def write(platform: str, loaded: SiteState, running: SiteState, home: Path | None = None) -> None:
    """Everything that a router and a person find after the start."""
    bundle = home is not None
    home = home or namespace_path(running.namespace)
    for part in MADE:
        (home / part).mkdir(mode=0o755, parents=True, exist_ok=True)
    running.site_id = running.site_id or str(uuid.uuid4())
    _write(home / ROUTER / "skrouterd.json", _router(platform, running, bundle))
    _certificate_files(home, running)
    _static_links(home, running)
    if not bundle:
        _write(home / PLATFORM, f"platform: {platform}\n")
    _set_status(running)
    _snapshot(home, loaded)
    _states(home / RUNTIME, running)


def _write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """As Go's WriteFile does: the mode is for a new file, and the umask takes from it."""
    data = content.encode() if isinstance(content, str) else content
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)


def _router(platform: str, state: SiteState, bundle: bool) -> str:
    held = {kind: list(state[kind].values()) for kind in ("RouterAccess", "Link", "Listener", "Connector")}
    folder = str(shown_path(state.namespace, CERTS)) if platform == "linux" else router_config.IN_CONTAINER
    if bundle:
        folder = "{{.SslProfileBasePath}}/runtime/certs"
    return router_config.render(
        name=f"{state.name}-{{{{.SiteNameSuffix}}}}" if bundle else router_config.router_name(state.name),
        site=state.site,
        site_id="{{.SiteId}}" if bundle else state.site_id,
        platform="{{.Platform}}" if bundle else platform,
        certs=folder,
        resources=held,
        namespace="{{.Namespace}}" if bundle else "",
    )


def _put_files(folder: Path, files: certs.Files, keep: bool = False) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if keep and path.exists():
            stamp = datetime.now().strftime("%Y/%m/%d %H:%M:%S")
            print(f"{stamp} WARN certificate will not be overwritten path={path}", file=sys.stderr)
            continue
        _write(path, content, 0o640)


def _files(folder: Path) -> certs.Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


def _given(state: SiteState, name: str, folder: Path, purpose: str) -> certs.Files:
    """What a person has put there for this certificate, as a Secret or as files."""
    files: certs.Files = {}
    if name in state["Secret"]:
        files = certs.decoded(state["Secret"][name].get("data"))
        print(f"-> User provided {purpose} found (secret): {name}")
    own = _files(folder / name)
    if {"ca.crt", "tls.crt", "tls.key"} <= own.keys():
        print(f"-> User provided {purpose} found (file): {name}")
        return own
    return files


def _certificate_files(home: Path, state: SiteState) -> None:
    declared = state["Certificate"]
    for name, one in declared.items():
        if spec_of(one).get("signing"):
            files = _given(state, name, home / INPUT_ISSUERS, "CA")
            folder = home / ISSUERS / name
            kept = not (home / INPUT_ISSUERS / name).is_dir() and folder.is_dir()
            # An authority that is there is kept; a new one would only be made to be thrown away.
            _put_files(
                folder, files or (_files(folder) if kept else certs.issue(spec_of(one)["subject"])), kept
            )
    for name, one in declared.items():
        spec = spec_of(one)
        purpose = next((word for word in ("client", "server") if spec.get(word)), "")
        if not purpose:
            continue
        files = _given(state, name, home / INPUT_CERTS, f"{purpose} certificate")
        authority = _files(home / ISSUERS / spec["ca"])
        if not authority:
            raise StateError(f"unable to create tls certificates: unable to load CA secret {spec['ca']}")
        files = files or certs.issue(spec["subject"], spec.get("hosts"), authority)
        if purpose == "client":
            files["connect.json"] = _connect(state).encode()
        _put_files(home / CERTS / name, files)
    for link in state["Link"].values():
        credentials = spec_of(link)["tlsCredentials"]
        files = certs.decoded(state["Secret"][credentials].get("data"))
        _put_files(home / CERTS / f"{credentials}-profile", files)


def _connect(state: SiteState) -> str:
    role = find_role(state["RouterAccess"][LOCAL], "normal") or {}
    return _CONNECT.format(host="127.0.0.1", port=role.get("port"))


def _static_links(home: Path, state: SiteState) -> None:
    """One file for each address of the server's certificate: a Secret, of no type, and a Link."""
    for name, access in state["RouterAccess"].items():
        ports = {role: (find_role(access, role) or {}).get("port") for role in LINK_ROLES}
        if not any(ports.values()):
            continue
        credentials = spec_of(access)["tlsCredentials"]
        client = _files(home / CERTS / f"client-{credentials}")
        hosts = [spec_of(access).get("bindHost") or "127.0.0.1"]
        hosts += certs.hosts_of(_files(home / CERTS / credentials)["tls.crt"])
        for host in dict.fromkeys(hosts):
            link = resource(
                "Link",
                f"link-{name}",
                tlsCredentials=f"link-{name}",
                cost=1,
                endpoints=[
                    {"name": role, "host": host, "port": str(ports[role])}
                    for role in reversed(LINK_ROLES)
                    if ports[role]
                ],
            )
            held = secret(f"link-{name}", certs.encoded(client))
            text = "".join(f"---\n{to_yaml(complete(one))}" for one in (held, link))
            _write(home / LINKS / f"link-{name}-{host}.yaml", text)


def _set_status(state: SiteState) -> None:
    """What start says at once, whatever the router does later."""
    for kind in ("Listener", "Connector", "Link", "RouterAccess"):
        for one in state[kind].values():
            conditions.put(one, "Configured")
    conditions.put(state.site, "Configured")
    conditions.put(state.site, "Running")
    endpoints: list[dict[str, Any]] = []
    for name, access in state["RouterAccess"].items():
        for role in spec_of(access)["roles"]:
            if role["name"] != "normal":
                host = spec_of(access).get("bindHost") or ""
                endpoint = {
                    "name": f"{name}-{role['name']}",
                    "port": str(role["port"]),
                    "group": "skupper-router",
                }
                endpoints.append({**endpoint, "host": host} if host else endpoint)
    if not endpoints:
        return
    for access in state["RouterAccess"].values():
        if any(find_role(access, role) for role in LINK_ROLES):
            status_of(access)["endpoints"] = endpoints
            conditions.put(access, "Resolved")
    status_of(state.site)["endpoints"] = endpoints
    conditions.put(state.site, "Resolved")


def _states(folder: Path, state: SiteState) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if state.site_id and not state.site["metadata"].get("uid"):
        state.site["metadata"]["uid"] = state.site_id
    for one in state.all():
        _write(folder / f"{one['kind']}-{name_of(one)}.yaml", to_yaml(complete(one)))


def _snapshot(home: Path, loaded: SiteState) -> None:
    """The state as it was loaded; the one before is kept as an archive."""
    folder = home / SNAPSHOT
    if any(folder.iterdir()):
        with tarfile.open(home / "sources.backup.tar.gz", "w:gz") as archive:
            archive.add(folder, arcname=".")
        shutil.rmtree(folder)
        folder.mkdir(mode=0o755)
    if not any((home / "input/resources").iterdir()):
        _states(home / "input/resources", loaded)
    _states(folder, loaded)
