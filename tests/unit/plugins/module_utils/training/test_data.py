# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Training data: the form of rows, the line of each problem, checksums of files and taxonomies."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import sha256_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.training import data

GOOD = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}


def said(*turns: tuple[str, t.Any]) -> dict[str, t.Any]:
    """A row of these roles and contents."""
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        said(("system", "S"), ("user", "Q"), ("assistant", "A")),
        said(("user", "Q"), ("assistant", "A"), ("user", "R"), ("assistant", "B")),
        {**GOOD, "metadata": "{}"},
    ],
)
def test_rows_that_ilab_takes(row: dict[str, t.Any]) -> None:
    """Nothing is wrong with them."""
    assert data.row_problem(row) is None


@pytest.mark.parametrize(
    "row, words",
    [
        ([], "it is a list"),
        (7, "it is a number"),
        ({"messages": []}, "no messages"),
        ({"messages": ["Q"]}, "message 1 is a text"),
        (said(("human", "Q")), "role 'human', known are system, user, assistant"),
        (said(("user", " ")), "message 1 (user) has no text"),
        (said(("user", None)), "message 1 (user) has no text"),
        (said(("user", "Q"), ("system", "S")), "system, which may be the first one only"),
        (said(("user", "Q"), ("user", "R")), "role user after user"),
        (said(("assistant", "A")), "role assistant after nothing"),
        (said(("user", "Q")), "last message has the role user"),
    ],
)
def test_what_is_wrong_with_a_row(row: t.Any, words: str) -> None:
    """The message says which message, and what is expected."""
    assert words in (data.row_problem(row) or "")


def test_every_problem_has_its_line(tmp_path: Path) -> None:
    """Empty lines count as lines, not as rows."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\n{\n\xff\n" + json.dumps({}).encode() + b"\n")
    with pytest.raises(data.DataError) as error:
        data.check_rows(str(path))
    text = str(error.value)
    assert (
        "line 3: it is not JSON" in text and "line 4: it is not UTF-8" in text and "line 5: it has no" in text
    )
    assert "line 1" not in text and "line 2" not in text
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps(GOOD) + "\n")
    assert data.check_rows(str(path)) == 2


def test_many_problems_are_counted(tmp_path: Path) -> None:
    """A file of another form does not fill the screen."""
    path = tmp_path / "data.jsonl"
    path.write_text("1\n" * 100)
    with pytest.raises(data.DataError, match=r"line 20: [^;]*; and 80 more$"):
        data.check_rows(str(path))
    path.write_text("\n")
    with pytest.raises(data.DataError, match="holds no row"):
        data.check_rows(str(path))


def test_checksum_of_a_taxonomy_is_that_of_its_files(tmp_path: Path) -> None:
    """Names and contents count, other files and hidden directories do not."""
    for name in ("knowledge/b", "knowledge/a", ".git/knowledge"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "qna.yaml").write_text(name)
    params = {"data": None, "taxonomy": str(tmp_path)}
    assert data.taxonomy_files(str(tmp_path)) == ["knowledge/a/qna.yaml", "knowledge/b/qna.yaml"]
    first = data.digest(params, sha256_of)
    (tmp_path / "knowledge/a/attribution.txt").write_text("x")
    assert data.digest(params, sha256_of) == first and first["kind"] == "taxonomy"
    (tmp_path / "knowledge/a/qna.yaml").write_text("y")
    assert data.digest(params, sha256_of) != first
    (tmp_path / "knowledge/a").rename(tmp_path / "knowledge/c")
    assert data.digest(params, sha256_of)["sha256"] != first["sha256"]


def test_a_teacher_counts_by_what_it_is(tmp_path: Path) -> None:
    """Another model or more rows are other data; another address or key is not."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/qna.yaml").write_text("x")
    teacher = {"url": "https://one/v1", "model": "big", "family": "mixtral", "rows": 3, "api_key": "s3cret"}
    params = {"data": None, "taxonomy": str(tmp_path), "teacher": teacher}
    first = data.digest(params, sha256_of)
    assert first["teacher"] == {"model": "big", "family": "mixtral", "rows": 3}
    assert data.digest({**params, "teacher": {**teacher, "url": "u", "api_key": "k"}}, sha256_of) == first
    assert data.digest({**params, "teacher": {**teacher, "rows": 4}}, sha256_of) != first
    assert "teacher" not in data.digest({**params, "teacher": None}, sha256_of)


def test_data_that_are_not_there(tmp_path: Path) -> None:
    """The message says what is expected."""
    with pytest.raises(data.DataError, match="JSON lines"):
        data.digest({"data": str(tmp_path), "taxonomy": None}, sha256_of)
    with pytest.raises(data.DataError, match=r"directory with qna\.yaml"):
        data.digest({"data": None, "taxonomy": str(tmp_path / "no")}, sha256_of)
    with pytest.raises(data.DataError, match=r"holds no qna\.yaml"):
        data.digest({"data": None, "taxonomy": str(tmp_path)}, sha256_of)
