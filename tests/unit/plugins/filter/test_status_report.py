# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one host says, with half of it down, and the screen made of all of them."""

from __future__ import annotations

import json
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.filter.status_report import status_report
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanClient
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.collect import (
    Host,
    default_data_directory,
    settled,
)

KEY = "pai_key-of-the-test-0001"
METRICS = """
haproxy_process_build_info{version="3.0.11-1"} 1
haproxy_server_status{proxy="model",server="model-1",state="DOWN"} 0
haproxy_server_status{proxy="model",server="model-1",state="UP"} 1
haproxy_server_status{proxy="model",server="model-2",state="UP"} 0
"""
SERVED_WITH = {"instructlab": "0.26.1", "llama-cpp-python": "0.3.36"}
STATUS = {"queued": 3, "active": 1, "up": 1, "limit": 100}


def container(name: str, state: str = "running", *ports: tuple[str, int]) -> dict[str, Any]:
    published = [{"host_ip": address, "host_port": port} for address, port in ports]
    return {
        "Names": [name],
        "State": state,
        "ExitCode": 1,
        "Ports": published,
        "Networks": ["private-ai-model"],
    }


ALL = [
    container("private-ai-model-2"),
    container("private-ai-gateway", "running", ("127.0.0.1", 8000)),
    container("private-ai-chatbot", "running", ("", 8080)),
    container("private-ai-trial", "exited"),
]


class Watched(Host):
    """A host of which is seen whom it has asked, and with which headers."""

    def __init__(
        self,
        params: Mapping[str, Any],
        podman: PodmanClient,
        get: Callable[[str, Mapping[str, str]], tuple[int, str]],
        asked: list[tuple[str, Mapping[str, str]]],
    ) -> None:
        super().__init__(params, podman, get)
        self.asked = asked


def host(
    tmp_path: Path,
    containers: list[dict[str, Any]] | None,
    answers: Mapping[str, tuple[int, str]],
    served: bool = True,
    **more: Any,
) -> Watched:
    """A host with these containers (None: no Podman) whose addresses answer so; others refuse.

    :param served: whether the model server has a Python that tells its packages.
    """

    def podman(argv: list[str], **kwargs: Any) -> tuple[int, str, str]:
        if containers is None:
            return 127, "", "podman: not found"
        if "exec" in argv:
            asked_in = argv[argv.index("exec") + 1]
            assert asked_in == "private-ai-model-2", "only a model server that runs is asked"
            return (0, json.dumps(SERVED_WITH), "") if served else (126, "", "no python3 in it")
        return (0, json.dumps(containers), "") if "ps" in argv else (0, "podman version 5.4.2\n", "")

    asked: list[tuple[str, Mapping[str, str]]] = []

    def get(url: str, headers: Mapping[str, str]) -> tuple[int, str]:
        asked.append((url, headers))
        if url not in answers:
            raise ConnectionRefusedError(111, "Connection refused")
        return answers[url]

    params = {
        "sides": ["private", "public"],
        "data_directory": str(tmp_path),
        "api_key": None,
        "api_key_file": str(tmp_path / "api-key"),
        "gateway_url": "http://g",
        "gateway_metrics_url": "http://m",
        "chatbot_url": "http://c",
        "skupper_directory": str(tmp_path / "skupper"),
        **more,
    }
    (tmp_path / "api-key").write_text(KEY + "\n")
    return Watched(params, PodmanClient(podman), get, asked)


ANSWERS = {
    "http://g/gateway/status": (200, json.dumps(STATUS)),
    "http://m": (200, METRICS),
    "http://c/healthz": (200, '{"status":"ok","version":"0.1.0"}'),
    "http://c/api/backend-status": (200, '{"status":"online","reason":null}'),
}


def states(facts: dict[str, Any]) -> dict[str, str]:
    return {one["part"]: one["state"] for one in facts["parts"]}


