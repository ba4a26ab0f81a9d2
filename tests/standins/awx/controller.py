"""Stand-in for the API of AWX 24 (automation controller), for playbooks/awx_setup.yml.

Keeps objects in memory and refuses what the real one refuses, with its status and its field-wise
messages: a wrong or missing token (401), unknown paths (404) and methods (405), missing required fields,
values outside of the choices, references to objects that do not exist or belong to another organization,
two objects of one name in the same place, a playbook that the project does not have, a limit, tags or
tags to skip where the template does not ask for them, surveys and recurrence rules in another form,
injectors that name unknown inputs, and filters by unknown fields. Stricter than the real one: fields that
the object does not have are refused (400), which the real one silently drops, so that a misspelt one is seen.
Secrets come back as `$encrypted$`. It runs nothing: a project's update is successful at once.

    python -m tests.standins.awx.controller --port P --token T --playbooks a.yml,b.yml

`GET /_requests` lists what was written: [["POST", "/api/v2/projects/"], ...].
"""

from __future__ import annotations

import argparse
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.standins.awx.schema import ENCRYPTED, RESOURCES, SURVEY_TYPES, Refusal, Resource

Object = dict[str, Any]
ASSOCIATIONS = {
    "job_templates": {"credentials": "credentials"},
    "groups": {"hosts": "hosts", "children": "groups"},
    "workflow_job_template_nodes": {
        "success_nodes": "workflow_job_template_nodes",
        "failure_nodes": "workflow_job_template_nodes",
        "always_nodes": "workflow_job_template_nodes",
        "credentials": "credentials",
    },
}
UNIFIED = ("projects", "job_templates", "workflow_job_templates")


