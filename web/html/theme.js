"use strict";
// The theme that a person chose, before anything is drawn. Without a choice, and without scripts, the page follows the browser.
try {
  const chosen = localStorage.getItem("promrelay-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // a browser that stores nothing follows its own theme
}
