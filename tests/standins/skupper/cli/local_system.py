"""`system` on podman, docker and linux, without `start` and `reload`, which are in bootstrap."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from datetime import datetime
from pathlib import Path

from ..model import units
from ..model.encode import read_documents
from ..model.engine import Container, Engine, EngineError, default_endpoint
from ..model.kinds import API, KINDS, Resource, name_of
from ..model.layout import RUNTIME, data_home, namespace_path, shown_home
from ..model.site_state import StateError, load
from . import bootstrap, files, inputs, validate
from .command import Call
from .errors import Failed, Refused, refuse

CONTROLLER_IMAGE = "quay.io/skupper/system-controller:2.2.1"
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


def _none(call: Call, wrong: list[str], text: str = "this command does not accept arguments") -> None:
    if call.args:
        wrong.append(text)


def start(call: Call) -> None:
    """Only where nothing runs."""
    wrong: list[str] = []
    _none(call, wrong)
    namespace = inputs.namespace(call, wrong)
    if namespace_path(namespace, RUNTIME).exists():
        wrong.append(f"namespace already exists: {namespace}")
    refuse(wrong)
    bootstrap.start(call.configured, namespace)


def reload(call: Call) -> None:
    """Renders everything again, whether it differs or not."""
    wrong: list[str] = []
    _none(call, wrong)
    namespace = inputs.namespace(call, wrong)
    refuse(wrong)
    bootstrap.start(call.configured, namespace)


def stop(call: Call) -> None:
    """Removes the namespace with its input; on linux, too, only where a container engine answers."""
    wrong: list[str] = []
    _none(call, wrong)
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
        _tear_down(namespace, current)
    except (StateError, EngineError, units.UnitError, OSError) as error:
        raise Failed(f"System teardown has failed: {error}") from error


def _tear_down(namespace: str, platform: str) -> None:
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


def install(call: Call) -> None:
    """The engine's socket, and the system controller as a container."""
    wrong: list[str] = []
    _none(call, wrong)
    if call.configured not in ("podman", "docker"):
        wrong.append("the selected platform is not supported by this command. There is nothing to install")
    if call["reload-type"] and (error := validate.option(call["reload-type"], ("manual", "auto"))):
        wrong.append(f"reload type is not valid: {error}")
    refuse(wrong)
    platform = call.configured
    unit = f"{platform}.socket" if os.getuid() == 0 else "podman.socket"
    failed = "failed to configure the environment : "
    if not units.systemctl("enable", unit) or not units.systemctl("start", unit):
        raise Failed(f"{failed}exit status 1")
    if not shutil.which(platform):
        raise Failed(f"{failed}{platform} not found")
    name = f"{getpass.getuser()}-skupper-controller"
    try:
        engine = Engine(default_endpoint(platform))
        if name in engine.names():
            print(
                f'Warning: The system controller container "{name}" is already running in {platform.title()}.'
            )
            return
        (data_home() / "namespaces").mkdir(parents=True, exist_ok=True)
        _run_controller(engine, platform, name, str(call["reload-type"]))
    except EngineError as error:
        raise Failed(f"{failed}failed to create container client: {error}") from error
    print(f"Platform {platform} is now configured for Skupper")


def _run_controller(engine: Engine, platform: str, name: str, reload_type: str) -> None:
    image = os.environ.get("SKUPPER_SYSTEM_CONTROLLER_IMAGE", CONTROLLER_IMAGE)
    engine.pull(image)
    print(f"Pulled system-controller image: {image}")
    env = {
        "CONTAINER_ENDPOINT": f"unix:///var/run/{platform}.sock",
        "SKUPPER_OUTPUT_PATH": str(shown_home()),
        "CONTAINER_ENGINE": platform,
        "SKUPPER_SYSTEM_RELOAD_TYPE": reload_type,
    }
    binds = [f"{shown_home()}:/output:z"]
    if engine.path:
        binds.insert(0, f"{engine.path}:/var/run/{platform}.sock:z")
    engine.create(Container(name, image, env, binds=binds))
    engine.start(name)


def _active_sites() -> bool:
    homes = shown_home() / "namespaces"
    if not homes.is_dir():
        raise Refused(f"open {homes}/: no such file or directory")
    active = [home for home in sorted(homes.iterdir()) if (home / "runtime").is_dir()]
    for home in active:
        try:
            print(f"The {load(home / RUNTIME).name} site is active (namespace {home.name})")
        except StateError:
            print(f"The {home.name} site is active")
    return bool(active)


def uninstall(call: Call) -> None:
    """Not while a site is active; with `--force` every site of the user goes."""
    wrong: list[str] = []
    _none(call, wrong)
    if call.configured not in ("podman", "docker"):
        wrong.append("the selected platform is not supported by this command. There is nothing to uninstall")
    inputs.namespace(call, wrong)
    if not call["force"] and _active_sites():
        wrong.append(
            "Uninstallation halted: Active sites detected. Use --force flag to stop and remove active sites"
        )
    refuse(wrong)
    platform = call.configured
    try:
        if call["force"]:
            _remove_sites(platform)
        engine = Engine(default_endpoint(platform))
        name = f"{getpass.getuser()}-skupper-controller"
        if engine.exists(name):
            engine.stop(name)
            engine.remove(name)
            print("System-controller has been removed")
            print(f"Platform {platform} infrastructure for Skupper is now uninstalled")
    except EngineError as error:
        raise Failed(f"Unable to uninstall.\nError: failed to create container client: {error}") from error


def _remove_sites(platform: str) -> None:
    for home in sorted((shown_home() / "namespaces").iterdir()):
        if (home / "runtime").is_dir():
            print(f'Removing active site namespace "{home.name}"')
            _tear_down(home.name, platform)
        else:
            shutil.rmtree(home)
            print(f'Namespace "{home.name}" has been removed')


def _input(call: Call, verb: str) -> tuple[str, str]:
    """(namespace, text) of `-f`."""
    wrong: list[str] = []
    _none(call, wrong, "This command does not accept arguments")
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
    print(f'{stamp} ERROR Error while {verb} {noun} {noun}={name_of(one)} error="{error}"', file=sys.stderr)


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
