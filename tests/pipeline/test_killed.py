"""The role is killed at many points of a model's way, early and late in each step, and run again.

What served before goes on, nothing comes from the Hub twice, nothing is left of what was cut. The points of a
test come one after the other: a run is killed, the next one goes on and is killed further on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipeline.host import CONVERSION, Host, Visitor, from_hub, on_taxonomy
from tests.pipeline.killing import WEIGHTS, another, containers, hidden, kill, whole
from tests.standins.hub.repository import Repository
from tests.standins.hub.serve import StandInHub
from tests.training import taxonomy

pytestmark = pytest.mark.extended


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, hub: StandInHub, repository: Repository) -> Iterator[Host]:
    """This machine as the private side, whose model comes from the Hub and serves."""
    assert repository.commits
    named = {"private_model_name": CONVERSION["name"], "private_model_backend": "container"}
    made = Host(tmp_path_factory.mktemp("killed"), **from_hub(hub.url), **named)
    status, said = made.play()
    assert status == 0, said[-3000:]
    yield made
    made.clear()


def cut(host: Host, hub: StandInHub, points: list[str], **own: Any) -> None:
    """Kill one run after the other before anything else is served; what serves goes on."""
    before = host.served()
    for name in points:
        kill(host, hub, name, **own)
        assert host.served() == before and host.goes_on() and whole(host), name


def finish(host: Host, repository: Repository, kept: set[str], **own: Any) -> None:
    """Run it to its end; nothing is left of those that were killed."""
    before = host.served()
    status, said = host.play(**own)
    assert status == 0, said[-3000:]
    served = host.served()
    assert host.loaded() == served["current"]["sha256"][:12] and host.ask() and whole(host)
    about = served["current"]["provenance"]
    assert repository.refs["main"] in (about.get("commit"), about.get("base_commit"))
    assert before["current"] in (served["current"], served["previous"]) or own.get("private_model_keep") == 1
    assert hidden(host) == kept
    servers = range(1, own.get("private_model_replicas", 1) + 1)
    assert containers() == {"private-ai-gateway", *(f"private-ai-model-{number}" for number in servers)}
    host.unchanged(**own)


def test_download(host: Host, hub: StandInHub, repository: Repository) -> None:
    """What came before a run was killed does not come again."""
    kept = hidden(host)
    another(repository)
    weights = repository.file(WEIGHTS)
    weights.faults.rate = len(weights.content) / 10
    hub.stats.clear()
    cut(host, hub, ["comes"])
    (part,) = host.data.glob("sources/.*.partial/files/*.part")
    there, sent = part.stat().st_size, hub.stats.sent[WEIGHTS]
    assert 0 < there < len(weights.content)
    weights.faults.rate = 0
    cut(host, hub, ["came", "placed"])
    finish(host, repository, kept)
    assert hub.stats.ranges.pop(WEIGHTS) == ["", f"bytes={there}-"]
    assert hub.stats.sent[WEIGHTS] == sent + len(weights.content) - there
    # The others are small and may be whole or not when the first run is killed.
    assert all(len(asked) <= 2 for asked in hub.stats.ranges.values())


STEPS = {
    "convert": ["converts", "converted", "without-manifest"],
    "quantise": ["between", "quantised"],
    "trial": ["checked", "kept", "loads", "loaded"],
    "evaluation": ["asks", "answered"],
}


@pytest.mark.parametrize("step", STEPS)
def test_until_it_may_serve(host: Host, hub: StandInHub, repository: Repository, step: str) -> None:
    """From a file of the Hub to a model that is good enough."""
    kept = hidden(host)
    own: dict[str, Any] = {"private_model_quantization": "Q8_0"} if step == "quantise" else {}
    another(repository)
    hub.stats.clear()
    cut(host, hub, STEPS[step], **own)
    finish(host, repository, kept, **own)
    assert hub.stats.sent[WEIGHTS] == len(repository.file(WEIGHTS).content)
    assert host.served()["current"]["quantization"] == ("Q8_0" if own else "F16")


#: Until one of them has been removed, the old server of the first replica is in the way of the new one's.
SERVERS = {
    "stopped": ["renamed", "stopped", "second-stopped", "served", "noted", "complete"],
    "replaced": ["replaced", "surplus", "claimed"],
}
RECORDED = ("surplus", "noted", "claimed", "complete")


@pytest.mark.parametrize("points", SERVERS)
def test_while_it_takes_over(host: Host, hub: StandInHub, repository: Repository, points: str) -> None:
    """Of two servers one always answers."""
    own: dict[str, Any] = {"private_model_replicas": 2, "private_model_keep": 1}
    status, said = host.play(**own)
    assert status == 0, said[-3000:]
    kept, before = hidden(host), host.served()
    another(repository)
    hub.stats.clear()
    with Visitor(host) as visitor:
        for name in SERVERS[points]:
            kill(host, hub, name, **own)
            new = host.served()["current"]["provenance"]["commit"] == repository.refs["main"]
            assert whole(host) and new == (name in RECORDED) and (new or host.served() == before), name
            assert "model" in host.ask().lower(), name
        finish(host, repository, kept, **own)
    assert len(visitor.answers) > 20 and not visitor.failures, visitor.failures[:3]
    assert host.loaded(2) == host.loaded()
    assert hub.stats.sent[WEIGHTS] == len(repository.file(WEIGHTS).content)


def test_training(host: Host, hub: StandInHub, repository: Repository) -> None:
    """And what is made of the trained model; no epoch is trained twice."""
    kept, progress = hidden(host), host.folder / "progress"
    own = on_taxonomy(taxonomy.write(host.folder / "taxonomy"), private_model_progress_file=str(progress))
    progress.write_text("")
    another(repository)
    hub.stats.clear()
    cut(host, hub, ["trains", "trained"], **own)
    # The container of the first run may have trained on; then nobody heard it say so.
    complete = progress.read_text().count("epoch 1 of 1 is complete")
    assert complete <= 1
    cut(host, hub, ["trained-placed", "converts", "without-manifest"], **own)
    finish(host, repository, kept, **own)
    assert progress.read_text().count("epoch 1 of 1 is complete") == complete
    assert hub.stats.sent[WEIGHTS] == len(repository.file(WEIGHTS).content)
