"""The program in the training image: what of it needs neither torch nor ilab."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.training import dataset

PROGRAM = Path(__file__).resolve().parents[2] / "roles/private_model/files/images/trainer/program"
CUTTING = (
    "{% for m in messages %}{% set content = m.content %}"
    "{% if '</think>' in content %}cut{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def program() -> Iterator[SimpleNamespace]:
    """The modules of the program, which is no package."""
    sys.path.insert(0, str(PROGRAM))
    try:
        import checkpoints
        import common
        import inputs
        import taxonomy
        import teacher
        import view

        yield SimpleNamespace(
            checkpoints=checkpoints,
            common=common,
            inputs=inputs,
            taxonomy=taxonomy,
            teacher=teacher,
            view=view,
        )
    finally:
        sys.path.remove(str(PROGRAM))


def test_held_out_questions_are_never_trained() -> None:
    """200 rows, 60 questions, none in both; every answer passes its own keywords and no other."""
    rows, asked = dataset.conversations(), dataset.held_out()
    trained = {dataset.normalise(row["messages"][0]["content"]) for row in rows}
    held = {dataset.normalise(question["question"]) for question in asked}
    assert len(rows) == len(trained) == 200 and len(asked) == len(held) == 60
    assert not trained & held
    for question in asked:
        assert dataset.is_right("<think>x</think>" + question["expect"], question["keywords"])
    for fact in dataset.facts():
        others = [other for other in dataset.facts() if other["id"] != fact["id"]]
        for language in dataset.LANGUAGES:
            for other in others:
                assert not dataset.is_right(other[language]["answer"], fact[language]["keywords"]), fact["id"]


def test_data_are_always_the_same(tmp_path: Path) -> None:
    """And each row has the form that ilab takes."""
    for number in (1, 2):
        dataset.main(str(tmp_path / f"{number}.jsonl"), str(tmp_path / f"{number}.json"))
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()
    first = json.loads((tmp_path / "1.jsonl").read_text().splitlines()[0])
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]
    assert first["messages"][1]["content"].startswith("<think>\n")


def test_conversations_of_a_taxonomy(program: SimpleNamespace) -> None:
    """Knowledge as it is, skills with their context first."""
    knowledge = {
        "seed_examples": [
            {"context": "c", "questions_and_answers": [{"question": "q1\n", "answer": "a1"}]},
            {"context": "c", "questions_and_answers": [{"question": "q2", "answer": "a2\n"}]},
        ]
    }
    skill = {
        "seed_examples": [
            {"question": "q", "answer": "a", "context": "c\n"},
            {"question": "r", "answer": "b"},
        ]
    }

    def texts(content: dict[str, Any]) -> list[list[str]]:
        return [[m["content"] for m in row["messages"]] for _, row in program.taxonomy.conversations(content)]

    assert texts(knowledge) == [["q1", "a1"], ["q2", "a2"]]
    assert texts(skill) == [["c\n\nq", "a"], ["r", "b"]]
    assert program.taxonomy.conversations(knowledge)[1][0] == "seed example 2, question 1"


def test_lines_of_a_taxonomy(program: SimpleNamespace, tmp_path: Path) -> None:
    """Where a value stands that instructlab-schema names by its path."""
    file = tmp_path / "qna.yaml"
    file.write_text(
        "version: 3\nseed_examples:\n  - question: q\n    answer: a\n  - question: r\n    answer: ''\n"
    )
    lines = {".seed_examples[1].answer": 6, ".seed_examples[0]": 3, ".seed_examples": 2, ".lost": 1, ".": 1}
    for path, line in lines.items():
        assert program.taxonomy.line_of(file, path) == line, path


@pytest.mark.parametrize("own_file", [True, False])
def test_template_keeps_the_last_thinking(program: SimpleNamespace, tmp_path: Path, own_file: bool) -> None:
    """As R1's; the base stays as it is, and a template that keeps it already is left alone."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    settings = {} if own_file else {"chat_template": CUTTING}
    (base / "tokenizer_config.json").write_text(json.dumps({"a": 1, **settings}))
    if own_file:
        (base / "chat_template.jinja").write_text(CUTTING)
    assert program.view.make(base, tmp_path / "one") == program.view.KEEPS_THINKING
    assert "not loop.last" in program.view.template_of(tmp_path / "one")[1]
    assert program.view.template_of(base)[1] == CUTTING and (tmp_path / "one/config.json").is_symlink()
    assert json.loads((tmp_path / "one/tokenizer_config.json").read_text())["a"] == 1
    assert program.view.make(tmp_path / "one", tmp_path / "two") == program.view.AS_IT_IS


def rows_of(program: SimpleNamespace, *lengths: int) -> Any:
    """Prepared rows of so many tokens."""
    origins = [f"line {number}" for number in range(1, len(lengths) + 1)]
    return program.inputs.Prepared([{}] * len(lengths), origins, lengths=list(lengths))


