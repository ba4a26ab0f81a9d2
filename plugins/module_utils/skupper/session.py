# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What the skupper modules share towards Ansible: options, clients, the way to fail."""

from __future__ import annotations

import os
import time
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..kubernetes.arguments import CONNECTION_ARGUMENTS, Arguments
from . import validate
from .cli import SkupperCli, find_cli
from .errors import MissingPrerequisite, SkupperError
from .kinds import FILE_PLATFORMS, KUBERNETES, PLATFORMS, Kind
from .namespaces import FileStore, data_home, have_yaml
from .plan import Plan
from .render import arguments, complete, predicted

if t.TYPE_CHECKING:
    from .cluster import ClusterStore
    from .ownership import Object

COMMON_ARGUMENTS: Arguments = {
    "platform": {"type": "str", "choices": list(PLATFORMS), "default": KUBERNETES},
    "namespace": {"type": "str", "default": "default"},
    "executable": {"type": "str", "default": "skupper"},
    **CONNECTION_ARGUMENTS,
}
#: For modules that have nothing to do on Kubernetes.
HOST_ARGUMENTS: Arguments = {
    **COMMON_ARGUMENTS,
    "platform": {"type": "str", "choices": list(FILE_PLATFORMS), "required": True},
}
OBJECT_ARGUMENTS: Arguments = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
}
#: What listeners and connectors have in common.
SERVICE_ARGUMENTS: Arguments = {
    "name": {"type": "str", "required": True},
    "routing_key": {"type": "str", "no_log": False},
    "port": {"type": "int"},
    "tls_credentials": {"type": "str", "default": ""},
    "expose_pods_by_name": {"type": "bool", "default": False},
    "settings": {"type": "dict"},
    "wait_for": {"type": "str", "choices": ["configured", "ready"], "default": "configured"},
}
WAIT_ARGUMENTS: Arguments = {
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 180},
}


class Session:
    """One module's run: where it looks, what it may call, and the one place in which something is done."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, t.Any] = module.params
        self.platform: str = module.params["platform"]
        self.namespace: str = module.params["namespace"]
        self.warnings: list[str] = []
        validate.namespace(self.namespace)
        self.store: FileStore | ClusterStore
        if self.platform == KUBERNETES:
            self.store = self.cluster()
        else:
            self.store = self.files()

    def cluster(self) -> ClusterStore:
        """Return the objects of the cluster's namespace."""
        from .api import connect, sensitive_values
        from .cluster import ClusterStore

        self.module.no_log_values.update(sensitive_values(self.params.get("kubeconfig")))
        try:
            api = connect(self.params)
        except ImportError:
            self.module.fail_json(
                msg=missing_required_lib("kubernetes", reason="for platform kubernetes"),
                exception=traceback.format_exc(),
            )
        return ClusterStore(api, self.namespace)

    def files(self) -> FileStore:
        """Return the files of the namespace, after a look at whose they are."""
        if not have_yaml():
            self.module.fail_json(msg=missing_required_lib("PyYAML", reason=f"for platform {self.platform}"))
        root = os.path.join(data_home(os.geteuid(), os.environ), "namespaces", self.namespace)
        store = FileStore(root, self.namespace, self.platform)
        store.check_platform()
        return store

    def cli(self) -> SkupperCli:
        """Return the command, after a look at its version; MissingPrerequisite when it is not there."""
        executable = self.params["executable"]
        path = self.module.get_bin_path(executable)
        return find_cli(self.module.run_command, path, executable, self.platform, self.namespace)

    def desired(self, kind: Kind, name: str, spec: t.Mapping[str, t.Any]) -> Object:
        """Return what is wanted: rendered and checked by the command, completed by us."""
        try:
            rendered = self.cli().generate(arguments(kind, self.platform, name, spec))
        except MissingPrerequisite as error:
            self.excuse(error)
            rendered = predicted(kind, self.namespace, name)
        return complete(rendered, kind, self.params, spec)

    def excuse(self, error: MissingPrerequisite) -> None:
        """Turn what an earlier task may bring into a warning, in check mode; raise it otherwise."""
        if not self.module.check_mode:
            raise error
        self.warnings.append(f"{error.message} (check mode goes on as if it were there)")

    def find(self, kind: Kind, name: str) -> Object | None:
        """Return the object as it is; None also when nothing of its kind can be there yet."""
        try:
            return self.store.get(kind, name)
        except MissingPrerequisite as error:
            if self.params.get("state") != "absent":
                self.excuse(error)
            return None

    def plan(self, desired: Object, live: Object | None) -> Plan:
        """Return what a write would change."""
        if self.warnings and live is None:
            # Something is missing: there is nobody to ask.
            return self.store.plan(desired, None, dry_run=False)
        try:
            plan = self.store.plan(desired, live)
        except MissingPrerequisite as error:
            self.excuse(error)
            return self.store.plan(desired, live, dry_run=False)
        if live is None:
            self.look_for_controller()
        return plan

    def look_for_controller(self) -> None:
        """Warn, in check mode, of a controller that is missing; a real run notices that when it waits."""
        if self.platform == KUBERNETES and self.module.check_mode and not self.warnings:
            missing = t.cast("ClusterStore", self.store).missing_controller()
            if missing:
                self.excuse(MissingPrerequisite(missing))

    def act(self, steps: t.Sequence[tuple[str, t.Callable[[], t.Any]]]) -> None:
        """Do what was decided, one step after the other: the only place where something is changed."""
        if self.module.check_mode:
            return
        for what, step in steps:
            try:
                step()
            except SkupperError as error:
                error.message = f"{what}: {error.message}"
                raise
            except OSError as error:
                raise SkupperError(f"{what}: {error}") from error

    def clock(self) -> float:
        """Return seconds of a clock that does not jump."""
        return time.monotonic()


def run_module(arguments_: Arguments, run: t.Callable[[Session], dict[str, t.Any]], **options: t.Any) -> None:
    """Run a module: build it, call ``run``, report what it returns or why it failed."""
    # Nothing goes to the host's log: a kubeconfig given as a mapping would be in it before it can be hidden.
    module = AnsibleModule(argument_spec=arguments_, supports_check_mode=True, no_log=True, **options)
    session = None
    try:
        session = Session(module)
        result = run(session)
    except SkupperError as error:
        _warn(module, session)
        module.fail_json(**error.as_result())
    _warn(module, session)
    module.exit_json(**result)


def _warn(module: AnsibleModule, session: Session | None) -> None:
    for warning in session.warnings if session else []:
        module.warn(warning)
