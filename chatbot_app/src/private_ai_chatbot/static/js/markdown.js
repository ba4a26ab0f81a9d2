// Markdown of an untrusted model to safe elements.
//
// Three fences: the parser escapes all HTML, the renderer makes links only for http, https and mailto
// and never an image (an image's address is a way to carry a conversation out), and DOMPurify lets
// only a short list of elements through. The page's Trusted Types rule admits nothing else.

import hljs from "../vendor/highlight/core.js";
import DOMPurify from "../vendor/dompurify.js";
import markdownIt from "../vendor/markdown-it.js";
import bash from "../vendor/highlight/bash.js";
import cpp from "../vendor/highlight/cpp.js";
import css from "../vendor/highlight/css.js";
import diff from "../vendor/highlight/diff.js";
import dockerfile from "../vendor/highlight/dockerfile.js";
import go from "../vendor/highlight/go.js";
import ini from "../vendor/highlight/ini.js";
import java from "../vendor/highlight/java.js";
import javascript from "../vendor/highlight/javascript.js";
import json from "../vendor/highlight/json.js";
import python from "../vendor/highlight/python.js";
import sql from "../vendor/highlight/sql.js";
import typescript from "../vendor/highlight/typescript.js";
import xml from "../vendor/highlight/xml.js";
import yaml from "../vendor/highlight/yaml.js";
import { icon, make } from "./dom.js";
import { t } from "./i18n.js";

const LANGUAGES = {
  bash, cpp, css, diff, dockerfile, go, ini, java, javascript, json, python, sql, typescript, xml, yaml,
};
for (const [name, definition] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, definition);

// Colouring re-reads the whole block at each frame, so long ones stay plain until they are complete.
const HIGHLIGHT_WHILE_WRITING = 3_000;
const HIGHLIGHT_AT_ALL = 60_000;
const SAFE_LINK = /^(?:https?:\/\/|mailto:)/i;

let highlightLimit = HIGHLIGHT_AT_ALL;

const md = markdownIt({
  html: false,
  linkify: true,
  breaks: false,
  highlight(code, name) {
    if (!name || code.length > highlightLimit || !hljs.getLanguage(name)) return "";
    return hljs.highlight(code, { language: name, ignoreIllegals: true }).value;
  },
});
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
md.validateLink = (url) => SAFE_LINK.test(url.trim());

md.renderer.rules.link_open = (tokens, index, options, env, self) => {
  tokens[index].attrSet("target", "_blank");
  tokens[index].attrSet("rel", "noopener noreferrer nofollow");
  return self.renderToken(tokens, index, options);
};

// ![text](address) becomes a link that says it is an image; inside a link only the text remains.
md.core.ruler.push("images_to_links", (state) => {
  for (const block of state.tokens) {
    if (block.type !== "inline") continue;
    let depth = 0;
    block.children = block.children.flatMap((token) => {
      if (token.type === "link_open") depth += 1;
      if (token.type === "link_close") depth -= 1;
      if (token.type !== "image") return [token];
      const text = new state.Token("text", "", 0);
      const source = token.attrGet("src") ?? "";
      text.content = t("message.image", { text: token.content || source });
      if (depth > 0 || !SAFE_LINK.test(source)) return [text];
      const open = new state.Token("link_open", "a", 1);
      open.attrSet("href", source);
      return [open, text, new state.Token("link_close", "a", -1)];
    });
  }
});

// The table rule aligns by a style attribute, which the Content-Security-Policy refuses.
md.core.ruler.push("align_by_class", (state) => {
  for (const token of state.tokens) {
    const style = token.attrGet("style");
    if (style === null) continue;
    token.attrs = token.attrs.filter(([name]) => name !== "style");
    const side = /text-align:\s*(left|center|right)/.exec(style);
    if (side) token.attrJoin("class", `align-${side[1]}`);
  }
});

const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["class", "href", "rel", "start", "target"],
  ALLOWED_URI_REGEXP: SAFE_LINK,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_TRUSTED_TYPE: true,
};

const SAFE_CLASS = /^(?:hljs[\w-]*|language-[\w+#.-]+|align-(?:left|center|right)|[a-z]+_)$/;
DOMPurify.addHook("uponSanitizeAttribute", (_node, attribute) => {
  if (attribute.attrName !== "class") return;
  attribute.attrValue = attribute.attrValue.split(/\s+/).filter((name) => SAFE_CLASS.test(name)).join(" ");
  if (!attribute.attrValue) attribute.keepAttr = false;
});
// DOMPurify drops `target` from links unless it is put there after its own checks.
DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer nofollow");
});

function codeFrame(pre) {
  const code = pre.querySelector("code") ?? pre;
  const name = /language-([\w+#.-]+)/.exec(code.className)?.[1] ?? "";
  const shown = name || t("code.plain");
  pre.tabIndex = 0;
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", t("code.label", { language: shown }));
  const button = make("button", { type: "button", class: "code-copy", "data-action": "copy-code" },
    icon("copy"), make("span", {}, t("code.copy")));
  const frame = make("div", { class: "code" },
    make("div", { class: "code-head" }, make("span", { class: "code-name" }, shown), button));
  pre.replaceWith(frame);
  frame.append(pre);
}

function tableFrame(table) {
  const frame = make("div", { class: "table", role: "region", tabindex: "0", "aria-label": t("table.label") });
  table.replaceWith(frame);
  frame.append(table);
}

/** Fill `element` with the Markdown `source`, sanitised; `complete` colours long code too. */
export function renderInto(element, source, { complete = true } = {}) {
  highlightLimit = complete ? HIGHLIGHT_AT_ALL : HIGHLIGHT_WHILE_WRITING;
  element.innerHTML = DOMPurify.sanitize(md.render(source), ALLOWED);
  element.querySelectorAll("pre").forEach(codeFrame);
  element.querySelectorAll("table").forEach(tableFrame);
}

/** Return the line at which the last top-level block of `source` starts; 0 when there is one. */
function lastBlockLine(source) {
  let line = 0;
  for (const token of md.parse(source, {})) {
    if (token.level === 0 && token.map && token.nesting >= 0) line = token.map[0];
  }
  return line;
}

function offsetOfLine(source, line) {
  let offset = 0;
  for (; line > 0; line -= 1) offset = source.indexOf("\n", offset) + 1;
  return offset;
}

/**
 * Markdown that grows. Finished blocks are left alone; only the last one is rendered again, at most
 * once per animation frame, so that a long answer costs the same per word as a short one.
 */
export class GrowingMarkdown {
  #source = "";
  #settled = 0;
  #frame = 0;
  #tail = null;

  constructor(element) {
    this.element = element;
  }

  get source() {
    return this.#source;
  }

  append(text) {
    this.#source += text;
    // A page in the background gets no animation frames; it catches up when it is seen again.
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Replace everything by `source` (the complete text), rendered in one go. */
  finish(source = this.#source) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#source = source;
    this.#tail = null;
    renderInto(this.element, source);
  }

  #draw() {
    this.#frame = 0;
    const rest = this.#source.slice(this.#settled);
    const start = offsetOfLine(rest, lastBlockLine(rest));
    if (start > 0) {
      this.#block();
      renderInto(this.#tail, rest.slice(0, start));
      this.#tail = null;
      this.#settled += start;
    }
    this.#block();
    renderInto(this.#tail, rest.slice(start), { complete: false });
  }

  #block() {
    if (this.#tail) return;
    this.#tail = make("div", { class: "block" });
    this.element.append(this.#tail);
  }
}
