# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""From a token or a generated link to a link that works, and back to nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import time
import typing as t

from .cluster import ClusterStore
from .conditions import condition, summary
from .ensure import wait_for, wait_gone, waits
from .errors import InvalidValue, SkupperError, WaitFailed
from .kinds import ACCESS_TOKEN, KUBERNETES, LINK, SECRET, SITE, Kind
from .namespaces import FileStore
from .ownership import Object
from .session import Session
from .tokens import Link, belongs, probe, token_text

#: Seconds after which an AccessToken that was not redeemed is taken away again.
REDEEM_LIMIT = 10.0

#: Annotation of a Link that a token made: what its Secret was like then.
SEAL = "private-ai.chatbot/credentials"

#: Linux keeps it in memory: what a module that is killed leaves there is on no disk.
_MEMORY = "/dev/shm"  # noqa: S108 - what follows is made by us and for us alone

#: Paths that the command lets through; the names of tempfile have _ in them.
_CLI_PATH = re.compile(r"[A-Za-z0-9./~-]+")

BLOCKED = (
    "the controller may stay blocked for up to 135 s, because it waits for that server without a limit; "
    "deleting "
    "its pod ends that at once"
)


def own_links(session: Session, name: str) -> list[Object]:
    """Return the Links that the token or link ``name`` made."""
    return [one for one in session.store.all(LINK) if belongs(one, name)]


def leftovers(session: Session, name: str, kinds: t.Sequence[Kind]) -> list[tuple[Kind, str]]:
    """Return the objects of that name among ``kinds`` that exist."""
    return [(kind, name) for kind in kinds if session.store.get(kind, name) is not None]


def parts_of(session: Session, name: str) -> list[tuple[Kind, str]]:
    """Return everything of a link, in the order in which it is removed."""
    links = own_links(session, name)
    # The AccessToken first, or the controller might redeem it again.
    tokens = leftovers(session, name, [ACCESS_TOKEN])
    credentials = {str((one.get("spec") or {}).get("tlsCredentials") or name) for one in links} | {name}
    secrets = [part for one in sorted(credentials) for part in leftovers(session, one, [SECRET])]
    return [*tokens, *((LINK, one["metadata"]["name"]) for one in links), *secrets]


def check_probe(session: Session, token: Object) -> None:
    """Refuse a token that cannot be redeemed for sure, before the controller is given it."""
    wanted = session.params["probe"]
    if wanted == "none":
        return
    found = probe(token)
    name = token["metadata"]["name"]
    if found.good is False or (found.good is None and wanted == "required"):
        raise SkupperError(
            f"token {name} was not redeemed: {found.reason}; open the way to that server, or issue another "
            "token "
            "(nothing was changed)"
        )
    if found.good is None and session.platform == KUBERNETES:
        session.warnings.append(
            f"whether the server of token {name} answers cannot be told from here: {found.reason}. The "
            "controller is "
            "asked anyway; if it does not get through, " + BLOCKED
        )


def redeem(session: Session, token: Object) -> None:
    """Redeem a token once."""
    if isinstance(session.store, FileStore):
        redeem_on_host(session, token)
    else:
        redeem_on_cluster(session, session.store, token)


def redeem_on_host(session: Session, token: Object) -> None:
    """Let the command redeem, from a file that nobody else may read and that is gone afterwards."""
    folder = os.path.join(token_base(), f"skupper-{secrets.token_hex(8)}")
    os.mkdir(folder, 0o700)
    try:
        path = os.path.join(folder, "token.yaml")
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as stream:
            stream.write(token_text(token))
        session.cli().run(["token", "redeem", path])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    session.store = session.files()


def token_base() -> str:
    """Return the directory in which the command is given a token: in memory where there is one."""
    if os.path.isdir(_MEMORY) and os.access(_MEMORY, os.W_OK | os.X_OK):
        return _MEMORY
    base = tempfile.gettempdir()
    return base if _CLI_PATH.fullmatch(base) else "/tmp"  # noqa: S108 - only its parent: a directory of ours, mode 0700


def redeem_on_cluster(session: Session, store: ClusterStore, token: Object) -> None:
    """Let the controller redeem, and take the token away again in any case: left, it is tried every 30 s."""
    name = token["metadata"]["name"]
    metadata = {"name": name, "namespace": session.namespace}
    # One that somebody copied by hand may lack its apiVersion.
    body = {**token, "apiVersion": ACCESS_TOKEN.api_version, "metadata": metadata}
    store.api.apply(ACCESS_TOKEN, body, dry_run=False)
    try:
        wait_redeemed(store, name)
    finally:
        store.delete(ACCESS_TOKEN, name)


def wait_redeemed(store: ClusterStore, name: str, sleep: t.Callable[[float], None] = time.sleep) -> None:
    """Return when the controller has redeemed; WaitFailed with what it says otherwise."""
    began = time.monotonic()
    while True:
        live = store.get(ACCESS_TOKEN, name)
        found = condition(live, "Redeemed")
        if found is not None and found.get("status") == "True":
            return
        failed = found is not None and found.get("reason") == "Error"
        if failed or time.monotonic() - began >= REDEEM_LIMIT:
            said = (
                str(found.get("message"))
                if found
                else f"the controller did not answer within {REDEEM_LIMIT:.0f} s"
            )
            blocked = "" if found else f"; {BLOCKED}"
            raise WaitFailed(
                f"token {name} was not redeemed in namespace {store.namespace}: {said}; it was taken back "
                "so that it "
                f"is not tried again{blocked}. Conditions: {summary(live)}. Next: issue another token, and "
                "see "
                "kubectl get pods --all-namespaces | grep skupper-controller"
            )
        sleep(0.1)


