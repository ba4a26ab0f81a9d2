"""Run the stand-in for Skupper's controller until it is told to end."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from ..model.crds import definitions
from . import Controller, Options


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.standins.skupper.controller", description=__doc__)
    add, known = parser.add_argument, Options()
    add("--kubeconfig", type=Path, default=os.environ.get("KUBECONFIG"), help="the API server")
    add("--fast", action="store_true", help="without the real controller's delays")
    add("--namespace", action="append", default=[], help="watch this namespace only; may be repeated")
    add("--routers", choices=("process", "pods", "none"), default=known.routers, help="how routers run")
    add("--host", default=known.host, help="address of this host for grants and for links to its routers")
    add("--grant-port", type=int, default=0, help="port of the grant server; a free one if not given")
    add("--cluster-host", default=known.cluster_host, help="address of a node, for link access nodeport")
    add("--access-types", default=",".join(known.access_types), help="link access; the first is the default")
    add("--router-image", default=known.router_image, help="image of the routers' pods")
    add("--collect", action="store_true", help="collect garbage: for an API server without controllers")
    add("--home", default=known.home, help="namespace in which the grant server's certificate is kept")
    add("--crds", action="store_true", help="print the definitions of Skupper's kinds as one List, and end")
    options = parser.parse_args()
    if not options.crds and not options.kubeconfig:
        parser.error("which API server? give --kubeconfig or set KUBECONFIG")
    return options


def main() -> None:
    """Entry point."""
    given = _options()
    if given.crds:
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": definitions()}))
        return
    options = Options(
        fast=given.fast,
        namespaces=tuple(given.namespace),
        routers=given.routers,
        host=given.host,
        grant_port=given.grant_port,
        cluster_host=given.cluster_host,
        access_types=tuple(given.access_types.split(",")),
        router_image=given.router_image,
        collect=given.collect,
        home=given.home,
    )
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: ended.set())
    with Controller(Path(given.kubeconfig), options) as controller:
        assert controller.grants.server
        print(f"serving: grants at {controller.grants.server.url}", flush=True)
        ended.wait()
    sys.exit(0)


if __name__ == "__main__":
    main()
