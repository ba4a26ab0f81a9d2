// What the visitor chose, kept in this browser only, and separately for every address of the page.

const PREFIX = `private-ai-chatbot:${location.pathname}:`;

/** Return the name that this page's things have in the browser's storage. */
export function scoped(name) {
  return PREFIX + name;
}

/** Return a remembered choice, or null. */
export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** Remember a choice; null forgets it. A browser that forbids storage simply forgets. */
export function remember(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // Storage is forbidden; the choice holds until the page closes.
  }
}
