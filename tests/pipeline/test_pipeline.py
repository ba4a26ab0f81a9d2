"""A model's whole way on this host: from a (stand-in) Hub to an answer, to its successors, and back.

Everything but the Hub is real: the client, the converter, InstructLab, the gateway. The tests build on each
other.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.pipeline.host import REPOSITORY, Host, Visitor, damaged, demo_files
from tests.standins.hub.repository import Repository
from tests.standins.hub.serve import StandInHub


def changed(said: str) -> int:
    """What the recap counts."""
    found = re.findall(r"changed=(\d+)", said)
    assert len(found) == 1, said[-600:]
    return int(found[0])


def test_from_the_hub_to_an_answer(host: Host, repository: Repository) -> None:
    status, said = host.play()
    assert status == 0, said[-3000:]
    served = host.served()
    assert served["current"]["name"] == "demo-model" and served["previous"] is None
    assert served["current"]["provenance"]["repository"] == REPOSITORY
    assert served["current"]["provenance"]["commit"] == repository.refs["main"]
    assert "model" in host.ask().lower()
    assert "modelo" in host.ask("O que é esta solução?").lower()


def test_an_unchanged_run_changes_and_fetches_nothing(host: Host, hub: StandInHub) -> None:
    sent = dict(hub.stats.sent)
    status, said = host.play()
    assert status == 0 and changed(said) == 0, said[-3000:]
    assert dict(hub.stats.sent) == sent


def test_full_verification_reads_and_changes_nothing(host: Host) -> None:
    status, said = host.play(private_model_verify="full")
    assert status == 0 and changed(said) == 0, said[-3000:]


def test_a_check_run_says_and_does_nothing(host: Host) -> None:
    before = host.served()
    command = [*host.command(host.site, private_model_outtype="bf16"), "--check"]
    with host.start(command) as process:
        said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    assert changed(said) > 0 and host.served() == before


def test_an_equal_model_is_promoted_under_a_running_chat(host: Host) -> None:
    first = host.served()["current"]["sha256"]
    with Visitor(host) as visitor:
        status, said = host.play(private_model_outtype="f32")
    assert status == 0, said[-3000:]
    served = host.served()
    assert served["current"]["sha256"] != first == served["previous"]["sha256"]
    assert served["current"]["quantization"] == "F32"
    assert visitor.answers and not visitor.failures, visitor.failures[:3]
    status, said = host.play(private_model_outtype="f32")
    assert status == 0 and changed(said) == 0, said[-3000:]


def test_a_worse_model_is_refused_and_the_old_one_goes_on(host: Host, repository: Repository) -> None:
    before = host.served()
    files = demo_files()
    files["model.safetensors"] = damaged(files["model.safetensors"])
    good = repository.refs["main"]
    repository.commit(files)
    try:
        with Visitor(host) as visitor:
            status, said = host.play(private_model_outtype="f32")
            again, said_again = host.play(private_model_outtype="f32")
    finally:
        repository.refs["main"] = good
    assert status != 0 and again != 0
    assert "does not take the place of the model that is served" in said, said[-3000:]
    assert "0 of 3" in said and "3 of 3" in said
    assert changed(said_again) == 0, "it was asked again"
    assert host.served() == before
    assert (
        visitor.answers and not visitor.failures and all("model" in text.lower() for text in visitor.answers)
    )
    assert (
        "private-ai-trial"
        not in subprocess.run(["podman", "ps", "-a"], capture_output=True, text=True).stdout
    )


def test_rollback_and_back(host: Host) -> None:
    assert host.play(private_model_outtype="f32")[0] == 0
    left, wanted = host.served()["current"], host.served()["previous"]
    with Visitor(host) as visitor:
        status, said = host.step("rollback", private_model_outtype="f32")
    assert status == 0, said[-3000:]
    assert host.served()["current"] == wanted and host.served()["held"] == [left["sha256"]]
    assert not visitor.failures and "model" in host.ask().lower()
    # An ordinary run does not bring back what was left on purpose.
    status, said = host.play(private_model_outtype="f32")
    assert status == 0 and changed(said) == 0 and "was left by a rollback" in said, said[-3000:]
    status, said = host.step("promote", private_model_outtype="f32")
    assert status == 0 and host.served()["current"] == left and not host.served()["held"], said[-3000:]
    assert host.step("rollback")[0] == 0 and host.step("promote", private_model_outtype="f32")[0] == 0
    status, said = host.step("list")
    assert status == 0 and left["sha256"][:12] in said and "current" in said and "3 of 3 right" in said


@pytest.mark.parametrize(
    ("task", "after"),
    [
        ("Download | Snapshot", 0.6),
        ("Convert | With llama.cpp", 4.0),
        ("Candidate | Check it and keep it", 0.3),
        ("Trial | Load the model", 1.5),
        ("Ask | Ask", 0.5),
        ("Model container | private-ai-model-1", 0.8),
        ("Record | What is served", 0.2),
    ],
)
def test_killed_and_run_again(host: Host, repository: Repository, task: str, after: float) -> None:
    # Another commit with the same weights: every step has something to do, and each model is one of its own.
    files = demo_files()
    files["generation_config.json"] += b"\n" * len(repository.commits)
    repository.commit(files)
    assert host.kill_at(task, after), f"the play did not reach {task}"
    host.step("list")
    assert host.served()["current"] is not None
    status, said = host.play()
    assert status == 0, said[-3000:]
    assert "model" in host.ask().lower()
    assert host.served()["current"]["provenance"]["commit"] == repository.refs["main"]
    status, said = host.play()
    assert status == 0 and changed(said) == 0, said[-3000:]


def test_surplus_models_went(host: Host) -> None:
    kept = [path for path in (host.data / "models").iterdir() if path.is_dir()]
    assert len(kept) == 2
