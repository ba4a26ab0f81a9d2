"""What is asked of the chatbot of the scenario molecule/public_chatbot, as it runs."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.chatbot_nodes.deployed import SELECTOR, certificate
from tests.hybrid.stage import NAMESPACE, cluster, facts
from tests.scenarios.chatbot_stage import KEY

#: As in the scenario's group_vars.
HOST, PATH = "chat.scenario.test", "/chat"
QUESTION = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}


@pytest.fixture
def visitor() -> Iterator[httpx.Client]:
    """Somebody outside who trusts the certificate that the role made, and no other."""
    client = httpx.Client(
        base_url=f"https://{facts().ingress}",
        headers={"Host": HOST},
        verify=certificate(cluster(), NAMESPACE),
        timeout=60,
        trust_env=False,
    )
    with client:
        yield client


def ask(visitor: httpx.Client, path: str) -> tuple[list[str], list[float]]:
    """The words of an answer, and when they came."""
    words, moments = [], []
    sent = visitor.stream("POST", path, json=QUESTION, extensions={"sni_hostname": HOST})
    with sent as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith("data: {"):
                delta = json.loads(line.removeprefix("data: "))["choices"][0]["delta"]
                words.append(delta.get("content") or delta.get("reasoning_content") or "")
                moments.append(time.monotonic())
    return words, moments


def test_pods_are_available_under_restricted() -> None:
    there = cluster()
    labels = there.core.read_namespace(NAMESPACE).metadata.labels
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = there.core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
    assert len(pods) == 2
    for pod in pods:
        assert {one.type: one.status for one in pod.status.conditions}["Ready"] == "True"
        assert not pod.spec.automount_service_account_token
    assert len({pod.spec.node_name for pod in pods}) == 2, "spread over the nodes"


def test_an_answer_streams_through_the_ingress(visitor: httpx.Client) -> None:
    words, moments = ask(visitor, f"{PATH}/v1/chat/completions")
    assert "The model stays on its own host" in "".join(words)
    apart = [later - former for former, later in itertools.pairwise(moments)]
    assert sum(one > 0.01 for one in apart) > len(apart) / 2, "words came together"


def test_the_page_is_below_its_path_and_nowhere_else(visitor: httpx.Client) -> None:
    page = visitor.get(f"{PATH}/", extensions={"sni_hostname": HOST})
    assert page.status_code == 200 and "text/html" in page.headers["content-type"]
    assert visitor.get("/", extensions={"sni_hostname": HOST}).status_code == 404
    plain = httpx.get(f"http://{facts().ingress}{PATH}/", headers={"Host": HOST}, trust_env=False)
    assert plain.status_code == 308 and plain.headers["location"].startswith(f"https://{HOST}")


def test_the_key_stands_in_its_secret_alone() -> None:
    there = cluster()
    deployment = there.apps.read_namespaced_deployment("chatbot", NAMESPACE)
    maps = there.core.list_namespaced_config_map(NAMESPACE).items
    assert KEY not in f"{deployment}{maps}"
    events = there.core.list_namespaced_event(NAMESPACE).items
    assert KEY not in str(events)
