"""Answers through a real ingress, and what may be done to the pods meanwhile without breaking one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import httpx

from tests.chatbot_nodes.crowd import Crowd
from tests.chatbot_nodes.deployed import HOST, PATH, RATE, Deployed, certificate
from tests.cluster.cluster import Cluster

Crowds = Callable[..., Crowd]
#: Visitors at once, and tokens of an answer that is being written all the while.
MANY, LONG = 50, 20 * RATE


def test_an_answer_comes_token_by_token_under_host_and_path_with_tls(
    cluster: Cluster, chatbot: Deployed, crowd: Crowds
) -> None:
    assert {pod.spec.node_name for pod in chatbot.pods()} == set(cluster.own.nodes)
    namespace = cluster.core.read_namespace(chatbot.namespace)
    assert namespace.metadata.labels["pod-security.kubernetes.io/enforce"] == "restricted"
    one = crowd()
    (answer,) = one.ask(1, 12)
    one.end()
    assert answer.whole and len(answer.tokens) > 5, one.broken()
    # Kept back by a buffer they would come together; a busy machine lets a few do so.
    assert statistics.median(later - former for former, later in pairwise(answer.moments)) > 0.2 / RATE
    trust = certificate(cluster, chatbot.namespace)
    sni = {"sni_hostname": HOST}
    with httpx.Client(verify=trust, base_url=f"https://{cluster.own.ingress}", trust_env=False) as client:
        page = client.get(f"{PATH}/", headers={"Host": HOST}, extensions=sni)
        assert page.status_code == 200 and "<html" in page.text
        assert client.get("/", headers={"Host": HOST}, extensions=sni).status_code == 404
        assert (
            client.get(f"{PATH}/", headers={"Host": "other.example.com"}, extensions=sni).status_code == 404
        )
    plain = httpx.get(f"http://{cluster.own.ingress}{PATH}/", headers={"Host": HOST}, trust_env=False)
    assert (plain.status_code, plain.headers["Location"]) == (308, f"https://{HOST}{PATH}/")


def test_visitors_behind_the_ingress_are_limited_apart(cluster: Cluster, crowd: Crowds) -> None:
    first, second = cluster.own.visitors
    greedy = crowd([first])
    # More than both replicas take of one visitor.
    answers = greedy.ask(80, 2 * RATE)
    cluster.until(lambda: sum(one.status == 429 for one in answers) >= 20, "the greedy one is refused")
    # What the visitor itself says of its address does not count.
    other, liar = crowd([second]), crowd([first])
    other.ask(1, 2)
    liar.ask(20, 2, **{"X-Forwarded-For": "192.0.2.7"})
    other.end()
    assert other.broken() == []
    liar.end()
    assert any(one.status == 429 for one in liar.answers)


def test_a_rolling_update_breaks_no_answer(chatbot: Deployed, crowd: Crowds) -> None:
    one = crowd()
    one.ask(MANY, LONG)
    old = {pod.metadata.name for pod in chatbot.pods()}
    assert one.all_open() == MANY
    # The ingress gives to all of them, so that the update takes streams from each.
    assert len(old) == 2 and all(chatbot.streams(name) > 0 for name in old)
    chatbot.patch({"template": {"metadata": {"annotations": {"trial": str(time.time())}}}})
    chatbot.available()
    one.end()
    assert one.broken() == []
    assert old.isdisjoint(pod.metadata.name for pod in chatbot.pods())


def test_scaling_up_and_down_breaks_no_answer(cluster: Cluster, chatbot: Deployed, crowd: Crowds) -> None:
    one = crowd()
    one.ask(MANY, LONG)
    assert one.all_open() == MANY
    chatbot.patch({"replicas": 6})
    chatbot.available()
    one.end()
    assert one.broken() == []
    another = crowd()
    another.ask(MANY, LONG)
    assert another.all_open() == MANY
    # They are spread, so that taking pods away concerns some.
    assert sum(chatbot.streams(pod.metadata.name) > 0 for pod in chatbot.pods()) > 4
    chatbot.patch({"replicas": 2})
    chatbot.available()
    another.end()
    assert another.broken() == []


def test_emptying_a_node_breaks_no_answer(cluster: Cluster, chatbot: Deployed, crowd: Crowds) -> None:
    node = chatbot.pods()[0].spec.node_name
    one = crowd()
    one.ask(MANY, LONG)
    assert one.all_open() == MANY
    try:
        cluster.drain(node)
        chatbot.available()
    finally:
        cluster.uncordon(node)
    one.end()
    assert one.broken() == []
    assert {pod.spec.node_name for pod in chatbot.pods()} == set(cluster.own.nodes) - {node}


def test_a_pod_that_is_killed_breaks_its_own_answers_only(
    cluster: Cluster, chatbot: Deployed, crowd: Crowds
) -> None:
    one = crowd()
    one.ask(MANY, LONG)
    assert one.all_open() == MANY
    victim = chatbot.pods()[0].metadata.name
    its_own = chatbot.streams(victim)
    assert 0 < its_own < MANY
    cluster.core.delete_namespaced_pod(victim, chatbot.namespace, grace_period_seconds=0)
    one.end()
    assert 0 < len(one.broken()) <= its_own, one.broken()
    chatbot.available()
    after = crowd()
    after.ask(4, 2)
    after.end()
    assert after.broken() == []
