// Conversations, kept in this browser only (IndexedDB) or, when switched off or forbidden, in memory.
//
// A conversation: {id, title, created, updated, messages}. A message: {role: "user", content} or
// {role: "assistant", content, reasoning, thinkingSeconds, usage, state, error}.

import { recall, remember, scoped } from "./settings.js";

const STORE = "conversations";

let database = null;
let memory = new Map();
const listeners = new Set();
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(scoped("history")) : null;

/** Call `listener` when another tab of this page changed the conversations. */
export function onOtherTab(listener) {
  listeners.add(listener);
}

function changed() {
  channel?.postMessage("changed");
}

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Open the store; returns false when this browser keeps nothing for the page. */
export async function openStore() {
  if (channel) channel.onmessage = () => listeners.forEach((listener) => listener());
  try {
    const request = indexedDB.open(scoped("history"), 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    // Some browsers never answer in private windows; the page must not wait for ever.
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no answer")), 3_000));
    database = await Promise.race([finished(request), late]);
    return true;
  } catch {
    database = null;
    return false;
  }
}

/** Whether conversations outlive the page. */
export function keeps() {
  return database !== null && recall("keep") !== "no";
}

/** Whether this browser can keep anything at all. */
export function canKeep() {
  return database !== null;
}

/** Switch keeping on or off; off deletes what was kept. */
export async function setKeep(on) {
  remember("keep", on ? null : "no");
  if (!on) await eraseKept();
}

function table(mode) {
  return database.transaction(STORE, mode).objectStore(STORE);
}

function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

/** Return all conversations, the latest first. */
export async function list() {
  const all = keeps() ? await finished(table("readonly").getAll()) : [];
  const known = new Map(all.map((conversation) => [conversation.id, conversation]));
  for (const [id, conversation] of memory) if (!known.has(id)) known.set(id, conversation);
  return [...known.values()].sort((a, b) => b.updated - a.updated);
}

/** Return one conversation, or undefined. */
export async function load(id) {
  const kept = keeps() ? await finished(table("readonly").get(id)) : undefined;
  return kept ?? memory.get(id);
}

/** Save a conversation; returns false when the browser's storage refused it (it stays in memory). */
export async function save(conversation) {
  const copy = structuredClone(conversation);
  if (!keeps()) {
    memory.set(copy.id, copy);
    return true;
  }
  try {
    const store = table("readwrite");
    store.put(copy);
    await committed(store.transaction);
    memory.delete(copy.id);
    changed();
    return true;
  } catch {
    memory.set(copy.id, copy);
    return false;
  }
}

/** Delete one conversation. */
export async function erase(id) {
  memory.delete(id);
  if (!database) return;
  const store = table("readwrite");
  store.delete(id);
  await committed(store.transaction);
  changed();
}

async function eraseKept() {
  if (!database) return;
  const store = table("readwrite");
  store.clear();
  await committed(store.transaction);
  changed();
}

/** Delete every conversation. */
export async function eraseAll() {
  memory = new Map();
  await eraseKept();
}
