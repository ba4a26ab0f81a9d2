"""awx_setup.yml: everything is there after it, a second run writes nothing, and the stand-in refuses."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.awx.conftest import ABSENT, WANTED, Awx
from tests.playbook import ROOT

SECRET = "hf_secretOfTheTest0001"
GIVEN: dict[str, Any] = {
    "awx_setup_project_url": "https://git.example.org/private-ai.git",
    "awx_setup_image": "registry.example.org/private-ai-ee:0.1.0",
    "awx_setup_hosts": {
        "private": {"gpu1": {"ansible_user": "ops"}, "gpu2": None},
        "public": {"cluster": {}},
    },
    "awx_setup_credentials": {"huggingface": {"token": SECRET}, "skupper": {"kubeconfig": "apiVersion: v1"}},
    "awx_setup_skip": [name.removeprefix("playbooks/").removesuffix(".yml") for name in ABSENT],
}
RENAMED = {"rotate": "rotate links", "teardown": "tear down"}
GIVEN["awx_setup_skip"] = [RENAMED.get(name, name) for name in GIVEN["awx_setup_skip"]]
CHECK = "status" if "verify" in GIVEN["awx_setup_skip"] else "verify"


@pytest.fixture(scope="module")
def done(awx: Awx) -> str:
    """What the first run said."""
    return awx.setup(**GIVEN)


def test_everything_is_there(awx: Awx, done: str) -> None:
    assert SECRET not in done
    templates = awx.all("job_templates")
    assert {one["playbook"] for one in templates.values()} == set(WANTED) - set(ABSENT)
    environment = awx.all("execution_environments")["Private AI"]
    assert environment["image"] == GIVEN["awx_setup_image"]
    for one in templates.values():
        assert one["execution_environment"] == environment["id"]
        assert one["inventory"] == awx.all("inventories")["Private AI"]["id"]
    assert sorted(awx.linked("groups", "private", "hosts")) == ["gpu1", "gpu2"]
    assert awx.linked("groups", "public", "hosts") == ["cluster"]
    assert yaml.safe_load(awx.all("hosts")["gpu1"]["variables"]) == {"ansible_user": "ops"}
    assert awx.linked("job_templates", "Private AI: change model", "credentials") == [
        "Private AI: Hugging Face token"
    ]
    assert len(awx.linked("job_templates", "Private AI: deploy", "credentials")) == 2
    assert awx.all("credentials")["Private AI: Hugging Face token"]["inputs"] == {"token": "$encrypted$"}
    kinds = awx.all("credential_types")
    assert (
        kinds["Private AI: Skupper's cluster"]["injectors"]["env"]["KUBECONFIG"]
        == "{{ tower.filename.kubeconfig }}"
    )
    (schedule,) = awx.all("schedules").values()
    assert schedule["unified_job_template"] == templates[f"Private AI: {CHECK}"]["id"]


def test_the_workflow_goes_its_way(awx: Awx, done: str) -> None:
    nodes = awx.all("workflow_job_template_nodes")
    order = {name: sorted(awx.linked("workflow_job_template_nodes", name, "success_nodes")) for name in nodes}
    assert order == {
        "preflight": ["private", "public"],
        "private": ["link"],
        "public": ["link"],
        "link": ["verify"],
        "verify": ["status"],
        "status": [],
    }
    assert nodes["link"]["all_parents_must_converge"]
    assert nodes["preflight"]["job_tags"] == "private_model_preflight,public_chatbot_preflight"
    for side in ("private", "public"):
        assert nodes[side]["limit"] == f"{side}:localhost"
        assert nodes[side]["skip_tags"] == "token,link,verify"
    assert nodes["link"]["skip_tags"] == ""
    templates = awx.all("job_templates")
    assert nodes["status"]["unified_job_template"] == templates["Private AI: status"]["id"]


def test_surveys_ask_what_the_playbooks_take(awx: Awx, done: str) -> None:
    path = awx.all("job_templates")["Private AI: deploy"]["related"]["survey_spec"].removeprefix("/api/v2/")
    questions = {one["variable"]: one for one in awx.call("GET", path)[1]["spec"]}
    options = yaml.safe_load((ROOT / "roles/private_model/meta/argument_specs.yml").read_text())
    source = options["argument_specs"]["main"]["options"]["private_model_source"]
    assert questions["private_model_source"]["type"] == "multiplechoice"
    assert questions["private_model_source"]["choices"] == source["choices"]
    assert questions["private_model_source"]["default"] == source["default"]
    assert questions["private_model_source"]["question_description"].startswith(source["description"][0])
    assert questions["private_model_replicas"]["type"] == "integer"
    path = awx.all("job_templates")["Private AI: rotate links"]["related"]["survey_spec"]
    rotate = awx.call("GET", path.removeprefix("/api/v2/"))[1]["spec"]
    assert [one["variable"] for one in rotate] == ["skupper_site_token_window", "skupper_site_wait_timeout"]
    path = awx.all("job_templates")["Private AI: tear down"]["related"]["survey_spec"].removeprefix(
        "/api/v2/"
    )
    asked = {one["variable"]: one for one in awx.call("GET", path)[1]["spec"]}
    purge = asked["private_ai_purge"]
    assert (purge["type"], purge["choices"], purge["default"]) == (
        "multiplechoice",
        ["true", "false"],
        "false",
    )


def test_a_second_run_writes_nothing(awx: Awx, done: str) -> None:
    before = awx.writes()
    assert "changed=0" in awx.setup(**GIVEN)
    assert "changed=0" in awx.setup("--check", **GIVEN)
    assert awx.writes() == before


def test_drift_is_repaired(awx: Awx, done: str) -> None:
    template = awx.all("job_templates")["Private AI: status"]
    awx.call("PATCH", f"job_templates/{template['id']}/", description="somebody's own words")
    before = awx.writes()
    assert "changed=1" in awx.setup(**GIVEN)
    assert awx.writes() == before + 1


def test_what_is_missing_is_said_before_anything_is_made(awx: Awx, done: str) -> None:
    before = awx.writes()
    said = awx.setup(expect=2, awx_setup_project_url="https://git.example.org/x.git")
    assert "missing required arguments: awx_setup_image" in said
    assert awx.writes() == before


@pytest.mark.parametrize(
    "kind, data, field",
    [
        ("projects", {"name": "x", "nonsense": 1}, "nonsense"),
        ("job_templates", {"name": "x"}, "project"),
        ("inventories", {"name": "x", "organization": 4711}, "organization"),
        ("inventories", {"name": "Private AI", "organization": 1}, "__all__"),
        ("job_templates", {"name": "x", "project": "P", "playbook": "playbooks/none.yml"}, "playbook"),
        ("schedules", {"name": "x", "rrule": "every day", "unified_job_template": "P"}, "rrule"),
        ("credential_types", {"name": "x", "kind": "wind"}, "kind"),
        (
            "credential_types",
            {"name": "x", "kind": "cloud", "inputs": {"fields": []}, "injectors": {"env": {"A": "{{ b }}"}}},
            "injectors",
        ),
    ],
)
def test_the_stand_in_refuses(awx: Awx, done: str, kind: str, data: dict[str, Any], field: str) -> None:
    """What would be a mistake at the real one is one here."""
    project = awx.all("projects")["Private AI"]["id"]
    data = {key: project if value == "P" else value for key, value in data.items()}
    status, body = awx.call("POST", f"{kind}/", **data)
    assert status == 400
    assert field in body


@pytest.mark.parametrize(
    "prompt, switch",
    [
        ("limit", "ask_limit_on_launch"),
        ("job_tags", "ask_tags_on_launch"),
        ("skip_tags", "ask_skip_tags_on_launch"),
    ],
)
def test_the_stand_in_refuses_what_a_template_does_not_ask_for(awx: Awx, prompt: str, switch: str) -> None:
    def made(kind: str, **data: Any) -> int:
        return int(awx.call("POST", f"{kind}/", name=f"{kind} {prompt}", **data)[1]["id"])

    project, workflow = made("projects", organization=1), made("workflow_job_templates")
    inventory = made("inventories", organization=1)
    template = made("job_templates", project=project, playbook=WANTED[0], inventory=inventory)
    node = {
        "identifier": prompt,
        "workflow_job_template": workflow,
        "unified_job_template": template,
        prompt: "any",
    }
    status, body = awx.call("POST", "workflow_job_template_nodes/", **node)
    assert (status, list(body)) == (400, [prompt])
    awx.call("PATCH", f"job_templates/{template}/", **{switch: True})
    assert awx.call("POST", "workflow_job_template_nodes/", **node)[0] == 201


def test_the_stand_in_refuses_strangers_and_unknown_paths(awx: Awx) -> None:
    assert awx.client.get("/api/v2/projects/", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert awx.call("GET", "wonders/")[0] == 404
    assert awx.call("GET", "projects/?nonsense=1")[0] == 400
    assert awx.call("DELETE", "projects/")[0] == 405
