# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the chatbot is on a cluster, from the variables of its role."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.private_ai.chatbot.plugins.plugin_utils.chatbot.decide import Decisions
from ansible_collections.private_ai.chatbot.plugins.plugin_utils.chatbot.objects import (
    build_objects,
    objects,
)
from ansible_collections.private_ai.chatbot.plugins.plugin_utils.chatbot.problems import problems, warnings
from ansible_collections.private_ai.chatbot.plugins.plugin_utils.chatbot.settings import settings

Variables = t.Mapping[str, t.Any]


def chatbot_plan(
    variables: Variables, cluster: Variables, platform: str, told: Variables | None = None
) -> dict[str, t.Any]:
    """Return what follows from the variables on this cluster, what is wrong, and what is to be known."""
    try:
        decided = Decisions(variables, cluster, platform)
        return {
            "way": decided.way,
            "image_source": decided.image_source,
            "ingress_class": decided.ingress_class,
            "kinds": decided.kinds,
            "needed_secrets": decided.needed_secrets,
            "key_secret": decided.key_secret,
            "model_address": decided.model_address,
            "self_signed": decided.tls_secret if decided.tls == "self_signed" else "",
            "problems": problems(decided),
            "warnings": warnings(decided),
            "pods_scheme": "https" if decided.pod_certificate else "http",
            "url": decided.public_url(told or {}),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"chatbot_plan: {type(error).__name__}: {error}") from error


def chatbot_objects(
    variables: Variables,
    cluster: Variables,
    platform: str,
    image: str,
    model_name: str = "",
    tag: str = "",
    only: str = "all",
) -> list[dict[str, t.Any]]:
    """Return the objects; ``only=build`` those with which OpenShift builds the image."""
    try:
        found = settings(Decisions(variables, cluster, platform), image, model_name, tag)
        return build_objects(found) if only == "build" else objects(found)
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"chatbot_objects: {type(error).__name__}: {error}") from error


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filters of this file."""
        return {"chatbot_plan": chatbot_plan, "chatbot_objects": chatbot_objects}
