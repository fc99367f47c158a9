import { h, openDialog } from "./dom.js";

const everywhere = new Map(); // by keys: {help, run}
let ofPage = new Map();
let before = ""; // first key of a sequence
let timer = 0;

export const bind = (keys, help, run) => everywhere.set(keys, { help, run });

export function bindPage(shortcuts) {
  ofPage = new Map(shortcuts.map(([keys, help, run]) => [keys, { help, run }]));
}

const enabled = () => pref("shortcuts", "on") === "on";

export function listen() {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      everywhere.get("/").run(event);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !enabled()) return;
    if (event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, dialog[open]")) return;
    press(event);
  });
}

function press(event) {
  const keys = before ? `${before} ${event.key}` : event.key;
  const found = ofPage.get(keys) ?? everywhere.get(keys);
  clearTimeout(timer);
  before = "";
  if (found) {
    if (found.run(event) !== false) event.preventDefault();
    return;
  }
  if ([...everywhere.keys()].some((each) => each.startsWith(`${keys} `))) {
    before = keys;
    timer = setTimeout(() => (before = ""), 1500);
  }
}

export function showHelp() {
  const row = ([keys, { help }]) => h("tr", {}, h("th", { scope: "row" }, keys.split(" ").map((key) => h("kbd", {}, key))), h("td", {}, help));
  const table = (caption, shortcuts) =>
    shortcuts.size > 0 && h("table", {}, h("caption", {}, caption), h("tbody", {}, [...shortcuts].map(row)));
  const toggle = h("input", { type: "checkbox" });
  toggle.checked = enabled();
  toggle.addEventListener("change", () => setPref("shortcuts", toggle.checked ? "on" : "off"));
  const dialog = openDialog(
    "help-title",
    "help",
    "Keyboard shortcuts",
    h("div", { class: "help-tables" }, table("Everywhere", everywhere), table("On this page", ofPage)),
    h("p", {}, h("label", { class: "check" }, toggle, "Use single-key shortcuts")),
    h("form", { method: "dialog" }, h("button", { class: "primary" }, "Close")),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

// What the page remembers between visits: how it looks and works, never a token.

const prefix = "status-cache.";

function pref(name, otherwise) {
  try {
    return localStorage.getItem(prefix + name) ?? otherwise;
  } catch {
    return otherwise; // the browser keeps nothing
  }
}

function setPref(name, value) {
  try {
    localStorage.setItem(prefix + name, value);
  } catch {
    // then it lasts as long as the page
  }
}

const themes = ["system", "light", "dark"];
let theme = pref("theme", "system");

export function applyTheme() {
  if (!themes.includes(theme)) theme = "system";
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.setAttribute("aria-label", `Theme: ${theme}. Change it`);
  button.title = `Theme: ${theme} (t)`;
}

export function nextTheme() {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  setPref("theme", theme);
  applyTheme();
  return theme;
}
