"""`system` on podman, docker and linux, without the installation of its controller."""

from __future__ import annotations

import shutil
import sys
from datetime import datetime
from pathlib import Path

from ..model import units
from ..model.encode import read_documents
from ..model.engine import Engine, EngineError, default_endpoint
from ..model.kinds import API, KINDS, Resource, name_of
from ..model.layout import RUNTIME, namespace_path
from ..model.site_state import StateError, load
from . import bootstrap, files, inputs
from .command import Call
from .errors import Failed, Refused, refuse

# In this order, whatever the order of the input.
APPLIED = (
    "Site",
    "Connector",
    "Listener",
    "MultiKeyListener",
    "Link",
    "RouterAccess",
    "AccessToken",
    "Secret",
)
APPLY = (*APPLIED, "SecuredAccess", "Certificate")
DELETE = (*APPLIED, "Certificate", "SecuredAccess")


def no_arguments(call: Call, wrong: list[str], text: str = "this command does not accept arguments") -> None:
    """For commands that take none."""
    if call.args:
        wrong.append(text)


def start(call: Call) -> None:
    """Only where nothing runs."""
    wrong: list[str] = []
    no_arguments(call, wrong)
    namespace = inputs.namespace(call, wrong)
    if namespace_path(namespace, RUNTIME).exists():
        wrong.append(f"namespace already exists: {namespace}")
    refuse(wrong)
    bootstrap.start(call.configured, namespace)


def reload(call: Call) -> None:
    """Renders everything again, whether it differs or not."""
    wrong: list[str] = []
    no_arguments(call, wrong)
    namespace = inputs.namespace(call, wrong)
    refuse(wrong)
    bootstrap.start(call.configured, namespace)


def stop(call: Call) -> None:
    """Removes the namespace with its input; on linux, too, only where a container engine answers."""
    wrong: list[str] = []
    no_arguments(call, wrong)
    namespace = inputs.namespace(call, wrong)
    try:
        platform = bootstrap.platform_of(namespace)
    except StateError as error:
        raise Refused(str(error)) from error
    current = "podman" if call.configured == "kubernetes" else call.configured
    if platform != current:
        wrong.append(f'existing namespace uses "{platform}" platform and it cannot change to "{current}"')
    refuse(wrong)
    try:
        tear_down(namespace, current)
    except (StateError, EngineError, units.UnitError, OSError) as error:
        raise Failed(f"System teardown has failed: {error}") from error


def tear_down(namespace: str, platform: str) -> None:
    """Remove router, unit and files."""
    try:
        engine = Engine(default_endpoint(platform))
    except EngineError as error:
        raise EngineError(f"failed to create container client: {error}") from error
    router = f"{namespace}-skupper-router"
    if engine.exists(router):
        engine.remove(router)
    load(namespace_path(namespace, RUNTIME))
    units.remove(namespace)
    shutil.rmtree(namespace_path(namespace))
    print(f'Namespace "{namespace}" has been removed')


def _input(call: Call, verb: str) -> tuple[str, str]:
    """(namespace, text) of `-f`."""
    wrong: list[str] = []
    no_arguments(call, wrong, "This command does not accept arguments")
    name = str(call["filename"])
    if not name:
        what = "a file to apply" if verb == "apply" else "a file to delete custom resources"
        wrong.append(
            f"You need to provide {what} or use standard input.\n"
            f" Example: cat site.yaml | skupper system {verb} -f -"
        )
    namespace = inputs.namespace(call, wrong)
    path = Path(name)
    if name not in ("", "-"):
        if path.suffix not in (".yaml", ".json"):
            wrong.append(
                "The file has an unsupported extension, it should have one of the following: .yaml, .json"
            )
        if not path.exists():
            wrong.append(f'The file "{name}" does not exist')
        elif path.is_dir():
            wrong.append(f'The file "{name}" is a directory')
    refuse(wrong)
    return namespace, sys.stdin.read() if name == "-" else path.read_text(encoding="utf-8")


def _sorted(text: str, namespace: str, kinds: tuple[str, ...]) -> list[Resource]:
    """The resources of a text by kind; a Certificate keeps its own namespace."""
    import yaml

    try:
        found = [one for one in read_documents(text) if isinstance(one, dict)]
    except (yaml.YAMLError, ValueError) as error:
        raise Failed(f"Failed parsing the custom resources: error decoding file: {error}") from error
    taken = []
    for one in found:
        kind, api = str(one.get("kind") or ""), str(one.get("apiVersion") or "")
        if not kind:
            raise Failed("Failed parsing the custom resources: Object 'Kind' is missing")
        if (api == API and kind in KINDS) or (api == "v1" and kind == "Secret"):
            taken.append(one)
            if kind != "Certificate":
                one.setdefault("metadata", {})["namespace"] = namespace
        else:
            group, _, version = api.rpartition("/")
            stamp = datetime.now().strftime("%Y/%m/%d %H:%M:%S")
            shown = f'"{group}/{version}, Kind={kind}"'
            print(f"{stamp} WARN invalid resource ignored: resource={shown}", file=sys.stderr)
    return [one for kind in kinds for one in taken if one["kind"] == kind]


def _log(verb: str, one: Resource, error: object) -> None:
    stamp = datetime.now().strftime("%Y/%m/%d %H:%M:%S")
    noun = one["kind"].lower()
    component = "nonkube.systemApply" if verb == "adding" else "nonkube.systemDelete"
    words = f'component={component} {noun}={name_of(one)} error="{error}"'
    print(f"{stamp} ERROR Error while {verb} {noun} {words}", file=sys.stderr)


def apply(call: Call) -> None:
    """Writes what is known; a resource that fails is only logged."""
    namespace, text = _input(call, "apply")
    done = False
    for one in _sorted(text, namespace, APPLY):
        try:
            files.write(one, namespace)
        except Failed as error:
            _log("adding", one, error)
            continue
        done = True
        print(f"{one['kind']} {name_of(one)} added")
    if done:
        print("Custom resources are applied.")


def delete(call: Call) -> None:
    """Removes the files of what is known; a resource that is not there is only logged."""
    namespace, text = _input(call, "delete")
    done = False
    for one in _sorted(text, namespace, DELETE):
        if not name_of(one):
            continue
        if not files.delete(one["kind"], name_of(one), namespace):
            path = namespace_path(namespace, "input/resources") / f"{one['kind']}-{name_of(one)}.yaml"
            _log("deleting", one, f"stat {path}: no such file or directory")
            continue
        done = True
        print(f"{one['kind']} {name_of(one)} deleted")
    if done:
        print(
            "Custom resources deleted. If a site is already running, run `skupper system reload` to make "
            "effective the changes."
        )
