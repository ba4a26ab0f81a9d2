"""What the gateway serves, refuses and says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable

import httpx
import pytest

from tests.gateway.gateway_stack import INNER_KEY, KEY, OTHER_KEY, Gateway, wait_until

Start = Callable[..., Gateway]
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}


def error_of(response: httpx.Response) -> dict:
    """The OpenAI-style error of an answer, checked for its shape."""
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_paths_methods_and_keys(gateway: Start) -> None:
    served = gateway(rate=1000)
    client = served.client
    assert client.get("/v1/models").json()["data"][0]["id"] == "paced-stand-in"
    assert client.post("/v1/chat/completions", json=CHAT).json()["choices"][0]["message"]["content"]
    assert client.post("/v1/completions", json={"prompt": "hello", "max_tokens": 3}).json()["choices"][0][
        "text"
    ]
    assert client.get("/gateway/status").json() == {"queued": 0, "active": 0, "up": 1, "limit": 100}
    for path in (
        "/",
        "/docs",
        "/v1/embeddings",
        "/v1/models/x",
        "/metrics",
        "/v1/chat/completions/",
        "/healthz/x",
    ):
        response = client.get(path)
        assert response.status_code == 404, path
        assert error_of(response)["code"] == "not_found"
    for method, path in (
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("DELETE", "/gateway/status"),
    ):
        response = client.request(method, path)
        assert response.status_code == 405, path
        assert error_of(response)["code"] == "method_not_allowed"
    with httpx.Client(base_url=client.base_url) as stranger:
        assert stranger.get("/healthz").status_code == 200
        for headers in (
            {},
            {"Authorization": "Bearer no"},
            {"Authorization": KEY},
            {"Authorization": f"Bearer {INNER_KEY}"},
        ):
            for path in ("/v1/models", "/gateway/status"):
                response = stranger.get(path, headers=headers)
                assert response.status_code == 401, (path, headers)
                assert error_of(response)["code"] == "invalid_api_key"


def test_keys_rotate_without_a_gap(gateway: Start) -> None:
    served = gateway(rate=1000)
    other = {"Authorization": f"Bearer {OTHER_KEY}"}
    assert served.client.get("/v1/models", headers=other).status_code == 401
    for keys, first, second in (((KEY, OTHER_KEY), 200, 200), ((OTHER_KEY,), 401, 200)):
        served.allow(*keys)
        served.reload()

        def told(wanted: int = second) -> bool:
            return served.client.get("/v1/models", headers=other).status_code == wanted

        wait_until(told)
        assert served.client.get("/v1/models").status_code == first
    assert KEY not in served.keys_file.read_text() + served.config.read_text()


def test_bodies_are_limited(gateway: Start) -> None:
    served = gateway(rate=1000, body_limit=50_000, bufsize=66_384)

    def ask(size: int) -> dict:
        return {"messages": [{"role": "user", "content": "x" * size}], "max_tokens": 3}

    def chunks(size: int) -> Iterable[bytes]:
        text = json.dumps(ask(size)).encode()
        return (text[at : at + 1000] for at in range(0, len(text), 1000))

    assert served.client.post("/v1/chat/completions", json=ask(40_000)).status_code == 200
    response = served.client.post("/v1/chat/completions", json=ask(60_000))
    assert response.status_code == 413
    assert error_of(response)["code"] == "request_too_large"
    assert served.client.post("/v1/chat/completions", content=chunks(40_000)).status_code == 200
    assert served.client.post("/v1/chat/completions", content=chunks(60_000)).status_code == 413


def test_request_ids_and_a_silent_log(gateway: Start) -> None:
    served = gateway(rate=1000)
    canary = "canary-prompt-2718"
    body = {"messages": [{"role": "user", "content": canary}], "max_tokens": 30}
    own = served.client.post("/v1/chat/completions", json=body, headers={"X-Request-Id": "trace-4.2"})
    assert own.status_code == 200
    assert own.headers["x-request-id"] == "trace-4.2", "the chatbot's server takes the same ids"
    odd = served.client.post(
        f"/v1/chat/completions?q={canary}", json=body, headers={"X-Request-Id": f"a b {canary}"}
    )
    assert canary not in odd.headers["x-request-id"]
    served.client.get(f'/unknown"{canary}')
    served.client.get("/v1/models", headers={"Authorization": "Bearer wrong-key-3141"})
    wait_until(lambda: served.log.read_text().count('"status":401') == 1)
    log = served.log.read_text()
    for secret in (KEY, INNER_KEY, canary, "wrong-key-3141", "stays on its own host", "Bearer"):
        assert secret not in log
    entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(entry["request_id"] == "trace-4.2" and entry["replica"] == "model-1" for entry in entries)
    assert {entry["path"] for entry in entries if entry["status"] == 404} == {"other"}


def test_metrics_have_their_own_address(gateway: Start) -> None:
    served = gateway(rate=1000)
    served.client.post("/v1/chat/completions", json=CHAT)
    metrics = served.metrics()
    for name in (
        "haproxy_backend_current_queue",
        "haproxy_server_status",
        "haproxy_backend_http_responses_total",
    ):
        assert f'{name}{{proxy="model"' in metrics, name
    assert served.client.get("/metrics").status_code == 404
    assert httpx.get(f"http://127.0.0.1:{served.metrics_port}/v1/models").status_code == 404


def test_only_allowed_sources_are_answered(gateway: Start) -> None:
    served = gateway(rate=1000)
    served.variables["__private_model_gateway_allowed_sources"] = ["203.0.113.0/24"]
    served.write()
    served.reload()
    for port in (served.port, served.metrics_port):
        with pytest.raises(httpx.TransportError):  # noqa: PT012 - the reload takes a moment
            for _ in range(20):
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                time.sleep(0.1)


def test_no_replica_is_its_own_error(gateway: Start) -> None:
    served = gateway(rate=1000)
    served.replicas[0].stop()
    wait_until(lambda: served.status()["up"] == 0)
    response = served.client.post("/v1/chat/completions", json=CHAT)
    assert response.status_code == 503
    assert error_of(response)["code"] == "no_model"
    assert int(response.headers["retry-after"]) > 0


def test_a_wrong_inner_key_is_not_the_callers_fault(gateway: Start) -> None:
    served = gateway(rate=1000, mutate=lambda text: text.replace("${ILAB_KEY}", "another"))
    response = served.client.post("/v1/chat/completions", json=CHAT)
    assert response.status_code == 502
    assert error_of(response)["code"] == "inner_key"
