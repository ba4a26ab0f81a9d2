"""The stand-in controller as a whole."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from ..kube import Kube, KubeError, Object
from ..model import conditions, router_config
from ..model.kinds import Resource, resource, spec_of
from ..router.adaptor import CONFIG, CONFIG_MAP, STATUS_MAP
from .access import OF_ACCESS, Certificates, RouterAccesses, Secrets, SecuredAccesses, Services
from .grants import Grants, GrantServer
from .links import Links, Tokens
from .network import Network
from .options import Options
from .parts import CONTROLLED
from .pods import PodRouters
from .runners import Processes, Runner
from .services import Connectors, Listeners, Pods
from .sites import LOCAL_PORT, ROUTER, Sites
from .world import World, own_copy, owner

NAME = "skupper-controller"
RUNNERS: dict[str, type[Runner]] = {"process": Processes, "pods": PodRouters, "none": Runner}


class Controller:
    """Works from `with` until its end."""

    def __init__(self, kubeconfig: Path, options: Options | None = None) -> None:
        self.options = options or Options()
        self.habits = self.options.habits
        self.world = World(Kube.of_kubeconfig(kubeconfig), self.options.namespaces, self.habits.resync)
        self.active: dict[str, str] = {}
        self.sites = Sites(self)
        self.listeners = Listeners(self)
        self.connectors = Connectors(self)
        self.grants = Grants(self)
        self.runner = RUNNERS[self.options.routers](self)
        self.world.handlers = {
            "Site": self.sites.handle,
            "RouterAccess": RouterAccesses(self).handle,
            "SecuredAccess": SecuredAccesses(self).handle,
            "Certificate": Certificates(self).handle,
            "Secret": Secrets(self).handle,
            "Service": Services(self).handle,
            "Listener": self.listeners.handle,
            "Connector": self.connectors.handle,
            "Pod": Pods(self).handle,
            "Link": Links(self).handle,
            "AccessToken": Tokens(self).handle,
            "AccessGrant": self.grants.handle,
            "ConfigMap": Network(self).handle,
        }

    def start(self) -> Controller:
        """Serve grants, watch and act."""
        if not self.options.namespaces:
            self._announce()
        self.grants.server = GrantServer(self.grants)
        self.world.start()
        return self

    def stop(self) -> None:
        """End with all routers."""
        self.world.stop()
        self.runner.stop_all()
        if not self.options.namespaces:
            self.world.kube.delete("Deployment", self.options.home, NAME)
        if self.grants.server:
            self.grants.server.stop()

    def _announce(self) -> None:
        """A Deployment of the real one's name, by which people see that it is there; it has no pods."""
        labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": "skupper"}
        container = {"name": "controller", "image": "stand-in"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        one = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": self.options.home, "labels": labels},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        }
        try:
            self.world.kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": self.options.home}})
        except KubeError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        self.world.ensure(one)

    def __enter__(self) -> Controller:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *error: object) -> None:
        self.stop()

    @staticmethod
    def groups(site: Object) -> list[str]:
        """The groups of a site's routers."""
        return [ROUTER, f"{ROUTER}-2"] if spec_of(site).get("ha") else [ROUTER]

    def render(self, namespace: str) -> None:
        """Write the configuration of a site's router, and have it run."""
        site = next(
            (
                one
                for one in self.world.all("Site", namespace)
                if one["metadata"]["uid"] == self.active.get(namespace)
            ),
            None,
        )
        if site is None:
            return
        text = router_config.render(
            name=site["metadata"]["name"],
            site=site,
            site_id=site["metadata"]["uid"],
            platform="kubernetes",
            certs=router_config.IN_CONTAINER,
            identity="${HOSTNAME}",
            resources={
                "RouterAccess": self._accesses(namespace),
                "Link": self._configured("Link", namespace),
                "Listener": self._listeners(namespace),
                "Connector": self._connectors(namespace),
            },
        )
        metadata = {
            "name": CONFIG_MAP,
            "namespace": namespace,
            "annotations": dict(CONTROLLED),
            "ownerReferences": owner(site),
        }
        self.world.ensure(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {CONFIG: text}}
        )
        self.runner.ensure(namespace)
        # What was removed and made again is the same to the network, but has no status yet.
        wait = self.habits.delays.new_site + 0.3
        self.world.later(wait, lambda: self._tell_network(namespace), once=("network", namespace))

    def _tell_network(self, namespace: str) -> None:
        self.world.look("ConfigMap", namespace, STATUS_MAP)

    def _configured(self, kind: str, namespace: str) -> list[Resource]:
        found = []
        for one in self.world.all(kind, namespace):
            state = conditions.find(one, "Configured")
            if state and state["status"] == "True":
                found.append(own_copy(one))
        return found

    def _accesses(self, namespace: str) -> list[Resource]:
        local = resource(
            "RouterAccess",
            "skupper-local",
            namespace,
            roles=[{"name": "normal", "port": LOCAL_PORT}],
            tlsCredentials="skupper-local-server",
        )
        found = [local] if self.options.routers == "pods" else []
        for secured in self.world.all("SecuredAccess", namespace):
            spec, metadata = spec_of(secured), secured["metadata"]
            if not (metadata.get("annotations") or {}).get(OF_ACCESS) or not spec.get("certificate"):
                continue
            if not self.world.find("Secret", namespace, spec["certificate"]):
                continue
            roles = [
                {"name": role["name"], "port": self.runner.port(secured, role)} for role in spec["ports"]
            ]
            found.append(
                resource(
                    "RouterAccess",
                    metadata["name"],
                    namespace,
                    roles=roles,
                    bindHost=self.runner.bind_host(),
                    tlsCredentials=spec["certificate"],
                )
            )
        return found

    def _listeners(self, namespace: str) -> list[Resource]:
        found = self._configured("Listener", namespace)
        for one in found:
            port = self.runner.listener_port(namespace, one["metadata"]["name"])
            spec_of(one).update(host=self.runner.listen_host, port=port)
        return found

    def _connectors(self, namespace: str) -> list[Resource]:
        found = []
        for one in self.world.all("Connector", namespace):
            for host in self.connectors.hosts(one):
                found.append(own_copy(one))
                spec_of(found[-1])["host"] = host
        return found
