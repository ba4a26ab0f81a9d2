// The page's start: configuration, language, and the wires between its parts.

import { isRunning, reopen, send, startChat, stop } from "./js/chat.js";
import { announce, byId, lengthOf, make } from "./js/dom.js";
import { firstLanguage, language, onLanguage, t, tn, useLanguage } from "./js/i18n.js";
import { recall, remember } from "./js/settings.js";
import { closeCoveringDrawer, refreshList, startSidebar } from "./js/sidebar.js";
import { lookNow, startStatus } from "./js/status.js";
import { openStore } from "./js/store.js";

const THEMES = ["system", "light", "dark"];
// A phone's keyboard has no Shift+Enter, so there Enter makes a new line and the button sends.
const phone = matchMedia("(hover: none) and (pointer: coarse)");

async function configuration() {
  const nothing = { title: "", language: "auto", model: "", version: "", limits: {}, system_prompt: null };
  try {
    const response = await fetch("api/config", { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (!response.ok) return nothing;
    return { ...nothing, ...(await response.json()) };
  } catch {
    return nothing; // The status line says that the server is away.
  }
}

// --- language and theme --------------------------------------------------------------------------

function startLanguage() {
  const button = byId("language");
  button.addEventListener("click", () => useLanguage(t("language.other"), { chosen: true }));
  const show = () => {
    button.textContent = t("language.short");
    button.lang = t("language.other");
    button.title = t("language.switch");
    // The visible letters belong to the name, so that "click PT" works by voice.
    button.setAttribute("aria-label", `${t("language.short")}: ${t("language.switch")}`);
  };
  onLanguage(show);
  show();
}

function startTheme() {
  const button = byId("theme");
  let theme = THEMES.includes(recall("theme")) ? recall("theme") : "system";
  const show = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    byId("theme-icon").setAttribute("href", `#i-${theme}`);
    button.title = t(`theme.${theme}`);
    button.setAttribute("aria-label", t(`theme.${theme}`));
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember("theme", theme === "system" ? null : theme);
    show();
  });
  onLanguage(show);
  show();
}

// --- the question field --------------------------------------------------------------------------

function startComposer(limit) {
  const field = byId("question");
  const count = byId("count");

  const fit = () => {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, Math.round(innerHeight * 0.4))}px`;
    const left = limit ? limit - lengthOf(field.value.trim()) : 1;
    count.hidden = !limit || left > Math.max(100, limit * 0.1);
    count.classList.toggle("over", left < 0);
    field.setAttribute("aria-invalid", String(left < 0));
    if (!count.hidden) count.textContent = left < 0 ? tn("composer.over", -left) : tn("composer.left", left);
    return left >= 0;
  };

  const submit = () => {
    const text = field.value.trim();
    if (!text || isRunning()) return field.focus();
    if (!fit()) {
      announce(count.textContent);
      return field.focus();
    }
    field.value = "";
    fit();
    return send(text);
  };

  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", fit);
  field.addEventListener("keydown", (event) => {
    // While an input method composes a character, Enter belongs to it.
    if (event.key !== "Enter" || event.isComposing || event.shiftKey || phone.matches) return;
    event.preventDefault();
    submit();
  });
  byId("stop").addEventListener("click", () => {
    stop();
    field.focus();
  });
  const keyName = () => field.setAttribute("enterkeyhint", phone.matches ? "enter" : "send");
  phone.addEventListener("change", keyName);
  keyName();
  onLanguage(fit);
  addEventListener("resize", fit);
}

function suggest() {
  const questions = [1, 2, 3, 4].map((number) => t(`empty.ask.${number}`));
  byId("suggestions").replaceChildren(...questions.map((question) => make("button", {
    type: "button", class: "suggestion", on: { click: () => {
      if (!phone.matches) byId("question").focus(); // there it would bring up the keyboard
      send(question);
    } },
  }, question)));
}

function showRunning() {
  const running = isRunning();
  const focused = document.activeElement === byId("send") || document.activeElement === byId("stop");
  byId("send").hidden = running;
  byId("stop").hidden = !running;
  if (focused) byId(running ? "stop" : "send").focus();
}

// --- start ---------------------------------------------------------------------------------------

function showConfiguration(config) {
  const title = config.title || "Private AI";
  document.title = title;
  byId("title").textContent = title;
  byId("model").textContent = config.model;
  byId("model").title = config.model;
  const prompt = (config.system_prompt ?? "").trim();
  byId("instructions").hidden = !prompt;
  byId("instructions-text").textContent = prompt;
  const about = () => {
    const parts = [];
    if (config.model) parts.push(`${t("about.model")}: ${config.model}`);
    if (config.version) parts.push(`${t("about.version")} ${config.version}`);
    byId("about").textContent = parts.join(" · ");
  };
  onLanguage(about);
  about();
}

function startKeys() {
  document.addEventListener("keydown", (event) => {
    // A dialog and an edit form take Escape themselves.
    if (event.key !== "Escape" || event.defaultPrevented || byId("confirm").open) return;
    if (closeCoveringDrawer()) return;
    if (stop()) byId("question").focus();
  });
}

async function start() {
  const [config] = await Promise.all([configuration(), openStore()]);
  await useLanguage(firstLanguage(config.language));
  showConfiguration(config);
  startLanguage();
  startTheme();
  startComposer(config.limits?.max_message_chars ?? 0);
  suggest();
  onLanguage(suggest);
  let wasRunning = false;
  startChat(config.limits ?? {}, ({ saved }) => {
    if (saved === false) announce(t("history.full"));
    showRunning();
    if (wasRunning && !isRunning()) lookNow();
    wasRunning = isRunning();
    refreshList();
  });
  startSidebar();
  startKeys();
  await reopen();
  await refreshList();
  byId("shell").hidden = false;
  document.documentElement.dataset.language = language();
  if (!phone.matches) byId("question").focus();
  startStatus();
}

start();
