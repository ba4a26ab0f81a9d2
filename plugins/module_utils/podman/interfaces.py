# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The addresses of this host's interfaces, as Podman looks at them before it makes a network."""

from __future__ import annotations

import fcntl
import socket
import struct

# linux/sockios.h
_GET_ADDRESS, _GET_MASK = 0x8915, 0x891B


def addresses() -> dict[str, str]:
    """Return the first IPv4 address of each interface that has one: ``{"lo": "127.0.0.1/255.0.0.0"}``."""
    found: dict[str, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        for _number, name in socket.if_nameindex():
            try:
                parts = [_ask(asker, name, what) for what in (_GET_ADDRESS, _GET_MASK)]
            except OSError:
                continue  # it has none, or is gone by now
            found[name] = "/".join(parts)
    return found


def _ask(asker: socket.socket, name: str, what: int) -> str:
    # struct ifreq: a name of 16 bytes, then a struct sockaddr_in.
    answer = fcntl.ioctl(asker.fileno(), what, struct.pack("16s24x", name.encode()))
    return socket.inet_ntoa(answer[20:24])
