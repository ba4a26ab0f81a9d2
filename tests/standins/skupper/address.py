"""Where a listener of a site on Kubernetes is reached from this host, with the stand-ins or without them."""

from __future__ import annotations

from typing import Any

ADDRESS = "stand-in.skupper/address"


def address_of(service: dict[str, Any]) -> tuple[str, int]:
    """By its Service: what the stand-in has noted there, or else the cluster's own address."""
    noted = (service["metadata"].get("annotations") or {}).get(ADDRESS)
    if noted:
        host, _colon, port = noted.rpartition(":")
        return host, int(port)
    spec = service["spec"]
    return spec["clusterIP"], int(spec["ports"][0]["port"])
