"""`site` on Kubernetes."""

from __future__ import annotations

from ..model.encode import printed
from ..model.kinds import Resource, name_of, resource, spec_of
from . import inputs
from . import status as tables
from .cluster import ApiError, Cluster, wait_for, wait_gone
from .command import Call
from .errors import Failed, refuse

NONE = "There is no existing Skupper site resource"
# What `delete --all` removes besides the site, in this order; the links go with the site.
ALL = (
    "Connector",
    "Listener",
    "AccessToken",
    "AccessGrant",
    "RouterAccess",
    "SecuredAccess",
    "Certificate",
    "AttachedConnector",
    "AttachedConnectorBinding",
)


def create(call: Call) -> None:
    """Only the first site of a namespace."""
    cluster = Cluster(call)
    wrong: list[str] = []
    if cluster.checked("Site"):
        wrong.append("There is already a site created for this namespace")
    name = inputs.site_name(call, wrong)
    access = inputs.link_access(call, wrong)
    seconds = inputs.timeout(call, wrong)
    state = inputs.wait(call, wrong)
    refuse(wrong)
    cluster.create(resource("Site", name, cluster.namespace, linkAccess=access, ha=call["enable-ha"]))
    if state != "none":
        wait_for(cluster, "Site", name, state, seconds, "Ready")
        print(f'Site "{name}" is {state}.')


def generate(call: Call) -> None:
    """Prints what create would submit; no cluster is asked."""
    wrong: list[str] = []
    name = inputs.site_name(call, wrong)
    access = inputs.link_access(call, wrong)
    output = inputs.output(call, wrong, "format")
    refuse(wrong)
    made = resource("Site", name, call.namespace, linkAccess=access, ha=call["enable-ha"])
    print(printed(made, output or "yaml"), end="")


def _chosen(call: Call, sites: list[Resource], verb: str, wrong: list[str]) -> str:
    """The site that is meant."""
    if not sites:
        wrong.append(f"there is no existing Skupper site resource to {verb}")
    elif len(call.args) > 1:
        wrong.append("only one argument is allowed for this command")
    elif call.args:
        if call.args[0] in map(name_of, sites):
            return call.args[0]
        wrong.append(f'site with name "{call.args[0]}" is not available')
    elif len(sites) > 1:
        wrong.append("site name is required because there are several sites in this namespace")
    else:
        return name_of(sites[0])
    return ""


def update(call: Call) -> None:
    """Rebuilds the spec: only link access, and HA as it is given here, are in it."""
    cluster = Cluster(call)
    wrong: list[str] = []
    name = _chosen(call, cluster.checked("Site"), "update", wrong)
    access = inputs.link_access(call, wrong)
    seconds = inputs.timeout(call, wrong)
    state = inputs.wait(call, wrong)
    refuse(wrong)
    current = cluster.get("Site", name)
    access = access or spec_of(current).get("linkAccess") or ""
    new = resource("Site", name, cluster.namespace, linkAccess=access, ha=call["enable-ha"])
    new["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"]
    cluster.update(new)
    if state != "none":
        wait_for(cluster, "Site", name, state, seconds, "Ready")
        print(f'Site "{name}" is updated')


def delete(call: Call) -> None:
    """The site; with `--all` also what it leaves behind."""
    cluster = Cluster(call)
    wrong: list[str] = []
    name = _chosen(call, cluster.checked("Site"), "delete", wrong)
    seconds = inputs.timeout(call, wrong)
    refuse(wrong)
    cluster.delete("Site", name)
    for kind in ALL if call["all"] else ():
        try:
            found = cluster.all_of(kind)
        except ApiError:
            continue
        for one in found:
            cluster.delete(kind, name_of(one))
    if not call["wait"]:
        return
    if not wait_gone(cluster, "Site", name, seconds):
        raise Failed(f'Site "{name}" not deleted yet, check the status for more information\n')
    print(f'Site "{name}" is deleted')


def status(call: Call) -> None:
    """All sites of the namespace."""
    cluster = Cluster(call)
    if call.args:
        refuse(["this command does not need any arguments"])
    wrong: list[str] = []
    output = inputs.output(call, wrong)
    refuse(wrong)
    found = cluster.all_of("Site")
    if not found:
        print(NONE)
        return
    tables.sites(found, output)
