// The open conversation: asking, receiving, stopping, asking again, editing.

import { announce, byId, copyText, make } from "./dom.js";
import { retryAfter } from "./errors.js";
import { startFollowing, toEnd } from "./follow.js";
import { onLanguage, place, t, tn } from "./i18n.js";
import { AnswerView, editView, flashCopied, userView } from "./messages.js";
import { scoped } from "./settings.js";
import * as store from "./store.js";
import { ChatError, ask } from "./stream.js";

const AUTOMATIC_RETRIES = 3;
const SAVE_EVERY_MS = 2_000;
const TITLE_LENGTH = 60;
const RETRY_REASONS = {
  queue_full: "full", queue_timeout: "timeout", rate_limit_exceeded: "rate", too_many_open_requests: "rate",
  shutting_down: "offline",
};

let limits = { max_message_chars: 0, max_messages: 0 };
let conversation = fresh();
let running = null; // {controller, view, message} while an answer is awaited or written
let editing = null; // index of the message being edited
let notify = () => {};

function fresh() {
  return { id: newId(), title: "", created: Date.now(), updated: Date.now(), messages: [] };
}

// crypto.randomUUID exists only in secure contexts; a page on plain http has getRandomValues.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Start the log. `changed` is called with {saved} whenever conversations or the state changed. */
export function startChat(configured, changed) {
  limits = { ...limits, ...configured };
  notify = changed;
  byId("log").addEventListener("click", onAction);
  onLanguage(render);
  startFollowing();
  render();
}

/** Return the id of the open conversation. */
export function openId() {
  return conversation.id;
}

/** Whether an answer is awaited or being written. */
export function isRunning() {
  return running !== null;
}

function remembered(id) {
  try {
    if (id) sessionStorage.setItem(scoped("open"), id);
    else sessionStorage.removeItem(scoped("open"));
  } catch {
    // Without storage the page opens with a new chat.
  }
}

/** Open the conversation that this tab showed before it was reloaded. */
export async function reopen() {
  let id = null;
  try {
    id = sessionStorage.getItem(scoped("open"));
  } catch {
    return;
  }
  if (id) await openConversation(id);
}

/** Show a conversation; an answer being written elsewhere is stopped. */
export async function openConversation(id) {
  const found = await store.load(id);
  if (!found) return;
  stop();
  for (const message of found.messages) if (message.state === "running") message.state = "interrupted";
  conversation = found;
  editing = null;
  remembered(id);
  render();
  toEnd();
  notify({});
}

/** Start an empty conversation. */
export function newConversation() {
  stop();
  conversation = fresh();
  editing = null;
  remembered(null);
  render();
  notify({});
}

/** Stop the answer; returns whether there was one. */
export function stop() {
  if (!running) return false;
  running.controller.abort();
  return true;
}

/** Ask the question `text`, and wait for the answer. */
export async function send(text) {
  if (running) return;
  if (!conversation.messages.length) conversation.title = titleOf(text);
  conversation.messages.push({ role: "user", content: text });
  editing = null;
  await answer();
}

