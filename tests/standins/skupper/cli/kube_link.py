"""`link` on Kubernetes."""

from __future__ import annotations

from ..model.conditions import find
from ..model.encode import printed
from ..model.kinds import Resource, name_of, resource, secret, spec_of, status_of
from . import inputs
from . import status as tables
from .cluster import ApiError, Cluster, poll, typed, wait_for, wait_gone
from .command import Call
from .errors import Failed, refuse

NO_SITE = "there is no skupper site in this namespace"


def is_ready(site: Resource) -> bool:
    """Whether a site is."""
    return (find(site, "Ready") or {}).get("status") == "True"


def generate(call: Call) -> None:
    """A Link for each router of this site, and the Secret for them; the Certificate behind it stays."""
    cluster = Cluster(call)
    cluster.checked("Certificate")
    sites = cluster.checked("Site")
    active = next((one for one in reversed(sites) if is_ready(one)), None)
    wrong: list[str] = []
    if not sites:
        wrong.append(NO_SITE)
    if active is None:
        wrong.append("there is no active skupper site in this namespace")
    if call.args:
        wrong.append("arguments are not allowed in this command")
    name = str(call["tls-credentials"])
    if not name and not call["generate-credential"]:
        wrong.append("the TLS secret name was not specified")
    inputs.credentials(call, "the name of the tls secret", wrong)
    cost = inputs.cost(call, wrong)
    output = inputs.output(call, wrong) or "yaml"
    seconds = inputs.timeout(call, wrong)
    refuse(wrong)
    assert active is not None
    endpoints = status_of(active).get("endpoints") or []
    if not endpoints:
        raise Failed(
            "A link cannot be generated because link access is not enabled. \n"
            ' Use "skupper site update --enable-link-access" to enable it.'
        )
    base = f"link-{name_of(active)}"
    name = name or base
    groups: dict[str, list[Resource]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.get("group", ""), []).append(endpoint)
    printable = [
        resource("Link", f"{base}-{group}", tlsCredentials=name, cost=cost, endpoints=ones)
        for group, ones in groups.items()
    ]
    if call["generate-credential"]:
        printable.append(_credential(cluster, active, name, [one["host"] for one in endpoints], seconds))
    texts = [printed(one, output) for one in printable]
    print(("---\n" if output == "yaml" else "").join(texts), end="")


def _credential(cluster: Cluster, site: Resource, name: str, hosts: list[str], seconds: float) -> Resource:
    if cluster.find("Certificate", name) is None:
        issuer = status_of(site).get("defaultIssuer", "")
        cluster.create(
            resource("Certificate", name, cluster.namespace, ca=issuer, client=True, subject=",".join(hosts))
        )
    made: list[Resource] = []

    def look() -> bool:
        data = cluster.get("Secret", name).get("data") or {}
        made.append(secret(name, {key: data.get(key, "") for key in ("ca.crt", "tls.crt", "tls.key")}))
        return True

    if not poll(seconds, look):
        raise Failed(f'TLS secret "{name}" not ready yet, check the status for more information\n')
    return {**made[0], "type": "kubernetes.io/tls"}


def _no_site(cluster: Cluster, wrong: list[str], text: str = NO_SITE) -> None:
    cluster.checked("Link")
    if not cluster.checked("Site"):
        wrong.append(text)


def _link_name(call: Call, wrong: list[str]) -> str:
    if not call.args or not call.args[0]:
        wrong.append("link name must not be empty")
    elif len(call.args) > 1:
        wrong.append("only one argument is allowed for this command")
    else:
        return call.args[0]
    return ""


def update(call: Call) -> None:
    """Credentials and cost; a cost that is not given becomes 1."""
    cluster = Cluster(call)
    wrong: list[str] = []
    _no_site(cluster, wrong)
    name = _link_name(call, wrong)
    if name:
        try:
            cluster.get("Link", name)
        except ApiError as error:
            wrong.append(f'the link "{name}" is not available in the namespace: {error}')
    credentials = str(call["tls-credentials"])
    if credentials:
        try:
            cluster.get("Secret", credentials)
        except ApiError as error:
            wrong.append(f'the TLS secret "{credentials}" is not available in the namespace: {error}')
    cost = inputs.cost(call, wrong)
    seconds = inputs.timeout(call, wrong)
    state = inputs.wait(call, wrong)
    refuse(wrong)
    current = cluster.get("Link", name)
    spec_of(current)["cost"] = cost
    if credentials:
        spec_of(current)["tlsCredentials"] = credentials
    cluster.update(current)
    if state != "none":
        wait_for(cluster, "Link", name, state, seconds, "Ready")
        print(f'Link "{name}" is updated')


def show(call: Call) -> None:
    """`link status`; links of others to this site are not there."""
    cluster = Cluster(call)
    wrong: list[str] = []
    _no_site(cluster, wrong, "there is no skupper site available")
    if len(call.args) > 1:
        wrong.append("this command only accepts one argument")
    output = inputs.output(call, wrong)
    refuse(wrong)
    if call.args and call.args[0]:
        tables.link(typed(cluster.get("Link", call.args[0])), output)
        return
    found = cluster.all_of("Link")
    if not found:
        print("There are no link resources in the namespace")
        return
    tables.links(found, output)


def delete(call: Call) -> None:
    """The Link; its Secret and its AccessToken stay."""
    cluster = Cluster(call)
    wrong: list[str] = []
    _no_site(cluster, wrong)
    name = _link_name(call, wrong)
    if name:
        try:
            cluster.get("Link", name)
        except ApiError:
            wrong.append(f'the link "{name}" is not available in the namespace')
    seconds = inputs.timeout(call, wrong)
    refuse(wrong)
    cluster.delete("Link", name)
    if not call["wait"]:
        return
    if not wait_gone(cluster, "Link", name, seconds):
        raise Failed(f'Link "{name}" not deleted yet, check the status for more information\n')
    print(f'Link "{name}" is deleted')
