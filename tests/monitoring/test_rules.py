"""Each alert fires and does not fire, in promtool; the role's files are what it says they are."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.conftest import play, run_tasks
from tests.playbook import ROOT

ONLY_ON_CLUSTER = "PrivateAiClusterCertificateEnding"
CASES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "rules.yml").read_text())


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def folder(files: Callable[..., Path]) -> Path:
    """The files with the role's defaults."""
    return files()


@pytest.fixture(scope="module")
def on_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of a cluster's object, which are those of a host and one more."""
    place = tmp_path_factory.mktemp("cluster")
    (found,) = [one for one in objects(place, ["PrometheusRule"]) if one["kind"] == "PrometheusRule"]
    (place / "rules.yml").write_text(yaml.safe_dump(found["spec"]))
    return place


def alerts(folder: Path) -> dict[str, dict[str, Any]]:
    """The rules by their names."""
    (group,) = yaml.safe_load((folder / "rules.yml").read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_files_are_valid(folder: Path) -> None:
    for kind, name in (("rules", "rules.yml"), ("config", "prometheus.yml")):
        done = promtool("check", kind, "--lint=all", "--lint-fatal", str(folder / name))
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_cases_and_says_what_to_do(folder: Path, on_cluster: Path) -> None:
    assert {name.split(" ", maxsplit=1)[0] for name in CASES} == set(alerts(on_cluster))
    assert set(alerts(on_cluster)) - set(alerts(folder)) == {ONLY_ON_CLUSTER}
    for rule in alerts(on_cluster).values():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize("kind", ["fires", "silent"])
@pytest.mark.parametrize("name", CASES)
def test_alert(folder: Path, on_cluster: Path, tmp_path: Path, name: str, kind: str) -> None:
    case = CASES[name]
    alert = name.split(" ", maxsplit=1)[0]
    folder = on_cluster if alert == ONLY_ON_CLUSTER else folder
    rule = alerts(folder)[alert]
    series = [{"series": key, "values": values} for key, values in case[kind].items()]
    expected = [] if kind == "silent" else [{"exp_labels": {**rule["labels"], **case["labels"]}}]
    test: dict[str, Any] = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [
                    {"eval_time": case.get("at", "8m"), "alertname": alert, "exp_alerts": expected}
                ],
            }
        ],
    }
    path = tmp_path / "test.yml"
    # Without `exp_annotations` promtool compares with none at all, so the texts are taken out of its copy.
    rules = yaml.safe_load((folder / "rules.yml").read_text())
    for one in rules["groups"][0]["rules"]:
        del one["annotations"]
    copy = tmp_path / "rules.yml"
    copy.write_text(yaml.safe_dump(rules))
    test["rule_files"] = [str(copy)]
    path.write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_limits_are_the_variables(files: Callable[..., Path]) -> None:
    folder = files(
        limits={
            "queue_length": 7,
            "error_share": 0.25,
            "first_token_seconds": 3,
            "certificate_days": 2,
            "disk_free_share": 0.5,
        },
        alertmanagers=["127.0.0.1:9093"],
        targets={"gateway": [], "chatbot": ["127.0.0.1:9464"]},
    )
    found = {name: " ".join(rule["expr"].split()) for name, rule in alerts(folder).items()}
    for name, limit in {
        "PrivateAiQueueLong": "> 7 or chatbot_gateway_queued > 7",
        "PrivateAiErrors": "> 0.25",
        "PrivateAiGatewayErrors": "> 0.25",
        "PrivateAiSlowFirstToken": "> 3",
        "PrivateAiCertificateEnding": "< 172800",
        "PrivateAiModelsDiskFull": "< 0.5",
    }.items():
        assert found[name].endswith(limit), found[name]
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    assert [job["job_name"] for job in config["scrape_configs"]] == ["private-ai-chatbot", "private-ai-node"]
    (manager,) = config["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["127.0.0.1:9093"]}]
    assert promtool("check", "config", str(folder / "prometheus.yml")).returncode == 0


def test_check_mode_second_run_and_drift(tmp_path: Path) -> None:
    place = tmp_path / "out"
    settings = {"private_model_monitoring_directory": str(place)}
    assert "changed=0" not in play(tmp_path, settings, "--check")
    assert not place.exists()
    play(tmp_path, settings)
    names = ["dashboard.json", "private-ai-metrics", "prometheus.yml", "rules.yml"]
    assert sorted(path.name for path in place.iterdir()) == names
    assert "changed=0" in play(tmp_path, settings, "--check", "--diff")
    (place / "rules.yml").write_text("groups: []\n")
    assert "changed=1" in play(tmp_path, settings)
    assert "changed=0" in play(tmp_path, settings)


def objects(folder: Path, kinds: list[str]) -> list[dict[str, Any]]:
    """The objects that the public site applies on a cluster which knows these kinds."""
    role = ROOT / "roles/public_chatbot"
    variables = {
        "role_path": str(role),
        "kinds": kinds,
        "namespace": "chat",
        "pods": {"app.kubernetes.io/name": "chatbot"},
        "labels": {"release": "prometheus"},
        "dashboard_labels": {"grafana_dashboard": "1"},
        "limits": {"queue_length": 7},
    }
    template = {"src": str(role / "templates/monitoring/objects.yml.j2"), "dest": str(folder / "objects.yml")}
    tasks = [{"ansible.builtin.template": template, "vars": variables}]
    run_tasks(folder, tasks)
    return list(yaml.safe_load_all((folder / "objects.yml").read_text()))


def test_objects_of_a_cluster(folder: Path, tmp_path: Path) -> None:
    """The same rules and the same dashboard as on a host."""
    found = {
        one["kind"]: one for one in objects(tmp_path, ["PodMonitor", "ServiceMonitor", "PrometheusRule"])
    }
    assert sorted(found) == ["ConfigMap", "PodMonitor", "PrometheusRule", "ServiceMonitor"]
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump(found["PrometheusRule"]["spec"]))
    assert promtool("check", "rules", str(rules)).returncode == 0
    text = (folder / "rules.yml").read_text().replace("> 20", "> 7").replace("More than 20 ", "More than 7 ")
    shared = [
        rule
        for rule in found["PrometheusRule"]["spec"]["groups"][0]["rules"]
        if rule["alert"] != ONLY_ON_CLUSTER
    ]
    assert shared == yaml.safe_load(text)["groups"][0]["rules"]
    assert found["PodMonitor"]["spec"]["selector"] == {"matchLabels": {"app.kubernetes.io/name": "chatbot"}}
    assert found["PodMonitor"]["metadata"]["labels"]["release"] == "prometheus"
    assert found["ConfigMap"]["data"]["private-ai.json"] == (folder / "dashboard.json").read_text().rstrip()
    assert found["ConfigMap"]["metadata"]["labels"]["grafana_dashboard"] == "1"
    for one in found.values():
        assert one["metadata"]["namespace"] == "chat"


def test_objects_of_a_cluster_without_the_operator(tmp_path: Path) -> None:
    assert [one["kind"] for one in objects(tmp_path, [])] == ["ConfigMap"]
