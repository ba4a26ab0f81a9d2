# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Pure functions from the wanted container to podman's arguments, its text and its checksum.

Nothing here runs a command or reads the host.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import typing as t

from .client import MANAGED_LABEL, MANAGED_VALUE

#: SHA-256 of the rendered spec; differs = the container must be replaced.
SPEC_LABEL = MANAGED_LABEL + ".spec"
#: The rendered spec itself, so that a later run can show what changed.
RENDERED_LABEL = MANAGED_LABEL + ".rendered"

#: Keys of a spec in the order in which they are shown.
SPEC_KEYS = (
    "name",
    "image",
    "entrypoint",
    "command",
    "env",
    "hostname",
    "hosts",
    "dns",
    "networks",
    "publish",
    "mounts",
    "secrets",
    "user",
    "read_only",
    "cap_drop",
    "cap_add",
    "security_opt",
    "ulimits",
    "runtime",
    "memory",
    "cpus",
    "pids_limit",
    "stop_timeout",
    "stop_signal",
    "restart",
    "init",
    "log_driver",
    "log_opts",
    "labels",
    "extra_args",
    "triggers",
)

_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")
_ENV_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_ULIMIT = re.compile(r"^(host|-1|unlimited|\d+)(:(-1|unlimited|\d+))?$")
_SIZE = re.compile(r"^\d+(\.\d+)?[bkmgBKMG]?$")
_CPUS = re.compile(r"^\d+(\.\d+)?$")


class SpecError(ValueError):
    """The wanted container is not one that podman could make; the text says what to change."""


def _is_empty(value: t.Any) -> bool:
    # 0 is a statement; None, False and empty containers mean "leave it to podman".
    return value is None or value is False or value in ("", [], {})


