"""The files of a site that is not on Kubernetes, as the program's nouns write, list and remove them."""

from __future__ import annotations

import os
import shutil
import sys

from ..model.encode import clean, read_documents, to_yaml
from ..model.kinds import Resource, name_of
from ..model.layout import INPUT, RUNTIME, go_error, in_container, namespace_path, shown_home
from .errors import Failed


def write(one: Resource, namespace: str) -> None:
    """Write a resource as input, over what is there, with the modes that the umask leaves."""
    folder = namespace_path(namespace, INPUT)
    path = folder / f"{one['kind']}-{name_of(one)}.yaml"
    try:
        folder.mkdir(mode=0o775, parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"failed to create directories: {go_error(error, 'mkdir')}") from error
    try:
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666), "w", encoding="utf-8") as file:
            file.write(to_yaml(clean(one)))
    except OSError as error:
        raise Failed(f"failed to create file: {go_error(error, 'open')}") from error
    shown = str(path)
    if in_container():
        shown = shown.replace("/output", str(shown_home()), 1)
    print("File written to", shown)


def get(
    kind: str, name: str, namespace: str, *, runtime: bool = False, fallback: bool = True
) -> Resource | None:
    """A resource of the input; with `runtime` the one that runs, else, with `fallback`, the input's."""
    parts = ([RUNTIME] if runtime else []) + ([INPUT] if fallback or not runtime else [])
    for part in parts:
        path = namespace_path(namespace, part) / f"{kind}-{name}.yaml"
        try:
            documents = read_documents(path.read_text(encoding="utf-8"))
        except OSError:
            continue
        return documents[-1] if documents else {}
    return None


def listed(kind: str, namespace: str, *, fallback: bool = True) -> list[Resource]:
    """What runs, else, with `fallback`, what is in the input."""
    folder = namespace_path(namespace, RUNTIME)
    if fallback and not folder.is_dir():
        sys.stderr.write("Site not initialized yet\n")
        folder = namespace_path(namespace, INPUT)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise Failed(f"failed to read directory: {go_error(error, 'open')}") from error
    found = []
    for name in names:
        if name.startswith(f"{kind}-"):
            documents = read_documents((folder / name).read_text(encoding="utf-8"))
            found.append(documents[-1] if documents else {})
    return found


def delete(kind: str, name: str, namespace: str) -> bool:
    """Remove a resource of the input; false when it was not there."""
    try:
        (namespace_path(namespace, INPUT) / f"{kind}-{name}.yaml").unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Failed(f"failed to delete file: {go_error(error, 'unlinkat')}") from error
    return True


def delete_all(namespace: str) -> None:
    """Remove the input as a whole."""
    shutil.rmtree(namespace_path(namespace, INPUT), ignore_errors=True)
