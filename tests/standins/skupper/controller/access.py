"""Link access: RouterAccess, the SecuredAccess and Service behind it, and the certificates of both."""

from __future__ import annotations

from ..kube import Object
from ..model import certs, conditions
from ..model.kinds import resource, secret, spec_of, status_of
from .parts import CONTROLLED, Parts
from .sites import NO_SITE, SITE_CA
from .world import own_copy, owner

GROUP = "skupper.io/group"
OF_ACCESS = "internal.skupper.io/routeraccess"


class RouterAccesses(Parts):
    """Handles RouterAccesses."""

    def handle(self, event: str, access: Object) -> None:
        """One is new, has changed, or is gone."""
        namespace, name = access["metadata"]["namespace"], access["metadata"]["name"]
        if event == "DELETED":
            self.collect(namespace, access["metadata"]["uid"])
            self.controller.sites.resolve(namespace)
            self.render(namespace)
            return
        new = own_copy(access)
        site = self.active_site(namespace)
        if site is None:
            conditions.put(new, "Configured", ok=False, reason="Error", message=NO_SITE)
            self.world.tell(access, new)
            return
        conditions.put(new, "Configured")
        spec = spec_of(access)
        roles = [
            {"name": role["name"], "port": role["port"], "targetPort": role["port"], "protocol": "TCP"}
            for role in spec["roles"]
        ]
        groups = self.controller.groups(site)
        for number, group in enumerate(groups):
            wanted = resource(
                "SecuredAccess",
                name if number == 0 else f"{name}-{number + 1}",
                namespace,
                accessType=spec.get("accessType"),
                certificate=spec.get("tlsCredentials"),
                issuer=spec.get("issuer") or SITE_CA,
                ports=roles,
                selector={"skupper.io/component": "router", GROUP: group},
            )
            wanted["metadata"].update(
                annotations={**CONTROLLED, OF_ACCESS: name}, ownerReferences=owner(access)
            )
            self.world.ensure(wanted)
        self._resolve(new, groups)
        self.world.tell(access, new)
        self.controller.sites.resolve(namespace)
        self.render(namespace)

    def _resolve(self, access: Object, groups: list[str]) -> None:
        namespace, name = access["metadata"]["namespace"], access["metadata"]["name"]
        endpoints: list[Object] = []
        for secured in self.world.all("SecuredAccess", namespace):
            if (secured["metadata"].get("annotations") or {}).get(OF_ACCESS) != name:
                continue
            group = spec_of(secured)["selector"][GROUP]
            if group not in groups:
                self.world.delete("SecuredAccess", namespace, secured["metadata"]["name"])
                continue
            endpoints += [{**one, "group": group} for one in status_of(secured).get("endpoints") or []]
        if endpoints:
            status_of(access)["endpoints"] = sorted(endpoints, key=lambda one: (one["group"], one["name"]))
            conditions.put(access, "Resolved")
        else:
            status_of(access).pop("endpoints", None)
            conditions.put(access, "Resolved", ok=False, message="Pending")


