"""Part of the stand-in for AWX's API (controller.py): fields of its objects, what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ENCRYPTED = "$encrypted$"
SURVEY_TYPES = ("text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect")


class Refusal(Exception):
    """400 with what is wrong, by field."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(str(fields))
        self.fields = fields


@dataclass(frozen=True)
class Resource:
    """A kind of objects. `fields` are all of them with their defaults."""

    type: str
    fields: dict[str, Any]
    required: tuple[str, ...] = ("name",)
    references: dict[str, str] = field(default_factory=dict)
    choices: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    unique: tuple[str, ...] = ("name",)
    survey: bool = False


_NAMED: dict[str, Any] = {"name": "", "description": ""}
_LAUNCH = {
    "inventory": None,
    "limit": "",
    "job_tags": "",
    "skip_tags": "",
    "extra_vars": "",
    "survey_enabled": False,
    "allow_simultaneous": False,
    "organization": None,
    "ask_inventory_on_launch": False,
    "ask_variables_on_launch": False,
    "ask_limit_on_launch": False,
    "ask_tags_on_launch": False,
    "ask_skip_tags_on_launch": False,
}

RESOURCES: dict[str, Resource] = {
    "organizations": Resource("organization", {**_NAMED, "default_environment": None}),
    "execution_environments": Resource(
        "execution_environment",
        {**_NAMED, "image": "", "organization": None, "credential": None, "pull": ""},
        required=("name", "image"),
        references={"organization": "organizations", "credential": "credentials"},
        choices={"pull": ("", "always", "missing", "never")},
    ),
    "credential_types": Resource(
        "credential_type",
        {**_NAMED, "kind": "", "inputs": {}, "injectors": {}, "managed": False},
        required=("name", "kind"),
        choices={"kind": ("cloud", "net", "ssh")},
        unique=("name", "kind"),
    ),
    "credentials": Resource(
        "credential",
        {**_NAMED, "organization": None, "credential_type": None, "inputs": {}},
        required=("name", "credential_type"),
        references={"organization": "organizations", "credential_type": "credential_types"},
        unique=("organization", "name", "credential_type"),
    ),
    "projects": Resource(
        "project",
        {
            **_NAMED,
            "organization": None,
            "scm_type": "",
            "scm_url": "",
            "scm_branch": "",
            "scm_clean": False,
            "scm_delete_on_update": False,
            "scm_track_submodules": False,
            "scm_update_on_launch": False,
            "scm_update_cache_timeout": 0,
            "allow_override": False,
            "default_environment": None,
            "credential": None,
            "status": "successful",
            "scm_revision": "",
        },
        references={
            "organization": "organizations",
            "default_environment": "execution_environments",
            "credential": "credentials",
        },
        choices={"scm_type": ("", "git", "svn", "insights", "archive")},
        unique=("organization", "name"),
    ),
    "inventories": Resource(
        "inventory",
        {**_NAMED, "organization": None, "kind": "", "host_filter": None, "variables": ""},
        required=("name", "organization"),
        references={"organization": "organizations"},
        choices={"kind": ("", "smart", "constructed")},
        unique=("organization", "name"),
    ),
    "groups": Resource(
        "group",
        {**_NAMED, "inventory": None, "variables": ""},
        required=("name", "inventory"),
        references={"inventory": "inventories"},
        unique=("inventory", "name"),
    ),
    "hosts": Resource(
        "host",
        {**_NAMED, "inventory": None, "variables": "", "enabled": True},
        required=("name", "inventory"),
        references={"inventory": "inventories"},
        unique=("inventory", "name"),
    ),
    "job_templates": Resource(
        "job_template",
        {
            **_NAMED,
            **_LAUNCH,
            "job_type": "run",
            "project": None,
            "playbook": "",
            "execution_environment": None,
            "verbosity": 0,
            "timeout": 0,
        },
        required=("name", "project", "playbook"),
        references={
            "project": "projects",
            "inventory": "inventories",
            "execution_environment": "execution_environments",
        },
        choices={"job_type": ("run", "check"), "verbosity": (0, 1, 2, 3, 4, 5)},
        unique=("name", "project"),
        survey=True,
    ),
    "workflow_job_templates": Resource(
        "workflow_job_template",
        {**_NAMED, **_LAUNCH},
        references={"organization": "organizations", "inventory": "inventories"},
        unique=("organization", "name"),
        survey=True,
    ),
    "workflow_job_template_nodes": Resource(
        "workflow_job_template_node",
        {
            "identifier": "",
            "workflow_job_template": None,
            "unified_job_template": None,
            "inventory": None,
            "extra_data": {},
            "limit": "",
            "job_tags": "",
            "skip_tags": "",
            "all_parents_must_converge": False,
        },
        required=("identifier", "workflow_job_template"),
        references={
            "workflow_job_template": "workflow_job_templates",
            "unified_job_template": "unified_job_templates",
            "inventory": "inventories",
        },
        unique=("identifier", "workflow_job_template"),
    ),
    "schedules": Resource(
        "schedule",
        {**_NAMED, "rrule": "", "unified_job_template": None, "extra_data": {}, "enabled": True},
        required=("name", "rrule", "unified_job_template"),
        references={"unified_job_template": "unified_job_templates"},
        unique=("unified_job_template", "name"),
    ),
}