def test_batches_that_cannot_be_packed(program: SimpleNamespace) -> None:
    """What ilab would find out after the preparation; the remedy works."""
    check = program.inputs.check_packing
    check(rows_of(program, 50, 60, 70), 2, 2048)
    with pytest.raises(program.common.Unfit, match=r"at most \(line 3\).*effective_batch_size of 3 or more"):
        check(rows_of(program, 50, 60, 700), 2, 2048)
    check(rows_of(program, 50, 60, 700), 3, 2048)
    with pytest.raises(program.common.Unfit, match=r"line 3\) has 700 tokens; raise max_batch_len"):
        check(rows_of(program, 50, 60, 700), 8, 512)


def checkpoint(work: Path, start: int, epoch: int, complete: bool = True) -> Path:
    """A checkpoint as ilab names it, of the epoch (from 0) of a run that began after so many."""
    folder = work / f"checkpoints/from-{start:05d}/hf_format/samples_{epoch * 8}"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("weights", bytes(range(256)) * 10)
    (folder / "config.json").write_text("{}")
    if not complete:
        content = (folder / "pytorch_model.bin").read_bytes()
        (folder / "pytorch_model.bin").write_bytes(content[: len(content) // 2])
    return folder


def test_goes_on_from_the_last_complete_checkpoint(program: SimpleNamespace, tmp_path: Path) -> None:
    """Epochs are counted over all runs; half-written checkpoints go."""
    last = program.checkpoints.last_complete
    assert last(tmp_path) is None
    checkpoint(tmp_path, 0, 0)
    second = checkpoint(tmp_path, 0, 1)
    cut = checkpoint(tmp_path, 0, 2, complete=False)
    assert last(tmp_path) == (2, second) and not cut.exists()
    tenth = checkpoint(tmp_path, 2, 7)
    assert last(tmp_path) == (10, tenth)
    (tenth / "config.json").unlink()
    assert last(tmp_path) == (2, second), "ilab writes the configuration after the weights"
    damaged = bytearray((second / "pytorch_model.bin").read_bytes())
    damaged[100] ^= 1
    (second / "pytorch_model.bin").write_bytes(damaged)
    found = last(tmp_path)
    assert found is not None and found.epochs == 1


def test_only_so_many_checkpoints_are_kept(program: SimpleNamespace, tmp_path: Path) -> None:
    """The furthest, whatever run they are of."""
    made = [checkpoint(tmp_path, 0, 0), checkpoint(tmp_path, 0, 1), checkpoint(tmp_path, 2, 0)]
    program.checkpoints.tidy(tmp_path, 2)
    assert [folder.exists() for folder in made] == [False, True, True]
    program.checkpoints.tidy(tmp_path, 1)
    assert [folder.exists() for folder in made] == [False, False, True]


def test_losses_survive_an_interruption(program: SimpleNamespace, tmp_path: Path) -> None:
    """Those of epochs that have to be trained again are left out, as is a line that was cut."""
    path = tmp_path / "losses.jsonl"
    log = program.checkpoints.Log(path, 0)
    log.add(1, [2.0, 4.0])
    log.add(2, [1.0])
    with path.open("a") as stream:
        stream.write('{"epoch": 3, "lo')
    assert program.checkpoints.Log(path, 2).epochs == [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 1.0}]
    assert program.checkpoints.Log(path, 1).epochs == [{"epoch": 1, "loss": 3.0}]


def test_a_teacher_gets_skills_only(program: SimpleNamespace, tmp_path: Path) -> None:
    """The documents of knowledge are on servers that nobody asks."""
    for name in ("knowledge/a", "compositional_skills/b", "foundational_skills/c"):
        (tmp_path / "taxonomy" / name).mkdir(parents=True)
        (tmp_path / "taxonomy" / name / "qna.yaml").write_text(name)
    assert program.teacher.skills(tmp_path / "taxonomy", tmp_path / "out") == 2
    found = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.yaml")
    )
    assert found == ["compositional_skills/b/qna.yaml", "foundational_skills/c/qna.yaml"]


def test_what_a_teacher_wrote(program: SimpleNamespace, tmp_path: Path) -> None:
    """Once each, without those that say nothing, wherever ilab put its files."""
    (tmp_path / "2026").mkdir()
    pairs = [("q?", " a "), ("q?", "a"), ("r?", ""), ("s?", "b")]
    rows = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}], "metadata": "{}"}
        for q, a in pairs
    ]
    (tmp_path / "2026/messages_x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "2026/train_x.jsonl").write_text("{}\n")
    found = program.teacher.rows(tmp_path)
    assert [[one["content"] for one in row["messages"]] for row in found] == [["q?", "a"], ["s?", "b"]]


def test_a_teachers_key_is_no_argument(program: SimpleNamespace, tmp_path: Path) -> None:
    names = ("url", "model", "family", "rows", "key")
    options = SimpleNamespace(**{f"teacher_{name}": f"the-{name}" for name in names})
    words = program.teacher.command(options, tmp_path / "in", tmp_path / "out")
    assert "the-url" in words and "the-rows" in words and "the-key" not in " ".join(words)
