"""`token` on Kubernetes: the program asks, the controller issues and redeems."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path

from ..model import durations
from ..model.encode import clean, to_yaml
from ..model.kinds import API, Resource, name_of, resource, status_of
from ..model.layout import go_error
from . import inputs
from .cluster import Cluster, poll
from .command import Call
from .errors import Failed, refuse
from .kube_link import is_ready
from .local_token import read_token


def _writable(path: str, wrong: list[str]) -> None:
    if Path(path).is_dir():
        wrong.append("token file name is a directory")
        return
    try:
        with tempfile.NamedTemporaryFile(dir=Path(path).parent, prefix=Path(path).name):
            pass
    except OSError as error:
        reason = go_error(error, "open").rpartition(": ")[2]
        wrong.append(f"invalid token file name: {reason}")


def issue(call: Call) -> None:
    """A new grant at every call, and a file that everybody may read."""
    cluster = Cluster(call)
    cluster.checked("AccessGrant")
    wrong: list[str] = []
    path = inputs.token_file(call, "file name", wrong)
    if path:
        _writable(path, wrong)
    sites = cluster.checked("Site")
    active = next((one for one in sites if is_ready(one)), None)
    reachable = next((one for one in sites if status_of(one).get("endpoints")), None)
    if not sites:
        wrong.append(f"A site must exist in namespace {cluster.namespace} before a token can be created")
    elif active is None:
        wrong.append("there is no active skupper site in this namespace")
    elif reachable is None:
        wrong.append("You must enable link access for this site before you can create a token.")
    if call["redemptions-allowed"] < 1:
        wrong.append("number of redemptions is not valid")
    window = inputs.window(call, wrong)
    seconds = inputs.timeout(call, wrong)
    cost = inputs.cost(call, wrong)
    refuse(wrong)
    assert reachable is not None
    name = f"{name_of(reachable)}-{uuid.uuid4()}"
    allowed = int(call["redemptions-allowed"])
    cluster.create(
        resource("AccessGrant", name, cluster.namespace, redemptionsAllowed=allowed, expirationWindow=window)
    )

    def look() -> bool:
        grant = cluster.get("AccessGrant", name)
        if not is_ready(grant):
            return False
        _write(path, grant, cost)
        return True

    if not poll(seconds, look):
        raise Failed(f'grant "{name}" not ready yet, check the status for more information')
    print(f'\nGrant "{name}" is ready')
    print(f"Token file {path} created")
    print("\nTransfer this file to a remote site. At the remote site,")
    print('create a link to this site using the "skupper token redeem" command:')
    print("\n\tskupper token redeem <file>")
    lifetime = durations.show(float(call["expiration-window"]))
    print(f"\nThe token expires after {allowed} use(s) or after {lifetime}.")


def _write(path: str, grant: Resource, cost: int) -> None:
    given = {key: status_of(grant).get(key, "") for key in ("url", "code", "ca")}
    token = resource("AccessToken", name_of(grant), linkCost=cost, **given)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w", encoding="utf-8") as file:
        file.write(to_yaml(clean(token)))


def redeem(call: Call) -> None:
    """An AccessToken for the controller, and a wait until it is redeemed."""
    cluster = Cluster(call)
    cluster.checked("AccessToken")
    wrong: list[str] = []
    path = inputs.token_file(call, "token file name", wrong)
    sites = cluster.checked("Site")
    if not sites:
        wrong.append(f"A site must exist in namespace {cluster.namespace} before a token can be redeemed")
    elif not any(map(is_ready, sites)):
        wrong.append("there is no active skupper site in this namespace")
    if path:
        try:
            os.stat(path)
        except OSError as error:
            wrong.append(f"token file does not exist: {go_error(error, 'stat')}")
    seconds = inputs.timeout(call, wrong)
    refuse(wrong)
    token = _token(path)
    name = name_of(token)
    token["metadata"]["namespace"] = cluster.namespace
    cluster.create(token)

    def look() -> bool:
        return bool(status_of(cluster.get("AccessToken", name)).get("redeemed"))

    if not poll(seconds, look):
        raise Failed(f'Token "{name}" redeem not ready yet, check the status for more information\n')
    print(f'Token "{name}" has been redeemed')


def _token(path: str) -> Resource:
    """What is in the file; what cannot be read is an empty token here."""
    try:
        read = read_token(path)
    except Failed:
        read = {}
    metadata = read.get("metadata")
    return {
        "apiVersion": API,
        "kind": "AccessToken",
        "metadata": dict(metadata) if isinstance(metadata, dict) else {},
        "spec": read.get("spec") or {},
    }
