// Two languages, chosen by the visitor, else by the operator, else by the browser.

import { recall, remember } from "./settings.js";

export const LANGUAGES = ["en", "pt-BR"];

let texts = {};
let current = "en";
const listeners = new Set();

/** Return the language in use, "en" or "pt-BR". */
export function language() {
  return current;
}

/** Return the text of `key` with {names} filled in; a key without a text shows itself. */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Return the text for a number: `key.one` or `key.other` by the language's rules. */
export function tn(key, number, values = {}) {
  const form = new Intl.PluralRules(current).select(number) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { n: formatNumber(number), ...values });
}

/** Return "You are 3rd in line" in the language in use; position 1 is the next. */
export function place(position) {
  if (position <= 1) return t("queue.next");
  const form = new Intl.PluralRules(current, { type: "ordinal" }).select(position);
  return t(`queue.${["one", "two", "few"].includes(form) ? form : "other"}`, { n: position });
}

/** Write a number the way the language does, with at most `digits` decimals. */
export function formatNumber(number, digits = 0) {
  return new Intl.NumberFormat(current, { maximumFractionDigits: digits }).format(number);
}

/** Put texts into everything below `root` marked with data-t, data-t-label or data-t-placeholder. */
export function translate(root = document) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) {
    const text = t(element.dataset.tLabel);
    element.setAttribute("aria-label", text);
    if (element.tagName === "BUTTON") element.title = text;
  }
  for (const element of root.querySelectorAll("[data-t-placeholder]")) {
    element.placeholder = t(element.dataset.tPlaceholder);
  }
}

/** Call `listener` after each change of the language. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** Switch to `name`, remembered for the next visit when the visitor chose it. */
export async function useLanguage(name, { chosen = false } = {}) {
  const response = await fetch(new URL(`../i18n/${name}.json`, import.meta.url));
  if (!response.ok) throw new Error(`i18n/${name}.json: status ${response.status}`);
  texts = await response.json();
  current = name;
  document.documentElement.lang = name;
  if (chosen) remember("language", name);
  translate();
  for (const listener of listeners) listener();
}

/** Decide the first language: the visitor's choice, the operator's setting, the browser's list. */
export function firstLanguage(configured) {
  const chosen = recall("language");
  if (LANGUAGES.includes(chosen)) return chosen;
  if (LANGUAGES.includes(configured)) return configured;
  for (const wish of navigator.languages ?? [navigator.language]) {
    if (/^pt\b/i.test(wish)) return "pt-BR";
    if (/^en\b/i.test(wish)) return "en";
  }
  return "en";
}
