"""What the controller knows of the cluster, and the one thread in which it acts.

Threads watch the kinds; one event after the other is handled by a single thread, so that what takes long
holds up everything, as in the real controller.
"""

from __future__ import annotations

import copy
import functools
import heapq
import http.client
import itertools
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from ..kube import Kube, KubeError, Object

Handler = Callable[[str, Object], None]
Key = tuple[str, str]
AGAIN = 0.3  # seconds until something that failed is tried again
GONE = (http.client.NOT_FOUND, http.client.FORBIDDEN)
WATCHED = (
    "Secret",
    "Service",
    "ConfigMap",
    "Pod",
    "Certificate",
    "SecuredAccess",
    "RouterAccess",
    "Site",
    "Listener",
    "Connector",
    "AccessGrant",
    "Link",
    "AccessToken",
)
# What is looked at again at every resync.
RESYNCED = (
    "Certificate",
    "SecuredAccess",
    "RouterAccess",
    "Site",
    "Listener",
    "Connector",
    "Link",
    "AccessToken",
)


def log(text: str) -> None:
    """Tell what a person may want to know."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def key_of(one: Object) -> Key:
    """Namespace and name."""
    return one["metadata"]["namespace"], one["metadata"]["name"]


def version_of(one: Object) -> int:
    """The version of an object: newer is larger in every API server that stores in etcd."""
    return int(one["metadata"].get("resourceVersion") or 0)


class World:
    """A cache of the watched kinds, and the queue of what is to be done."""

    def __init__(self, kube: Kube, namespaces: tuple[str, ...], resync: float) -> None:
        self.kube = kube
        self.namespaces = namespaces
        self.resync = resync
        #: A test that shows that nothing waits for a resync has none meanwhile.
        self.rests = False
        self.cache: dict[str, dict[Key, Object]] = {kind: {} for kind in WATCHED}
        self.handlers: dict[str, Handler] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._wake = threading.Condition()
        self._waiting_jobs: set[Any] = set()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._opened: list[http.client.HTTPConnection] = []
        self._listed = threading.Semaphore(0)

    # --- the queue

    def later(self, seconds: float, job: Callable[[], None], once: Any = None) -> None:
        """Do something in the one thread; of jobs with the same `once` only one waits."""
        with self._wake:
            if once is not None:
                if once in self._waiting_jobs:
                    return
                self._waiting_jobs.add(once)

            def run() -> None:
                self._waiting_jobs.discard(once)
                job()

            heapq.heappush(self._queue, (time.monotonic() + seconds, next(self._count), run))
            self._wake.notify()

    def start(self) -> None:
        """Watch and act; returns when everything that exists is known."""
        for kind in WATCHED:
            for namespace in self.namespaces or ("",):
                self._thread(self._watch, kind, namespace)
        for _each in range(len(WATCHED) * len(self.namespaces or ("",))):
            if not self._listed.acquire(timeout=60):
                raise TimeoutError(
                    "the API server did not list every kind within 60 s; are the CRDs installed?"
                )
        self._thread(self._work)
        self.later(self.resync, self._again)

    def _thread(self, work: Callable[..., None], *arguments: str) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """End every thread; one that waits for a grant server ends by itself."""
        self._ended.set()
        with self._wake:
            self._wake.notify_all()
        for connection in list(self._opened):
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(2)
                except OSError:
                    continue
        for thread in self._threads:
            thread.join(2)

    def _work(self) -> None:
        while not self._ended.is_set():
            with self._wake:
                if not self._queue or self._queue[0][0] > time.monotonic():
                    wait = self._queue[0][0] - time.monotonic() if self._queue else None
                    self._wake.wait(wait)
                    continue
                job = heapq.heappop(self._queue)[2]
            try:
                job()
            except (KubeError, OSError) as error:
                # What is gone, or goes with its namespace, is left to the next resync.
                gone = isinstance(error, KubeError) and error.status in GONE
                if not self._ended.is_set() and not gone:
                    log(f"tried again: {error}")
                    self.later(AGAIN, job)
            except Exception:
                traceback.print_exc()

    def _again(self) -> None:
        self.later(self.resync, self._again)
        if self.rests:
            return
        for kind in RESYNCED:
            for key in list(self.cache[kind]):
                self.later(0, functools.partial(self.look, kind, *key, "RESYNC"))

    # --- watching

    def _watch(self, kind: str, namespace: str) -> None:
        first = True
        while not self._ended.is_set():
            try:
                found, version = self.kube.all(kind, namespace)
                for one in found:
                    self._seen("ADDED", kind, one)
                there = {key_of(one) for one in found}
                for key, one in list(self.cache[kind].items()):
                    if not first and key not in there and (not namespace or key[0] == namespace):
                        self._seen("DELETED", kind, one)
                if first:
                    first = False
                    self._listed.release()
                for event, one in self.kube.watch(kind, namespace, version, self._opened):
                    if event == "ERROR":
                        break
                    if event != "BOOKMARK":
                        self._seen(event, kind, one)
            except (KubeError, OSError, ValueError, http.client.HTTPException, AttributeError) as error:
                if not self._ended.is_set():
                    log(f"watching {kind} again: {error}")
                    self._ended.wait(AGAIN)

    def _seen(self, event: str, kind: str, one: Object) -> None:
        one.setdefault("kind", kind)
        self.later(0, lambda: self._handle(event, kind, one))

    def _handle(self, event: str, kind: str, one: Object) -> None:
        held = self.cache[kind]
        known = held.get(key_of(one))
        if event == "DELETED":
            if known is None or known["metadata"]["uid"] == one["metadata"]["uid"]:
                held.pop(key_of(one), None)
        elif known is not None and version_of(known) > version_of(one):
            return
        else:
            held[key_of(one)] = one
        handler = self.handlers.get(kind)
        if handler:
            handler(event, one)

    def look(self, kind: str, namespace: str, name: str, event: str = "LOOK") -> None:
        """Handle an object as if it had changed, if it is there."""
        one = self.cache[kind].get((namespace, name))
        handler = self.handlers.get(kind)
        if one is not None and handler:
            handler(event, one)

    # --- reading and writing

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """An object as it was last seen."""
        return self.cache.get(kind, {}).get((namespace, name))

    def all(self, kind: str, namespace: str) -> list[Object]:
        """All of a kind in a namespace, oldest first."""
        found = [one for key, one in self.cache[kind].items() if key[0] == namespace]
        return sorted(
            found, key=lambda one: (one["metadata"].get("creationTimestamp") or "", one["metadata"]["name"])
        )

    def _keep(self, kind: str, one: Object) -> Object:
        one.setdefault("kind", kind)
        known = self.cache.get(kind, {}).get(key_of(one))
        if kind in self.cache and (known is None or version_of(known) <= version_of(one)):
            self.cache[kind][key_of(one)] = one
        return one

    def create(self, one: Object) -> Object:
        """Make an object; KubeError when it is there."""
        return self._keep(one["kind"], self.kube.create(one))

    def ensure(self, one: Object) -> Object:
        """Make an object, or give it the spec, data, labels and annotations that it should have."""
        namespace, name = key_of(one)
        live = self.find(one["kind"], namespace, name)
        if live is None:
            live = self.kube.find(one["kind"], namespace, name)
        if live is None:
            return self.create(one)
        change: Object = {
            part: one[part]
            for part in ("spec", "data")
            if part in one and not _within(one[part], live.get(part))
        }
        metadata = {
            part: one["metadata"][part]
            for part in ("labels", "annotations", "ownerReferences")
            if part in one["metadata"] and not _within(one["metadata"][part], live["metadata"].get(part))
        }
        if metadata:
            change["metadata"] = metadata
        if not change:
            return live
        return self._keep(one["kind"], self.kube.merge(one["kind"], namespace, name, change))

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove an object, if it is there; from now on nothing is made again for it."""
        self.kube.delete(kind, namespace, name)
        self.cache[kind].pop((namespace, name), None)

    def tell(self, old: Object, new: Object, strict: bool = False) -> Object:
        """Write the status of an object where it differs.

        :param strict: KubeError when somebody has written the object since it was seen.
        """
        before, after = old.get("status") or {}, new.get("status") or {}
        if before == after:
            return old
        change: Object = {key: value for key, value in after.items() if before.get(key) != value}
        change.update({key: None for key in before if key not in after})
        kind, (namespace, name) = new["kind"], key_of(new)
        try:
            part: Object = {"status": change}
            if strict:
                part["metadata"] = {"resourceVersion": old["metadata"]["resourceVersion"]}
            return self._keep(kind, self.kube.merge(kind, namespace, name, part, "status"))
        except KubeError as error:
            if error.status == http.client.NOT_FOUND:
                return old
            raise


def own_copy(one: Object) -> Object:
    """A copy to change."""
    return copy.deepcopy(one)


def owner(one: Object) -> list[Object]:
    """What makes something go with its owner."""
    metadata = one["metadata"]
    return [
        {
            "apiVersion": one.get("apiVersion") or "skupper.io/v2alpha1",
            "kind": one["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
    ]


def owned_by(one: Object, uid: str) -> bool:
    """Whether something goes with the owner of this uid."""
    return any(each["uid"] == uid for each in one["metadata"].get("ownerReferences") or [])


def _within(wanted: Any, live: Any) -> bool:
    """Whether everything wanted is there; a list must be the same in what it says."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(_within(value, live.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and len(wanted) == len(live) and all(map(_within, wanted, live))
    return bool(json.dumps(wanted) == json.dumps(live))
