"""Real Traefik serves the IngressClass of ingress-nginx, as where that was replaced by it."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.chatbot_nodes import test_streams as streams
from tests.chatbot_nodes.crowd import Crowd
from tests.chatbot_nodes.deployed import BEHIND_INGRESS, HOST, Deployed
from tests.cluster.cluster import Cluster


def test_it_is_traefik_and_its_pods_alone_are_let_in(cluster: Cluster, chatbot: Deployed) -> None:
    nobody = httpx.get(f"http://{cluster.own.ingress}/", headers={"Host": "x.example.com"}, trust_env=False)
    assert (nobody.status_code, nobody.text) == (404, "404 page not found\n")
    found = cluster.get("networking.k8s.io/v1", "IngressClass", "nginx") or {}
    assert found["spec"]["controller"] == "k8s.io/ingress-nginx"
    policy = cluster.get("networking.k8s.io/v1", "NetworkPolicy", "chatbot", chatbot.namespace) or {}
    visitors = policy["spec"]["ingress"][0]["from"]
    assert visitors == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik"}}}]
    live = cluster.get("networking.k8s.io/v1", "Ingress", "chatbot", chatbot.namespace) or {}
    assert live["status"]["loadBalancer"]["ingress"] == [{"ip": cluster.own.ingress}]
    assert [rule["host"] for rule in live["spec"]["rules"]] == [HOST]
    again = chatbot.play(**BEHIND_INGRESS)
    # Who has replaced the retired controller is not told of its end.
    assert again.changed == 0 and "kubernetes/ingress-nginx" not in again.said


# What holds behind the stand-in for a controller holds here, after the look at what the role made.
test_token_by_token = streams.test_an_answer_comes_token_by_token_under_host_and_path_with_tls
test_limits = streams.test_visitors_behind_the_ingress_are_limited_apart
test_rolling_update = streams.test_a_rolling_update_breaks_no_answer
test_scaling = streams.test_scaling_up_and_down_breaks_no_answer


def test_answers_come_from_every_replica(
    cluster: Cluster, chatbot: Deployed, crowd: Callable[..., Crowd]
) -> None:
    one = crowd()
    one.ask(streams.MANY, streams.LONG)
    assert one.all_open() == streams.MANY
    counts = [chatbot.streams(pod.metadata.name) for pod in chatbot.pods()]
    one.end()
    assert one.broken() == []
    assert len(counts) == 2 and min(counts) > streams.MANY // 4, counts