def test_everything_is_up(tmp_path: Path) -> None:
    one = host(tmp_path, ALL, ANSWERS)
    facts = one.facts()
    assert set(states(facts).values()) == {"up"}
    assert facts["gateway"]["replicas"] == [{"name": "model-1", "up": True}, {"name": "model-2", "up": False}]
    assert (facts["gateway"]["queued"], facts["gateway"]["version"]) == (3, "3.0.11-1")
    assert facts["versions"] == {"podman": "5.4.2", "haproxy": "3.0.11-1", "chatbot": "0.1.0", **SERVED_WITH}
    assert {"who": "this host", "reaches": "private-ai-gateway", "how": "127.0.0.1:8000"} in facts["access"]
    assert {
        "who": "whoever reaches 0.0.0.0",
        "reaches": "private-ai-chatbot",
        "how": "0.0.0.0:8080",
    } in facts["access"]
    assert not facts["problems"]
    asked = dict(one.asked)
    assert asked["http://g/gateway/status"] == {"Authorization": f"Bearer {KEY}"}
    assert not asked["http://c/healthz"], "the key goes to the gateway and to nobody else"
    assert KEY not in json.dumps(facts)


@pytest.mark.parametrize(
    "taken, part, detail",
    [
        ("http://g/gateway/status", "gateway answers", "Connection refused"),
        ("http://c/healthz", "chatbot answers", "Connection refused"),
    ],
)
def test_one_half_is_down(tmp_path: Path, taken: str, part: str, detail: str) -> None:
    answers = {url: answer for url, answer in ANSWERS.items() if url != taken}
    facts = host(tmp_path, ALL, answers).facts()
    (down,) = [one for one in facts["parts"] if one["state"] == "down"]
    assert down["part"] == part
    assert detail in down["detail"]
    assert facts["chatbot" if part.startswith("gateway") else "gateway"], "the other half is told"


