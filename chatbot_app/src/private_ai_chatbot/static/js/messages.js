// How one message looks. Nothing here talks to the server or changes a conversation.

import { icon, lengthOf, make, setIcon } from "./dom.js";
import { formatNumber, t, tn } from "./i18n.js";
import { GrowingMarkdown, renderInto } from "./markdown.js";
import { errorText } from "./errors.js";

function action(name, key, symbol) {
  return make("button", { type: "button", class: "action", "data-action": name, title: t(key) },
    icon(symbol), make("span", { class: "action-text" }, t(key)));
}

function heading(key) {
  return make("h2", { class: "hidden" }, t(key));
}

/** Return the element of a visitor's message. */
export function userView(message, index) {
  return make("article", { class: "message user", "data-index": String(index) },
    heading("message.you"),
    make("div", { class: "bubble" }, message.content),
    make("div", { class: "actions" }, action("copy", "message.copy", "copy"), action("edit", "message.edit", "edit")));
}

/** Return a form in the place of a visitor's message; `done` gets the new text, or null. */
export function editView(message, index, limit, done) {
  const area = make("textarea", { class: "edit-text", rows: "3", "aria-label": t("edit.label") });
  area.value = message.content;
  const problem = make("span", { class: "edit-problem", role: "alert" });
  const finish = () => {
    const text = area.value.trim();
    if (!text) return area.focus();
    const over = limit ? lengthOf(text) - limit : 0;
    if (over > 0) {
      problem.textContent = tn("composer.over", over);
      return area.focus();
    }
    return done(text);
  };
  const form = make("form", { class: "edit" }, area,
    make("div", { class: "row" },
      make("span", { class: "edit-note" }, t("edit.note"), " ", problem),
      make("button", { type: "button", class: "text-button", on: { click: () => done(null) } }, t("edit.cancel")),
      make("button", { type: "submit", class: "text-button solid" }, t("edit.send"))));
  form.addEventListener("submit", (event) => { event.preventDefault(); finish(); });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); done(null); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); finish(); }
  });
  return make("article", { class: "message user editing", "data-index": String(index) }, heading("message.you"), form);
}

/** The element of a model's message, complete or growing. */
export class AnswerView {
  #thinking = null;
  #thinkingText = null;
  #thinkingLabel = null;
  #thinkingTouched = false;
  #text = null;
  #line;
  #foot;

  constructor(index) {
    this.#line = make("p", { class: "progress" });
    this.#foot = make("div", { class: "foot" });
    this.body = make("div", { class: "body" }, this.#line);
    this.element = make("article", { class: "message model", "data-index": String(index) },
      heading("message.model"), make("span", { class: "mark", "aria-hidden": "true" }, icon("shield")), this.body);
    this.body.append(this.#foot);
    this.progress(null);
  }

  /** Return the view of a message that is complete. */
  static of(message, index) {
    const view = new AnswerView(index);
    if (message.reasoning?.trim()) {
      view.#openThinking();
      renderInto(view.#thinkingText.element, message.reasoning);
      view.foldThinking(message.thinkingSeconds ?? 0);
    }
    if (message.content) view.#openText().finish(message.content);
    view.complete(message);
    return view;
  }

  /** Show one line of what is going on, or nothing; parts may be texts or elements. */
  progress(...parts) {
    const shown = parts.filter((part) => part !== null);
    this.#line.replaceChildren(...shown);
    this.#line.hidden = shown.length === 0;
  }

  #openThinking() {
    if (this.#thinking) return this.#thinkingText;
    const text = make("div", { class: "thinking-text markdown" });
    this.#thinkingLabel = make("span", {}, t("thinking.now"));
    const summary = make("summary", {}, icon("chevron"), this.#thinkingLabel);
    summary.addEventListener("click", () => { this.#thinkingTouched = true; });
    this.#thinking = make("details", { class: "thinking running", open: true }, summary, text);
    this.#thinkingText = new GrowingMarkdown(text);
    this.#line.after(this.#thinking);
    return this.#thinkingText;
  }

  #openText() {
    if (this.#text) return this.#text;
    const element = make("div", { class: "markdown" });
    this.#foot.before(element);
    this.#text = new GrowingMarkdown(element);
    return this.#text;
  }

  think(text) {
    this.#openThinking().append(text);
  }

  thinkingFor(seconds) {
    if (this.#thinkingLabel) {
      this.#thinkingLabel.textContent = `${t("thinking.now")} · ${t("thinking.seconds", { n: formatNumber(seconds) })}`;
    }
  }

  /** Thinking is over: fold it, unless the visitor opened or closed it himself. */
  foldThinking(seconds) {
    if (!this.#thinking) return;
    this.#thinking.classList.remove("running");
    if (!this.#thinkingTouched) this.#thinking.open = false;
    this.#thinkingLabel.textContent = tn("thinking.done", Math.max(1, Math.round(seconds)));
  }

  write(text) {
    this.#openText().append(text);
  }

  /** The server found out that what looked like the answer was thinking: move it there. */
  reclassify(reasoning, content) {
    if (reasoning.trim()) this.#openThinking().finish(reasoning);
    if (this.#text) {
      this.#text.element.remove();
      this.#text = null;
    }
    if (content) this.#openText().append(content);
  }

  /** No more comes: the final text, its note, what can be done with it, and its numbers. */
  complete(message) {
    this.progress(null);
    if (this.#text) this.#text.finish();
    if (this.#thinkingText?.source) this.#thinkingText.finish();
    this.#foot.replaceChildren();
    const notes = [{ stopped: "message.stopped", cut: "message.cut", interrupted: "message.interrupted" }[message.state],
      message.trimmed && "message.trimmed"];
    for (const note of notes.filter(Boolean)) this.#foot.append(make("p", { class: "ending" }, t(note)));
    if (message.state === "failed") this.#foot.append(errorView(message));
    const actions = make("div", { class: "actions" });
    if (message.content) actions.append(action("copy", "message.copy", "copy"));
    actions.append(action("retry", "message.retry", "retry"));
    const numbers = usageText(message.usage);
    if (numbers) actions.append(make("span", { class: "numbers" }, numbers));
    this.#foot.append(actions);
  }
}

function usageText(usage) {
  if (!usage?.completion_tokens) return "";
  const parts = [tn("stats.tokens", usage.completion_tokens)];
  const writing = usage.seconds - (usage.first_token_seconds ?? 0);
  // Over a very short time the rate is an accident of buffering, not a property of the model.
  if (writing > 0.05) parts.push(t("stats.rate", { n: formatNumber(usage.completion_tokens / writing, 1) }));
  if (usage.first_token_seconds >= 0.05) {
    parts.push(t("stats.first", { n: formatNumber(usage.first_token_seconds, 1) }));
  }
  return parts.join(" · ");
}

function errorView(message) {
  const { text, detail } = errorText(message.error);
  const id = message.error.requestId;
  const box = make("div", { class: "error" }, icon("warn"),
    make("div", {},
      make("strong", {}, t(message.content ? "error.title.partial" : "error.title")),
      make("p", {}, text),
      detail ? make("p", { class: "detail" }, t("error.detail", { text: detail })) : null,
      // What its operator finds the question by in every log on the way.
      id ? make("p", { class: "detail" }, t("error.request", { id })) : null));
  return box;
}

/** Show for a moment that something was copied. */
export function flashCopied(button) {
  const label = button.querySelector("span");
  const before = label.textContent;
  setIcon(button, "check");
  label.textContent = t("message.copied");
  setTimeout(() => {
    setIcon(button, "copy");
    label.textContent = before;
  }, 1500);
}
