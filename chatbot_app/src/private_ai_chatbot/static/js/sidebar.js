// The list of conversations, its settings, and on narrow windows the drawer that holds them.

import { asJson, asMarkdown } from "./export.js";
import { dropOpen, newConversation, openConversation, openId } from "./chat.js";
import { announce, byId, download, icon, make } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { recall, remember } from "./settings.js";
import * as store from "./store.js";

const narrow = matchMedia("(max-width: 52rem)");

/** Draw the list anew. */
export async function refreshList() {
  const conversations = await store.list();
  const items = conversations.map((conversation) => {
    const title = conversation.title || t("history.untitled");
    const current = conversation.id === openId();
    return make("li", { class: current ? "current" : null },
      make("button", {
        type: "button", class: "conversation", "aria-current": current ? "true" : null, title,
        on: { click: () => choose(conversation.id) },
      }, title),
      make("button", {
        type: "button", class: "icon-button small", "aria-label": t("history.delete", { title }),
        title: t("history.delete", { title }), "data-delete": conversation.id,
        on: { click: () => remove(conversation.id) },
      }, icon("trash")));
  });
  byId("conversations").replaceChildren(...items);
  byId("conversations-empty").hidden = items.length > 0;
  for (const id of ["export-md", "export-json", "clear"]) byId(id).disabled = items.length === 0;
}

async function choose(id) {
  await openConversation(id);
  if (narrow.matches) closeDrawer();
  byId("question").focus();
}

async function remove(id) {
  if (id === openId()) dropOpen();
  await store.erase(id);
  await refreshList();
  announce(t("history.deleted"));
  (byId("conversations").querySelector("button") ?? byId("new-side")).focus();
}

/** Ask before something is lost; resolves to whether to go on. */
function confirmed(name) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = t(`confirm.${name}.title`);
  byId("confirm-text").textContent = t(`confirm.${name}.text`);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function clearAll() {
  if (!(await confirmed("clear"))) return;
  dropOpen();
  await store.eraseAll();
  await refreshList();
  announce(t("history.cleared"));
  byId("new-side").focus();
}

async function toggleKeep() {
  const box = byId("keep");
  const some = (await store.list()).length > 0;
  if (!box.checked && some && !(await confirmed("off"))) {
    box.checked = true;
    return;
  }
  await store.setKeep(box.checked);
  showKeep();
  await refreshList();
}

async function exportAs(type) {
  const conversations = await store.list();
  const day = new Date().toISOString().slice(0, 10);
  if (type === "json") download(`conversations-${day}.json`, "application/json", asJson(conversations));
  else download(`conversations-${day}.md`, "text/markdown", asMarkdown(conversations));
  announce(t("history.exported"));
}

function showKeep() {
  byId("keep").checked = store.keeps();
  byId("keep").disabled = !store.canKeep();
  byId("keep").parentElement.title = store.canKeep() ? "" : t("history.unavailable");
  byId("note").textContent = t(store.keeps() ? "composer.note" : "composer.note.off");
}

// --- the drawer ----------------------------------------------------------------------------------

function openDrawer() {
  byId("shell").classList.add("side-open");
  if (narrow.matches) {
    byId("main").inert = true;
    byId("side-close").focus();
  } else {
    remember("side", null);
  }
  drawerState();
}

function closeDrawer() {
  byId("shell").classList.remove("side-open");
  byId("main").inert = false;
  if (!narrow.matches) remember("side", "closed");
  drawerState();
}

function drawerState() {
  const open = byId("shell").classList.contains("side-open");
  byId("menu").setAttribute("aria-expanded", String(open));
  byId("side").inert = !open;
}

function fitDrawer() {
  byId("main").inert = false;
  byId("shell").classList.toggle("side-open", !narrow.matches && recall("side") !== "closed");
  drawerState();
}

/** Close the drawer when it covers the page; returns whether it did. */
export function closeCoveringDrawer() {
  if (!narrow.matches || !byId("shell").classList.contains("side-open")) return false;
  closeDrawer();
  byId("menu").focus();
  return true;
}

/** Wire the list, the settings and the drawer. */
export function startSidebar() {
  byId("menu").addEventListener("click", () => {
    if (byId("shell").classList.contains("side-open")) closeDrawer();
    else openDrawer();
  });
  byId("side-close").addEventListener("click", () => {
    closeDrawer();
    byId("menu").focus();
  });
  byId("scrim").addEventListener("click", () => closeCoveringDrawer());
  narrow.addEventListener("change", fitDrawer);
  for (const id of ["new-side", "new-top"]) {
    byId(id).addEventListener("click", () => {
      newConversation();
      if (narrow.matches) closeDrawer();
      byId("question").focus();
    });
  }
  byId("keep").addEventListener("change", toggleKeep);
  byId("export-md").addEventListener("click", () => exportAs("md"));
  byId("export-json").addEventListener("click", () => exportAs("json"));
  byId("clear").addEventListener("click", clearAll);
  onLanguage(() => {
    showKeep();
    refreshList();
  });
  store.onOtherTab(refreshList);
  fitDrawer();
  showKeep();
}
