// Small helpers around the document. Nothing here takes HTML: text always enters as text.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with this id; a missing one is a mistake of ours, so say which. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element #${id}`);
  return element;
}

/** Make an element: attributes by name, `class`, `on` (event -> function), then children or texts. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make one of the icons that index.html defines as symbols. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Show another icon in a button made with `icon`. */
export function setIcon(parent, name) {
  parent.querySelector("use").setAttribute("href", `#i-${name}`);
}

let announceTimer = 0;

/** Tell screen readers one short sentence, politely; the same sentence twice is said twice. */
export function announce(text) {
  const line = byId("announce");
  clearTimeout(announceTimer);
  line.textContent = "";
  announceTimer = setTimeout(() => { line.textContent = text; }, 60);
}

/** Copy text; returns whether it worked. Without a secure context the old way is tried. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { class: "hidden", "aria-hidden": "true", tabindex: "-1" });
    area.value = text;
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch {
      done = false;
    }
    area.remove();
    focused?.focus?.();
    return done;
  }
}

/** Offer a file made in the browser for download. */
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a", { href: url, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Return the number of characters the way the server counts them (code points). */
export function lengthOf(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
