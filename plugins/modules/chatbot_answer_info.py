#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the chatbot as a visitor does, and tell what came and when."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chatbot_answer_info
short_description: Ask the chatbot as a visitor does
version_added: 0.2.0
description:
  - Puts one question to the chatbot by its public address and tells the answer, when its first word came, and
    whether the words came one by one.
  - No answer is a result, not a failure of the module.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_chatbot
options:
  url:
    description: The address of the page.
    type: str
    required: true
  question:
    description: What is asked.
    type: str
    default: What is this?
  timeout:
    description: Seconds that the whole answer may take.
    type: int
    default: 600
  validate_certs:
    description: Whether the certificate must be one that this host trusts.
    type: bool
    default: true
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Ask by the public address
  private_ai.chatbot.chatbot_answer_info:
    url: https://chat.example.com/
  register: asked
  failed_when: not asked.answered or asked.streamed is false
"""

RETURN = r"""
answered:
  description: Whether an answer came, whole and without an error.
  returned: always
  type: bool
  sample: true
answer:
  description: The answer, without the model's thinking.
  returned: always
  type: str
  sample: A private language model.
error:
  description: Why there is none; empty when there is one.
  returned: always
  type: str
  sample: ''
pieces:
  description: In how many pieces it came, the thinking counted.
  returned: always
  type: int
  sample: 42
first_token_seconds:
  description: Seconds until its first piece came here; null when none came.
  returned: always
  type: float
  sample: 0.104
seconds:
  description: Seconds until its end came here; null when it did not come.
  returned: always
  type: float
  sample: 4.2
streamed:
  description:
    - Whether the pieces came while the chatbot said them, by the times that the chatbot itself tells.
    - Null when the answer was too short for that, or when there was none.
  returned: always
  type: bool
  sample: true
"""

import http.client
import json
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import ConnectionError as NoConnection
from ansible.module_utils.urls import open_url
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.answer import Answer


def ask(params: t.Mapping[str, t.Any]) -> Answer:
    """Ask, and listen to the end."""
    answer, start = Answer(), time.monotonic()
    body = {"messages": [{"role": "user", "content": params["question"]}], "stream": True}
    try:
        response = open_url(
            params["url"].rstrip("/") + "/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-Chatbot-Events": "1"},
            method="POST",
            timeout=params["timeout"],
            validate_certs=params["validate_certs"],
            decompress=False,
        )
        with response:
            for line in response:
                moment = time.monotonic() - start
                if moment > params["timeout"]:
                    answer.error = f"it did not end within timeout ({params['timeout']} s)"
                    break
                answer.hear(line, moment)
    except (OSError, ValueError, http.client.HTTPException, NoConnection) as error:
        # An HTTPError is an OSError, too, and says in its body what is wrong.
        said = error.read(300).decode("utf-8", "replace") if hasattr(error, "read") else ""
        answer.error = f"{error} {said}".strip()
    return answer


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "question": {"type": "str", "default": "What is this?"},
            "timeout": {"type": "int", "default": 600},
            "validate_certs": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **ask(module.params).facts())


if __name__ == "__main__":
    main()
