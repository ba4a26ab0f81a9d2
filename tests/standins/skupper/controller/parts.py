"""What the handlers of the kinds have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kube import Object
from ..model.kinds import resource

if TYPE_CHECKING:
    from .controller import Controller
    from .options import Habits, Options
    from .runners import Runner
    from .world import World

CONTROLLED = {"internal.skupper.io/controlled": "true"}
SELECTOR = {"application": "skupper-router", "skupper.io/component": "router"}
# What goes with its owner; in this order, so that nothing is made again by what is still there.
COLLECTED = ("Link", "RouterAccess", "SecuredAccess", "Certificate", "Service", "ConfigMap", "Secret")


class Parts:
    """A handler of one kind, with what all of them need."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    @property
    def world(self) -> World:
        """The cluster."""
        return self.controller.world

    @property
    def options(self) -> Options:
        """The controller's options."""
        return self.controller.options

    @property
    def habits(self) -> Habits:
        """The controller's habits."""
        return self.controller.habits

    @property
    def runner(self) -> Runner:
        """What runs routers."""
        return self.controller.runner

    @property
    def active(self) -> dict[str, str]:
        """The uid of the Site that counts, by namespace."""
        return self.controller.active

    def active_site(self, namespace: str) -> Object | None:
        """The Site that counts in a namespace."""
        uid = self.active.get(namespace)
        sites = self.world.all("Site", namespace)
        return next((one for one in sites if one["metadata"]["uid"] == uid), None)

    def render(self, namespace: str) -> None:
        """Have the router's configuration written soon."""
        self.world.later(0.02, lambda: self.controller.render(namespace), once=("render", namespace))

    def collect(self, namespace: str, uid: str) -> None:
        """Do what Kubernetes' garbage collector does, where there is none."""
        if not self.options.collect:
            return
        for kind in COLLECTED:
            for one in self.world.all(kind, namespace):
                if any(each["uid"] == uid for each in one["metadata"].get("ownerReferences") or []):
                    self.world.delete(kind, namespace, one["metadata"]["name"])
                    self.collect(namespace, one["metadata"]["uid"])

    @staticmethod
    def certificate(name: str, namespace: str, owners: list[Object], **spec: Any) -> Object:
        """A Certificate of Skupper."""
        one = resource("Certificate", name, namespace, **spec)
        one["spec"].setdefault("ca", "")
        one["metadata"].update(
            annotations=dict(CONTROLLED),
            labels={"internal.skupper.io/certificate": "true"},
            ownerReferences=owners,
        )
        return one

    @staticmethod
    def service(
        name: str,
        namespace: str,
        ports: list[Object],
        owners: list[Object],
        labels: dict[str, str] | None = None,
        selector: dict[str, str] | None = None,
        type_: str = "ClusterIP",
    ) -> Object:
        """A Service before the router."""
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "annotations": dict(CONTROLLED),
                "ownerReferences": owners,
                **({"labels": labels} if labels else {}),
            },
            "spec": {"type": type_, "ports": ports, "selector": dict(selector or SELECTOR)},
        }
