# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Sites without Kubernetes: a namespace is a directory of files, and these are read and written here."""

from __future__ import annotations

import os
import pwd
import typing as t

from ..files import write_file
from .errors import SkupperError
from .kinds import API_VERSION, Kind
from .ownership import Object, clean, merge_file
from .plan import Plan

if t.TYPE_CHECKING:
    import yaml
else:
    try:
        import yaml
    except ImportError:
        yaml = None

#: What the CLI lists, and what of it becomes a site when one is started.
_ENDINGS = (".yaml", ".yml", ".json")
_LOADED_ENDINGS = (".yaml", ".yml")
_LOADED_KINDS = {
    API_VERSION: (
        *("Site", "Listener", "Connector", "Link", "RouterAccess", "AccessGrant", "AccessToken"),
        *("Certificate", "SecuredAccess", "MultiKeyListener"),
    ),
    "v1": ("Secret", "ConfigMap"),
}
SECRET_MODE = 0o600
OBJECT_MODE = 0o640
DIRECTORY_MODE = 0o700
#: The CLI believes to be in its own container where one of these is, and uses /output when it is there.
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
CONTAINER_HOME = "/output"


def data_home(
    uid: int, environ: t.Mapping[str, str], exists: t.Callable[[str], bool] = os.path.exists
) -> str:
    """Return the directory that holds ``namespaces``, as the CLI of this user finds it."""
    if any(exists(mark) for mark in CONTAINER_MARKS) and exists(CONTAINER_HOME):
        return CONTAINER_HOME
    if uid == 0:
        return "/var/lib/skupper"
    home = environ.get("XDG_DATA_HOME") or os.path.join(pwd.getpwuid(uid).pw_dir, ".local", "share")
    return os.path.join(home, "skupper")


def container_mark(exists: t.Callable[[str], bool] = os.path.exists) -> str | None:
    """Return the file that makes the CLI believe that it is in its own container, None without one."""
    return next((mark for mark in CONTAINER_MARKS if exists(mark)), None)


def refuse_mistaken_host(what: str) -> None:
    """Refuse a host that the CLI would take for its own container."""
    mark = container_mark()
    if mark and not os.path.isdir(CONTAINER_HOME):
        raise SkupperError(
            f"the skupper command takes this host for its own container because {mark} exists, and would "
            f"not {what}; remove {mark} if this is a host (nothing else needs it), or run Skupper on the "
            "host of this container"
        )


def spec_of(obj: t.Mapping[str, t.Any]) -> Object:
    """Return what makes a router behave otherwise: labels and annotations do not."""
    return {key: value for key, value in clean(obj).items() if key != "metadata"}


def specs_of(objects: t.Iterable[t.Mapping[str, t.Any]]) -> dict[tuple[str, str], Object]:
    """Return what counts for the router, by kind and name, of the objects that the CLI makes a site of."""
    return {
        (str(obj["kind"]), str((obj.get("metadata") or {}).get("name"))): spec_of(obj)
        for obj in objects
        if obj["kind"] in _LOADED_KINDS.get(str(obj.get("apiVersion")), ())
    }


class Documents:
    """The objects of a directory, each with the file that it was found in."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._found: dict[tuple[str, str], tuple[str, Object]] = {}
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            names = []
        for name in names:
            if name.endswith(_ENDINGS) and not name.startswith("."):
                for obj in read_documents(os.path.join(folder, name)):
                    key = (str(obj.get("kind")), str((obj.get("metadata") or {}).get("name")))
                    self._found[key] = (os.path.join(folder, name), obj)

    def get(self, kind: str, name: str) -> Object | None:
        """Return one object, None when it is not there."""
        return self._found.get((kind, name), ("", None))[1]

    def all(self, kind: str) -> list[Object]:
        """Return the objects of a kind, by name."""
        return [obj for (found, _name), (_path, obj) in sorted(self._found.items()) if found == kind]

    def path(self, kind: str, name: str) -> str:
        """Return the file of an object, the one the CLI would use when there is none yet."""
        default = os.path.join(self.folder, f"{kind}-{name}.yaml")
        return self._found.get((kind, name), (default, None))[0]

    def specs(self) -> dict[tuple[str, str], Object]:
        """Return what counts for the router, by kind and name."""
        return specs_of(obj for path, obj in self._found.values() if path.endswith(_LOADED_ENDINGS))


def read_documents(path: str) -> list[Object]:
    """Return the objects of a file; SkupperError when it is not YAML."""
    try:
        with open(path, encoding="utf-8") as stream:
            return parse_documents(stream, path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SkupperError(f"{path} cannot be read: {error.strerror}; repair or remove it") from error


def parse_documents(text: str | t.TextIO, path: str) -> list[Object]:
    """Return the objects of a text; SkupperError with its ``path`` when it is not YAML."""
    try:
        found = list(yaml.safe_load_all(text))
    except (ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise SkupperError(f"{path} cannot be read as YAML: {reason}; repair or remove it") from error
    return [obj for obj in found if isinstance(obj, dict) and obj.get("kind")]


def text_of(objects: t.Sequence[t.Mapping[str, t.Any]]) -> bytes:
    """Return objects as a file of the CLI's form."""
    return t.cast(bytes, yaml.safe_dump_all(list(objects), encoding="utf-8", default_flow_style=False))