class Controller:
    """The objects, by kind and id."""

    def __init__(self, playbooks: list[str]) -> None:
        self.playbooks = playbooks
        self.objects: dict[str, dict[int, Object]] = {name: {} for name in RESOURCES}
        self.links: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[tuple[str, int], Object] = {}
        self.last = 0
        self.writes: list[tuple[str, str]] = []
        self.create("organizations", {"name": "Default"})
        machine = {
            "name": "Machine",
            "kind": "ssh",
            "inputs": {"fields": [{"id": "ssh_key_data", "secret": True}]},
        }
        self.create("credential_types", machine)

    # --- Reading ----------------------------------------------------------------------------------------

    def shown(self, kind: str, one: Object) -> Object:
        """An object as it is answered: related addresses, secrets hidden."""
        resource = RESOURCES[kind]
        base = f"/api/v2/{kind}/{one['id']}/"
        related = {name: f"{base}{name}/" for name in ASSOCIATIONS.get(kind, {})}
        if resource.survey:
            related["survey_spec"] = base + "survey_spec/"
        if kind == "projects":
            related["update"] = base + "update/"
        shown = {**one, "type": resource.type, "url": base, "related": related, "summary_fields": {}}
        if kind == "credentials":
            fields = self.objects["credential_types"][one["credential_type"]]["inputs"].get("fields", [])
            secret = {field["id"] for field in fields if field.get("secret")}
            shown["inputs"] = {
                name: ENCRYPTED if name in secret else value for name, value in one["inputs"].items()
            }
        return shown

    def find(self, kind: str, query: dict[str, str]) -> list[Object]:
        """The objects that match; unknown filters are refused."""
        kinds = UNIFIED if kind == "unified_job_templates" else (kind,)
        found = []
        for name in kinds:
            for one in self.objects[name].values():
                if self._matches(name, one, query):
                    found.append(self.shown(name, one))
        return found

    @staticmethod
    def _matches(kind: str, one: Object, query: dict[str, str]) -> bool:
        alternatives: list[bool] = []
        conditions: list[bool] = []
        for key, value in query.items():
            if key in ("page_size", "page", "order_by"):
                continue
            field = key.removeprefix("or__")
            if field != "id" and field not in RESOURCES[kind].fields:
                raise Refusal({"detail": f"{RESOURCES[kind].type} has no field named '{field}'"})
            (alternatives if key.startswith("or__") else conditions).append(str(one.get(field)) == value)
        return all(conditions) and (not alternatives or any(alternatives))

    def get(self, kind: str, number: int) -> Object:
        """One object; KeyError when there is none."""
        return self.objects[kind][number]

    # --- Writing ----------------------------------------------------------------------------------------

    def create(self, kind: str, data: Object) -> Object:
        """A new object."""
        resource = RESOURCES[kind]
        missing = [name for name in resource.required if data.get(name) in (None, "")]
        if missing:
            raise Refusal({name: ["This field is required."] for name in missing})
        one = dict(resource.fields)
        one |= self._checked(resource, kind, data, None)
        self.last += 1
        self.objects[kind][self.last] = {**one, "id": self.last}
        return self.shown(kind, self.objects[kind][self.last])

    def update(self, kind: str, number: int, data: Object) -> Object:
        """An object changed."""
        one = self.get(kind, number)
        one |= self._checked(RESOURCES[kind], kind, {**data}, number)
        return self.shown(kind, one)

    def _checked(self, resource: Resource, kind: str, data: Object, number: int | None) -> Object:
        data = {name: value for name, value in data.items() if name != "type"}
        unknown = sorted(set(data) - set(resource.fields))
        if unknown:
            raise Refusal({name: ["This field does not exist here."] for name in unknown})
        for name, target in resource.references.items():
            self._reference(name, target, data)
        for name, choices in resource.choices.items():
            if data.get(name, "") is None and "" in choices:
                data[name] = ""  # as AWX's ChoiceNullField
            if name in data and data[name] not in choices:
                raise Refusal({name: [f'"{data[name]}" is not a valid choice.']})
        before = self.objects[kind].get(number or 0, {})
        whole = {**resource.fields, **before, **data}
        for other in self.objects[kind].values():
            if other["id"] != number and all(other.get(key) == whole.get(key) for key in resource.unique):
                raise Refusal(
                    {
                        "__all__": [
                            f"{resource.type} with this {' and '.join(resource.unique)} already exists."
                        ]
                    }
                )
        self._special(kind, whole)
        return data

    def _reference(self, name: str, target: str, data: Object) -> None:
        if data.get(name) in (None, ""):
            return
        kinds = UNIFIED if target == "unified_job_templates" else (target,)
        if not any(data[name] in self.objects[one] for one in kinds):
            raise Refusal({name: [f'Invalid pk "{data[name]}" - object does not exist.']})

    def _special(self, kind: str, whole: Object) -> None:
        if kind == "job_templates":
            project = self.objects["projects"].get(whole["project"] or 0)
            if project is None:
                raise Refusal({"project": ["Job Templates must have a project assigned."]})
            if whole["playbook"] not in self.playbooks:
                raise Refusal({"playbook": ["Playbook not found for project."]})
            inventory = self.objects["inventories"].get(whole["inventory"] or 0)
            if inventory is None and not whole["ask_inventory_on_launch"]:
                raise Refusal({"inventory": ["A default or prompt inventory is needed."]})
            if inventory and inventory["organization"] != project["organization"]:
                raise Refusal({"inventory": ["The inventory is of another organization."]})
        if kind == "credential_types":
            _check_credential_type(whole)
        if kind == "credentials":
            fields = self.objects["credential_types"][whole["credential_type"]]["inputs"].get("fields", [])
            unknown = set(whole["inputs"]) - {field["id"] for field in fields}
            if unknown:
                raise Refusal({"inputs": [f"Additional properties are not allowed ({sorted(unknown)})"]})
        if kind == "schedules" and not re.match(
            r"DTSTART(:|;TZID=[^:]+:)\d{8}T\d{6}Z? RRULE:FREQ=", whole["rrule"]
        ):
            raise Refusal(
                {
                    "rrule": [
                        "Valid DTSTART required in rrule. Value should start with: DTSTART:YYYYMMDDTHHMMSSZ"
                    ]
                }
            )
        if kind == "workflow_job_template_nodes":
            self._check_prompts(whole)

    def _check_prompts(self, node: Object) -> None:
        template = self.objects["job_templates"].get(node["unified_job_template"] or 0)
        asked = {
            "limit": "ask_limit_on_launch",
            "job_tags": "ask_tags_on_launch",
            "skip_tags": "ask_skip_tags_on_launch",
        }
        for field, switch in asked.items():
            if template and node.get(field) and not template[switch]:
                raise Refusal({field: ["Field is not configured to prompt on launch."]})

    def set_survey(self, kind: str, number: int, spec: Object) -> None:
        """The questions of a template."""
        for name in ("name", "description", "spec"):
            if name not in spec:
                raise Refusal({"error": f"'{name}' missing from survey spec."})
        seen = set()
        for index, question in enumerate(spec["spec"]):
            for name in ("type", "question_name", "variable", "required"):
                if name not in question:
                    raise Refusal({"error": f"'{name}' missing from survey question {index}."})
            if question["type"] not in SURVEY_TYPES:
                raise Refusal(
                    {"error": f"'{question['type']}' in survey question {index} is not one of the types."}
                )
            if question["variable"] in seen:
                raise Refusal(
                    {"error": f"'variable' '{question['variable']}' duplicated in survey question {index}."}
                )
            choices = question.get("choices")
            if question["type"].startswith("multi") and not choices:
                raise Refusal({"error": f"Survey question {index} must specify choices."})
            if choices and question.get("default") and question["default"] not in choices:
                raise Refusal(
                    {"error": f"Default choice of survey question {index} must be one of the choices."}
                )
            seen.add(question["variable"])
        self.surveys[kind, number] = spec

    def associate(self, kind: str, number: int, name: str, data: Object) -> None:
        """One object tied to another, or not any more."""
        target = ASSOCIATIONS[kind][name]
        if data.get("id") not in self.objects[target]:
            raise Refusal({"msg": f"{target} with id {data.get('id')} does not exist."})
        tied = self.links.setdefault((kind, number, name), [])
        if data.get("disassociate"):
            tied.remove(data["id"])
        elif data["id"] not in tied:
            tied.append(data["id"])


