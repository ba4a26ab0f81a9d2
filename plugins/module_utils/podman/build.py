# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Images: the commands that make them, and those that newer ones replaced."""

from __future__ import annotations

import os
import time
import typing as t

from .client import MANAGED_LABEL, MANAGED_VALUE, PodmanClient, PodmanError
from .systemd import session_environ
from .watch import Progress, watch

#: Label that holds the checksum of everything an image was made from.
INPUTS_LABEL = "io.private-ai.chatbot.inputs"

#: Label with the name that an image was made for: what may be removed when a newer one took it.
NAME_LABEL = "io.private-ai.chatbot.image"

#: Where a build finds the certificates of the host, in the image's own place for them.
CA_TARGET = "/etc/ssl/certs/ca-certificates.crt"

#: Bundles of the distributions, in the order in which they are looked for.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
)


def build_argv(params: t.Mapping[str, t.Any], inputs: str, ca_bundle: str | None) -> list[str]:
    """Return the arguments of ``podman build``; the tag is set only when everything has worked.

    Without layers nothing but the finished image stays behind, also when a step fails.
    """
    labels = {INPUTS_LABEL: inputs, NAME_LABEL: params["name"], MANAGED_LABEL: MANAGED_VALUE}
    argv = ["build", "--layers=false", "--force-rm", f"--tag={params['name']}"]
    argv += [f"--label={name}={value}" for name, value in labels.items()]
    if params.get("containerfile"):
        argv.append(f"--file={params['containerfile']}")
    argv += [f"--ulimit={name}={value}" for name, value in sorted((params.get("ulimits") or {}).items())]
    if ca_bundle:
        argv.append(f"--volume={ca_bundle}:{CA_TARGET}:ro")
    argv += [f"--volume={volume}" for volume in params.get("volumes") or []]
    argv += [
        f"--build-arg={name}={value}" for name, value in sorted((params.get("build_args") or {}).items())
    ]
    return [*argv, params["context"]]


def former_images(client: PodmanClient, name: str) -> list[str]:
    """Return the identities of images that lost ``name`` to a newer one and that nothing uses any more."""
    label = f"--filter=label={NAME_LABEL}={name}"
    found = set(listed(client, ["images", "--no-trunc", "--quiet", "--filter=dangling=true", label]))
    if not found:
        return []
    # --external: also the containers of builds that are under way.
    used = client.run(["ps", "--all", "--external", "--no-trunc", "--format={{.ImageID}}"]).stdout.split()
    return sorted(found - {identity if ":" in identity else f"sha256:{identity}" for identity in used})


def listed(client: PodmanClient, args: t.Sequence[str]) -> list[str]:
    """Return the words of ``podman images``, asked again when an image went away while it was listing."""
    for _attempt in range(5):
        done = client.run(args, check=False)
        if done.rc == 0:
            return done.stdout.split()
        if "image not known" not in done.stderr:
            break
        time.sleep(0.5)
    return client.run(args).stdout.split()


def drop_former(client: PodmanClient, name: str) -> None:
    """Remove the former images of ``name`` that nothing uses."""
    for identity in former_images(client, name):
        # A container may have come in between; then it stays until the next time.
        client.run(["image", "rm", identity], check=False)


def host_ca_bundle(wanted: str | None) -> str | None:
    """Return the CA bundle that a build gets; ValueError when the wanted one does not exist."""
    if wanted:
        if not os.path.isfile(wanted):
            raise ValueError(
                f"ca_bundle is {wanted!r}, which is not a file; give the path of a PEM bundle on this host"
            )
        return wanted
    return next((path for path in CA_BUNDLES if os.path.isfile(path)), None)


def check_timeout(params: t.Mapping[str, t.Any]) -> None:
    """Raise ValueError unless a step gets some time."""
    if params["timeout"] < 1:
        raise ValueError(f"timeout is {params['timeout']}; at least 1 second is needed")


def take_step(
    argv: t.Sequence[str],
    doing: str,
    params: t.Mapping[str, t.Any],
    progress: Progress,
    environ: t.Mapping[str, str] | None = None,
) -> None:
    """Run one long command of making an image; PodmanError with where it failed and its last lines.

    :param params: the module's options log_file and timeout.
    :param environ: variables added to those of the session.
    """
    log_file, timeout = params["log_file"], params["timeout"]
    environ = {**session_environ(os.environ, os.geteuid()), **(environ or {})}
    done = watch(argv, log_file, progress, environ, timeout=timeout)
    if done.rc == 0:
        return
    late = f"did not end within {timeout} s (option timeout)"
    reason = late if done.rc == 124 else f"failed with exit status {done.rc}"
    progress.say(reason)
    step = f" at {done.last_step}" if done.last_step else ""
    where = f"; the whole output is in {log_file}" if log_file else ""
    message = f"{doing} {reason}{step}: {' | '.join(done.tail[-5:])}{where}"
    raise PodmanError(message, argv, done.rc, "\n".join(done.tail))
