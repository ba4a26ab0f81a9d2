"""One queue, first in first out, and nobody pays for health checks, leavers or a dying replica."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from tests.gateway.gateway_stack import KEY, Gateway, wait_until

Start = Callable[..., Gateway]


class Crowd:
    """Callers of a gateway who stream at the same time."""

    def __init__(self, served: Gateway) -> None:
        self.client = httpx.AsyncClient(
            base_url=served.client.base_url,
            timeout=120,
            headers={"Authorization": f"Bearer {KEY}"},
            limits=httpx.Limits(max_connections=500),
        )

    async def ask(self, name: str, tokens: int, big: int = 0) -> tuple[int, str]:
        """Stream one answer to its end; returns the status and the text of it all."""
        messages = [{"role": "system", "content": "x" * big}] if big else []
        messages.append({"role": "user", "content": name})
        body = {"messages": messages, "stream": True, "max_tokens": tokens}
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as response:
            return response.status_code, (await response.aread()).decode()

    def start(self, name: str, tokens: int = 1200, big: int = 0) -> asyncio.Task[tuple[int, str]]:
        return asyncio.create_task(self.ask(name, tokens, big))


async def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """As wait_until, with the other tasks going on."""
    return await asyncio.to_thread(wait_until, condition, seconds)


def opened(served: Gateway) -> int:
    """Streams that are open in the replicas now."""
    return sum(replica.stats().get("open_streams", 0) for replica in served.replicas)


@pytest.mark.parametrize("replicas", [1, 2])
def test_ten_at_once_with_checks_on_are_all_answered(gateway: Start, replicas: int) -> None:
    served = gateway(replicas=replicas)

    async def run() -> list[tuple[int, str]]:
        crowd = Crowd(served)
        asked = [crowd.start(f"caller {number}", tokens=24) for number in range(10)]
        # Busy replicas answer the checks with 503 and must stay up all the while.
        while not all(task.done() for task in asked):
            assert (await asyncio.to_thread(served.status))["up"] == replicas
            await asyncio.sleep(0.2)
        return [task.result() for task in asked]

    answers = asyncio.run(run())
    assert [status for status, _ in answers] == [200] * 10
    assert all(text.endswith("data: [DONE]\n\n") for _, text in answers)
    assert sum(replica.stats()["finished"] for replica in served.replicas) == 10


def test_first_come_first_served_and_the_status_counts(gateway: Start) -> None:
    served = gateway()
    names = [f"caller {number}" for number in range(6)]

    async def run() -> None:
        crowd = Crowd(served)
        tasks = []
        for number, name in enumerate(names):
            tasks.append(crowd.start(name, tokens=20))
            counts = {"queued": number, "active": 1, "up": 1, "limit": 100}
            await until(partial(lambda counts: served.status() == counts, counts))
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert served.replicas[0].stats()["order"] == names


def test_the_list_of_models_does_not_wait_behind_the_queue(gateway: Start) -> None:
    served = gateway()

    async def run() -> None:
        crowd = Crowd(served)
        tasks = [crowd.start("first", tokens=60), *(crowd.start(f"{n}", tokens=40) for n in range(3))]
        await until(lambda: served.status()["queued"] == 3)
        models = await crowd.client.get("/v1/models")
        assert models.status_code == 200
        assert sum(task.done() for task in tasks) <= 1, "it came after the answer that was running"
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def test_a_full_queue_says_429_and_an_expired_wait_503(gateway: Start) -> None:
    served = gateway(queue_limit=5, queue_timeout=4)

    async def run() -> None:
        crowd = Crowd(served)
        first = crowd.start("holds the replica")
        await until(lambda: opened(served) == 1)
        waiting = [crowd.start(f"waits {n}", tokens=5) for n in range(5)]
        await until(lambda: served.status()["queued"] == 5)
        refused = [await crowd.client.post("/v1/chat/completions", json={"messages": []}) for _ in range(7)]
        assert [response.status_code for response in refused] == [429] * 7
        assert {response.json()["error"]["code"] for response in refused} == {"queue_full"}
        assert all(int(response.headers["retry-after"]) > 0 for response in refused)
        answers = await asyncio.gather(*waiting)
        assert [status for status, _ in answers] == [503] * 5
        assert all('"code": "busy"' in text for _, text in answers)
        assert opened(served) == 1, "the answer that was running goes on"
        first.cancel()

    asyncio.run(run())


def test_the_queue_holds_exactly_its_limit_when_all_come_at_once(gateway: Start) -> None:
    served = gateway(queue_limit=20)

    async def run() -> list[int]:
        crowd = Crowd(served)
        holder = crowd.start("holds the replica", tokens=60)
        await until(lambda: opened(served) == 1)
        answers = await asyncio.gather(*(crowd.start(f"caller {n}", tokens=1) for n in range(60)))
        assert (await holder)[0] == 200
        return [status for status, _ in answers]

    statuses = asyncio.run(run())
    assert (statuses.count(200), statuses.count(429)) == (20, 40)


def test_who_leaves_frees_place_and_slot(gateway: Start) -> None:
    served = gateway()

    async def run() -> None:
        crowd = Crowd(served)
        running = crowd.start("runs")
        await until(lambda: opened(served) == 1)
        leaver = crowd.start("leaves the queue")
        await until(lambda: served.status()["queued"] == 1)
        last = crowd.start("last", tokens=2)
        await until(lambda: served.status()["queued"] == 2)
        leaver.cancel()
        await until(lambda: served.status()["queued"] == 1, 2)
        assert opened(served) == 1, "the stream was open when the other left"
        running.cancel()
        # The stream that ran would have gone on for most of a minute.
        status, text = await asyncio.wait_for(last, 2)
        assert (status, text[-14:]) == (200, "data: [DONE]\n\n")

    asyncio.run(run())
    stats = served.replicas[0].stats()
    assert stats["order"] == ["runs", "last"], "who left the queue never reached the model"
    assert stats["cancelled"] == 1
    assert stats["closed_after_tokens"][0] < 400, "the stream ended when its caller left, not at its end"


def test_a_killed_replica_costs_only_its_own_answer(gateway: Start) -> None:
    served = gateway(replicas=2)

    async def run() -> None:
        crowd = Crowd(served)
        running = [crowd.start(f"runs {n}", tokens=200) for n in range(2)]
        await until(lambda: opened(served) == 2)
        waiting = [crowd.start(f"waits {n}", tokens=10) for n in range(4)]
        await until(lambda: served.status()["queued"] == 4)
        assert opened(served) == 2, "both streams were open when it struck"
        served.replicas[0].stop()
        late = [crowd.start(f"late {n}", tokens=10) for n in range(6)]
        answers = await asyncio.gather(*waiting, *late)
        assert [status for status, _ in answers] == [200] * 10
        ends = await asyncio.gather(*running, return_exceptions=True)
        whole = [end for end in ends if isinstance(end, tuple) and end[1].endswith("data: [DONE]\n\n")]
        assert len(whole) == 1

    asyncio.run(run())


def test_who_waits_survives_a_crash_of_the_only_replica(gateway: Start) -> None:
    served = gateway()

    async def run() -> list[int]:
        crowd = Crowd(served)
        running = crowd.start("runs")
        await until(lambda: opened(served) == 1)
        waiting = [crowd.start(f"waits {n}", tokens=5) for n in range(4)]
        await until(lambda: served.status()["queued"] == 4)
        assert opened(served) == 1, "the stream was open when it struck"
        served.replicas[0].stop()
        # As Podman does.
        await asyncio.sleep(1)
        served.replicas[0].start()
        late = crowd.start("late", tokens=5)
        with pytest.raises(httpx.RemoteProtocolError):
            await running
        return [status for status, _ in await asyncio.gather(*waiting, late)]

    assert asyncio.run(run()) == [200] * 5


def test_a_reload_while_all_are_busy_asks_new_callers_to_come_back(gateway: Start) -> None:
    served = gateway()

    async def run() -> None:
        crowd = Crowd(served)
        running = crowd.start("runs", tokens=80)
        waiting = crowd.start("waits", tokens=5)
        await until(lambda: served.status()["queued"] == 1)
        await asyncio.to_thread(served.reload)
        # The new worker does not know of the old one's answer; another connection goes to it.
        late = Crowd(served)
        body = {"messages": [{"role": "user", "content": "late"}], "max_tokens": 2}
        response = await late.client.post("/v1/chat/completions", json=body)
        assert opened(served) == 1, "the stream was open when the late one asked"
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "busy"
        assert int(response.headers["retry-after"]) > 0
        assert [status for status, _ in await asyncio.gather(running, waiting)] == [200, 200]
        assert (await late.client.post("/v1/chat/completions", json=body)).status_code == 200

    asyncio.run(run())


def test_a_reload_keeps_running_answers(gateway: Start) -> None:
    served = gateway(replicas=2)

    async def run() -> None:
        crowd = Crowd(served)
        running = [crowd.start(f"runs {n}", tokens=120) for n in range(2)]
        await until(lambda: opened(served) == 2)
        await asyncio.to_thread(served.reload)
        assert opened(served) == 2, "both streams were open when it struck"
        answers = await asyncio.gather(*running)
        assert [(status, text[-14:]) for status, text in answers] == [(200, "data: [DONE]\n\n")] * 2

    asyncio.run(run())


def test_a_long_history_is_tried_again_too(gateway: Start) -> None:
    # How long the disturber holds the place depends on this machine's load; not how often it is tried again.
    served = gateway(rate=1000, retries=500)
    replica = served.replicas[0]

    async def run() -> list[int]:
        crowd = Crowd(served)

        # Short connections of somebody else (like health checks) take ilab's only place again and again.
        async def disturb() -> None:
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", replica.port)
                await asyncio.sleep(0.002)
                writer.close()
                await asyncio.sleep(0.01)

        disturbing = asyncio.create_task(disturb())
        answers = [await crowd.ask(f"long {n}", tokens=3, big=100_000) for n in range(40)]
        disturbing.cancel()
        return [status for status, _ in answers]

    assert asyncio.run(run()) == [200] * 40
    assert replica.stats()["rejected"] > 0, "nobody was in the way, so nothing had to be tried again"


WHOLE = "nothing taken away"
REMOVED = {
    WHOLE: ("", ""),
    "busy replicas count as alive": (r"http-check expect rstatus.*\n", "\n"),
    "one request at a time": (r" maxconn 1\b", " maxconn 4"),
    "the wait has its own limit": (r"timeout queue .*\n", "\n"),
    "leavers give up their place": (r"option abortonclose", "no option abortonclose"),
}


def notices(served: Gateway) -> bool:
    """Whether eight callers, three of whom leave, find anything wrong."""

    async def run() -> bool:
        crowd = Crowd(served)
        holder = crowd.start("holds", tokens=240)
        await until(lambda: opened(served) == 1)
        leavers = [crowd.start(f"leaves {n}", tokens=4) for n in range(3)]
        stayers = [crowd.start(f"stays {n}", tokens=4) for n in range(4)]
        # Longer than `timeout connect`, and than the checks that would mark a busy replica down.
        await asyncio.sleep(8)
        status = await asyncio.to_thread(served.status)
        for task in leavers:
            task.cancel()
        await asyncio.sleep(1)
        after = await asyncio.to_thread(served.status)
        answers = await asyncio.gather(holder, *stayers, return_exceptions=True)
        fine = all(isinstance(answer, tuple) and answer[0] == 200 for answer in answers)
        return not (fine and status["up"] == 1 and status["queued"] == 7 and after["queued"] == 4)

    return asyncio.run(run())


def test_each_measure_is_missed_when_taken_away(gateway: Start) -> None:
    def without(measure: str) -> Gateway:
        pattern, replacement = REMOVED[measure]

        def mutate(text: str) -> str:
            changed = re.sub(pattern, replacement, re.sub(r" inter \d+s", " inter 1s", text))
            assert (pattern in ("", replacement)) or changed != text, f"{measure}: nothing to take away"
            return re.sub(r" fall \d+", " fall 2", changed)

        return gateway(mutate=mutate)

    measures = list(REMOVED)
    with ThreadPoolExecutor(len(measures)) as pool:
        found = dict(zip(measures, pool.map(notices, [without(measure) for measure in measures])))
    assert found == {measure: measure != WHOLE for measure in measures}
