"""A model's whole way on this host: from a (stand-in) Hub to an answer, to its successors, and back.

Everything but the Hub is real: the client, the converter, InstructLab, the gateway. The tests build on each
other.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.host import (
    CONVERSION,
    DEMO,
    REPOSITORY,
    Host,
    Visitor,
    cdi_device,
    changed,
    damaged,
    demo_files,
    from_hub,
    on_taxonomy,
)
from tests.pipeline.points import POINTS, running
from tests.pipeline.reads import Reads
from tests.standins.hub.repository import Repository, from_directory
from tests.standins.hub.serve import StandInHub
from tests.training import taxonomy

extended = pytest.mark.extended


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, hub: StandInHub, repository: Repository) -> Iterator[Host]:
    """This machine as the private side, whose models come from the Hub."""
    assert repository.commits
    named = {"private_model_name": CONVERSION["name"], "private_model_outtype": CONVERSION["outtype"]}
    made = Host(tmp_path_factory.mktemp("pipeline"), **from_hub(hub.url), **named)
    yield made
    made.clear()


def test_from_the_hub_to_an_answer(host: Host, repository: Repository) -> None:
    """What comes out is byte for byte the GGUF file that the quickstart serves."""
    status, said = host.play()
    assert status == 0, said[-3000:]
    served = host.served()
    assert served["current"]["name"] == "private-ai-demo" and served["previous"] is None
    assert served["current"]["provenance"] == CONVERSION["provenance"]
    assert served["current"]["provenance"]["commit"] == repository.refs["main"]
    assert served["current"]["sha256"] == json.loads((DEMO / "manifest.json").read_text())["gguf"]["sha256"]
    assert "model" in host.ask().lower()
    assert "modelo" in host.ask("O que é esta solução?").lower()


def test_an_unchanged_run_changes_and_fetches_nothing(host: Host, hub: StandInHub) -> None:
    sent = dict(hub.stats.sent)
    host.unchanged()
    assert dict(hub.stats.sent) == sent


@extended
def test_what_somebody_changed_is_foreseen_and_repaired(host: Host) -> None:
    """Though the run before noted that all of it was as it should be."""
    configuration = host.data / "gateway/haproxy.cfg"
    good = configuration.read_text()
    spoilt = good + "# by hand\n"
    configuration.write_text(spoilt)
    subprocess.run(["podman", "stop", "--time=5", "private-ai-model-1"], check=True, capture_output=True)
    status, said = host.check()
    assert status == 0 and changed(said) >= 2, said[-3000:]
    assert configuration.read_text() == spoilt and not running("private-ai-model-1")
    status, said = host.play()
    assert status == 0 and changed(said) >= 2, said[-3000:]
    assert configuration.read_text() == good and running("private-ai-model-1")
    assert "model" in host.ask().lower()
    host.unchanged()


@extended
def test_full_verification_reads_and_changes_nothing(host: Host) -> None:
    with Reads(host.data) as reads:
        status, said = host.play(private_model_verify="full")
    assert status == 0 and changed(said) == 0, said[-3000:]
    assert "Store |" in said and "model.safetensors" in reads.models(), "it was taken for granted"
    assert any(name.endswith(".gguf") for name in reads.models())
    host.unchanged()


@extended
def test_a_python_that_cannot_ask_the_hub_any_more_is_looked_for_again(host: Host) -> None:
    note = host.data / ".converged.json"
    found = json.loads(note.read_text())
    assert Path(found["keep"]["hub_python"]).exists()
    found["keep"]["hub_python"] = str(host.folder / "gone/bin/python")
    note.write_text(json.dumps(found))
    status, said = host.play()
    assert status == 0 and changed(said) == 0 and "Hub | Which Python" in said, said[-3000:]
    host.unchanged()


@extended
def test_a_check_run_says_and_does_nothing(host: Host) -> None:
    before = host.served(), host.tree()
    status, said = host.check(private_model_outtype="bf16")
    assert status == 0 and changed(said) > 0, said[-3000:]
    assert (host.served(), host.tree()) == before
    host.unchanged()


@extended
def test_an_equal_model_is_promoted_under_a_running_chat(host: Host) -> None:
    first = host.served()["current"]["sha256"]
    with Visitor(host) as visitor:
        status, said = host.play(private_model_outtype="f32")
    assert status == 0, said[-3000:]
    served = host.served()
    assert served["current"]["sha256"] != first == served["previous"]["sha256"]
    assert served["current"]["quantization"] == "F32" and host.goes_on()
    assert visitor.answers and not visitor.failures, visitor.failures[:3]
    status, said = host.play(private_model_outtype="f32")
    assert status == 0 and changed(said) == 0, said[-3000:]


@extended
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
    assert host.served() == before and host.goes_on()
    assert (
        visitor.answers and not visitor.failures and all("model" in text.lower() for text in visitor.answers)
    )
    assert (
        "private-ai-trial"
        not in subprocess.run(["podman", "ps", "-a"], capture_output=True, text=True).stdout
    )


@extended
def test_rollback_and_back(host: Host) -> None:
    assert host.play(private_model_outtype="f32")[0] == 0
    left, wanted = host.served()["current"], host.served()["previous"]
    with Visitor(host) as visitor:
        status, said = host.step("rollback", private_model_outtype="f32")
    assert status == 0, said[-3000:]
    assert host.served()["current"] == wanted and host.served()["held"] == [left["sha256"]]
    assert not visitor.failures and host.goes_on()
    # An ordinary run does not bring back what was left on purpose.
    status, said = host.play(private_model_outtype="f32")
    assert status == 0 and changed(said) == 0 and "was left by a rollback" in said, said[-3000:]
    status, said = host.step("promote", private_model_outtype="f32")
    assert status == 0 and host.served()["current"] == left and not host.served()["held"], said[-3000:]
    assert host.goes_on()
    assert host.step("rollback")[0] == 0 and host.step("promote", private_model_outtype="f32")[0] == 0
    status, said = host.step("list")
    assert status == 0 and left["sha256"][:12] in said and "current" in said and "3 of 3 right" in said


@extended
def test_a_quantised_model_is_served(host: Host) -> None:
    status, said = host.play(private_model_quantization="Q8_0")
    assert status == 0, said[-3000:]
    assert host.served()["current"]["quantization"] == "Q8_0" and host.goes_on()
    host.unchanged(private_model_quantization="Q8_0")


def another(repository: Repository) -> None:
    """A commit with the same weights: every step has something to do, and the model is one of its own."""
    files = demo_files()
    files["generation_config.json"] += b"\n" * len(repository.commits)
    repository.commit(files)


@extended
@pytest.mark.parametrize("by", ["steps", "tags"])
def test_what_is_made_alone_is_served_only_when_asked_for(
    host: Host, repository: Repository, by: str
) -> None:
    """By the steps of playbooks/model.yml, and by the role's tags."""
    another(repository)
    before = host.served()
    steps: dict[str, list[Callable[[], tuple[int, str]]]] = {
        "steps": [partial(host.step, name) for name in ("fetch", "convert", "promote")],
        "tags": [partial(host.play, None, "--tags", names) for names in ("download,convert", "serve")],
    }
    for step in steps[by]:
        assert host.served() == before and host.goes_on()
        status, said = step()
        assert status == 0 and changed(said) > 0, said[-3000:]
    served = host.served()
    assert served["current"]["provenance"]["commit"] == repository.refs["main"] and host.goes_on()
    assert served["previous"] == before["current"]


