#!/usr/bin/env python3
"""Writes sizes and SHA-256 sums of the model's files to manifest.json and the card; `--check` only compares.

Needs only the standard library. `make demo-gguf` runs it after the conversion.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from pathlib import Path

MODEL = Path(__file__).resolve().parent.parent
FILES = (
    "config.json",
    "demo.gguf",
    "generation_config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.model",
    "tokenizer_config.json",
)


def describe(folder: Path) -> dict[str, dict[str, object]]:
    """Size in bytes and SHA-256 of every file of the model; FileNotFoundError when one is missing."""
    return {
        name: {
            "size": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in FILES
    }


def on_the_card(card: str, found: dict[str, dict[str, object]]) -> str:
    """The card with the present sizes and the checksum of the GGUF."""
    for name in ("model.safetensors", "demo.gguf"):
        size = f"{found[name]['size']:,} bytes"
        card = re.sub(rf"(\| `{re.escape(name)}` \| )[\d,]+ bytes", rf"\g<1>{size}", card)
    return re.sub(r"(SHA-256 of `demo.gguf` \| `)[0-9a-f]+", rf"\g<1>{found['demo.gguf']['sha256']}", card)


def main() -> int:
    """Command line; exit status 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=MODEL)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    path = args.folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    found = describe(args.folder)
    if args.check:
        wrong = [name for name in FILES if manifest.get("files", {}).get(name) != found[name]]
        print(f"differ from manifest.json: {', '.join(wrong)}" if wrong else "all files as in manifest.json")
        return 1 if wrong else 0
    manifest["files"] = found
    manifest["gguf"] = {"file": "demo.gguf"} | found["demo.gguf"]  # what the role places
    for name in FILES:
        os.chmod(args.folder / name, 0o644)
    path.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    card = args.folder / "README.md"
    if card.exists():
        card.write_text(on_the_card(card.read_text(encoding="utf-8"), found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
