"""`system install` and `uninstall`: the system controller as a container, and the engine's socket."""

from __future__ import annotations

import getpass
import os
import shutil
from pathlib import Path

from ..model import units
from ..model.engine import Container, Engine, EngineError, default_endpoint
from ..model.layout import RUNTIME, SCRIPTS, data_home, runtime_dir, shown_home, units_dir
from ..model.site_state import StateError, load
from . import inputs, validate
from .command import Call
from .errors import Failed, Refused, refuse
from .local_system import no_arguments, tear_down

IMAGE = "quay.io/skupper/system-controller:2.2.1"
UNIT = "skupper-controller.service"
_START = """#!/usr/bin/env sh

set -o errexit
set -o nounset

export SKUPPER_OUTPUT_PATH=${{SKUPPER_OUTPUT_PATH}}
export CONTAINER_ENDPOINT=${{CONTAINER_ENDPOINT}}

{engine} start {name}
"""
_STOP = """#!/usr/bin/env sh

set -o errexit
set -o nounset

{engine} stop -t 10 {name}
"""
_UNIT = """[Unit]
Description=skupper-controller
After=network-online.target
Wants=network-online.target
RequiresMountsFor={runtime}/containers
{mounts}
[Service]
TimeoutStopSec=70
RemainAfterExit=yes
{env}
ExecStart=/bin/bash {scripts}/start.sh
ExecStop=/bin/bash {scripts}/stop.sh
Type=simple

[Install]
WantedBy=default.target
"""


def _name() -> str:
    return f"{getpass.getuser()}-skupper-controller"


def install(call: Call) -> None:
    """A controller that is there is left alone, whatever it was installed with."""
    wrong: list[str] = []
    no_arguments(call, wrong)
    platform = call.configured
    if platform not in ("podman", "docker"):
        wrong.append("the selected platform is not supported by this command. There is nothing to install")
    reload_type = str(call["reload-type"])
    if reload_type and (error := validate.option(reload_type, ("manual", "auto"))):
        wrong.append(f"reload type is not valid: {error}")
    refuse(wrong)
    try:
        _install(platform, reload_type)
    except (EngineError, units.UnitError) as problem:
        raise Failed(f"failed to configure the environment : {problem}") from problem


def _install(platform: str, reload_type: str) -> None:
    unit = f"{platform}.socket" if os.getuid() == 0 else "podman.socket"
    if not units.systemctl("enable", unit) or not units.systemctl("start", unit):
        raise EngineError("exit status 1")
    if not shutil.which(platform):
        raise EngineError(f"{platform} not found")
    (data_home() / "namespaces").mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        engine = Engine(default_endpoint(platform))
    except EngineError as error:
        raise EngineError(f"failed to create container client: {error}") from error
    if _name() in engine.names():
        print(
            f'Warning: The system controller container "{_name()}" is already running in {platform.title()}.'
        )
        return
    image = os.environ.get("SKUPPER_SYSTEM_CONTROLLER_IMAGE", IMAGE)
    try:
        engine.pull(image)
    except EngineError as error:
        raise EngineError(f"failed to pull system-controller image: {error}") from error
    print(f"Pulled system-controller image: {image}")
    env = {
        "CONTAINER_ENDPOINT": f"unix:///var/run/{platform}.sock",
        "SKUPPER_OUTPUT_PATH": str(shown_home()),
        "CONTAINER_ENGINE": platform,
        "SKUPPER_SYSTEM_RELOAD_TYPE": reload_type,
    }
    sources = [engine.path] if engine.path else []
    binds = [f"{path}:/var/run/{platform}.sock:z" for path in sources]
    engine.create(Container(_name(), image, env, binds=[*binds, f"{shown_home()}:/output:z"], restart=""))
    engine.start(_name())
    _come_back(platform, env, [*sources, str(shown_home())])
    print(f"Platform {platform} is now configured for Skupper")


def _come_back(platform: str, env: dict[str, str], mounts: list[str]) -> None:
    """Scripts and a unit, for the next start of the host."""
    scripts = shown_home() / "system-controller" / SCRIPTS
    scripts.mkdir(mode=0o755, parents=True, exist_ok=True)
    for file, text in (("start.sh", _START), ("stop.sh", _STOP)):
        (scripts / file).write_text(text.format(engine=platform, name=_name()), encoding="utf-8")
        (scripts / file).chmod(0o755)
    text = _UNIT.format(
        runtime=runtime_dir(),
        mounts="".join(f"RequiresMountsFor={path}\n" for path in mounts),
        env="\n".join(f'Environment="{key}={value}"' for key, value in sorted(env.items())),
        scripts=scripts,
    )
    try:
        units.put(units_dir() / UNIT, text)
    except units.UnitError as error:
        raise units.UnitError(
            "failed to create system-controller systemd service: "
            f'unable to create startup service "{UNIT}" - {error}'
        ) from error


def _active_sites() -> bool:
    homes = shown_home() / "namespaces"
    if not homes.is_dir():
        raise Refused(f"open {homes}: no such file or directory")
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
    no_arguments(call, wrong)
    platform = call.configured
    if platform not in ("podman", "docker"):
        wrong.append("the selected platform is not supported by this command. There is nothing to uninstall")
    inputs.namespace(call, wrong)
    if not call["force"] and _active_sites():
        wrong.append(
            "Uninstallation halted: Active sites detected. Use --force flag to stop and remove active sites"
        )
    refuse(wrong)
    if call["force"]:
        _remove_sites(platform)
    try:
        engine = Engine(default_endpoint(platform))
    except EngineError as error:
        raise Failed(f"Unable to uninstall.\nError: failed to create container client: {error}") from error
    if not engine.exists(_name()):
        return
    engine.stop(_name())
    engine.remove(_name())
    print("System-controller has been removed")
    units.drop(units_dir() / UNIT)
    print(f"Platform {platform} infrastructure for Skupper is now uninstalled")


def _remove_sites(platform: str) -> None:
    homes: Path = shown_home() / "namespaces"
    for home in sorted(homes.iterdir()):
        if not (home / "runtime").is_dir():
            shutil.rmtree(home)
            print(f'Namespace "{home.name}" has been removed')
            continue
        print(f'Removing active site namespace "{home.name}"')
        try:
            tear_down(home.name, platform)
        except (StateError, EngineError, units.UnitError, OSError) as error:
            raise Failed(f'failed to remove site "{home.name}": {error}') from error
