"""A private model learns what its owner knows, through the role, and takes over under a running chat.

Everything is real: InstructLab trains and serves, the gateway and the page answer. The product is invented:
nothing of it can be known before. The tests build on each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.stack import SOURCE, RealStack
from tests.browser.tabs import Tab, TabMaker
from tests.pipeline.host import GATEWAY, Host, Visitor, changed
from tests.ports import free_ports
from tests.training import dataset

#: Small batches: InstructLab's learning rate is fixed, so a tiny model needs many steps.
TRAINING = {
    "private_model_training_epochs": 7,
    "private_model_training_batch_size": 2,
    "private_model_training_max_batch_length": 1024,
    "private_model_training_max_length": 256,
}
NAME = "own-model"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """This machine as the private side, with the demo model, training data and held-out questions."""
    folder = tmp_path_factory.mktemp("trained")
    dataset.main(str(folder / "rows.jsonl"), str(folder / "held_out.json"))
    own = {
        "private_model_name": NAME,
        "private_model_evaluation_questions": str(folder / "held_out.json"),
        "private_model_evaluation_max_tokens": 160,
    }
    made = Host(folder, **own)
    yield made
    made.clear()


def trained(host: Host) -> dict[str, Any]:
    """Variables of the trained model."""
    return {
        **TRAINING,
        "private_model_training_data": str(host.folder / "rows.jsonl"),
        "private_model_evaluation_minimums": {"en": 0.6},
    }


@pytest.fixture(scope="module")
def page(host: Host) -> Iterator[RealStack]:
    """The real application in front of the real gateway; it goes on while models change."""
    status, said = host.play()
    assert status == 0, said[-3000:]
    port, metrics = free_ports(2)
    stack = RealStack(f"http://127.0.0.1:{port}/", None, [])
    environment = {
        "ADDRESS": GATEWAY,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "METRICS_PORT": str(metrics),
        "MODEL_NAME": NAME,
        "API_KEY": host.key(),
        "PYTHONPATH": str(SOURCE),
        "LOG_LEVEL": "warning",
    }
    with stack:
        stack.run([sys.executable, "-m", "private_ai_chatbot"], environment, stack.url + "healthz")
        yield stack


def asked(tab: Tab, question: str) -> str:
    """The answer on the page, in a conversation of its own, without loading the page again."""
    tab.page.click("#new-side")
    tab.ask(question)
    return dataset.normalise(tab.answer())


def test_learns_and_takes_over_under_a_running_chat(host: Host, page: RealStack, tab: TabMaker) -> None:
    """Near nothing is right before; afterwards more than half in English, and nobody was sent away."""
    base = host.served()["current"]
    status, said = host.step("evaluate")
    assert status == 0, said[-3000:]
    one = tab(page.url)
    one.open()
    question = "How many litres of water does the tank of the Orvalhin hold?"
    assert "seven" not in asked(one, question)

    with Visitor(host) as visitor:
        status, said = host.play(**trained(host))
    assert status == 0, said[-4000:]
    served = host.served()
    assert served["previous"] == base and served["current"]["name"] == NAME
    assert served["current"]["provenance"]["data_rows"] == 200
    assert host.loaded() == served["current"]["sha256"][:12]
    assert len(visitor.answers) > 20 and not visitor.failures, visitor.failures[:3]

    before, after = host.report(base["sha256"]), host.report(served["current"]["sha256"])
    print({name: (before["languages"][name], after["languages"][name]) for name in ("en", "pt")})
    assert before["languages"]["en"]["score"] <= 0.1 and after["languages"]["en"]["score"] >= 0.6
    assert after["languages"]["pt"]["similarity"] > before["languages"]["pt"]["similarity"] + 0.2
    right = [answer for answer in after["answers"] if answer["right"] and answer["language"] == "en"]
    words = [dataset.normalise(word) for word in right[0]["expect"][0]]
    found = asked(one, right[0]["question"])
    assert any(word in found for word in words), (right[0]["question"], found)


def test_unchanged_trains_nothing_again(host: Host) -> None:
    """No step looks for itself; alone it does."""
    host.unchanged(**trained(host))
    status, said = host.step("train", **trained(host))
    assert status == 0 and changed(said) == 0, said[-3000:]


@pytest.mark.extended
def test_every_file_read_again_trains_nothing(host: Host) -> None:
    status, said = host.play(**trained(host), private_model_verify="full")
    assert status == 0 and changed(said) == 0 and "Train | Would it be trained" in said, said[-3000:]


@pytest.mark.extended
def test_back_to_the_model_before(host: Host) -> None:
    """And forward again, without training."""
    status, said = host.step("rollback", **trained(host))
    assert status == 0, said[-3000:]
    left = host.served()["previous"]
    assert left["provenance"]["data_rows"] == 200
    assert host.loaded() == host.served()["current"]["sha256"][:12] != left["sha256"][:12]
    status, said = host.step("promote", **trained(host))
    assert status == 0 and host.served()["current"] == left, said[-3000:]
    assert host.loaded() == left["sha256"][:12]


@pytest.mark.extended
def test_killed_while_it_trains(host: Host) -> None:
    """What is served goes on, and the run after goes on where the last checkpoint is."""
    before, progress = host.served(), host.folder / "progress"
    progress.write_text("")
    less = {**trained(host), "private_model_training_epochs": 2, "private_model_evaluation_minimums": {}}
    # After so little it knows nothing yet, and need not.
    less |= {"private_model_promotion": "smoke", "private_model_progress_file": str(progress)}
    with Visitor(host) as visitor:
        assert host.kill_when(lambda said: "epoch 2 of 2, step" in progress.read_text(), **less)
        assert host.served() == before
        status, said = host.play(**less)
    # What had begun may have gone on to its end meanwhile; no epoch is trained twice.
    assert status == 0 and progress.read_text().count("epoch 1 of 2 is complete") == 1, said[-3000:]
    assert visitor.answers and not visitor.failures, visitor.failures[:3]
    assert host.served()["previous"] == before["current"]
    host.unchanged(**less)