def _check_credential_type(whole: Object) -> None:
    names = set()
    for field in whole["inputs"].get("fields", []):
        if not {"id", "label"} <= set(field) and whole["kind"] == "cloud":
            raise Refusal({"inputs": ["'id' and 'label' are required properties of a field"]})
        names.add(field["id"])
    for place in ("extra_vars", "env", "file"):
        for text in (whole.get("injectors") or {}).get(place, {}).values():
            used = set(re.findall(r"\{\{\s*(\w+)(?!\w*\.)\s*\}\}", str(text)))
            if used - names:
                raise Refusal({"injectors": [f"{place} uses an undefined field ({sorted(used - names)})"]})


class Handler(BaseHTTPRequestHandler):
    """HTTP around a controller."""

    controller: Controller
    token = ""

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_PATCH(self) -> None:
        self._handle("PATCH")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        url = urlsplit(self.path)
        if url.path == "/_requests":
            self._answer(200, self.controller.writes)
            return
        if self.headers.get("Authorization") != f"Bearer {self.token}":
            self._answer(401, {"detail": "Authentication credentials were not provided."})
            return
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        try:
            data = json.loads(raw) if method in ("POST", "PATCH") and raw else {}
            status, body = self._route(method, url.path, dict(parse_qsl(url.query)), data)
        except Refusal as refusal:
            status, body = 400, refusal.fields
        except KeyError:
            status, body = 404, {"detail": "Not found."}
        if method != "GET" and status < 300:
            self.controller.writes.append((method, url.path))
        self._answer(status, body)

    def _route(self, method: str, path: str, query: dict[str, str], data: Object) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if parts[:2] != ["api", "v2"] or len(parts) < 3:
            raise KeyError(path)
        kind, rest, controller = parts[2], parts[3:], self.controller
        if kind == "unified_job_templates" and method == "GET":
            return self._page(controller.find(kind, query))
        if kind not in RESOURCES:
            raise KeyError(path)
        if not rest:
            if method == "POST":
                return 201, controller.create(kind, data)
            return self._page(controller.find(kind, query)) if method == "GET" else (405, {})
        number = int(rest[0]) if rest[0].isdigit() else -1
        one = controller.get(kind, number)
        if len(rest) == 1:
            if method == "GET":
                return 200, controller.shown(kind, one)
            return (200, controller.update(kind, number, data)) if method == "PATCH" else (405, {})
        return self._related(method, kind, number, rest[1], data)

    def _related(self, method: str, kind: str, number: int, name: str, data: Object) -> tuple[int, Any]:
        controller = self.controller
        if name == "survey_spec" and RESOURCES[kind].survey:
            if method == "POST":
                controller.set_survey(kind, number, data)
            return 200, {} if method == "POST" else controller.surveys.get((kind, number), {})
        if name not in ASSOCIATIONS.get(kind, {}):
            raise KeyError(name)
        if method == "POST":
            controller.associate(kind, number, name, data)
            return 204, None
        target = ASSOCIATIONS[kind][name]
        tied = controller.links.get((kind, number, name), [])
        return self._page([controller.shown(target, controller.get(target, one)) for one in tied])

    @staticmethod
    def _page(found: list[Object]) -> tuple[int, Any]:
        return 200, {"count": len(found), "next": None, "previous": None, "results": found}

    def _answer(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--playbooks", required=True, help="those that the project has, with commas")
    options = parser.parse_args()
    Handler.controller, Handler.token = Controller(options.playbooks.split(",")), options.token
    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
