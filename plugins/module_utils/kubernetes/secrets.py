# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Secrets of a set, made from values that are hidden everywhere else."""

from __future__ import annotations

import base64
import datetime
import typing as t

from . import certificates
from .errors import InvalidValue
from .resources import Object, Resource
from .store import Store

_SECRET = Resource("Secret", "v1", "secrets")


def secret_objects(store: Store, wanted: t.Sequence[t.Mapping[str, t.Any]], there: bool) -> list[Object]:
    """Return the Secrets for the module's option.

    :param there: whether the namespace is there, so that a certificate made earlier may be, too.
    """
    found = []
    for one in wanted:
        if bool(one.get("data")) == bool(one.get("self_signed_hosts")):
            raise InvalidValue(f"secrets: {one['name']} needs data or self_signed_hosts, and not both")
        values = {key: str(value) for key, value in (one.get("data") or {}).items()}
        if one.get("self_signed_hosts"):
            values = _certificate(store, one["name"], one["self_signed_hosts"], there)
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        found.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": one["name"]},
                "type": one["type"],
                "data": data,
            }
        )
    return found


def _certificate(store: Store, name: str, hosts: t.Sequence[str], there: bool) -> dict[str, str]:
    if not certificates.HAVE_CRYPTOGRAPHY:
        raise InvalidValue(
            "secrets: self_signed_hosts needs the Python library cryptography where the module runs; "
            "install it, or give a certificate"
        )
    now = datetime.datetime.now(datetime.timezone.utc)
    live = certificates.decoded(store.get(_SECRET, name)) if there else {}
    kept = {key: live.get(key, "") for key in (certificates.CERTIFICATE, certificates.KEY)}
    return kept if certificates.fits(kept, hosts, now) else certificates.make(hosts, now)
