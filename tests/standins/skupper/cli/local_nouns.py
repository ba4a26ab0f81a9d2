"""`site`, `listener`, `connector` and `link` on podman, docker and linux: they are files."""

from __future__ import annotations

import os
from typing import Any

from ..model.encode import printed, read_documents
from ..model.kinds import Resource, name_of, resource, spec_of
from ..model.layout import LINKS, RUNTIME, namespace_path
from ..model.site_state import StateError, load
from . import files, inputs, status
from .command import Call
from .errors import Failed, refuse


def unsupported(_call: Call) -> None:
    """What these platforms cannot do."""
    raise Failed("command not supported by the selected platform")


def _site(name: str, namespace: str, link_access: bool) -> Resource:
    return resource("Site", name, namespace, linkAccess="default" if link_access else "")


def site_create(call: Call) -> None:
    """Writes the file, also over another one."""
    wrong: list[str] = []
    namespace = inputs.namespace(call, wrong)
    name = inputs.site_name(call, wrong)
    refuse(wrong)
    files.write(_site(name, namespace, call["enable-link-access"]), namespace)


def site_generate(call: Call) -> None:
    """Prints what create would write."""
    wrong: list[str] = []
    namespace = inputs.namespace(call, wrong)
    name = inputs.site_name(call, wrong)
    output = inputs.output(call, wrong)
    refuse(wrong)
    print(printed(_site(name, namespace, call["enable-link-access"]), output), end="")


def site_update(call: Call) -> None:
    """Keeps what the file says of other things; link access becomes `default` or `none`."""
    wrong: list[str] = []
    namespace = inputs.namespace(call, wrong)
    name = inputs.one_name(call, "site", "configured", wrong)
    site = files.get("Site", name, namespace) if name else None
    if name and site is None:
        wrong.append(f"site {name} must exist to be updated")
    refuse(wrong)
    assert site is not None
    enabled = spec_of(site).get("linkAccess") not in (None, "", "none")
    if "enable-link-access" in call.changed:
        enabled = call["enable-link-access"]
    spec_of(site)["linkAccess"] = "default" if enabled else "none"
    files.write(site, namespace)


def site_delete(call: Call) -> None:
    """Removes the file; with `--all` the whole input."""
    wrong: list[str] = []
    namespace = inputs.namespace(call, wrong)
    name = "" if call["all"] else inputs.one_name(call, "site", "specified", wrong)
    if name and files.get("Site", name, namespace) is None:
        wrong.append(f"site {name} does not exist")
    refuse(wrong)
    if call["all"]:
        files.delete_all(namespace)
        return
    files.delete("Site", name, namespace)
    files.delete("RouterAccess", f"router-access-{name}", namespace)


def site_status(call: Call) -> None:
    """What runs, else what is in the input; a name is checked and then forgotten."""
    wrong: list[str] = []
    name = inputs.optional_name(call, "site", wrong)
    if name and files.get("Site", name, call.namespace, runtime=True) is None:
        wrong.append(f"site {name} does not exist")
    output = inputs.output(call, wrong)
    refuse(wrong)
    try:
        found = files.listed("Site", call.namespace)
    except Failed:
        found = []
    if not found:
        print("There is no existing Skupper site resource")
        return
    status.sites(found, output)


def _service(call: Call, kind: str, label: str, wrong: list[str]) -> Resource:
    """A Listener or Connector as the arguments describe it."""
    noun = kind.lower()
    namespace = inputs.namespace(call, wrong)
    name, port = inputs.named_port(call, noun, wrong)
    key = inputs.routing_key(call, wrong)
    type_ = inputs.kind_of_traffic(call, noun, wrong)
    output = inputs.output(call, wrong) if kind == "Connector" and "output" in call.values else ""
    host = inputs.host(call, wrong)
    credentials = inputs.credentials(call, label, wrong)
    if kind == "Listener":
        host = host or "0.0.0.0"
        output = inputs.output(call, wrong) if "output" in call.values else output
    return resource(
        kind,
        name,
        namespace,
        host=host,
        port=port,
        routingKey=key or name,
        tlsCredentials=credentials,
        type=type_,
    )


def create(kind: str, call: Call) -> None:
    """`listener create`, `connector create`: writes the file, also over another one."""
    wrong: list[str] = []
    made = _service(call, kind, "tlsCredentials value", wrong)
    refuse(wrong)
    files.write(made, made["metadata"]["namespace"])


def generate(kind: str, call: Call) -> None:
    """Prints what create would write."""
    wrong: list[str] = []
    made = _service(call, kind, "tlsCredentials", wrong)
    refuse(wrong)
    print(printed(made, call["output"]), end="")