def test_nothing_answers_at_all(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/served.json").write_text("{")
    facts = host(tmp_path, None, {}).facts()
    assert states(facts) == {"containers": "absent"}
    assert [text.split(" ", 2)[0] for text in facts["problems"]] == ["Podman", "The"]


def test_a_stopped_container_and_a_model_without_replicas(tmp_path: Path) -> None:
    stopped = [container("private-ai-model-1", "exited"), ALL[1], ALL[2]]
    answers = {
        **ANSWERS,
        "http://g/gateway/status": (200, json.dumps({**STATUS, "up": 0})),
        "http://c/api/backend-status": (200, '{"status":"offline","reason":"no_replica"}'),
    }
    facts = host(tmp_path, stopped, answers).facts()
    assert states(facts)["private-ai-model-1"] == "down"
    assert states(facts)["gateway answers"] == "down"
    (seen,) = [one for one in facts["parts"] if one["part"] == "model, seen by the chatbot"]
    assert (seen["state"], seen["detail"]) == ("down", "offline: no_replica")


def test_versions_of_what_serves_when_half_is_down(tmp_path: Path) -> None:
    facts = host(tmp_path, [container("private-ai-model-1", "exited"), *ALL], {}).facts()
    assert facts["versions"] == {"podman": "5.4.2", **SERVED_WITH}
    facts = host(tmp_path, ALL, ANSWERS, served=False).facts()
    assert "instructlab" not in facts["versions"] and facts["versions"]["haproxy"] == "3.0.11-1"
    assert [text.partition(" does not tell")[0] for text in facts["problems"]] == ["private-ai-model-2"]
    facts = host(tmp_path, [container("private-ai-model-1", "exited")], {}).facts()
    assert facts["versions"] == {"podman": "5.4.2"} and not facts["problems"]


def test_versions_on_the_screen_and_in_the_report(tmp_path: Path) -> None:
    network = [{"name": "public", "version": "2.2.1"}, {"name": "old-private", "version": "2.1.0"}]
    skupper = {
        "versions": {"cli": "2.2.1", "controller": None},
        "sites": [{"name": "public", "status": "Ready", "network": network}],
    }
    vault = {"sides": ["private"], "status": host(tmp_path, ALL, ANSWERS, sides=["private"]).facts()}
    container_of_it = {"name": "chatbot", "image": "registry.example.com/chatbot@sha256:12"}
    spec = {"replicas": 1, "template": {"spec": {"containers": [container_of_it]}}}
    deployment = {"metadata": {"name": "chatbot"}, "spec": spec, "status": {"readyReplicas": 1}}
    east = {"sides": ["public"], "skupper": skupper, "deployment": deployment}
    west = {"sides": ["public"], "unreachable": "timed out"}
    found = status_report({"vault": vault, "east": east, "west": west})
    assert found["hosts"]["east"]["versions"] == {
        "skupper cli": "2.2.1",
        "skupper site public": "2.2.1",
        "skupper site old-private": "2.1.0",
        "chatbot image": "registry.example.com/chatbot@sha256:12",
    }
    assert found["hosts"]["west"]["versions"] == {}
    text = "\n".join(found["screen"])
    assert "vault  haproxy 3.0.11-1, instructlab 0.26.1, llama-cpp-python 0.3.36, podman 5.4.2" in text
    assert (
        "east  chatbot image registry.example.com/chatbot@sha256:12, skupper cli 2.2.1, skupper site" in text
    )


def test_a_refused_key_is_a_problem_not_an_outage(tmp_path: Path) -> None:
    facts = host(tmp_path, ALL, {**ANSWERS, "http://g/gateway/status": (401, "")}).facts()
    assert states(facts)["gateway answers"] == "up"
    (problem,) = facts["problems"]
    assert problem.startswith(f"The gateway says HTTP 401 to the key in {tmp_path / 'api-key'}; ")
    assert "private_model_api_keys" in problem and KEY not in json.dumps(facts)


def test_a_key_that_is_given_goes_to_the_gateway_alone(tmp_path: Path) -> None:
    one = host(tmp_path, ALL, ANSWERS, api_key="one-key-of-the-owner", api_key_file=str(tmp_path / "none"))
    assert states(one.facts())["gateway answers"] == "up"
    sent = {url: dict(headers) for url, headers in one.asked if headers}
    assert sent == {"http://g/gateway/status": {"Authorization": "Bearer one-key-of-the-owner"}}


def test_a_file_without_a_key_is_told_apart_from_a_refused_key(tmp_path: Path) -> None:
    answers = {**ANSWERS, "http://g/gateway/status": (401, "")}
    facts = host(tmp_path, ALL, answers, api_key_file=str(tmp_path / "none")).facts()
    (problem,) = facts["problems"]
    assert f"HTTP 401 to no key ({tmp_path / 'none'} cannot be read: No such file or directory)" in problem


def test_a_side_that_is_elsewhere_is_not_asked(tmp_path: Path) -> None:
    one = host(tmp_path, ALL, ANSWERS, sides=["public"])
    facts = one.facts()
    assert {part["side"] for part in facts["parts"]} == {"public"}
    assert facts["gateway"] is None
    assert not [url for url, _headers in one.asked if "/gateway/" in url]


def test_where_things_are_kept() -> None:
    assert default_data_directory(0) == "/var/lib/private-ai"
    somebody = next(one for one in pwd.getpwall() if one.pw_uid)
    assert default_data_directory(somebody.pw_uid) == f"{somebody.pw_dir.rstrip('/')}/.local/share/private-ai"
    left_out = {"data_directory": None, "api_key_file": None, "skupper_directory": None}
    assert settled(left_out, somebody.pw_uid, {}) == {
        "data_directory": default_data_directory(somebody.pw_uid),
        "api_key_file": f"{default_data_directory(somebody.pw_uid)}/api-key",
        "skupper_directory": f"{somebody.pw_dir.rstrip('/')}/.local/share/skupper/namespaces",
    }
    assert settled(left_out, 0, {})["skupper_directory"] == "/var/lib/skupper/namespaces"
    given = {"data_directory": "/d", "api_key_file": "/k", "skupper_directory": "/s"}
    assert settled(given, 0, {}) == given


def test_screen_says_which_half(tmp_path: Path) -> None:
    good = host(tmp_path, ALL, ANSWERS, sides=["public"]).facts()
    found = status_report(
        {
            "edge": {"sides": ["public"], "status": good},
            "vault": {"sides": ["private"], "unreachable": "timed out"},
        }
    )
    assert not found["ok"]
    assert found["halves"]["private"] == {"state": "down", "wrong": ["vault: timed out"]}
    assert found["screen"][:3] == ["private half: DOWN", "  ! vault: timed out", "public half:  UP"]


def test_screen_tells_sites_tokens_and_the_last_verification(tmp_path: Path) -> None:
    facts = host(tmp_path, ALL, ANSWERS).facts()
    facts["certificates"] = [{"path": "/c/tls.crt", "ends": "x", "days": 3}]
    facts["model"] = {
        "current": {"id": "abc", "name": "demo", "size": 2_000_000, "provenance": {"repository": "a/b"}},
        "previous": None,
    }
    verified = {
        "time": "T",
        "ok": False,
        "not_looked_at": ["two"],
        "checks": [{"host": "one", "line": "one: no way in: FAILED", "ok": False}, {"line": "x", "ok": True}],
    }
    skupper = {
        "sites": [{"name": "private", "status": "Ready"}],
        "links": [{"name": "to-public", "operational": False, "remote_site_name": "public"}],
        "connectors": [{"name": "instructlab", "port": 8000, "status": "Ready"}],
        "grants": [{"name": "g", "usable": True, "redemptions_allowed": 1, "expiration_time": "soon"}],
        "pending": ["link to-public: not operational"],
    }
    found = status_report(
        {"one": {"sides": ["private", "public"], "status": facts, "skupper": skupper}}, verified
    )
    text = "\n".join(found["screen"])
    for words in (
        "site private: Ready",
        "link to-public to public: DOWN",
        "connector instructlab, port 8000: Ready",
        "waits for link to-public: not operational",
        "token g: usable, redeemed 0 of 1, until soon",
        "3 days  /c/tls.crt  <-- SOON",
        "from: repository a/b",
        "T: 2 FAILED",
        "one: no way in: FAILED",
        "two could not be looked at",
        "3 wait, 100 may; 1 are answered by 1 replicas",
        "not up: model-2",
    ):
        assert words in text
    assert not found["ok"], "something is still waited for"


def test_a_cluster_tells_the_chatbots_replicas() -> None:
    deployment = {"metadata": {"name": "chatbot"}, "spec": {"replicas": 2}, "status": {"readyReplicas": 1}}
    found = status_report({"east": {"sides": ["public"], "status": {}, "deployment": deployment}})
    assert found["halves"]["public"] == {
        "state": "down",
        "wrong": ["east: Deployment chatbot: 1 of 2 replicas ready"],
    }
    deployment["status"] = {"readyReplicas": 2}
    assert status_report({"east": {"sides": ["public"], "status": {}, "deployment": deployment}})["ok"]


def test_a_cluster_tells_its_certificates_and_who_reaches_what() -> None:
    def one(kind: str, name: str, **spec: Any) -> dict[str, Any]:
        return {"kind": kind, "metadata": {"name": name}, "spec": spec}

    exposed = [
        one("Ingress", "chatbot", rules=[{"host": "chat.example.com"}], tls=[{"secretName": "chatbot-tls"}]),
        one("Service", "chatbot", type="ClusterIP", ports=[{"port": 5000}, {"port": 9464}]),
        one("Service", "chatbot-nodeport", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]),
        one("NetworkPolicy", "chatbot-listener", podSelector={"matchLabels": {"a/b": "c"}}, ingress=[{}]),
        one("NetworkPolicy", "shut", podSelector={}),
        one("Route", "chatbot", host=None),
        one("HTTPRoute", "chatbot", hostnames=["a.example", "b.example"]),
    ]
    secrets = [{"secret": "chatbot-tls", "subject": "CN=chat.example.com", "not_after": "x", "days_left": 9}]
    facts = {"sides": ["public"], "status": {}, "exposed": exposed, "secrets": secrets}
    found = status_report({"east": {**facts, "secrets_problem": "secrets is forbidden"}})
    text = "\n".join(" ".join(line.split()) for line in found["screen"])
    for words in (
        "9 days Secret chatbot-tls (CN=chat.example.com) <-- SOON",
        "visitors Ingress chatbot https://chat.example.com",
        "pods that a policy lets in Service chatbot ClusterIP, port 5000, 9464",
        "visitors Service chatbot-nodeport NodePort, port 30080",
        "nobody but whom it lists pods of NetworkPolicy chatbot-listener b=c",
        "nobody pods of NetworkPolicy shut all of the namespace",
        "visitors Route chatbot http://*",
        "visitors HTTPRoute chatbot http://a.example, http://b.example",
        "certificates of the cluster: secrets is forbidden",
    ):
        assert words in text
    assert "exposed" not in found["hosts"]["east"]
    assert found["hosts"]["east"]["access"][0]["who"] == "visitors"
    open_house = {**facts, "exposed": [exposed[1]]}
    assert "every pod of the cluster" in "\n".join(status_report({"east": open_house})["screen"])
