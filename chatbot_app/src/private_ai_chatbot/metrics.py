"""Prometheus metrics; names follow OpenTelemetry's GenAI conventions where they have one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from . import __version__
from .waiting import STATES, Backend

# The conventions' buckets, extended to ten minutes for models on a CPU.
_SECONDS = (*(round(0.01 * 2**step, 2) for step in range(16)), 600)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)


class Metrics:
    """All metrics of one application, in a registry of their own."""

    def __init__(self, model: str, waiting: Callable[[], int], backend: Backend) -> None:
        self.registry = CollectorRegistry()
        self._model = model
        ProcessCollector(registry=self.registry)
        self.registry.register(_UpstreamCollector(backend))
        labels = ["gen_ai_operation_name", "gen_ai_request_model"]
        self._duration = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Time from a question's arrival to the end of its answer.",
            [*labels, "error_type"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first_chunk = Histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Time from a question's arrival to the first piece of its answer.",
            labels,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tokens = Histogram(
            "gen_ai_client_token_usage_tokens",
            "Tokens of an answer (the model sends one in each chunk).",
            [*labels, "gen_ai_token_type"],
            buckets=_TOKENS,
            registry=self.registry,
        )
        self._requests = Counter(
            "chatbot_requests_total", "Questions by how they ended.", ["outcome"], registry=self.registry
        )
        self._queue_wait = Histogram(
            "chatbot_queue_wait_seconds",
            "Time until the model began to answer: waiting in the gateway's queue and reading the question.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.streams = Gauge(
            "chatbot_streams_in_flight",
            "Questions that are waiting or being answered.",
            registry=self.registry,
        )
        depth = Gauge(
            "chatbot_queue_depth", "Questions that wait for the model's first piece.", registry=self.registry
        )
        depth.set_function(waiting)
        info = Gauge("chatbot_build_info", "Version of the application.", ["version"], registry=self.registry)
        info.labels(__version__).set(1)

    def finished(
        self, outcome: str, duration: float, ttft: float | None, queue_wait: float | None, tokens: int
    ) -> None:
        """Counts one question that has ended. Times in seconds; None when it did not come that far."""
        self._requests.labels(outcome).inc()
        self._duration.labels("chat", self._model, "" if outcome == "ok" else outcome).observe(duration)
        if queue_wait is not None:
            self._queue_wait.observe(queue_wait)
        if ttft is not None:
            self._first_chunk.labels("chat", self._model).observe(ttft)
            self._tokens.labels("chat", self._model, "output").observe(tokens)


class _UpstreamCollector(Collector):
    """What is known here of the other end; a Prometheus of the public site cannot ask the gateway itself."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[GaugeMetricFamily]:
        state = GaugeMetricFamily(
            "chatbot_upstream_state",
            "1 for the state of the model as seen from here, 0 for the others.",
            labels=["state"],
        )
        for name in STATES:
            state.add_metric([name], name == self._backend.condition)
        yield state
        gateway = self._backend.gateway
        if gateway is None:
            return
        yield GaugeMetricFamily("chatbot_gateway_queued", "Requests in the gateway's queue.", gateway.queued)
        yield GaugeMetricFamily(
            "chatbot_gateway_queue_limit", "Places in the gateway's queue.", gateway.limit
        )
        yield GaugeMetricFamily("chatbot_gateway_active", "Requests that replicas answer.", gateway.active)
        yield GaugeMetricFamily("chatbot_gateway_replicas_up", "Replicas that are up.", gateway.up)
        yield GaugeMetricFamily(
            "chatbot_gateway_round_trip_seconds",
            "From here to the gateway and back, as it last told its queue, which takes it no time.",
            self._backend.round_trip,
        )