def update(kind: str, call: Call) -> None:
    """Keeps what is not given; a default that is given is taken for not given."""
    noun = kind.lower()
    wrong: list[str] = []
    namespace = inputs.namespace(call, wrong)
    name = inputs.one_name(call, noun, "configured", wrong)
    existing = files.get(kind, name, namespace) if name else None
    if name and existing is None:
        wrong.append(f"{noun} {name} must exist in namespace {call.namespace} to be updated")
    spec = dict(spec_of(existing)) if existing else {}
    new: dict[str, Any] = {"routingKey": inputs.routing_key(call, wrong)}
    if kind == "Connector":
        new["type"] = inputs.kind_of_traffic(call, noun, wrong)
        new["port"] = _new_port(call, noun, wrong)
        new["host"] = inputs.host(call, wrong) if call["host"] != "localhost" else ""
        new["tlsCredentials"] = inputs.credentials(call, "tlsCredentials value", wrong)
    else:
        new["host"] = inputs.host(call, wrong)
        new["tlsCredentials"] = inputs.credentials(call, "tlsCredentials value", wrong)
        new["type"] = inputs.kind_of_traffic(call, noun, wrong)
        new["port"] = _new_port(call, noun, wrong)
    refuse(wrong)
    kept = {key: spec.get(key) for key in new}
    merged = {**kept, **{key: value for key, value in new.items() if value}}
    if kind == "Listener" and "tls-credentials" in call.changed and not call["tls-credentials"]:
        merged["tlsCredentials"] = ""
    files.write(resource(kind, name, namespace, **merged), namespace)


def _new_port(call: Call, noun: str, wrong: list[str]) -> int:
    if call["port"] < 0:
        wrong.append(f"{noun} port is not valid: value is not positive")
    return int(call["port"])


def delete(kind: str, call: Call) -> None:
    """Removes the file."""
    noun = kind.lower()
    wrong: list[str] = []
    namespace = inputs.namespace(call, wrong)
    name = inputs.one_name(call, noun, "configured" if kind == "Connector" else "specified", wrong)
    if name and files.get(kind, name, namespace) is None:
        wrong.append(f"{noun} {name} does not exist")
    refuse(wrong)
    files.delete(kind, name, namespace)


def show(kind: str, call: Call) -> None:
    """What runs."""
    noun = kind.lower()
    wrong: list[str] = []
    name = inputs.optional_name(call, noun, wrong)
    if name and files.get(kind, name, call.namespace, runtime=True) is None:
        wrong.append(f"{noun} {name} does not exist in namespace {call.namespace}")
    output = inputs.output(call, wrong)
    refuse(wrong)
    if name:
        running = files.get(kind, name, call.namespace, runtime=True, fallback=False)
        if running is None:
            os.write(2, b"Site not initialized yet\n")
        one = running or files.get(kind, name, call.namespace)
        assert one is not None
        status.service(one, kind, output)
        return
    try:
        found = files.listed(kind, call.namespace)
    except Failed as error:
        raise Failed(f"No {noun}s found\n{error}") from error
    if not found:
        print(f"No {noun}s found")
        return
    status.services(found, output)


def link_generate(call: Call) -> None:
    """Prints the first static link that fits; says so, and succeeds, when none does."""
    wrong: list[str] = []
    if call.args:
        wrong.append("arguments are not allowed in this command")
    namespace = inputs.namespace(call, wrong)
    try:
        if not load(namespace_path(namespace, RUNTIME)).has_link_access():
            wrong.append("this site is not enabled for link access, there are no links created")
    except StateError:
        wrong.append("there is no active site in this namespace")
    refuse(wrong)
    folder = namespace_path(namespace, LINKS)
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not names:
        raise Failed("Error searching for tokens: there are no links created")
    for name in names:
        text = (folder / name).read_text(encoding="utf-8")
        if any(
            _fits(one, call["name"], call["host"]) for one in read_documents(text) if one["kind"] == "Link"
        ):
            print(text)
            return
    print("no tokens found")


def _fits(link: Resource, name: str, host: str) -> bool:
    hosts = [endpoint["host"] for endpoint in spec_of(link)["endpoints"]]
    return (not name or name_of(link) == name) and (not host or host in hosts)


def link_status(call: Call) -> None:
    """What runs; links that are only in the input are not there."""
    wrong: list[str] = []
    name = inputs.optional_name(call, "link", wrong)
    refuse(wrong)
    output = str(call["output"])
    if name:
        one = files.get("Link", name, call.namespace, runtime=True, fallback=False)
        if one is None:
            raise Failed(f'There is no link resource in the namespace with the name "{name}"')
        status.link(one, output)
        return
    status.links(files.listed("Link", call.namespace, fallback=False), output)


def link_delete(call: Call) -> None:
    """Removes the file; not the Secret's."""
    wrong: list[str] = []
    namespace = inputs.namespace(call, wrong)
    name = inputs.one_name(call, "link", "specified", wrong)
    if name and files.get("Link", name, namespace) is None:
        wrong.append(f'There is no link resource in the namespace with the name "{name}"')
    refuse(wrong)
    files.delete("Link", name, namespace)
