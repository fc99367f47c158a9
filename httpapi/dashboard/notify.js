// Messages of the page outside its views: to screen readers, in a toast, and by the light in
// the header; and copying, which always says what it did.
import { h } from "./dom.js";

// There is one status region for screen readers. It gets at most one message each five
// seconds, the latest: what changes every second would drown everything else.
const every = 5000; // ms
let last = -every;
let next = "";
let announcing = 0;

export function announce(message) {
  next = message;
  if (announcing) return;
  const wait = Math.max(0, last + every - performance.now());
  announcing = setTimeout(() => {
    announcing = 0;
    last = performance.now();
    document.getElementById("announce").textContent = next;
  }, wait);
}

// copy copies a text. The clipboard API exists only where the page came over TLS or from this
// machine; elsewhere a selection is copied as people did before there was one.
export async function copy(string, what = "Copied") {
  const done = (await byClipboard(string)) || bySelection(string);
  toast(done ? what : "Cannot copy here");
  return done;
}

async function byClipboard(string) {
  try {
    await navigator.clipboard.writeText(string);
    return true;
  } catch {
    return false; // there is none, or the person has forbidden it
  }
}

function bySelection(string) {
  const focused = document.activeElement;
  const area = h("textarea", { class: "unseen", "aria-hidden": "true", tabindex: "-1" });
  area.value = string;
  // An open dialog makes everything outside of it inert, and inert text cannot be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}

let fading = 0;

// toast shows a short message, which screen readers get too.
export function toast(message) {
  const element = document.getElementById("toast");
  element.textContent = message;
  element.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => element.classList.remove("shown"), 2500);
  announce(message);
}

// The light in the header says live, paused or lost, and is also the button that pauses.
const button = document.getElementById("connection");
const words = { live: "Live", lost: "Reconnecting", connecting: "Connecting", paused: "Paused", ended: "Ended", refused: "Not live" };
let toggle = null;
let shown = "";

button.addEventListener("click", () => toggle?.());

// onPause says what the button does; null: nothing can be paused on this page.
export function onPause(f) {
  toggle = f;
  button.disabled = f === null;
}

export function setConnection(state = "connecting", paused = false) {
  const now = paused && state !== "lost" ? "paused" : state;
  const label = words[now] ?? now;
  const key = `${now} ${toggle !== null}`;
  if (key === shown) return;
  if (shown.startsWith("lost") || now === "lost") announce(now === "lost" ? "Connection lost, reconnecting" : label);
  shown = key;
  button.hidden = false;
  button.dataset.state = now;
  button.textContent = label;
  button.setAttribute("aria-pressed", String(paused));
  if (now === "ended") button.title = "The execution has ended. A redrive would be noticed.";
  else button.title = toggle ? `${paused ? "Continue" : "Pause"} (p)` : label;
  if (!toggle) button.removeAttribute("aria-pressed");
}

export function hideConnection() {
  shown = "";
  button.hidden = true;
}
