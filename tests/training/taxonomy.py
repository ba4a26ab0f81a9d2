"""A small taxonomy about the invented product: one skill, and one piece of knowledge."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.training import dataset

#: Rows that are trained of it: five examples of the skill, three of each of five parts of the knowledge.
ROWS = 5 + 15


def write(folder: Path) -> Path:
    """Make the directory and return it; nobody fetches the document that the knowledge names."""
    facts = [fact["en"] for fact in dataset.facts()[:5]]
    pairs = [{"question": fact["questions"][0], "answer": fact["answer"]} for fact in facts]
    about = {"version": 3, "created_by": "example"}
    skill = {
        **about,
        "version": 2,
        "task_description": "Answer questions about a machine that waters plants.",
    }
    knowledge = {
        **about,
        "domain": "Watering",
        "document_outline": "A machine that waters plants",
        "document": {"repo": "https://example.invalid/x.git", "commit": "c0ffee", "patterns": ["*.md"]},
        "seed_examples": [{"context": f"Part {n}.", "questions_and_answers": pairs[:3]} for n in range(5)],
    }
    for name, content in (
        ("compositional_skills/watering", {**skill, "seed_examples": pairs}),
        ("knowledge/watering", knowledge),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "qna.yaml").write_text(yaml.safe_dump(content))
    return folder
