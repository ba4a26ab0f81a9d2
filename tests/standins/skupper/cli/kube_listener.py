"""`listener` on Kubernetes, and what `connector` has in common with it."""

from __future__ import annotations

from ..model.encode import printed
from ..model.kinds import Resource, resource, spec_of
from . import inputs
from . import status as tables
from .cluster import ApiError, Cluster, typed, wait_for, wait_gone
from .command import Call
from .errors import Failed, refuse


def tls_secret(call: Call, cluster: Cluster, wrong: list[str]) -> str:
    """`--tls-credentials`: the Secret must be there."""
    name = str(call["tls-credentials"])
    if name:
        try:
            cluster.get("Secret", name)
        except ApiError:
            wrong.append("tls-secret is not valid: does not exist")
    return name


def must_be_new(cluster: Cluster, kind: str, name: str, wrong: list[str]) -> None:
    """Also one that is the same is in the way."""
    if name and cluster.find(kind, name) is not None:
        noun = kind.lower()
        wrong.append(f"There is already a {noun} {name} created for namespace {cluster.namespace}")


def existing(cluster: Cluster, kind: str, name: str, wrong: list[str]) -> Resource | None:
    """The one that is changed."""
    found = cluster.find(kind, name) if name else None
    if name and found is None:
        wrong.append(f"{kind.lower()} {name} must exist in namespace {cluster.namespace} to be updated")
    return found


def new_port(call: Call, noun: str, old: int, wrong: list[str]) -> int:
    """`--port`, if it is given."""
    if call["port"] < 0:
        wrong.append(f"{noun} port is not valid: value is not positive")
    return int(call["port"]) or old


def create(call: Call) -> None:
    """A new one, and a wait for Configured."""
    cluster = Cluster(call)
    cluster.checked("Listener")
    wrong: list[str] = []
    name, port = inputs.named_port(call, "listener", wrong)
    must_be_new(cluster, "Listener", name, wrong)
    key = inputs.routing_key(call, wrong)
    credentials = tls_secret(call, cluster, wrong)
    type_ = inputs.kind_of_traffic(call, "listener", wrong)
    seconds = inputs.timeout(call, wrong)
    state = inputs.wait(call, wrong)
    refuse(wrong)
    spec = {"host": call["host"] or name, "port": port, "routingKey": key or name}
    cluster.create(
        resource("Listener", name, cluster.namespace, **spec, tlsCredentials=credentials, type=type_)
    )
    if state != "none":
        wait_for(cluster, "Listener", name, state, seconds, "Configured")
        print(f'Listener "{name}" is {state}.')


def generate(call: Call) -> None:
    """Prints what create would submit; no cluster is asked."""
    wrong: list[str] = []
    name, port = inputs.named_port(call, "listener", wrong)
    key = inputs.routing_key(call, wrong)
    credentials = inputs.credentials(call, "tlsCredentials", wrong)
    type_ = inputs.kind_of_traffic(call, "listener", wrong)
    output = inputs.output(call, wrong)
    refuse(wrong)
    spec = {"host": call["host"] or name, "port": port, "routingKey": key or name}
    made = resource("Listener", name, call.namespace, **spec, tlsCredentials=credentials, type=type_)
    print(printed(made, output), end="")


def update(call: Call) -> None:
    """Rebuilds the spec; a routing key that is not given is lost."""
    cluster = Cluster(call)
    cluster.checked("Listener")
    wrong: list[str] = []
    name = inputs.one_name(call, "listener", "configured", wrong)
    found = existing(cluster, "Listener", name, wrong)
    spec = dict(spec_of(found)) if found else {}
    key = inputs.routing_key(call, wrong)
    credentials = tls_secret(call, cluster, wrong) or spec.get("tlsCredentials", "")
    type_ = inputs.kind_of_traffic(call, "listener", wrong) or spec.get("type", "")
    port = new_port(call, "listener", spec.get("port", 0), wrong)
    seconds = inputs.timeout(call, wrong)
    state = inputs.wait(call, wrong)
    refuse(wrong)
    assert found is not None
    new = {"host": call["host"] or spec.get("host", ""), "port": port, "routingKey": key}
    made = resource("Listener", name, cluster.namespace, **new, tlsCredentials=credentials, type=type_)
    made["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
    cluster.update(made)
    if state != "none":
        wait_for(cluster, "Listener", name, state, seconds, "Configured")
        print(f'Listener "{name}" is updated')


def delete(call: Call) -> None:
    """Removes it."""
    remove(call, "Listener")


def show(call: Call) -> None:
    """What there is."""
    state(call, "Listener")


def remove(call: Call, kind: str) -> None:
    """`delete`."""
    noun = kind.lower()
    cluster = Cluster(call)
    cluster.checked(kind)
    wrong: list[str] = []
    name = inputs.one_name(call, noun, "specified", wrong)
    if name and cluster.find(kind, name) is None:
        wrong.append(f"{noun} {name} does not exist in namespace {cluster.namespace}")
    seconds = inputs.timeout(call, wrong)
    refuse(wrong)
    cluster.delete(kind, name)
    if not call["wait"]:
        return
    if not wait_gone(cluster, kind, name, seconds):
        late = "context deadline exceeded"
        raise Failed(f'{kind} "{name}" not deleted yet, check the status for more information {late}\n')
    print(f'{kind} "{name}" deleted')


def state(call: Call, kind: str) -> None:
    """`status`."""
    noun = kind.lower()
    cluster = Cluster(call)
    found = cluster.checked(kind)
    wrong: list[str] = []
    name = inputs.optional_name(call, noun, wrong)
    one = cluster.find(kind, name) if name else None
    if name and one is None:
        wrong.append(f"{noun} {name} does not exist in namespace {cluster.namespace}")
    output = inputs.output(call, wrong)
    refuse(wrong)
    if one is not None:
        tables.service(typed(one), kind, output)
    elif not found:
        print(f"No {noun}s found")
    else:
        tables.services(found, output)
