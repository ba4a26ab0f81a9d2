"""The base as ilab gets to see it: the same files, with a chat template that can carry the training data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

AS_IT_IS = "as it is"
KEEPS_THINKING = "keeps the thinking of the last answer"

#: How R1's template and its likes find the thinking of an answer, to leave it out. ilab marks answers before
#: the template sees them and crashes when a mark goes with the thinking.
CUT = "'</think>' in content"
KEEP = "('</think>' in content and not loop.last)"


def template_of(base: Path) -> tuple[str, str]:
    """(name of the file, text) of the chat template; empty when there is none."""
    own = base / "chat_template.jinja"
    if own.is_file():
        return own.name, own.read_text(encoding="utf-8")
    settings = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8"))
    text = settings.get("chat_template")
    return "tokenizer_config.json", text if isinstance(text, str) else ""


def make(base: Path, folder: Path) -> str:
    """Fill `folder` with links to the base, the template changed where it would cut thinking; say how."""
    folder.mkdir(parents=True, exist_ok=True)
    name, text = template_of(base)
    cuts = CUT in text and KEEP not in text and "'</think>' in content and not loop.last" not in text
    for file in base.iterdir():
        if file.is_file() and not (cuts and file.name == name):
            (folder / file.name).symlink_to(file)
    if not cuts:
        return AS_IT_IS
    changed = text.replace(CUT, KEEP)
    if name.endswith(".jinja"):
        (folder / name).write_text(changed, encoding="utf-8")
    else:
        settings = json.loads((base / name).read_text(encoding="utf-8")) | {"chat_template": changed}
        (folder / name).write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
    return KEEPS_THINKING


def opens_thinking(tokenizer: Any) -> bool:
    """Whether the template begins every answer with `<think>`: then every row needs to close it."""
    try:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "?"}], tokenize=False, add_generation_prompt=True
        )
    except Exception:  # a template may not know add_generation_prompt
        return False
    return str(prompt).rstrip().endswith("<think>")