@extended
def test_the_owner_may_promote_what_was_refused(host: Host, repository: Repository) -> None:
    """As the refusal says; and it can be left again."""
    before = host.served()
    good = repository.refs["main"]
    files = demo_files()
    repository.commit({**files, "model.safetensors": damaged(files["model.safetensors"])})
    try:
        assert host.step("fetch")[0] == host.step("convert")[0] == 0
        status, said = host.step("promote")
        assert status != 0 and "or set private_model_promotion=always" in said, said[-3000:]
        assert host.served() == before and host.goes_on()
        status, said = host.step("promote", private_model_promotion="always")
        assert status == 0, said[-3000:]
        served = host.served()
        assert served["current"]["provenance"]["commit"] == repository.refs["main"]
        assert served["previous"] == before["current"]
        assert host.loaded() == served["current"]["sha256"][:12]
    finally:
        repository.refs["main"] = good
    assert host.step("rollback")[0] == 0
    assert host.served()["current"] == before["current"] and host.goes_on()


@extended
def test_the_model_before_comes_back_when_the_new_one_does_not_get_up(host: Host) -> None:
    """Nothing was tried before; its head is sound, but a tensor has another name."""
    before = host.served()
    content = (DEMO / "demo.gguf").read_bytes()
    (host.folder / "broken.gguf").write_bytes(content.replace(b"blk.0.attn_q.weight", b"blk.0.attn_x.weight"))
    status, said = host.play(
        private_model_source="gguf",
        private_model_path=str(host.folder / "broken.gguf"),
        private_model_promotion="always",
    )
    assert status != 0 and "did not get up" in said, said[-3000:]
    assert "What served before goes on serving." in said and "Trial |" not in said
    assert host.served() == before and host.goes_on()