class SecuredAccesses(Parts):
    """Handles SecuredAccesses."""

    def handle(self, event: str, secured: Object) -> None:
        """One is new, has changed, or is gone."""
        namespace, name = secured["metadata"]["namespace"], secured["metadata"]["name"]
        if event == "DELETED":
            self.collect(namespace, secured["metadata"]["uid"])
            return
        new, spec = own_copy(secured), spec_of(secured)
        type_ = spec.get("accessType") or self.options.access_types[0]
        if type_ not in self.options.access_types:
            conditions.put(new, "Resolved", ok=False, reason="Error", message="unsupported access type")
            conditions.put(new, "Configured")
            self.world.tell(secured, new)
            return
        types = {"loadbalancer": "LoadBalancer", "nodeport": "NodePort"}
        service = self.service(
            name,
            namespace,
            spec["ports"],
            owner(secured),
            selector=spec["selector"],
            type_=types.get(type_, "ClusterIP"),
        )
        # One router stands behind the addresses of both when a site is to be highly available.
        service["spec"]["selector"][GROUP] = self.controller.groups({})[0]
        live = self.world.ensure(service)
        endpoints = self.runner.endpoints(secured, live, type_)
        self._certificate(secured, [one["host"] for one in endpoints])
        if endpoints:
            status_of(new)["endpoints"] = endpoints
            conditions.put(new, "Resolved")
        else:
            status_of(new).pop("endpoints", None)
            conditions.put(new, "Resolved", ok=False, message="Pending")
        conditions.put(new, "Configured")
        self.world.tell(secured, new)
        access = (secured["metadata"].get("annotations") or {}).get(OF_ACCESS)
        if access:
            self.world.look("RouterAccess", namespace, access)

    def _certificate(self, secured: Object, addresses: list[str]) -> None:
        """One certificate for all routers of an access, with every name that they are reached at."""
        namespace, name = secured["metadata"]["namespace"], secured["metadata"]["name"]
        spec = spec_of(secured)
        certificate = spec.get("certificate") or name
        live = self.world.find("Certificate", namespace, certificate)
        access_name = (secured["metadata"].get("annotations") or {}).get(OF_ACCESS, "")
        access = self.world.find("RouterAccess", namespace, access_name) or {}
        hosts = [name, f"{name}.{namespace}", f"{name}.{namespace}.svc.cluster.local"]
        hosts += [*addresses, *(spec_of(access).get("subjectAlternativeNames") or [])]
        known = list(spec_of(live).get("hosts") or []) if live else []
        wanted = known + [host for host in dict.fromkeys(hosts) if host not in known]
        if live is not None and wanted == known:
            return
        one = self.certificate(
            certificate,
            namespace,
            live["metadata"]["ownerReferences"] if live else owner(secured),
            ca=spec.get("issuer") or SITE_CA,
            subject=name,
            hosts=wanted,
            server=True,
        )
        self.world.ensure(one)


class Certificates(Parts):
    """Handles Certificates: the Secret of the same name."""

    def handle(self, event: str, certificate: Object) -> None:
        """One is new, has changed, or is gone."""
        namespace, name = certificate["metadata"]["namespace"], certificate["metadata"]["name"]
        if event == "DELETED":
            self.collect(namespace, certificate["metadata"]["uid"])
            return
        spec = spec_of(certificate)
        authority = None
        if spec.get("ca"):
            found = self.world.find("Secret", namespace, spec["ca"])
            if found is None:
                self.world.later(
                    0.1, lambda: self.world.look("Certificate", namespace, name), once=("ca", namespace, name)
                )
                return
            authority = certs.decoded(found["data"])
        live = self.world.find("Secret", namespace, name)
        if live is None or not self._fits(live, spec, authority):
            files = certs.issue(spec["subject"], spec.get("hosts"), authority, quick=self.habits.quick_keys)
            made = secret(name, certs.encoded(files), namespace, "kubernetes.io/tls")
            made["metadata"].update(annotations=dict(CONTROLLED), ownerReferences=owner(certificate))
            self.world.ensure(made)
        new = own_copy(certificate)
        conditions.put(new, "Ready")
        for part in ("status", "message"):
            status_of(new).pop(part, None)
        self.world.tell(certificate, new)

    @staticmethod
    def _fits(live: Object, spec: Object, authority: certs.Files | None) -> bool:
        files = certs.decoded(live.get("data"))
        if "tls.crt" not in files:
            return False
        if authority is not None and files.get("ca.crt") != authority["tls.crt"]:
            return False
        return set(spec.get("hosts") or []) <= set(certs.hosts_of(files["tls.crt"]))


class Services(Parts):
    """Handles Services: one that was removed by hand is made again."""

    def handle(self, event: str, service: Object) -> None:
        """One is new, has changed, or is gone."""
        metadata = service["metadata"]
        if not (metadata.get("annotations") or {}).get("internal.skupper.io/controlled"):
            return
        namespace, name = metadata["namespace"], metadata["name"]
        listener = (metadata.get("labels") or {}).get("internal.skupper.io/listener")
        if event == "DELETED" and listener:
            self.world.look("Listener", namespace, listener)
        self.world.look("SecuredAccess", namespace, name)


class Secrets(Parts):
    """Handles Secrets: a certificate's is made again, a link that waits for its own goes on."""

    def handle(self, event: str, one: Object) -> None:
        """One is new, has changed, or is gone."""
        namespace, name = one["metadata"]["namespace"], one["metadata"]["name"]
        if event == "DELETED":
            self.world.look("Certificate", namespace, name)
            return
        # The real one does not look at the link then; it waits for the link's own next event.
        for link in self.world.all("Link", namespace) if not self.habits.second_event else ():
            if spec_of(link).get("tlsCredentials") == name and not conditions.find(link, "Configured"):
                self.world.look("Link", namespace, link["metadata"]["name"])
        self.render(namespace)
