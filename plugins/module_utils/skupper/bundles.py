# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Site bundles: what one holds, whether that is still what the input says, and a new one in its place.

The command makes new keys each time, so two bundles of the same input are never the same bytes. What is
compared is the input itself, of which each bundle carries a copy.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import secrets
import shutil
import stat
import tarfile
import typing as t
import zlib
from dataclasses import dataclass

from ..files import write_file
from .errors import InvalidValue, SkupperError
from .namespaces import SECRET_MODE, Documents, parse_documents, specs_of
from .ownership import Object

#: What the command appends to the name for each form.
ENDINGS = {"tarball": ".tar.gz", "shell-script": ".sh"}
#: Between the script and the archive in it.
_MARK = b"\n__TARBALL_CONTENT__\n"
_INSTALLER = "install.sh"
_SNAPSHOT = "/internal/snapshot/"
_LINKS = "/runtime/links/"

Specs = dict[tuple[str, str], Object]


@dataclass(frozen=True)
class Content:
    """What a bundle is made of, as far as it is compared.

    :param form: tarball or shell-script.
    :param platform: what the installer takes without another word.
    :param objects: the site's objects by kind and name.
    """

    form: str
    platform: str
    namespace: str
    objects: Specs

    def seen(self, other: Content | None = None) -> dict[str, t.Any]:
        """Return it for a diff from ``other``; of a Secret only whether it differs."""
        theirs = other.objects if other else {}
        found = {}
        for key, obj in sorted(self.objects.items()):
            seen = {name: value for name, value in obj.items() if name != "data"}
            if obj.get("data"):
                same = key not in theirs or theirs[key].get("data") == obj["data"]
                seen["data"] = "<hidden>" if same else "<changed>"
            found["/".join(key)] = seen
        return {
            "type": self.form,
            "platform": self.platform,
            "namespace": self.namespace,
            "objects": found,
        }


@dataclass(frozen=True)
class Bundle:
    """A bundle as it was read.

    :param site: name of the site in it.
    :param version: of the command that made it.
    :param links: files with which other sites can link to it.
    """

    content: Content
    site: str
    version: str
    links: tuple[str, ...]


def read_bundle(data: bytes) -> Bundle | None:
    """Return what a bundle holds, None when ``data`` is no whole bundle."""
    head, mark, archive = data.partition(_MARK)
    form = "shell-script" if mark and data.startswith(b"#!") else "tarball"
    try:
        # The whole is unpacked first: only its end tells that nothing is missing.
        plain = gzip.decompress(archive if form == "shell-script" else data)
        with tarfile.open(fileobj=io.BytesIO(plain)) as members:
            texts = {one.name: _text(members, one) for one in members if one.isfile()}
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError):
        return None
    installer = head.decode("utf-8", "replace") if form == "shell-script" else texts.get(_INSTALLER, "")
    namespace = _word(installer, "SOURCE_NAMESPACE")
    snapshot = f"{namespace}{_SNAPSHOT}"
    links = f"{namespace}{_LINKS}"
    objects: Specs = {}
    try:
        for name, text in texts.items():
            if name.startswith(snapshot):
                objects.update(specs_of(parse_documents(text, name)))
    except SkupperError:
        return None
    if not objects:
        return None
    return Bundle(
        Content(form, _word(installer, "SOURCE_PLATFORM"), namespace, objects),
        _word(installer, "SITE_NAME"),
        _word(installer, "VERSION"),
        tuple(sorted(name[len(links) :] for name in texts if name.startswith(links))),
    )


def _text(members: tarfile.TarFile, one: tarfile.TarInfo) -> str:
    stream = members.extractfile(one)
    return stream.read().decode("utf-8") if stream else ""


def _word(script: str, name: str) -> str:
    found = re.search(rf'(?m)^export {name}="([^"\n]*)"', script)
    return found.group(1) if found else ""


def find(path: str) -> tuple[bytes | None, int]:
    """Return what is in a file, and its mode; None without one. InvalidValue when it is no file."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise InvalidValue(f"dest is {path!r}, which is no file; name a file")
        with open(path, "rb") as stream:
            return stream.read(), mode & 0o777
    except FileNotFoundError:
        return None, 0
    except OSError as error:
        raise SkupperError(f"dest {path} cannot be read: {error.strerror}") from error


def unwise(documents: Documents) -> list[str]:
    """Return what of an input a bundle does not do."""
    access = [(one.get("spec") or {}).get("linkAccess") or "none" for one in documents.all("Site")]
    if access in ([], ["none"]) or documents.all("RouterAccess"):
        return []
    return [
        f"the site has link_access={access[0]}, which does nothing in a bundle: it knows neither ports nor "
        "names of the other host; give them with the module skupper_router_access"
    ]


def make(
    run: t.Callable[[t.Sequence[str]], t.Any], home: str, content: Content, source: str | None, dest: str
) -> None:
    """Have the command make a bundle, look at it, and put it in its place for the owner alone.

    :param run: the command, for its words.
    :param home: the directory in which the command makes ``bundles``.
    :param source: a directory with the input; None for the namespace's own.
    """
    folder = os.path.join(home, "bundles")
    name = f"private-ai-{secrets.token_hex(8)}"
    made = os.path.join(folder, name + ENDINGS[content.form])
    # The command renders the site there, with its keys, and leaves it when it fails.
    rendered = os.path.join(folder, content.namespace)
    foreign = os.path.lexists(rendered)
    words = ["system", "generate-bundle", name, "--type", content.form]
    try:
        run([*words, "--input", source] if source else words)
        data = find(made)[0]
        found = read_bundle(data) if data is not None else None
        if data is None or found is None or found.content != content:
            raise SkupperError(
                f"the skupper command made a bundle that does not hold what its input says; {dest} was left "
                "as it was. Likely cause: the input has fields that this version of the command does not "
                "know; remove them"
            )
        write_file(dest, data, SECRET_MODE)
    finally:
        if os.path.exists(made):
            os.unlink(made)
        if not foreign:
            shutil.rmtree(rendered, ignore_errors=True)


def report(path: str, data: bytes | None, bundle: Bundle | None, content: Content) -> dict[str, t.Any]:
    """Return a bundle for the result; without ``data``, as it would be."""
    sites = [name for kind, name in content.objects if kind == "Site"]
    return {
        "path": path,
        "type": content.form,
        "platform": content.platform,
        "namespace": content.namespace,
        "site": bundle.site if bundle else next(iter(sites), None),
        "version": bundle.version if bundle else None,
        "sha256": hashlib.sha256(data).hexdigest() if data is not None else None,
        "objects": sorted("/".join(key) for key in content.objects),
        "links": list(bundle.links) if bundle else [],
    }
