# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that the chatbot is on a cluster, from the role's settings: a pure function."""

from __future__ import annotations

from . import build, exposure, network, workload
from .common import Object, Settings


def objects(settings: Settings) -> list[Object]:
    """Return the objects; Secrets are made apart, where their values stay hidden."""
    found: list[Object | None] = [
        workload.service_account(settings),
        workload.config_map(settings),
        workload.deployment(settings),
        workload.service(settings),
        workload.disruption_budget(settings),
        workload.autoscaler(settings),
    ]
    if settings.get("network"):
        found += [network.chatbot_policy(settings), network.listener_policy(settings)]
    way = settings["exposure"]["way"]
    if way != "none":
        found.append(exposure.WAYS[way](settings))
    return [one for one in found if one is not None]


def build_objects(settings: Settings) -> list[Object]:
    """Return what must be there before an image can be built."""
    return [build.image_stream(settings), build.build_config(settings)]
