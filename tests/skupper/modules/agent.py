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
from pathlib import Path
from typing import Any

from ansible.module_utils import basic

MODULES = "ansible_collections.private_ai.chatbot.plugins.modules"
PLUGINS = Path(__file__).parents[3] / "plugins"


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
    """Answer until standard input ends; what modules import is there before."""
    for path in PLUGINS.glob("modules/skupper_*.py"):
        importlib.import_module(f"{MODULES}.{path.stem}")
    client = importlib.import_module(f"{MODULES.rpartition('.')[0]}.module_utils.kubernetes.client")
    client.load_library()
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
