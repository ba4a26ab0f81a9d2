// One question to the server and its answer as a stream of events.

// The server sends a comment at least every 10 seconds, so this long a silence means a dead line.
const SILENCE_MS = 45_000;

/** A failure that the page can word: `code` as in the server's errors, or one of ours. */
export class ChatError extends Error {
  constructor(code, { status = 0, message = "", retryAfter = null } = {}) {
    super(message || code);
    this.code = code;
    this.status = status;
    this.detail = message;
    this.retryAfter = retryAfter;
    this.requestId = "";
  }
}

/** Take server-sent events out of text that arrives in pieces; `push` returns the finished ones. */
export class EventParser {
  #rest = "";
  #event = "";
  #data = [];

  push(text) {
    const found = [];
    this.#rest += text;
    // A carriage return at the very end may be half of a line break: wait for the next piece.
    const end = this.#rest.endsWith("\r") ? this.#rest.length - 1 : this.#rest.length;
    const lines = this.#rest.slice(0, end).split(/\r\n|\r|\n/);
    this.#rest = lines.pop() + this.#rest.slice(end);
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length) found.push({ event: this.#event || "message", data: this.#data.join("\n") });
        this.#event = "";
        this.#data = [];
      } else if (line.startsWith("event:")) {
        this.#event = line.slice(6).trim();
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return found;
  }
}

function errorOf(body, status, retryAfterHeader) {
  const error = body?.error ?? {};
  const seconds = Number(error.retry_after ?? retryAfterHeader ?? Number.NaN);
  return new ChatError(String(error.code ?? error.type ?? `http_${status}`), {
    status,
    message: typeof error === "string" ? error : String(error.message ?? ""),
    retryAfter: Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds) : null,
  });
}

async function refused(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // A proxy in between answered with something that is not JSON; the status must do.
  }
  return errorOf(body, response.status, response.headers.get("retry-after"));
}

/** Read to the server's own end: closing first would count as a visitor who left. */
async function drain(reader) {
  try {
    while (!(await reader.read()).done);
  } catch {
    // The answer was complete; how the connection ends does not matter.
  }
}

/**
 * Ask and yield {event, data} with the data parsed; ends after [DONE].
 * Aborting `signal` ends it with an AbortError. Throws ChatError for everything else.
 */
export async function* ask(messages, signal) {
  // One controller for both reasons to give up; `silent` tells them apart.
  const own = new AbortController();
  const stopped = () => own.abort();
  signal.addEventListener("abort", stopped);
  if (signal.aborted) own.abort();
  let silent = false;
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      silent = true;
      own.abort();
    }, SILENCE_MS);
  };
  let complete = false;
  let requestId = "";
  const reason = (error) => {
    if (error instanceof ChatError) return error;
    if (silent) return new ChatError("silent");
    return new ChatError(navigator.onLine ? "network" : "offline");
  };
  const failed = (error) => {
    if (signal.aborted) return new DOMException("stopped", "AbortError");
    return Object.assign(reason(error), { requestId });
  };
  try {
    alive();
    const response = await fetch("v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream", "x-chatbot-events": "1" },
      body: JSON.stringify({ messages, stream: true }),
      signal: own.signal,
    });
    requestId = response.headers.get("x-request-id") ?? "";
    if (!response.ok) throw await refused(response);
    const parser = new EventParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new ChatError("ended");
      alive();
      for (const { event, data } of parser.push(value)) {
        if (data === "[DONE]") {
          complete = true;
          drain(reader);
          return;
        }
        let parsed;
        try {
          parsed = JSON.parse(data);
        } catch {
          continue; // Not ours; an intermediary's noise must not end an answer.
        }
        if (event === "error" || parsed?.error) throw errorOf(parsed, 0, null);
        yield { event, data: parsed };
      }
    }
  } catch (error) {
    throw failed(error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stopped);
    if (!complete) own.abort(); // Leaving early must close the connection, so that the server frees the model.
  }
}
