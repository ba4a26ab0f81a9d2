"""Further kinds for a while on the API server of these tests: tests/cluster/crds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.client import Client
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.errors import ClusterError

from tests.cluster.cluster import CRDS

PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def _served(client: Client, definition: dict[str, Any]) -> bool:
    spec = definition["spec"]
    try:
        client.request("GET", f"/apis/{spec['group']}/v1/{spec['names']['plural']}")
    except ClusterError:
        return False
    return True


def _until(client: Client, definitions: list[dict[str, Any]], served: bool) -> None:
    end = time.monotonic() + 60
    while any(_served(client, one) != served for one in definitions):
        assert time.monotonic() < end, f"after a minute the kinds are {'not ' if served else ''}served"
        time.sleep(0.2)


@contextmanager
def kinds(client: Client, name: str) -> Iterator[None]:
    """The kinds in crds/<name>.yaml; not always there, since the role decides by them where they are."""
    definitions = list(yaml.safe_load_all((CRDS / f"{name}.yaml").read_text()))
    try:
        for one in definitions:
            client.request("POST", PATH, body=one)
        _until(client, definitions, served=True)
        yield
    finally:
        for one in definitions:
            client.request("DELETE", f"{PATH}/{one['metadata']['name']}")
        _until(client, definitions, served=False)
