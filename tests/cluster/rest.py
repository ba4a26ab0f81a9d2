"""The Kubernetes API in a few lines, for the programs beside the test cluster that only list and patch."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

MANAGER = "test-cluster"


class Rest:
    """Requests with the certificate of a kubeconfig as ControlPlane writes it."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text())
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        # The ssl module reads a key from a file only.
        pair = folder / "rest.pem"
        pair.touch(mode=0o600)
        pair.write_text(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
        context.load_cert_chain(pair)
        self._client = httpx.Client(base_url=cluster["server"], verify=context, trust_env=False, timeout=30)

    def items(self, path: str) -> list[dict[str, Any]]:
        """The objects of a collection; none while the API does not know it."""
        answer = self._client.get(path)
        if answer.status_code == 404:
            return []
        return list(_checked(answer).get("items") or [])

    def get(self, path: str) -> dict[str, Any] | None:
        """One object, or None."""
        answer = self._client.get(path)
        return None if answer.status_code == 404 else _checked(answer)

    def apply(self, path: str, content: dict[str, Any]) -> None:
        """Make or change an object."""
        _checked(
            self._client.patch(
                path,
                params={"fieldManager": MANAGER, "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml"},
                content=json.dumps(content),
            )
        )

    def set_status(self, path: str, status: dict[str, Any]) -> None:
        """Change an object's status."""
        headers = {"Content-Type": "application/merge-patch+json"}
        _checked(
            self._client.patch(f"{path}/status", headers=headers, content=json.dumps({"status": status}))
        )


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise RuntimeError(f"{answer.request.method} {answer.request.url}: {answer.text[:500]}")
    return dict(answer.json())


def every(seconds: float, work: Callable[[], None]) -> None:
    """Do it again and again; an API that does not answer for a moment is asked again."""
    while True:
        try:
            work()
        except (httpx.HTTPError, RuntimeError) as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        time.sleep(seconds)
