#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep a Skupper site as one file, for a host that cannot be reached."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_bundle
short_description: Keep a Skupper site as one file, for a host that cannot be reached
version_added: 0.2.0
description:
  - Makes a site bundle of the objects of a namespace, as M(private_ai.chatbot.skupper_site) and its like
    write them on this host, or of a directory. The site need not be started here.
  - On the other host, which needs neither Ansible nor the C(skupper) command, the bundle's installer starts
    the site, C(sh install.sh) after unpacking, or C(sh) with the file for O(type=shell-script). C(-n) gives
    another namespace, C(-p) another platform, C(-x) removes the site. The installer needs a command named
    C(python), besides C(podman), C(docker) or C(skrouterd); where only C(python3) is there, the package
    C(python-is-python3) or a link of that name helps. Unpack where no file has the name of the namespace.
  - The file is made anew when the objects in it differ from the input. It is replaced only by a whole one
    that was read back and holds what the input says.
  - For other sites to link to it, the site needs M(private_ai.chatbot.skupper_router_access) with the names
    of the other host; O(private_ai.chatbot.skupper_site#module:link_access=default) has no effect in a
    bundle.
  - A new bundle has new keys and a new CA. Links of other sites to the one that was installed before do not
    work with it.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.skupper
  - private_ai.chatbot.skupper.host
  - private_ai.chatbot.skupper.changes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_skupper
attributes:
  idempotent:
    details:
      - Not with O(force=true).
options:
  platform:
    description:
      - Where the site of the bundle is to run, unless its installer is told otherwise.
  state:
    description: Whether the file exists.
    type: str
    choices: [present, absent]
    default: present
  dest:
    description:
      - File for the bundle. It holds keys and gets the mode 0600. Its directory must exist.
    type: path
    required: true
  type:
    description: Whether it is an archive with an installer in it, or a script with the archive in it.
    type: str
    choices: [tarball, shell-script]
    default: tarball
  input:
    description:
      - Directory with the site's objects, in place of those of O(namespace), which must have none then.
    type: path
  force:
    description:
      - Whether to make it anew although the input is the same, for example for the router image of a newer
        command.
    type: bool
    default: false
seealso:
  - module: private_ai.chatbot.skupper_system
    description: Sites on hosts that can be reached.
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: The site of a host without network, as files of a namespace of its own
  private_ai.chatbot.skupper_site:
    platform: podman
    namespace: plant-7
    name: plant-7

- name: What it offers
  private_ai.chatbot.skupper_connector:
    platform: podman
    namespace: plant-7
    name: instructlab
    connector_host: 127.0.0.1
    port: 8000

- name: All of it in one file
  private_ai.chatbot.skupper_bundle:
    platform: podman
    namespace: plant-7
    dest: /srv/bundles/plant-7.sh
    type: shell-script
"""

RETURN = r"""
bundle:
  description: The bundle as it is after the module, in check mode as it would be; null when there is none.
  returned: success
  type: dict
  contains:
    path:
      description: The file.
      type: str
    type:
      description: As the option.
      type: str
    platform:
      description: As the option.
      type: str
    namespace:
      description: As the option.
      type: str
    site:
      description: Name of the site in it.
      type: str
    version:
      description: Version of the command that made it; null before it is made.
      type: str
    sha256:
      description: Checksum of the file; null in check mode when it would be another one.
      type: str
    objects:
      description: What the site is made of.
      type: list
      elements: str
    links:
      description: Files in it with which other sites can link to this one; the installer's C(-d) copies them.
      type: list
      elements: str
  sample:
    path: /srv/bundles/plant-7.sh
    type: shell-script
    platform: podman
    namespace: plant-7
    site: plant-7
    version: 2.2.1
    sha256: 3b1c7c6f0b0c52b5bd92bd7a4c8de07d9ea6a8e4bd76c0be2dd2f16c3b2d1f0a
    objects: [Connector/instructlab, Site/plant-7]
    links: []
"""

import os
import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.bundles import (
    ENDINGS,
    Content,
    find,
    make,
    read_bundle,
    report,
    unwise,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    MissingPrerequisite,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.namespaces import (
    SECRET_MODE,
    Documents,
    FileStore,
    refuse_mistaken_host,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    HOST_ARGUMENTS,
    Session,
    run_module,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.system import check_input

if t.TYPE_CHECKING:
    from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ensure import Step

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **HOST_ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "dest": {"type": "path", "required": True},
    "type": {"type": "str", "choices": list(ENDINGS), "default": "tarball"},
    "input": {"type": "path"},
    "force": {"type": "bool", "default": False},
}


def read_input(session: Session, store: FileStore) -> Documents:
    """Return the objects that the bundle is made of, after a look whether the command would take them."""
    source = session.params["input"]
    if source and not os.path.isdir(source):
        session.excuse(
            MissingPrerequisite(f"input is {source!r}, which is no directory; make it first, with its files")
        )
    if source and os.path.isdir(store.input) and os.listdir(store.input):
        raise InvalidValue(
            f"input is {source!r}, and namespace {session.namespace} has objects of its own in "
            f"{store.input}; leave input out, or choose another namespace"
        )
    documents = Documents(source) if source else store.documents
    if not documents.all("Site"):
        session.excuse(
            MissingPrerequisite(
                f"there is no site in {documents.folder}; make it first with the module skupper_site"
            )
        )
    session.warnings.extend([*check_input(documents), *unwise(documents)])
    return documents


def present(session: Session, store: FileStore, dest: str) -> dict[str, t.Any]:
    """Have the bundle be one of the input."""
    params = session.params
    folder = os.path.dirname(dest) or "."
    if not os.path.isdir(folder):
        session.excuse(MissingPrerequisite(f"dest is {dest!r} and {folder!r} is no directory; make it first"))
    documents = read_input(session, store)
    wanted = Content(params["type"], session.platform, session.namespace, documents.specs())
    data, mode = find(dest)
    bundle = read_bundle(data) if data is not None else None
    renew = params["force"] or bundle is None or bundle.content != wanted
    close = data is not None and bool(mode & ~SECRET_MODE)
    steps: list[Step] = []
    if renew:
        try:
            cli = session.cli()
            refuse_mistaken_host("make a bundle as on a host")
        except MissingPrerequisite as error:
            session.excuse(error)
        home = os.path.dirname(os.path.dirname(store.root))
        steps.append(("making the bundle", lambda: make(cli.run, home, wanted, params["input"], dest)))
    elif close:
        steps.append(("closing the bundle", lambda: os.chmod(dest, SECRET_MODE)))
    session.act(steps)
    before: dict[str, t.Any] = {"mode": f"{mode:04o}"} if data is not None else {}
    if data is not None:
        before.update(bundle.content.seen() if bundle else {"content": "no whole bundle"})
    after = {"mode": f"{SECRET_MODE:04o}", **wanted.seen(bundle.content if bundle else None)}
    if params["force"]:
        after["keys"] = "<new>"
    if renew:
        data = None if session.module.check_mode else find(dest)[0]
        bundle = read_bundle(data) if data is not None else None
    return {
        "changed": bool(steps),
        "bundle": report(dest, data, bundle, wanted),
        "diff": {"before": before, "after": after},
    }


def absent(session: Session, dest: str) -> dict[str, t.Any]:
    """Remove the file."""
    there = find(dest)[0] is not None
    session.act([("removing the bundle", lambda: os.unlink(dest))] if there else [])
    return {
        "changed": there,
        "bundle": None,
        "diff": {"before": {"path": dest} if there else {}, "after": {}},
    }


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    dest = session.params["dest"]
    if session.params["state"] == "absent":
        return absent(session, dest)
    store = session.store
    if not isinstance(store, FileStore):
        raise AssertionError("the platform was checked")  # pragma: no cover
    return present(session, store, dest)


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
