// Runs before the first paint so that a chosen theme does not flash; modules are too late for that.
(function () {
  "use strict";
  var theme = null;
  try {
    theme = localStorage.getItem("private-ai-chatbot:" + location.pathname + ":theme");
  } catch {
    // Storage is forbidden in this browser; the system's colours are used.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
