// Is the model there? A small line in the header, and a banner when something is wrong.

import { byId } from "./dom.js";
import { onLanguage, t, tn } from "./i18n.js";

const EVERY_MS = 30_000;
const EVERY_MS_WHEN_WRONG = 5_000;

let state = { status: "unknown", queued: 0 };
let timer = 0;

function show() {
  const queued = state.status === "busy" && state.queued > 0 ? ` · ${tn("status.queued", state.queued)}` : "";
  const known = ["online", "busy", "offline"].includes(state.status) ? state.status : "unknown";
  byId("status").dataset.state = known;
  byId("status-text").textContent = t(`status.${known}`) + queued;
  const reason = !navigator.onLine ? "device" : state.noServer ? "server" : known === "offline" ? "model" : null;
  const banner = byId("banner");
  banner.hidden = reason === null;
  // Written only when it changes: it is a live region.
  const text = reason ? t(`offline.${reason}`) : "";
  if (banner.textContent !== text) banner.textContent = text;
}

async function look() {
  clearTimeout(timer);
  try {
    const response = await fetch("api/backend-status", { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(String(response.status));
    state = await response.json();
  } catch {
    state = { status: "unknown", queued: 0, noServer: true };
  }
  show();
  const wrong = state.noServer || state.status === "offline";
  if (!document.hidden) timer = setTimeout(look, wrong ? EVERY_MS_WHEN_WRONG : EVERY_MS);
}

/** Start looking; hidden pages do not ask. */
export function startStatus() {
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
  addEventListener("online", look);
  addEventListener("offline", show);
  onLanguage(show);
  look();
}

/** Look again now, for instance after an answer or a failure. */
export function lookNow() {
  if (!document.hidden) look();
}
