# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a support bundle has of a cluster: no Secret, no prompt, and what cannot be read says why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.errors import ApiError
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.cluster_support import (
    ClusterCollector,
)

PROMPT = "what is the weather on the moon"
KEY = "key-of-the-owner-0001"
SPACE = "/api/v1/namespaces/chat"
POD = {
    "metadata": {"name": "chatbot-1"},
    "spec": {"nodeName": "node-1", "containers": [{"env": [{"name": "A", "value": "canary-of-a-pod"}]}]},
    "status": {
        "phase": "Running",
        "containerStatuses": [{"name": "chatbot", "restartCount": 2, "ready": True, "image": "chat:1"}],
    },
}
ROUTER = {
    "metadata": {"name": "skupper-router-1"},
    "status": {"containerStatuses": [{"name": "router", "restartCount": 0}]},
}
EVENT = {
    "metadata": {"creationTimestamp": "2026-11-21T10:00:00Z"},
    "type": "Warning",
    "reason": "Failed",
    "involvedObject": {"kind": "Pod", "name": "chatbot-1"},
    "message": "cannot pull from https://me:canary-password@registry.example.com/",
}
REQUEST = {"request_id": "id-1", "status": 200, "prompt": PROMPT, "message": f"the key is {KEY}"}
LINE = "2026-11-21 14:46:07.104221 +0000 SERVER (info) [C5] Connection opened"


class Asked:
    """A client that answers from a table; everything else is refused."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.paths: list[str] = []

    def request(self, method: str, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """The answer."""
        assert method == "GET"
        words = [f"{name}={value}" for name, value in query if name in ("labelSelector", "previous")]
        self.paths.append("?".join([path, *words]))
        for known, answer in self.answers.items():
            if self.paths[-1].startswith(known):
                return answer
        raise ApiError(f"not allowed: {path}", status=403)


def test_states_settings_and_logs_without_secrets_and_prompts() -> None:
    client = Asked(
        {
            "/version": {"gitVersion": "v1.36.0"},
            f"{SPACE}/configmaps/chatbot": {"data": {"TEMPERATURE": "0.6", "SYSTEM_PROMPT": PROMPT}},
            f"{SPACE}/events": {"items": [EVENT]},
            f"{SPACE}/pods?labelSelector=app": {"items": [POD]},
            f"{SPACE}/pods/chatbot-1/log?previous=true": f"Traceback: {PROMPT}\n",
            # One line of JSON comes as what it says.
            f"{SPACE}/pods/chatbot-1/log": REQUEST,
            "/api/v1/namespaces/van/pods?labelSelector=skupper.io/component=router": {"items": [ROUTER]},
            "/api/v1/namespaces/van/pods/skupper-router-1/log": f"{LINE}\n{PROMPT}\n",
        }
    )
    files = ClusterCollector(client, "chat", "chatbot", 10, [KEY], "van").files()  # type: ignore[arg-type]  # a client
    whole = json.dumps(files)
    assert PROMPT not in whole and "canary" not in whole and KEY not in whole
    assert not [path for path in client.paths if "secret" in path.lower()]
    assert json.loads(files["kubernetes/settings.json"]) == {
        "TEMPERATURE": "0.6",
        "SYSTEM_PROMPT": f"<{len(PROMPT)} characters>",
    }
    assert "Warning Failed Pod/chatbot-1 (1 times): cannot pull" in files["kubernetes/events.txt"]
    (pod,) = json.loads(files["kubernetes/chatbot-pods.json"])
    assert (pod["node"], pod["containers"][0]["restartCount"]) == ("node-1", 2)
    assert "id-1" in files["logs/chatbot-1-chatbot.log"]
    assert files["logs/chatbot-1-chatbot.before.log"].startswith("<a line of ")
    assert LINE in files["logs/skupper-router-1-router.log"]
    assert (
        files["kubernetes/skupper-events.txt"] == "not available: not allowed: /api/v1/namespaces/van/events"
    )
    assert "v1.36.0" in files["kubernetes/version.json"]


def test_a_cluster_that_tells_nothing_says_why() -> None:
    files = ClusterCollector(Asked({}), "chat", "chatbot", 10).files()  # type: ignore[arg-type]  # a client
    assert files and all(text.startswith("not available: not allowed") for text in files.values())
