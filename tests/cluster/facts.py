"""What others need to know of a running test cluster."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Facts:
    """Kept as cluster.json."""

    kubeconfig: str
    host: str
    ingress: str
    dns: str
    visitors: list[str]
    nodes: dict[str, str]
    pids: dict[str, int]
    pods: str
    services: str
    load_balancers: str
    probe_image: str
    supervisor: int
    folder: str
    # The process that enforces policies; 0 before it is there.
    policies: int = 0

    def write(self, file: Path) -> None:
        """All or nothing: the file's being there means that the cluster is ready."""
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self), indent=2))
        draft.rename(file)

    @staticmethod
    def of_api(kubeconfig: Path, folder: Path) -> Facts:
        """An API on loopback without nodes, of this process."""
        return Facts(
            kubeconfig=str(kubeconfig),
            host="127.0.0.1",
            ingress="",
            dns="",
            visitors=[],
            nodes={},
            pids={},
            pods="",
            services="",
            load_balancers="",
            probe_image="",
            supervisor=os.getpid(),
            folder=str(folder),
        )

    @staticmethod
    def read(file: Path) -> Facts:
        """FileNotFoundError when there is no cluster."""
        return Facts(**json.loads(file.read_text()))
