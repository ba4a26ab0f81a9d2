// What went wrong, in words that say what to do.

import { t } from "./i18n.js";

// Error code (the server's, or one of stream.js) -> text; some also need the server's own words.
const TEXTS = {
  network: "error.network",
  offline: "error.offline",
  silent: "error.silent",
  ended: "error.ended",
  rate_limit_exceeded: "error.rate",
  too_many_open_requests: "error.rate",
  queue_full: "error.full",
  busy: "error.busy",
  queue_timeout: "error.busy",
  model_unreachable: "error.unreachable",
  timeout: "error.timeout",
  interrupted: "error.ended",
  shutting_down: "error.restart",
  key_refused: "error.auth",
  context_length_exceeded: "error.context",
  message_too_long: "error.too_large",
  request_too_large: "error.too_large",
  too_many_messages: "error.too_many",
};

const BY_STATUS = {
  401: "error.auth", 403: "error.auth", 408: "error.timeout", 413: "error.too_large", 429: "error.rate",
  502: "error.unreachable", 503: "error.busy", 504: "error.timeout",
};

/** Return {text, detail} for {code, status, detail}; the server's words only where ours say too little. */
export function errorText(error) {
  const key = TEXTS[error?.code] ?? BY_STATUS[error?.status];
  if (key) return { text: t(key), detail: "" };
  return { text: t("error.server"), detail: error?.detail ?? "" };
}

// Failures that pass by themselves: the page may ask again after the time that the server named.
const PASSING = new Set([
  "rate_limit_exceeded", "too_many_open_requests", "queue_full", "busy", "queue_timeout", "shutting_down",
]);

/** Return after how many seconds asking again makes sense, or null when only the visitor can help. */
export function retryAfter(error) {
  const passing = PASSING.has(error.code) || error.status === 429 || error.status === 503;
  return passing && error.retryAfter !== null ? Math.min(Math.max(error.retryAfter, 1), 300) : null;
}
