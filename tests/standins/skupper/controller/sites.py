"""Sites: one in a namespace, its certificates, its link access, and whether its router runs."""

from __future__ import annotations

from ..kube import KubeError, Object
from ..model import conditions
from ..model.kinds import CLI_VERSION, resource, spec_of, status_of
from .parts import CONTROLLED, Parts
from .world import own_copy, owned_by, owner

ROUTER, LOCAL = "skupper-router", "skupper-router-local"
SITE_CA = "skupper-site-ca"
NO_SITE = "No active site in namespace"
# Where the router answers the site's own tools.
LOCAL_PORT = 5671


class Sites(Parts):
    """Handles Sites."""

    def handle(self, event: str, site: Object) -> None:
        """A Site is new, has changed, or is gone."""
        namespace, uid = site["metadata"]["namespace"], site["metadata"]["uid"]
        if event == "DELETED":
            self._gone(namespace, uid)
            return
        new = own_copy(site)
        status_of(new)["controller"] = {
            "name": "skupper-controller",
            "namespace": self.options.home,
            "version": CLI_VERSION,
        }
        other = self.active_site(namespace)
        if other is not None and other["metadata"]["uid"] != uid:
            self._refuse(
                site, new, f"An active site already exists in the namespace ({other['metadata']['name']})"
            )
            return
        self.active[namespace] = uid
        access = spec_of(new).get("linkAccess") or "none"
        if access not in ("none", "default", *self.options.access_types):
            self._refuse(site, new, f"Unsupported value for LinkAccess: {access}")
            return
        try:
            self._certificates(new)
        except KubeError as error:
            # What an earlier site or controller left: it goes, or is found to be ours, in a moment.
            self._refuse(site, new, str(error))
            name = site["metadata"]["name"]
            self.world.later(0.25, lambda: self.world.look("Site", namespace, name))
            return
        if access != "none":
            self._router_access(new, access)
        status_of(new)["defaultIssuer"] = spec_of(new).get("defaultIssuer") or SITE_CA
        conditions.put(new, "Configured")
        self.world.tell(site, new)
        self._local_service(new)
        self.render(namespace)
        self.resolve(namespace)

    def _refuse(self, site: Object, new: Object, message: str) -> None:
        conditions.put(new, "Configured", ok=False, reason="Error", message=message)
        self.world.tell(site, new)

    def _gone(self, namespace: str, uid: str) -> None:
        if self.active.get(namespace) == uid:
            del self.active[namespace]
            self.runner.stop(namespace)
            for token in self.world.all("AccessToken", namespace):
                self.world.look("AccessToken", *_key(token))
        self.collect(namespace, uid)

    def _certificates(self, site: Object) -> None:
        name = site["metadata"]["name"]
        namespace = site["metadata"]["namespace"]
        hosts = [LOCAL, f"{LOCAL}.{namespace}", f"{LOCAL}.{namespace}.svc.cluster.local"]
        wanted = (
            ("skupper-site-ca", {"subject": f"{name} site CA", "signing": True}),
            ("skupper-local-ca", {"subject": f"{name} local CA", "signing": True}),
            (
                "skupper-local-server",
                {"ca": "skupper-local-ca", "subject": LOCAL, "hosts": hosts, "server": True},
            ),
        )
        for certificate, spec in wanted:
            live = self.world.find("Certificate", namespace, certificate)
            if live is None or not owned_by(live, site["metadata"]["uid"]):
                self.world.create(self.certificate(certificate, namespace, owner(site), **spec))

    def _router_access(self, site: Object, access: str) -> None:
        roles = [{"name": "inter-router", "port": 55671}, {"name": "edge", "port": 45671}]
        issuer = spec_of(site).get("defaultIssuer") or SITE_CA
        spec = {"generateTlsCredentials": True, "issuer": issuer, "tlsCredentials": "skupper-site-server"}
        if access != "default":
            spec["accessType"] = access
        one = resource("RouterAccess", ROUTER, site["metadata"]["namespace"], roles=roles, **spec)
        one["metadata"].update(annotations=dict(CONTROLLED), ownerReferences=owner(site))
        self.world.ensure(one)

    def _local_service(self, site: Object) -> None:
        port = {"name": "amqps", "port": LOCAL_PORT, "targetPort": LOCAL_PORT, "protocol": "TCP"}
        self.world.ensure(self.service(LOCAL, site["metadata"]["namespace"], [port], owner(site)))

    def resolve(self, namespace: str) -> None:
        """The site's endpoints and whether they are known, by its RouterAccesses."""
        site = self.active_site(namespace)
        if site is None or not conditions.find(site, "Configured"):
            return
        new = own_copy(site)
        accesses = self.world.all("RouterAccess", namespace)
        endpoints = [one for access in accesses for one in status_of(access).get("endpoints") or []]
        wanted = spec_of(site).get("linkAccess") not in (None, "", "none")
        if endpoints:
            status_of(new)["endpoints"] = endpoints
            conditions.put(new, "Resolved")
        elif accesses or wanted or conditions.find(site, "Resolved"):
            status_of(new).pop("endpoints", None)
            conditions.put(new, "Resolved", ok=False, message="Pending")
        self.world.tell(site, new)

    def running(self, namespace: str, waiting: str) -> None:
        """Whether the router runs, or what is waited for."""
        site = self.active_site(namespace)
        if site is None:
            return
        new = own_copy(site)
        conditions.put(new, "Running", ok=not waiting, message=waiting)
        self.world.tell(site, new)


def _key(one: Object) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]
