#!/usr/bin/env python3
"""Make the README's pictures of the page: docs/images/chat-page.png and chat-page-dark.png.

    python tests/browser/screenshot.py [--url http://127.0.0.1:8080/] [--target DIR] [--language pt-BR]

With --url the questions are asked there, of a real model. Without it the answers come from the stand-in
server: the same each time, and good for work on the page's looks. The font Inter
(package fonts-inter) is used when it is installed. With Pillow the files are reduced to 256 colours.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
from pathlib import Path
from typing import Literal

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from playwright.sync_api import sync_playwright  # noqa: E402

from tests.browser.tabs import FLAGS, chromium  # noqa: E402
from tests.standins.page_backend import CONFIG, Backend  # noqa: E402

SCHEMES: tuple[tuple[Literal["light", "dark"], str], ...] = (
    ("light", "chat-page.png"),
    ("dark", "chat-page-dark.png"),
)
TEXTS = {
    "en-US": (
        "What happens to what I write here?",
        "Your question goes from this page to the chatbot, and from there through an encrypted link to the "
        "private machine. **Nobody keeps it on the way.** Earlier conversations stay in this browser.",
        "How does my question reach the model?",
        "The visitor asks about the path. I should name the parts in order and say who opens the link.",
        """The private machine opens the link itself, so it needs **no inbound port**:

1. Your browser sends the question to the chatbot.
2. The chatbot passes it into the encrypted network.
3. A gateway lets one question at a time reach each replica of the model.

You can ask the gateway in the same way from a program:

```python
import httpx

question = {"role": "user", "content": "What is this?"}
reply = httpx.post(f"{gateway}/v1/chat/completions", headers=key,
                   json={"messages": [question]})
print(reply.json()["choices"][0]["message"]["content"])
```""",
    ),
    "pt-BR": (
        "O que acontece com o que escrevo aqui?",
        "Sua pergunta vai desta página ao chatbot e de lá, por um enlace cifrado, até a máquina privada. "
        "**Ninguém a guarda no caminho.** As conversas anteriores ficam neste navegador.",
        "Como minha pergunta chega ao modelo?",
        "A pessoa pergunta pelo caminho. Devo citar as partes em ordem e dizer qual lado abre o enlace.",
        """A própria máquina privada abre o enlace, então ela não precisa de **nenhuma porta de entrada**:

1. Seu navegador envia a pergunta ao chatbot.
2. O chatbot a passa para a rede cifrada.
3. Um gateway deixa uma pergunta por vez chegar a cada réplica do modelo.

Um programa pode perguntar ao gateway do mesmo jeito:

```python
import httpx

question = {"role": "user", "content": "O que é isto?"}
reply = httpx.post(f"{gateway}/v1/chat/completions", headers=key,
                   json={"messages": [question]})
print(reply.json()["choices"][0]["message"]["content"])
```""",
    ),
}


def steps(text: str, kind: str, pause: float) -> list[dict[str, object]]:
    """One step for each word, `pause` seconds apart."""
    return [{"delta": {kind: word}, "sleep": pause} for word in re.findall(r"\s*\S+", text)]


def shrink(path: Path) -> None:
    """Reduce to 256 colours when Pillow is there."""
    try:
        from PIL import Image
    except ImportError:
        print("  Pillow is not installed: not optimised")
        return
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description="Make the README's pictures of the page.")
    parser.add_argument("--target", type=Path, default=HERE.parent.parent / "docs" / "images")
    parser.add_argument("--language", choices=sorted(TEXTS), default="en-US")
    parser.add_argument("--url", help="a running page; default: the stand-in server")
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=820)
    options = parser.parse_args()
    CONFIG.update(model="stand-in", version="0.1.0")
    earlier, earlier_answer, question, thought, answer = TEXTS[options.language]
    backend = Backend()
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    options.target.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for scheme, name in SCHEMES:
            page = browser.new_page(
                color_scheme=scheme,
                locale=options.language,
                reduced_motion="reduce",
                viewport={"width": options.width, "height": options.height},
            )
            page.goto(options.url or backend.url)
            done = "#log[aria-busy=false] .message.model:last-child .numbers"
            for asked, script in (
                (earlier, steps(earlier_answer, "content", 0.01)),
                (question, steps(thought, "reasoning_content", 0.1) + steps(answer, "content", 0.05)),
            ):
                page.click("#new-side")
                backend.script = script
                page.fill("#question", asked)
                page.press("#question", "Enter")
                page.wait_for_selector(done)
            page.mouse.move(options.width - 5, options.height // 2)
            page.screenshot(path=options.target / name)
            shrink(options.target / name)
            print(f"{options.target / name}: {(options.target / name).stat().st_size} bytes")
        browser.close()
    backend.shutdown()


if __name__ == "__main__":
    main()
