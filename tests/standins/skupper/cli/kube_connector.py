"""`connector` on Kubernetes."""

from __future__ import annotations

from ..model.encode import printed
from ..model.kinds import resource, spec_of
from . import inputs, validate
from .cluster import ApiError, Cluster, wait_for
from .command import Call
from .errors import refuse
from .kube_listener import existing, must_be_new, new_port, remove, state, tls_secret

KINDS = {
    "deployment": "Deployment",
    "service": "Service",
    "daemonset": "DaemonSet",
    "statefulset": "StatefulSet",
}


def workload_selector(call: Call, cluster: Cluster, wrong: list[str]) -> str:
    """What `--workload` selects."""
    type_, name, error = validate.workload(str(call["workload"]))
    if error:
        wrong.append(f"workload is not valid: {error}")
        return ""
    kind = KINDS[type_]
    try:
        selector = cluster.get(kind, name)["spec"].get("selector") or {}
    except ApiError as problem:
        wrong.append(f"failed trying to get {kind} specified by workload: {problem}")
        return ""
    labels = selector if kind == "Service" else selector.get("matchLabels")
    if not labels:
        wrong.append(f"workload, no selector {'labels' if kind == 'Service' else 'Matchlabels'} found")
        return ""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _default_selector(call: Call, name: str) -> str:
    given = call["workload"] or call["selector"] or call["host"]
    return "" if given else f"app={name}"


def create(call: Call) -> None:
    """A new one, and a wait for Configured, which waits for its pods."""
    cluster = Cluster(call)
    cluster.checked("Connector")
    wrong: list[str] = []
    name, port = inputs.named_port(call, "connector", wrong)
    must_be_new(cluster, "Connector", name, wrong)
    key = inputs.routing_key(call, wrong)
    credentials = tls_secret(call, cluster, wrong)
    type_ = inputs.kind_of_traffic(call, "connector", wrong)
    selector = inputs.target(call, wrong)
    if call["workload"]:
        selector = workload_selector(call, cluster, wrong)
    seconds = inputs.timeout(call, wrong)
    wanted = inputs.wait(call, wrong)
    refuse(wrong)
    made = resource(
        "Connector",
        name,
        cluster.namespace,
        host=call["host"],
        port=port,
        routingKey=key or name,
        tlsCredentials=credentials,
        type=type_,
        includeNotReadyPods=call["include-not-ready"],
        selector=selector or _default_selector(call, name),
    )
    cluster.create(made)
    if wanted != "none":
        wait_for(cluster, "Connector", name, wanted, seconds, "Configured")
        print(f'Connector "{name}" is {wanted}.')


def generate(call: Call) -> None:
    """Prints what create would submit, but for a workload, which is not looked up: no selector then."""
    wrong: list[str] = []
    name, port = inputs.named_port(call, "connector", wrong)
    key = inputs.routing_key(call, wrong)
    credentials = inputs.credentials(call, "tlsCredentials", wrong)
    type_ = inputs.kind_of_traffic(call, "connector", wrong)
    selector = inputs.target(call, wrong)
    if call["workload"] and (error := validate.workload(str(call["workload"]))[2]):
        wrong.append(f"workload is not valid: {error}")
    output = inputs.output(call, wrong)
    refuse(wrong)
    made = resource(
        "Connector",
        name,
        call.namespace,
        host=call["host"],
        port=port,
        routingKey=key or name,
        tlsCredentials=credentials,
        type=type_,
        includeNotReadyPods=call["include-not-ready"],
        selector=selector or _default_selector(call, name),
    )
    print(printed(made, output), end="")


def _new_target(call: Call, cluster: Cluster, old: tuple[str, str], wrong: list[str]) -> tuple[str, str]:
    """(host, selector)."""
    host, selector = str(call["host"]), str(call["selector"])
    if selector and (error := validate.selector(selector)):
        wrong.append(f"selector is not valid: {error}")
    workload = workload_selector(call, cluster, wrong) if call["workload"] else ""
    if not (host or selector or workload):
        return old
    if host and (workload or selector):
        wrong.append("If host is configured, cannot configure workload or selector")
    if selector and (host or workload):
        wrong.append("If selector is configured, cannot configure workload or host")
    if workload and (selector or host):
        wrong.append("If workload is configured, cannot configure selector or host")
    return host, workload or selector


def update(call: Call) -> None:
    """Rebuilds the spec from what it knows; `--include-not-ready` is read and forgotten."""
    cluster = Cluster(call)
    cluster.checked("Connector")
    wrong: list[str] = []
    name = inputs.one_name(call, "connector", "configured", wrong)
    found = existing(cluster, "Connector", name, wrong)
    spec = dict(spec_of(found)) if found else {}
    key = inputs.routing_key(call, wrong) or spec.get("routingKey", "")
    credentials = tls_secret(call, cluster, wrong) or spec.get("tlsCredentials", "")
    type_ = inputs.kind_of_traffic(call, "connector", wrong) or spec.get("type", "")
    port = new_port(call, "connector", spec.get("port", 0), wrong)
    seconds = inputs.timeout(call, wrong)
    host, selector = _new_target(call, cluster, (spec.get("host", ""), spec.get("selector", "")), wrong)
    wanted = inputs.wait(call, wrong)
    refuse(wrong)
    assert found is not None
    made = resource(
        "Connector",
        name,
        cluster.namespace,
        host=host,
        port=port,
        routingKey=key,
        tlsCredentials=credentials,
        type=type_,
        selector=selector,
        includeNotReadyPods=spec.get("includeNotReadyPods", False),
    )
    made["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
    cluster.update(made)
    if wanted != "none":
        wait_for(cluster, "Connector", name, wanted, seconds, "Configured")
        print(f'Connector "{name}" is {wanted}.')


def delete(call: Call) -> None:
    """Removes it."""
    remove(call, "Connector")


def show(call: Call) -> None:
    """What there is."""
    state(call, "Connector")