class FileStore:
    """The files of one namespace.

    :param root: the directory of the namespace.
    """

    def __init__(self, root: str, namespace: str, platform: str) -> None:
        self.root = root
        self.namespace = namespace
        self.platform = platform
        self.input = os.path.join(root, "input", "resources")
        self._documents: Documents | None = None

    def check_platform(self) -> None:
        """Refuse a namespace that was started on another platform."""
        for obj in read_plain(os.path.join(self.root, "internal", "platform.yaml")):
            found = obj.get("platform")
            if found and found != self.platform:
                raise SkupperError(
                    f"namespace {self.namespace} runs on platform {found}, and platform is {self.platform}; "
                    f"name platform {found} in the task, or remove the namespace first"
                )

    @property
    def documents(self) -> Documents:
        """What input/resources holds."""
        if self._documents is None:
            self._documents = Documents(self.input)
        return self._documents

    def get(self, kind: Kind, name: str) -> Object | None:
        """Return one object as it is wanted, None when it is not there."""
        return self.documents.get(kind.name, name)

    def all(self, kind: Kind) -> list[Object]:
        """Return the objects of a kind as they are wanted."""
        return self.documents.all(kind.name)

    def running(self) -> Documents:
        """Return what runs, with its status; empty before the first start."""
        return Documents(os.path.join(self.root, "runtime", "resources"))

    def started(self) -> bool:
        """Return whether the namespace was started: the CLI asks the same question."""
        return os.path.isdir(os.path.join(self.root, "runtime", "resources"))

    def is_pending(self, kind: Kind, name: str, wanted: t.Mapping[str, t.Any] | None) -> bool:
        """Return whether a start or reload is needed for ``wanted`` (None: its absence) to take effect."""
        snapshot = Documents(os.path.join(self.root, "internal", "snapshot")).get(kind.name, name)
        if wanted is None or snapshot is None:
            return (wanted is None) != (snapshot is None)
        return spec_of(wanted) != spec_of(snapshot)

    def pending(self) -> list[str]:
        """Return the objects whose input differs from what was started last."""
        wanted = Documents(self.input).specs()
        snapshot = Documents(os.path.join(self.root, "internal", "snapshot")).specs()
        differing = [key for key in {*wanted, *snapshot} if wanted.get(key) != snapshot.get(key)]
        return sorted(f"{kind}/{name}" for kind, name in differing)

    def plan(self, desired: Object, live: Object | None, dry_run: bool = True) -> Plan:
        """Return what writing ``desired`` would change."""
        del dry_run  # reading files is never more than that
        after = merge_file(desired, live)
        kind, name = desired["kind"], desired["metadata"]["name"]
        changed = live is None or clean(live) != clean(after)
        loose = self._loose(kind, name) if live is not None else None
        plan = Plan(desired, live, after, changed or loose is not None)
        if loose is not None:
            plan.notes["mode"] = loose
        return plan

    def _loose(self, kind: str, name: str) -> tuple[str, str] | None:
        # A file with a key in it that others may read.
        if kind != "Secret":
            return None
        mode = os.stat(self.documents.path(kind, name)).st_mode & 0o777
        return (f"{mode:04o}", f"{SECRET_MODE:04o}") if mode & ~SECRET_MODE else None

    def apply(self, plan: Plan) -> Object:
        """Write what was planned, whole or not at all."""
        kind, name = plan.desired["kind"], plan.desired["metadata"]["name"]
        after = plan.after or plan.desired
        self._rewrite(self.documents.path(kind, name), kind, name, after)
        return after

    def delete(self, kind: Kind, name: str) -> None:
        """Remove an object from its file, and the file when nothing is left in it."""
        self._rewrite(self.documents.path(kind.name, name), kind.name, name, None)

    def _rewrite(self, path: str, kind: str, name: str, obj: Object | None) -> None:
        kept: list[Object] = []
        placed = False
        for found in read_documents(path):
            if (found["kind"], (found.get("metadata") or {}).get("name")) != (kind, name):
                kept.append(found)
            elif obj is not None and not placed:
                kept.append(obj)
                placed = True
        if obj is not None and not placed:
            kept.append(obj)
        if kept:
            secret = any(one["kind"] == "Secret" for one in kept)
            make_directory(os.path.dirname(path))
            write_file(path, text_of(kept), SECRET_MODE if secret else OBJECT_MODE)
        else:
            os.unlink(path)
        self._documents = None


def make_directory(path: str) -> None:
    """Make a directory and those above it for the owner alone; what is there keeps its mode."""
    before = os.umask(0o777 & ~DIRECTORY_MODE)
    try:
        os.makedirs(path, exist_ok=True)
    finally:
        os.umask(before)


def read_plain(path: str) -> list[Object]:
    """Return the mappings of a YAML file, none when it is not there."""
    try:
        with open(path, encoding="utf-8") as stream:
            return [one for one in yaml.safe_load_all(stream) if isinstance(one, dict)]
    except (OSError, ValueError, yaml.YAMLError):
        return []


def have_yaml() -> bool:
    """Return whether PyYAML is there."""
    return yaml is not None
