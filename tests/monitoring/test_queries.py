"""Every query of the dashboard and every rule against a real Prometheus.

It scrapes the real components by the configuration that the role writes: HAProxy with the gateway's
template, the chatbot's server, Debian's node exporter with the collector's file. The model behind the gateway
is the paced stand-in, Skupper's network observer is one, too (tests/standins/network_observer.py).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from tests.gateway.gateway_stack import KEY, Gateway, Replica, wait_until
from tests.playbook import ROOT
from tests.ports import free_ports

COLLECTOR = ROOT / "plugins/module_utils/status/host_metrics.py"
DASHBOARD = json.loads((ROOT / "roles/private_model/files/monitoring/dashboard.json").read_text())
QUERIES = [
    (f"{panel['title']}, {target['refId']}", target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
]


class Prometheus:
    """A Prometheus of its own with the role's configuration."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.config = folder / "prometheus.yml"

    def command(self) -> list[str]:
        data = self.config.parent / "data"
        address = self.url.removeprefix("http://")
        return [
            "prometheus",
            f"--config.file={self.config}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address={address}",
        ]

    def get(self, path: str, **parameters: str) -> Any:
        """What the API says, AssertionError with its message when it refuses."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30).json()
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        return list(self.get("query", query=expression)["result"])


def certificate(folder: Path, days: int) -> None:
    """A certificate as a Skupper site on a host keeps it."""
    folder.mkdir(parents=True)
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", str(days), "-subj", "/CN=a", "-keyout", str(folder / "tls.key")]
    subprocess.run([*command, "-out", str(folder / "tls.crt")], check=True, capture_output=True)


def ask(url: str, key: str, **extra: Any) -> int:
    """One question; its status."""
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5, **extra}
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(url + "/v1/chat/completions", json=body, timeout=60, headers=headers)
    return answer.status_code


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, files: Callable[..., Path]) -> Iterator[Prometheus]:
    """Prometheus when it has seen traffic and errors of every part twice."""
    folder = tmp_path_factory.mktemp("parts")
    with ExitStack() as stack:

        def run(command: list[str], **environment: str) -> None:
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=(folder / f"{Path(command[0]).name}.log").open("w"),
                env={"PATH": "/usr/bin:/bin:/usr/sbin", **environment} if environment else None,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)

        replica = Replica(rate=500, tokens=1200)
        stack.callback(replica.stop)
        served = Gateway(folder, [replica])
        stack.callback(served.stop)
        port, metrics, node, observer, own = free_ports(5)
        chatbot = {
            "ADDRESS": f"http://127.0.0.1:{served.port}",
            "API_KEY": KEY,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "METRICS_PORT": str(metrics),
            "PYTHONPATH": str(ROOT / "chatbot_app/src"),
        }
        run([sys.executable, "-m", "private_ai_chatbot"], **chatbot)
        run([sys.executable, str(ROOT / "tests/standins/network_observer.py"), f"--port={observer}"])
        certificate(folder / "skupper/private/runtime/certs/link-a", days=300)
        # In memory: how full this machine's disk is says nothing about the rules.
        data = Path(stack.enter_context(TemporaryDirectory(dir="/dev/shm")))
        (data / "models/abc").mkdir(parents=True)
        (data / "models/abc/model.gguf").write_bytes(b"x" * 1000)
        textfiles = folder / "textfiles"
        textfiles.mkdir()
        collect = [
            sys.executable,
            str(COLLECTOR),
            "--data",
            str(data),
            "--skupper",
            str(folder / "skupper"),
        ]
        subprocess.run([*collect, "--output", str(textfiles / "private-ai.prom")], check=True)
        exporter = ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"]
        run(
            [
                *exporter,
                f"--collector.textfile.directory={textfiles}",
                f"--web.listen-address=127.0.0.1:{node}",
            ]
        )
        place = files(
            targets={
                "gateway": [f"127.0.0.1:{served.metrics_port}"],
                "chatbot": [f"127.0.0.1:{metrics}"],
                "node": [f"127.0.0.1:{node}"],
                "van": [f"127.0.0.1:{observer}"],
            },
            interval="1s",
        )
        found = Prometheus(place, own)
        run(found.command())

        def everything_is_scraped() -> bool:
            try:
                return len(found.query('up{job=~"private-ai-.+"} == 1')) == 4
            except (httpx.TransportError, ValueError):  # it answers with a text while it starts
                return False

        wait_until(everything_is_scraped, 60, "Prometheus scrapes all four parts")
        for number in range(3):
            assert ask(f"http://127.0.0.1:{port}", KEY) == 200
            ask(f"http://127.0.0.1:{port}", KEY, temperature=9)
            if not number:
                # A rate needs the counter twice: once as it is new, and once more after a change.
                wait_until(lambda: found.query('chatbot_requests_total{outcome="invalid"}'), 30)
                time.sleep(2)
        wait_until(lambda: found.query('increase(chatbot_requests_total{outcome="ok"}[1m]) > 0'), 30)
        yield found


@pytest.mark.parametrize("title, expression", QUERIES, ids=[title for title, _ in QUERIES])
def test_query_of_the_dashboard(prometheus: Prometheus, title: str, expression: str) -> None:
    """It is accepted, and finds something: a metric with another name would be an empty panel."""
    assert prometheus.query(expression.replace("$__rate_interval", "1m")), f"{title} finds nothing"


def test_legends_name_labels_that_exist(prometheus: Prometheus) -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            for series in prometheus.query(target["expr"].replace("$__rate_interval", "1m")):
                assert labels <= set(series["metric"]), f"{panel['title']}: {target['legendFormat']}"


def test_rules_are_loaded_and_ask_for_metrics_that_exist(prometheus: Prometheus) -> None:
    (group,) = prometheus.get("rules")["groups"]
    names = set(prometheus.get("label/__name__/values"))
    for rule in group["rules"]:
        assert rule["health"] in ("ok", "unknown"), f"{rule['name']}: {rule.get('lastError')}"
        asked = set(
            re.findall(r"\b(?:up|(?:haproxy|chatbot|gen_ai|skupper|private_ai)_\w+)\b", rule["query"])
        )
        assert asked
        assert asked <= names, f"{rule['name']} asks for {sorted(asked - names)}"


def test_nothing_fires_while_all_is_well(prometheus: Prometheus) -> None:
    """Neither firing nor waiting to: every limit holds for a healthy solution."""
    assert not prometheus.get("alerts")["alerts"]


def test_the_collectors_file(prometheus: Prometheus) -> None:
    (ends,) = prometheus.query("(private_ai_certificate_not_after_timestamp_seconds - time()) / 86400")
    assert 299 < float(ends["value"][1]) <= 300
    assert ends["metric"]["path"].endswith("private/runtime/certs/link-a/tls.crt")
    (models,) = prometheus.query("private_ai_models_bytes")
    assert float(models["value"][1]) == 1000


def test_the_collector_names_what_it_cannot_read(tmp_path: Path) -> None:
    broken = tmp_path / "skupper/one/runtime/certs/x"
    broken.mkdir(parents=True)
    (broken / "tls.crt").write_text("no certificate")
    output = tmp_path / "private-ai.prom"
    command = [
        sys.executable,
        str(COLLECTOR),
        "--data",
        str(tmp_path / "absent"),
        "--skupper",
        str(tmp_path / "skupper"),
    ]
    done = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{broken / 'tls.crt'} holds no readable certificate" in done.stderr
    assert "private_ai_collected_timestamp_seconds" in output.read_text(), "the rest is written"
    assert [path.name for path in tmp_path.glob("*.partial")] == []


def test_dashboard_asks_the_data_source_that_is_chosen() -> None:
    assert {
        target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])
    } == {"${datasource}"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
