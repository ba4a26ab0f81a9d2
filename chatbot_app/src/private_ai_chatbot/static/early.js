// Runs before the first paint and before the modules, and depends on none of them.
(function () {
  "use strict";
  // A chosen theme must not flash.
  var theme = null;
  try {
    theme = localStorage.getItem("private-ai-chatbot:" + location.pathname + ":theme");
  } catch {
    // Storage is forbidden in this browser; the system's colours are used.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

  // A module that does not arrive would leave an empty page without a word.
  addEventListener("error", function (event) {
    if (event.target instanceof HTMLScriptElement) document.getElementById("not-loaded").hidden = false;
  }, true);
})();
