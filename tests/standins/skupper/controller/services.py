"""Listeners with their Services, and Connectors with the pods that they choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..address import ADDRESS
from ..kube import Object
from ..model import conditions
from ..model.kinds import spec_of, status_of
from .parts import Parts
from .sites import NO_SITE
from .world import key_of, own_copy, owner

if TYPE_CHECKING:
    from .controller import Controller

LISTENER = "internal.skupper.io/listener"
# The router's own ports for listeners begin here.
FIRST_PORT = 1024


class Bound(Parts):
    """What the router has of an object; the same spec is not looked at twice.

    A status that could not be written, because somebody wrote the object meanwhile, is lost with that.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self._bound: dict[tuple[str, str], tuple[str, Object]] = {}

    def known(self, one: Object) -> bool:
        """Whether the site has exactly this already; from now on it has."""
        key, site = key_of(one), self.active_site(one["metadata"]["namespace"])
        now = (site["metadata"]["uid"] if site else "", spec_of(one))
        if self._bound.get(key) == now:
            return True
        self._bound[key] = now
        return False

    def forget(self, one: Object) -> None:
        """The site does not have it."""
        self._bound.pop(key_of(one), None)


class Listeners(Bound):
    """Handles Listeners."""

    def handle(self, event: str, listener: Object) -> None:
        """One is new, has changed, or is gone."""
        namespace, name = listener["metadata"]["namespace"], listener["metadata"]["name"]
        if event == "DELETED":
            self.forget(listener)
            self._drop_services(namespace, name, "")
            self.render(namespace)
            return
        wrong = self._wrong(listener)
        new = own_copy(listener)
        if wrong:
            self.forget(listener)
            conditions.put(new, "Configured", ok=False, reason="Error", message=wrong)
            self.world.tell(listener, new)
            return
        self._service(listener)
        if self.known(listener):
            return
        conditions.put(new, "Configured")
        self.world.tell(listener, new, strict=True)
        self.render(namespace)

    def _wrong(self, listener: Object) -> str:
        namespace, name, spec = (
            listener["metadata"]["namespace"],
            listener["metadata"]["name"],
            spec_of(listener),
        )
        if self.active_site(namespace) is None:
            return NO_SITE
        for other in self.world.all("Listener", namespace):
            same = all(spec_of(other).get(part) == spec.get(part) for part in ("host", "port"))
            state = conditions.find(other, "Configured")
            if other["metadata"]["name"] != name and same and state and state["status"] == "True":
                where = f"host {spec['host']} and port {spec['port']}"
                return f"Listener {other['metadata']['name']} with {where} already exists in namespace"
        service = self.world.find("Service", namespace, spec["host"])
        # One that was made a moment ago may not have been seen yet; it is not ours to take.
        service = service or self.world.kube.find("Service", namespace, spec["host"])
        if service is not None and LISTENER not in (service["metadata"].get("labels") or {}):
            return f"Service {spec['host']} already exists in namespace"
        return ""

    def _service(self, listener: Object) -> None:
        namespace, name, spec = (
            listener["metadata"]["namespace"],
            listener["metadata"]["name"],
            spec_of(listener),
        )
        site = self.active_site(namespace)
        assert site is not None
        target = self.target_port(namespace, name)
        port = {"name": name, "port": spec["port"], "targetPort": target, "protocol": "TCP"}
        one = self.service(spec["host"], namespace, [port], owner(site), labels={LISTENER: name})
        address = self.runner.listener_address(namespace, name)
        if address:
            one["metadata"]["annotations"][ADDRESS] = f"{address[0]}:{address[1]}"
        self.world.ensure(one)
        self._drop_services(namespace, name, spec["host"])

    def target_port(self, namespace: str, name: str) -> int:
        """The port in the router's pod; a Service that is there says which."""
        taken: dict[str, int] = {}
        for service in self.world.all("Service", namespace):
            listener = (service["metadata"].get("labels") or {}).get(LISTENER)
            if listener:
                taken[listener] = service["spec"]["ports"][0]["targetPort"]
        return taken.get(name) or next(
            port for port in range(FIRST_PORT, 1 << 16) if port not in taken.values()
        )

    def _drop_services(self, namespace: str, listener: str, but: str) -> None:
        for service in self.world.all("Service", namespace):
            metadata = service["metadata"]
            if (metadata.get("labels") or {}).get(LISTENER) == listener and metadata["name"] != but:
                self.world.delete("Service", namespace, metadata["name"])


class Connectors(Bound):
    """Handles Connectors."""

    def handle(self, event: str, connector: Object) -> None:
        """One is new, has changed, or is gone."""
        namespace = connector["metadata"]["namespace"]
        self.render(namespace)
        if event == "DELETED":
            self.forget(connector)
            return
        if self.known(connector) and event != "POD":
            return
        new = own_copy(connector)
        if self.active_site(namespace) is None:
            conditions.put(new, "Configured", ok=False, reason="Error", message=NO_SITE)
        elif self.hosts(connector):
            conditions.put(new, "Configured")
        elif conditions.find(connector, "Configured"):
            conditions.put(new, "Configured", ok=False, reason="Error", message="No matches for selector")
        if spec_of(connector).get("exposePodsByName"):
            status_of(new)["selectedPods"] = [
                {"name": pod["metadata"]["name"], "ip": pod["status"]["podIP"]}
                for pod in self._pods(connector)
            ]
        self.world.tell(connector, new, strict=event != "POD")

    def hosts(self, connector: Object) -> list[str]:
        """What is connected to: the host, or the pods that the selector chooses."""
        spec = spec_of(connector)
        if spec.get("host"):
            return [spec["host"]]
        return [pod["status"]["podIP"] for pod in self._pods(connector)]

    def _pods(self, connector: Object) -> list[Object]:
        spec = spec_of(connector)
        if not spec.get("selector"):
            return []
        pairs = [part.partition("=") for part in spec["selector"].replace("==", "=").split(",")]
        wanted = {key.strip(): value.strip() for key, _sign, value in pairs}
        return [
            pod
            for pod in self.world.all("Pod", connector["metadata"]["namespace"])
            if wanted.items() <= (pod["metadata"].get("labels") or {}).items()
            and (pod.get("status") or {}).get("podIP")
            and not pod["metadata"].get("deletionTimestamp")
            and (spec.get("includeNotReadyPods") or _is_ready(pod))
        ]


def _is_ready(pod: Object) -> bool:
    found = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in found)


class Pods(Parts):
    """Handles Pods: connectors may choose others, and the router's own tell how it runs."""

    def handle(self, event: str, pod: Object) -> None:
        """One is new, has changed, or is gone."""
        namespace = pod["metadata"]["namespace"]
        self.runner.pod_changed(namespace)
        for connector in self.world.all("Connector", namespace):
            if spec_of(connector).get("selector"):
                self.world.look("Connector", namespace, connector["metadata"]["name"], "POD")
