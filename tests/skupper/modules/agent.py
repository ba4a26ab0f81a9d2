"""Runs modules in a host for the tests, each in a child of a process that has loaded Ansible already.

Reads requests from standard input, a line of JSON each, and answers with a line each.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import traceback
from typing import Any

from ansible.module_utils import basic

MODULES = "ansible_collections.private_ai.chatbot.plugins.modules"


def run(request: dict[str, Any], output: int) -> None:
    """Be the module: its arguments where Ansible's wrapper leaves them, its result on standard output."""
    os.dup2(output, 1)
    os.environ.update(request["environ"])
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": request["arguments"]}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    try:
        importlib.import_module(f"{MODULES}.{request['module']}").main()
    except SystemExit:
        pass
    except BaseException:
        print(traceback.format_exc())
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Answer until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                run(json.loads(line), output.fileno())
            os.waitpid(child, 0)
            output.seek(0)
            print(json.dumps(output.read().decode()), flush=True)


if __name__ == "__main__":
    main()