def normalise(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the spec without what was not asked for, in a fixed order; SpecError when it is not valid."""
    spec: dict[str, t.Any] = {}
    for key in SPEC_KEYS:
        value = params.get(key)
        if isinstance(value, list):
            value = [
                {k: v for k, v in item.items() if not _is_empty(v)} if isinstance(item, dict) else str(item)
                for item in value
            ]
        elif isinstance(value, dict):
            value = {str(k): str(v) for k, v in sorted(value.items())}
        if not _is_empty(value):
            spec[key] = value
    _validate(spec)
    return spec


def _validate(spec: t.Mapping[str, t.Any]) -> None:
    name = spec.get("name", "")
    if not _NAME.match(name):
        raise SpecError(
            f"name is {name!r}; allowed are letters, digits, '_', '.', '-', beginning with a letter or digit"
        )
    for key in spec.get("env", {}):
        if not _ENV_NAME.match(key):
            raise SpecError(
                f"env has the name {key!r}; allowed are letters, digits and '_', not beginning with a digit"
            )
    for key, value in spec.get("ulimits", {}).items():
        if not _ULIMIT.match(value):
            raise SpecError(
                f"ulimits.{key} is {value!r}; it must be 'soft:hard' or one number, such as '1024:1024'"
            )
    if "memory" in spec and not _SIZE.match(str(spec["memory"])):
        raise SpecError(
            f"memory is {spec['memory']!r}; it must be a number with b, k, m or g, such as '512m'"
        )
    if "cpus" in spec and not _CPUS.match(str(spec["cpus"])):
        raise SpecError(f"cpus is {spec['cpus']!r}; it must be a number, such as '1.5'")
    for network in spec.get("networks", []):
        if "ip" in network:
            try:
                ipaddress.ip_address(network["ip"])
            except ValueError as error:
                raise SpecError(
                    f"networks: the address of {network.get('name')!r} is not valid: {error}"
                ) from error
    for mount in spec.get("mounts", []):
        _validate_mount(mount)


def _validate_mount(mount: t.Mapping[str, t.Any]) -> None:
    kind, source, target = mount.get("type", "bind"), mount.get("source", ""), mount.get("target", "")
    if not target.startswith("/"):
        raise SpecError(f"mounts: target is {target!r}; it must be an absolute path in the container")
    if kind == "bind" and not source.startswith("/"):
        raise SpecError(
            f"mounts: source of {target} is {source!r}; a bind mount needs an absolute path of the host"
        )
    if kind == "tmpfs" and source:
        raise SpecError(f"mounts: {target} is a tmpfs and cannot have the source {source!r}")
    for value in (source, target):
        if "," in value:
            raise SpecError(
                f"mounts: {value!r} has a comma, which podman's --mount cannot carry; use another path"
            )


def mount_argument(mount: t.Mapping[str, t.Any]) -> str:
    """Return the value of ``--mount`` for one mount."""
    parts = [f"type={mount.get('type', 'bind')}"]
    if mount.get("source"):
        parts.append(f"source={mount['source']}")
    parts.append(f"target={mount['target']}")
    if mount.get("read_only"):
        parts.append("readonly=true")
    parts.extend(mount.get("options", []))
    return ",".join(parts)


def secret_argument(secret: t.Mapping[str, t.Any]) -> str:
    """Return the value of ``--secret`` for one secret."""
    parts = [str(secret["name"]), f"type={secret.get('type', 'mount')}"]
    if secret.get("target"):
        parts.append(f"target={secret['target']}")
    if secret.get("type", "mount") == "mount":
        parts.extend(f"{key}={secret[key]}" for key in ("uid", "gid", "mode") if secret.get(key) is not None)
    return ",".join(parts)


def network_argument(network: t.Mapping[str, t.Any]) -> str:
    """Return the value of ``--network`` for one network."""
    if not network.get("ip"):
        return str(network["name"])
    return f"{network['name']}:ip={network['ip']}{hardware_address(network['ip'])}"


def hardware_address(address: str) -> str:
    """Return the option that gives a fixed IPv4 address a hardware address of its own; "" for another one.

    Podman would choose another one for each container that takes the place of one before, and neighbours ask
    for it again only after up to 45 s: so long they would not reach it.
    """
    ip = ipaddress.ip_address(address)
    if ip.version != 4:
        return ""
    return ",mac=0a:58:" + ":".join(f"{byte:02x}" for byte in ip.packed)


def option_args(spec: t.Mapping[str, t.Any]) -> list[str]:
    """Return the options which neither a container nor a Quadlet unit states by a key of its own."""
    args: list[str] = []

    def each(option: str, values: t.Iterable[str]) -> None:
        for value in values:
            args.append(f"{option}={value}")

    if spec.get("read_only"):
        args.append("--read-only")
    if spec.get("init"):
        args.append("--init")
    if "entrypoint" in spec:
        # JSON is podman's own form for more than one word.
        args.append("--entrypoint=" + json.dumps(spec["entrypoint"]))
    each("--add-host", (f"{name}:{address}" for name, address in spec.get("hosts", {}).items()))
    each("--dns", spec.get("dns", []))
    each("--mount", (mount_argument(mount) for mount in spec.get("mounts", [])))
    each("--secret", (secret_argument(secret) for secret in spec.get("secrets", [])))
    each("--cap-drop", spec.get("cap_drop", []))
    each("--cap-add", spec.get("cap_add", []))
    each("--security-opt", spec.get("security_opt", []))
    each("--ulimit", (f"{name}={value}" for name, value in spec.get("ulimits", {}).items()))
    for key, option in (
        ("hostname", "--hostname"),
        ("memory", "--memory"),
        ("cpus", "--cpus"),
        ("pids_limit", "--pids-limit"),
        ("stop_timeout", "--stop-timeout"),
        ("stop_signal", "--stop-signal"),
        ("log_driver", "--log-driver"),
    ):
        if key in spec:
            args.append(f"{option}={spec[key]}")
    each("--log-opt", (f"{name}={value}" for name, value in spec.get("log_opts", {}).items()))
    return args + list(spec.get("extra_args", []))


def all_labels(spec: t.Mapping[str, t.Any], extra: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the user's labels together with ours, sorted by name."""
    labels = {**spec.get("labels", {}), MANAGED_LABEL: MANAGED_VALUE, **(extra or {})}
    return dict(sorted(labels.items()))


def network_args(networks: t.Sequence[t.Mapping[str, t.Any]], names: t.Sequence[str] | None) -> list[str]:
    """Return the options for the networks.

    :param names: what stands for them where podman knows one such option only (see ``cni``), None elsewhere.
    """
    if names:
        return ["--network=" + ",".join(names)]
    return [f"--network={network_argument(network)}" for network in networks]


def create_args(
    spec: t.Mapping[str, t.Any], labels: t.Mapping[str, str], networks: t.Sequence[str] | None = None
) -> list[str]:
    """Return the arguments of ``podman create`` (without the runtime, an option of podman itself).

    :param networks: as ``names`` of :func:`network_args`.
    """
    args = ["create", f"--name={spec['name']}", f"--restart={spec.get('restart', 'always')}"]
    args.extend(f"--label={name}={value}" for name, value in labels.items())
    args.extend(f"--env={name}={value}" for name, value in spec.get("env", {}).items())
    args.extend(network_args(spec.get("networks", []), networks))
    args.extend(f"--publish={port}" for port in spec.get("publish", []))
    args.extend(option_args(spec))
    # The image is never pulled here: what runs was built or fetched by an earlier, visible step.
    args.append("--pull=never")
    return [*args, spec["image"], *spec.get("command", [])]


def render(spec: t.Mapping[str, t.Any], image_id: str, secret_ids: t.Mapping[str, str]) -> str:
    """Return the spec as text with what it depends on: the image's and the secrets' identities.

    The text is JSON with one fact per line, stable, so that a diff of two of them is readable.
    """
    whole = {**spec, "image_id": image_id, "secret_ids": dict(sorted(secret_ids.items()))}
    if not secret_ids:
        del whole["secret_ids"]
    return json.dumps(whole, indent=1, ensure_ascii=False)


def digest(rendered: str) -> str:
    """Return the SHA-256 of a rendered spec as hexadecimal digits."""
    return hashlib.sha256(rendered.encode("utf-8")).hexdigest()


def short_id(identity: str) -> str:
    """Return an image or container ID without ``sha256:``, in full length."""
    return identity.split(":", 1)[1] if identity.startswith("sha256:") else identity
