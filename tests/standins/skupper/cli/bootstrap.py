"""`system start` and `reload`: the input becomes a running site. What a failed reload found there stays."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import zlib
from datetime import datetime
from pathlib import Path

from ..model import units
from ..model.engine import EngineError
from ..model.kinds import name_of, resource, spec_of
from ..model.layout import (
    CONTAINER_OUTPUT,
    INPUT,
    LINKS,
    MADE_AGAIN,
    PLATFORM,
    ROUTER,
    RUNTIME,
    in_container,
    namespace_path,
    shown_path,
)
from ..model.redeem import RedeemError, redeem
from ..model.router_config import site_id_of
from ..model.site_state import LOCAL, SiteState, StateError, check, load
from . import render
from .errors import Failed
from .routers import Router, router_of

BINARIES = {"linux": "skrouterd", "docker": "docker"}


def before(platform: str, namespace: str, source: str = "", bundle: bool = False) -> Path:
    """Whether there is a source and what is needed to run it; the directory of the source."""
    own = namespace_path(namespace, INPUT)
    defined = own.is_dir() and any(own.iterdir())
    if not source and defined:
        print(f'Sources will be consumed from namespace "{namespace}"')
        source = str(own)
    elif not source:
        print(f'Namespace "{namespace}" does not exist')
        raise Failed(f"No sources found at: {shown_path(namespace, INPUT)}\n")
    elif defined and not in_container():
        raise Failed(
            f"Input path has been provided, but namespace {namespace} has input sources defined at:\n"
            f" {shown_path(namespace, INPUT)}\n"
        )
    if in_container():
        for folder in (CONTAINER_OUTPUT, Path("/input")):
            if not folder.exists():
                raise Failed(f"Failed to stat {folder}: stat {folder}: no such file or directory\n")
    elif not bundle and not shutil.which(BINARIES.get(platform, "podman")):
        binary = BINARIES.get(platform, "podman")
        raise Failed(f'Platform "{platform}" is not available:\n ERROR! Command not found: {binary}')
    return Path(source)


def platform_of(namespace: str) -> str:
    """The platform that a namespace was started with."""
    path = namespace_path(namespace, PLATFORM)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StateError(
            f"failed to read platform config file for namespace {namespace or 'default'}: "
            f"open {path}: no such file or directory"
        ) from error
    return text.partition(":")[2].strip()


def _runs_already(platform: str, namespace: str) -> bool:
    try:
        found = platform_of(namespace)
    except StateError as error:
        if namespace_path(namespace, RUNTIME).exists():
            raise StateError(
                f'unable to determine current platform used in namespace "{namespace}"'
            ) from error
        return False
    if found != platform:
        raise StateError(f'existing namespace uses "{found}" platform and it cannot change to "{platform}"')
    return True


def start(platform: str, namespace: str) -> None:
    """The whole of `system start` and `system reload`."""
    source = before(platform, namespace)
    try:
        reload = _runs_already(platform, namespace)
        try:
            loaded = load(source)
        except StateError as error:
            raise StateError(f"failed to load site state: {error}") from error
        if loaded.namespace != namespace:
            raise StateError(
                f'namespace must be "{namespace}", but sources are defined using "{loaded.namespace}"'
            )
        try:
            check(loaded)
            run(platform, loaded, reload)
        except (StateError, EngineError, units.UnitError) as error:
            raise StateError(f"failed to render site state: {error}") from error
    except StateError as error:
        raise Failed(f"Failed to bootstrap: {error}") from error
    after(platform, loaded)


def run(platform: str, loaded: SiteState, reload: bool) -> None:
    """Render and start a site; when a reload fails, what ran before is put back."""
    router = router_of(platform, loaded.namespace)
    if not reload:
        _render_and_start(platform, loaded, router)
        return
    home = namespace_path(loaded.namespace)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".backup-") as folder:
        backup = Path(folder, "namespace")
        shutil.copytree(home, backup, symlinks=True)
        loaded.site_id = site_id_of((home / ROUTER / "skrouterd.json").read_text(encoding="utf-8"))
        try:
            router.stop(loaded.site_id)
            for part in MADE_AGAIN:
                shutil.rmtree(home / part, ignore_errors=True)
                (home / part).mkdir(parents=True)
            _render_and_start(platform, loaded, router)
        except BaseException:
            print("Bootstrap failed, restoring namespace", file=sys.stderr)
            shutil.rmtree(home)
            shutil.copytree(backup, home, symlinks=True)
            router.put_back(loaded.site_id)
            raise
        router.forget()


def _render_and_start(platform: str, loaded: SiteState, router: Router) -> None:
    running = loaded.copy()
    router.prepare()
    redeem_all(running)
    local_access(running)
    if spec_of(running.site).get("linkAccess") not in (None, "", "none"):
        link_access(running)
    render.certificates(running)
    render.write(platform, loaded, running)
    router.start(running.site_id)


def redeem_all(state: SiteState) -> None:
    """Every AccessToken of the input is redeemed at every start; one that fails fails the start."""
    failed = 0
    for name, token in state["AccessToken"].items():
        try:
            redeemed = redeem(token, state.name)
        except RedeemError as error:
            failed += 1
            stamp = datetime.now().strftime("%Y/%m/%d %H:%M:%S")
            words = f"failed to redeem claim name={name} error={json.dumps(str(error))}"
            print(f"{stamp} ERROR RedeemClaims: {words}", file=sys.stderr)
            continue
        for one in (redeemed.secret, *redeemed.links):
            one["metadata"]["namespace"] = state.namespace
            state.add(one)
    if failed:
        raise StateError(f"failed to redeem claims: failed to redeem {failed} claims")


def free_port(port: int) -> int:
    """The next port that nobody listens on."""
    while port < 1 << 16:
        with socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
                probe.listen()
                return port
            except OSError:
                port += 1
    raise StateError("no available ports found")


def local_access(state: SiteState, bundle: bool = False) -> None:
    """The access for tools on this host."""
    if LOCAL in state["RouterAccess"]:
        return
    # Tests beside each other share a network, where the first free port is soon another router's.
    spread = os.environ.get("SKUPPER_STANDIN_LOCAL_PORTS")
    first = int(spread) + zlib.crc32(state.namespace.encode()) % 1000 if spread else 5671
    port = 5671 if bundle else free_port(first)
    names = {end: f"{LOCAL}-{end}" for end in ("ca", "server", "client")}
    access = resource(
        "RouterAccess",
        LOCAL,
        state.namespace,
        roles=[{"name": "normal", "port": port}],
        bindHost="127.0.0.1",
        tlsCredentials=names["server"],
        issuer=names["ca"],
    )
    state.add(access)
    hosts = ["127.0.0.1", "localhost"]
    state.certificate(names["ca"], subject=names["ca"], hosts=hosts, signing=True)
    state.certificate(names["server"], subject="127.0.0.1", hosts=hosts, ca=names["ca"], server=True)
    state.certificate(names["client"], subject="127.0.0.1", hosts=hosts, ca=names["ca"], client=True)


def link_access(state: SiteState) -> None:
    """The access for other sites, unless one of the site's name is declared."""
    if state.name in state["RouterAccess"]:
        return
    inter, edge = free_port(55671), free_port(45671)
    roles = [{"name": "inter-router", "port": inter}, {"name": "edge", "port": edge}]
    hosts = ["0.0.0.0", "::", socket.gethostname(), *render.addresses()]
    state.add(
        resource("RouterAccess", state.name, state.namespace, roles=roles, subjectAlternativeNames=hosts)
    )


def after(platform: str, state: SiteState) -> None:
    """What a started site is told about."""
    print(f'Site "{name_of(state.site)}" has been created on namespace "{state.namespace}"')
    print(f"Platform: {platform}")
    links = namespace_path(state.namespace, LINKS)
    if links.is_dir() and os.listdir(links):
        print("Static links have been defined at:", shown_path(state.namespace, LINKS))
    print("Definition is available at:", shown_path(state.namespace, INPUT))