@extended
def test_all_servers_go_back_when_one_does_not_get_up(host: Host, repository: Repository) -> None:
    """The first one has the new model already when the second one cannot read it."""
    two: dict[str, Any] = {"private_model_replicas": 2, "private_model_promotion": "always"}
    status, said = host.play(**two)
    assert status == 0, said[-3000:]
    before = host.served()
    assert host.goes_on() and host.loaded(2) == host.loaded()
    another(repository)

    def close() -> None:
        assert host.loaded() != before["current"]["sha256"][:12], "the first one has the old model"
        (host.data / "models" / host.loaded() / "model.gguf").chmod(0o600)

    status, said = host.during(lambda said: "Replicas | Number 2]" in said, close, **two)
    assert status != 0 and "did not get up" in said, said[-3000:]
    assert "What served before goes on serving." in said
    assert host.served() == before and host.goes_on() and host.loaded(2) == host.loaded()
    status, said = host.play(**two)
    assert status == 0 and host.served()["previous"] == before["current"] and host.goes_on(), said[-3000:]


@pytest.mark.parametrize(
    "points",
    [["convert", "serve"], *([name] for name in POINTS)],
    ids=lambda points: "+".join(points),
)
@extended  # In `make test` the converter and the downloads are killed on their own.
def test_killed_and_run_again(host: Host, hub: StandInHub, repository: Repository, points: list[str]) -> None:
    another(repository)
    slow = repository.file("generation_config.json")
    slow.faults.rate = 40
    hub.stats.sent.clear()
    for point in points:
        assert host.kill_when(partial(POINTS[point], hub)), "the play ended before"
        assert host.served()["current"] is not None
    slow.faults.rate = 0
    weights = hub.stats.sent["model.safetensors"]
    status, said = host.play()
    assert status == 0, said[-3000:]
    assert host.goes_on()
    assert host.served()["current"]["provenance"]["commit"] == repository.refs["main"]
    assert hub.stats.sent["model.safetensors"] == weights, "what was there was fetched again"
    status, said = host.play()
    assert status == 0 and changed(said) == 0, said[-3000:]


@extended
def test_of_two_runs_at_once_the_second_one_is_told(host: Host, repository: Repository) -> None:
    """It fails before it changes anything, and the first one ends as if it had been alone."""
    another(repository)
    before, second = host.served(), list[tuple[int, str]]()
    status, said = host.during(lambda said: "Trial | Load" in said, lambda: second.append(host.play()))
    assert status == 0 and host.served()["previous"] == before["current"], said[-3000:]
    refused, told = second[0]
    assert refused != 0 and changed(told) == 0, told[-3000:]
    words = r"another run \(process \d+ on [^)]*\) is changing what this host serves"
    assert re.search(words, told), told[-3000:]
    assert "Trial |" not in told and host.goes_on()
    host.unchanged()


