# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions of AWX made of argument specifications, so that nothing is written down twice."""

from __future__ import annotations

import os
import re
import typing as t

import yaml
from ansible.errors import AnsibleFilterError

Options = dict[str, dict[str, t.Any]]
_COLLECTION = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
_TYPES = {"str": "text", "path": "text", "raw": "text", "int": "integer", "float": "float"}


def _load(*path: str) -> t.Any:
    with open(os.path.join(_COLLECTION, *path), encoding="utf-8") as stream:
        return yaml.safe_load(stream)


def playbook_options(name: t.Any) -> Options:
    """Return the options of a playbook: its own ones, and those of its roles that it names."""
    playbooks = _load("playbooks", "vars", "arguments.yml")["playbook_arguments"]
    if name not in playbooks:
        raise AnsibleFilterError(f"{name} takes no arguments; those that do: {', '.join(sorted(playbooks))}")
    found: Options = {}
    for role, wanted in (playbooks[name].get("roles") or {}).items():
        options = _load("roles", role, "meta", "argument_specs.yml")["argument_specs"]["main"]["options"]
        missing = sorted(set(wanted) - set(options))
        if missing:
            raise AnsibleFilterError(
                f"role {role} has no option {', '.join(missing)}; correct playbooks/vars/arguments.yml"
            )
        found |= {option: dict(options[option]) for option in wanted}
    return {**found, **(playbooks[name].get("options") or {})}


def _question(name: str, option: dict[str, t.Any]) -> dict[str, t.Any]:
    kind, default = option.get("type", "str"), option.get("default")
    description = option.get("description", "")
    sentences = [description] if isinstance(description, str) else list(description)
    question = {
        "question_name": re.sub(r"_", " ", name).capitalize(),
        "question_description": " ".join(sentences),
        "variable": name,
        "required": bool(option.get("required")),
        "type": _TYPES.get(kind, "text"),
        "default": "" if default is None else default,
        "choices": "",
        "min": 0,
        "max": 1024,
    }
    if option.get("no_log"):
        question["type"] = "password"
    elif kind == "bool":
        question |= {
            "type": "multiplechoice",
            "choices": ["true", "false"],
            "default": str(bool(default)).lower(),
        }
    elif option.get("choices"):
        question |= {"type": "multiplechoice", "choices": [str(choice) for choice in option["choices"]]}
    elif kind in ("int", "float"):
        question["max"] = 1000000000
    return question


def survey_spec(options: t.Any) -> dict[str, t.Any]:
    """Return the survey for options; AWX cannot ask for lists and dictionaries: the inventory has them."""
    if not isinstance(options, dict):
        raise AnsibleFilterError(
            f"survey_spec takes the options of a playbook, not a {type(options).__name__}"
        )
    questions = [
        _question(name, option)
        for name, option in options.items()
        if option.get("type", "str") not in ("list", "dict")
    ]
    return {"name": "", "description": "", "spec": questions}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"playbook_options": playbook_options, "survey_spec": survey_spec}