function titleOf(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1).trimEnd()}…` : line;
}

/** What the model gets: answers without their thinking, and not more than the server takes. */
function outgoing(messages) {
  const usable = messages.filter((message) => message.role === "user" || message.content.trim());
  let last = usable.map(({ role, content }) => ({ role, content }));
  const trimmed = limits.max_messages > 0 && last.length > limits.max_messages;
  if (trimmed) {
    last = last.slice(-limits.max_messages);
    while (last.length > 1 && last[0].role !== "user") last.shift();
  }
  return { messages: last, trimmed };
}

async function keep(target) {
  target.updated = Date.now();
  notify({ saved: await store.save(target) });
}

async function answer() {
  const target = conversation;
  const { messages, trimmed } = outgoing(target.messages);
  const message = { role: "assistant", content: "", reasoning: "", state: "running" };
  target.messages.push(message);
  const view = new AnswerView(target.messages.length - 1);
  const controller = new AbortController();
  const own = { controller, view, message };
  running = own;
  remembered(target.id);
  render();
  toEnd();
  notify({});
  announce(t("progress.connecting"));
  view.progress(t("progress.connecting"));
  await keep(target);
  const saver = setInterval(() => keep(target), SAVE_EVERY_MS);
  try {
    await receivePatiently(messages, own);
    message.state = message.cut ? "cut" : "done";
  } catch (error) {
    fail(message, error);
  } finally {
    clearInterval(saver);
    delete message.cut;
    if (running === own) running = null;
  }
  message.trimmed = trimmed || undefined;
  view.complete(message);
  const said = { stopped: "progress.stopped", failed: "progress.failed" }[message.state] ?? "progress.done";
  announce(t(said));
  busy();
  // The conversation may have been deleted, or left for another, while its answer was written.
  if (!own.dropped) await keep(target);
  notify({});
}

function fail(message, error) {
  if (error.name === "AbortError") {
    message.state = "stopped";
    return;
  }
  const known = error instanceof ChatError ? error : new ChatError("page", { message: String(error) });
  message.state = "failed";
  message.error = {
    code: known.code, status: known.status, detail: known.detail, retryAfter: known.retryAfter, requestId: known.requestId,
  };
}

/** Receive; when nothing came and the server named a time, count down and ask again by ourselves. */
async function receivePatiently(messages, own) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await receive(messages, own);
    } catch (error) {
      const wait = error instanceof ChatError ? retryAfter(error) : null;
      const started = own.message.content || own.message.reasoning;
      if (wait === null || started || attempt >= AUTOMATIC_RETRIES) throw error;
      const reason = RETRY_REASONS[error.code] ?? "busy";
      await countdown(own, reason, wait, { skippable: true });
    }
  }
}

/** Show "asking again in n seconds"; ends after them, or early by the button, or throws when stopped. */
function countdown({ view, controller }, reason, seconds, { skippable }) {
  const title = t(`retry.${["full", "timeout", "offline", "rate"].includes(reason) ? reason : "busy"}`);
  const until = Date.now() + seconds * 1000;
  announce(`${title}, ${tn("retry.in", seconds)}`);
  return new Promise((resolve, reject) => {
    const text = document.createTextNode("");
    const button = skippable
      ? make("button", { type: "button", class: "text-button", on: { click: () => end() } }, t("retry.now")) : null;
    const show = () => {
      const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      text.data = `${title}: ${tn("retry.in", left)} `;
      if (left === 0) end();
    };
    const timer = setInterval(show, 250);
    const end = (error) => {
      clearInterval(timer);
      controller.signal.removeEventListener("abort", stopped);
      if (error) return reject(error);
      view.progress(t("retry.asking"));
      return resolve();
    };
    const stopped = () => end(new DOMException("stopped", "AbortError"));
    controller.signal.addEventListener("abort", stopped);
    if (controller.signal.aborted) return stopped();
    view.progress(text, button);
    return show();
  });
}

/** Receive one answer into `own.message` and its view. */
async function receive(messages, own) {
  const { view, message, controller } = own;
  let thinkingSince = 0;
  let waiting = null; // stops a countdown that only shows what the server does
  const settle = () => {
    waiting?.abort();
    waiting = null;
  };
  const clock = setInterval(() => {
    if (thinkingSince) view.thinkingFor(Math.floor((Date.now() - thinkingSince) / 1000));
  }, 500);
  const thinkingOver = () => {
    if (!thinkingSince) return;
    message.thinkingSeconds = (message.thinkingSeconds ?? 0) + (Date.now() - thinkingSince) / 1000;
    thinkingSince = 0;
    view.foldThinking(message.thinkingSeconds);
  };
  view.progress(t("progress.waiting"));
  const started = Date.now();
  try {
    for await (const { event, data } of ask(messages, controller.signal)) {
      if (event === "queue") {
        settle();
        showQueue(view, data);
      } else if (event === "retry") {
        settle();
        waiting = new AbortController();
        countdown({ view, controller: waiting }, data.reason, data.after, { skippable: false }).catch(() => {});
      } else if (event === "usage") {
        message.usage = data;
      } else if (event === "reclassify") {
        message.reasoning += message.content;
        message.content = "";
        message.thinkingSeconds = (Date.now() - started) / 1000;
        view.reclassify(message.reasoning, "");
        view.foldThinking(message.thinkingSeconds);
      } else if (event === "message") {
        settle();
        const choice = data.choices?.[0];
        const thought = choice?.delta?.reasoning_content;
        const text = choice?.delta?.content;
        if (choice?.finish_reason === "length") message.cut = true;
        if (thought) {
          if (!thinkingSince) {
            thinkingSince = Date.now();
            view.progress(null);
            announce(t("progress.thinking"));
          }
          message.reasoning += thought;
          view.think(thought);
        }
        if (text) {
          thinkingOver();
          if (!message.content) {
            view.progress(null);
            announce(t("progress.answering"));
          }
          message.content += text;
          view.write(text);
        }
      }
    }
  } finally {
    settle();
    clearInterval(clock);
    thinkingOver();
  }
}

function showQueue(view, { position, active }) {
  if (!position) {
    view.progress(t("progress.waiting"));
    return;
  }
  const line = place(position);
  const others = active > 0 ? tn("queue.active", active) : null;
  view.progress(make("span", { class: "place" }, line), others && make("span", {}, others));
  announce(line);
}

// --- what is shown -------------------------------------------------------------------------------

function busy() {
  byId("log").setAttribute("aria-busy", String(running !== null));
}

/** Draw the whole conversation; the answer that is being written keeps its element. */
function render() {
  const log = byId("log");
  const { messages } = conversation;
  byId("empty").hidden = messages.length > 0;
  log.hidden = messages.length === 0;
  log.replaceChildren(...messages.map((message, index) => {
    if (index === editing) return editView(message, index, limits.max_message_chars, (text) => edited(index, text));
    if (message.role === "user") return userView(message, index);
    if (running?.message === message) return running.view.element;
    return AnswerView.of(message, index).element;
  }));
  busy();
}

function edit(index) {
  stop();
  editing = index;
  render();
  const area = byId("log").querySelector(".edit-text");
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
}

function edited(index, text) {
  editing = null;
  if (text === null) {
    render();
    byId("log").querySelector(`[data-index="${index}"] [data-action="edit"]`)?.focus();
    return;
  }
  if (index === 0) conversation.title = titleOf(text);
  conversation.messages.splice(index);
  conversation.messages.push({ role: "user", content: text });
  byId("question").focus();
  whenStopped(answer);
}

/** Ask the last question again. */
function again(index) {
  conversation.messages.splice(index);
  byId("question").focus();
  whenStopped(answer);
}

/** Run `next` after a stopped answer has ended, so that two never write at once. */
function whenStopped(next) {
  if (!running) return next();
  stop();
  return setTimeout(() => whenStopped(next), 20);
}

async function onAction(event) {
  const button = event.target.closest("[data-action]");
  if (!button) return;
  const index = Number(button.closest("[data-index]").dataset.index);
  const message = conversation.messages[index];
  const { action } = button.dataset;
  if (action === "edit") edit(index);
  else if (action === "retry") again(index);
  else {
    const text = action === "copy-code" ? button.closest(".code").querySelector("pre").textContent : message.content;
    const done = await copyText(text);
    announce(t(done ? "message.copied" : "message.copy.failed"));
    if (done) flashCopied(button);
  }
}

/** The open conversation was deleted: drop it without saving it again. */
export function dropOpen() {
  if (running) running.dropped = true;
  newConversation();
}