@extended
def test_surplus_models_went(host: Host) -> None:
    kept = [path for path in (host.data / "models").iterdir() if path.is_dir()]
    assert len(kept) == 2


@extended
def test_a_model_of_the_hub_learns_from_a_taxonomy(host: Host, repository: Repository) -> None:
    """Downloaded, trained, converted, asked and served in one run."""
    another(repository)
    taxonomy.write(host.folder / "taxonomy")
    before = host.served()
    status, said = host.play(**on_taxonomy(host.folder / "taxonomy"))
    assert status == 0, said[-4000:]
    steps = ("Download | Snapshot", "Train | InstructLab", "Convert | With llama.cpp", "Ask | Ask", "Serve |")
    at = [said.find(step) for step in steps]
    assert -1 not in at and at == sorted(at), dict(zip(steps, at, strict=True))
    served = host.served()
    about = served["current"]["provenance"]
    assert (about["base_repository"], about["base_commit"]) == (REPOSITORY, repository.refs["main"])
    assert about["data_rows"] == taxonomy.ROWS and served["previous"] == before["current"]
    assert host.report(served["current"]["sha256"])["total"]["asked"] == 3
    assert host.loaded() == served["current"]["sha256"][:12] and host.ask()


@extended
def test_a_trained_model_of_the_hub_is_trained_once(host: Host) -> None:
    host.unchanged(**on_taxonomy(host.folder / "taxonomy"))


@extended
def test_teacher_and_gpus_reach_the_training(host: Host) -> None:
    """By the variables of the role; in a check run, for there is neither here."""
    before = host.tree()
    teacher = {"url": "http://127.0.0.1:9/v1", "model": "large", "family": "mixtral", "rows": 3}
    key = "teacher-s3cret"
    with cdi_device() as device:
        own = on_taxonomy(
            host.folder / "taxonomy",
            private_model_training_teacher=teacher,
            private_model_training_teacher_key=key,
            private_model_training_device="cuda",
            private_model_devices=[device],
            private_model_image="localhost/private-ai/ilab:0.26.1",
        )
        status, said = host.play(None, "--check", "-vvv", **own)
    assert status == 0 and key not in said, said[-3000:]
    _, _, rest = said.partition("Train | Would it be trained]")
    told = rest.partition("TASK [")[0]
    for name, value in teacher.items():
        assert f"{name}: {value}" in told, (name, told[-3000:])
    assert "api_key: VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in told
    assert f"device: cuda devices: - {device} " in told
    assert host.tree() == before


@extended
def test_the_default_model_in_all_but_its_weights(host: Host, hub: StandInHub, distilled: Path) -> None:
    """Shards with an index, sampling settings and R1's own template, by the role to an answer."""
    found = hub.add(from_directory("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", distilled))
    own = {
        "private_model_huggingface_repository": found.name,
        "private_model_huggingface_revision": found.refs["main"],
        "private_model_name": "",
        "private_model_outtype": "bf16",
        "private_model_quantization": "Q4_K_M",
        "private_model_evaluation_questions": "",
        "private_model_promotion": "smoke",
    }
    before = host.served()
    status, said = host.play(**own)
    assert status == 0, said[-3000:]
    served = host.served()
    assert served["previous"] == before["current"]
    assert served["current"]["name"] == "DeepSeek-R1-Distill-Qwen-1.5B"
    assert served["current"]["quantization"] == "Q4_K"
    about = {"repository": found.name, "commit": found.refs["main"]}
    assert served["current"]["provenance"] == about
    assert host.loaded() == served["current"]["sha256"][:12] and host.ask()
    host.unchanged(**own)
