// The log stays at its end while it grows, unless the visitor scrolls up.

import { byId } from "./dom.js";

let following = true;

/** Go to the end and stay there. */
export function toEnd() {
  const scroll = byId("scroll");
  following = true;
  scroll.scrollTop = scroll.scrollHeight;
}

/** Watch the log; offers a button to go back to its end. */
export function startFollowing() {
  const scroll = byId("scroll");
  const latest = byId("latest");
  let before = 0;
  const look = () => {
    const distance = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;
    if (scroll.scrollTop < before - 2) following = false;
    if (distance < 48) following = true;
    before = scroll.scrollTop;
    latest.hidden = following || byId("log").hidden || distance < 160;
  };
  scroll.addEventListener("scroll", look, { passive: true });
  latest.addEventListener("click", () => {
    toEnd();
    byId("question").focus();
  });
  new ResizeObserver(() => {
    if (following && !byId("log").hidden) scroll.scrollTop = scroll.scrollHeight;
    look();
  }).observe(byId("log"));
}