def wanted_cost(session: Session, token: Object | None) -> int | None:
    """Return the cost that links must have: the option's, or the token's, which the command does not heed."""
    cost = session.params["cost"] or ((token or {}).get("spec") or {}).get("linkCost")
    return int(cost) if cost else None


def set_cost(session: Session, links: t.Sequence[Object], cost: int | None) -> list[Object]:
    """Return the links whose cost is not the wanted one, with it."""
    found = []
    for one in links:
        # Absent, 0 and 1 are the same to the router.
        if cost is not None and max(1, int((one.get("spec") or {}).get("cost") or 1)) != cost:
            metadata = {**one["metadata"], "namespace": session.namespace}
            found.append({**one, "metadata": metadata, "spec": {**one["spec"], "cost": cost}})
    return found


def seal(session: Session, link: Object) -> str | None:
    """Return a checksum of the Secret that a Link has its key from, None when there is none."""
    name = link["metadata"]["name"]
    secret = session.store.get(SECRET, str((link.get("spec") or {}).get("tlsCredentials") or name))
    if secret is None:
        return None
    data = json.dumps(secret.get("data") or {}, sort_keys=True)
    return hashlib.sha256(data.encode()).hexdigest()


def is_whole(session: Session, link: Object) -> bool:
    """Return whether a Link has the Secret that was made with it: Skupper notices neither loss nor change."""
    found = seal(session, link)
    noted = (link["metadata"].get("annotations") or {}).get(SEAL)
    return found is not None and noted in (None, found)


def keep(session: Session, link: Object) -> None:
    """Write one link's cost; all else of it is Skupper's. On hosts also what its Secret is like."""
    store = session.store
    if isinstance(store, ClusterStore):
        metadata = {key: link["metadata"][key] for key in ("name", "namespace")}
        store.api.merge(LINK, {"metadata": metadata, "spec": {"cost": link["spec"]["cost"]}}, dry_run=False)
        return
    name = link["metadata"]["name"]
    metadata = {"name": name, "namespace": session.namespace}
    sealed = seal(session, link)
    if sealed:
        metadata["annotations"] = {SEAL: sealed}
    wanted = {**link, "apiVersion": LINK.api_version, "kind": LINK.name, "metadata": metadata}
    store.apply(store.plan(wanted, store.get(LINK, name)))


def generated(session: Session, link: Link, given: str | None) -> list[Object]:
    """Return the objects of a link that was made elsewhere as they belong here, by the wanted name if any."""
    found = []
    many = len(link.links) > 1
    for number, one in enumerate((link.secret, *link.links)):
        name = given or one["metadata"]["name"]
        if given and many and number:
            name = f"{given}-{number}"
        kind = SECRET if one["kind"] == SECRET.name else LINK
        obj: Object = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": name, "namespace": session.namespace},
        }
        owners = one["metadata"].get("ownerReferences")
        if owners:  # what the controller made goes with its site
            obj["metadata"]["ownerReferences"] = owners
        if kind is SECRET:
            # Skupper on hosts writes none, and the controller takes no other.
            obj.update(data=one.get("data") or {}, type="kubernetes.io/tls")
        else:
            spec = dict(one["spec"])
            if given:
                spec["tlsCredentials"] = given
            if session.params["cost"] is not None:
                spec["cost"] = session.params["cost"]
            obj["spec"] = spec
        found.append(obj)
    return found


def touch(session: Session, links: t.Sequence[Object], sealed: bool = False) -> None:
    """Have the controller configure new links now: it only remembers a link when it first sees it.

    :param sealed: whether to note what their Secrets are like.
    """
    if isinstance(session.store, ClusterStore):
        for one in links:
            found = seal(session, one) if sealed else None
            value = str(one["metadata"].get("uid") or "new")
            session.store.touch(LINK, one["metadata"]["name"], value, {SEAL: found} if found else None)


def wait_operational(session: Session, name: str) -> list[Object]:
    """Return the links, after they carry traffic where that can be told."""
    found = own_links(session, name)
    if waits(session):
        for one in found:
            wait_for(session, LINK, one["metadata"]["name"], LINK.target)
        found = own_links(session, name)
    return found


def remove(session: Session, parts: t.Sequence[tuple[Kind, str]]) -> None:
    """Remove objects in the given order, and wait until they are gone."""
    for kind, name in parts:
        session.store.delete(kind, name)
    if waits(session):
        for kind, name in parts:
            wait_gone(session, kind, name)


def check_site(session: Session) -> None:
    """Refuse a cluster's namespace without a site: its controller would redeem nothing."""
    if session.platform == KUBERNETES and not session.store.all(SITE):
        raise InvalidValue(
            f"namespace {session.namespace} has no site; make it first with the module skupper_site"
        )
