import { h, icon, text, when } from "./dom.js";

// The one status region for screen readers gets the latest message, at most each five seconds.
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

// copy copies a text. There is a clipboard API only over TLS or on this machine.
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

function toast(message) {
  const element = document.getElementById("toast");
  element.textContent = message;
  element.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => element.classList.remove("shown"), 2500);
  announce(message);
}

// Problems are shown in a line at the foot of the page, where they move nothing.
const line = document.getElementById("trouble");
let why = ""; // the page is not live
let since = null; // when it was live last
let reasons = []; // why the service is degraded

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
  const before = shown;
  shown = key;
  if (now === "lost") since ??= new Date();
  else since = null;
  if (!isAway()) why = "";
  writeTrouble();
  if (key === before) return;
  if (before.startsWith("lost") || now === "lost") announce(now === "lost" ? `Connection lost. ${why}` : label);
  button.hidden = false;
  button.dataset.state = now;
  button.textContent = label;
  button.setAttribute("aria-pressed", String(paused));
  if (now === "ended") button.title = "The execution has ended. A redrive would be noticed.";
  else button.title = toggle ? `${paused ? "Continue" : "Pause"} (p)` : label;
  if (!toggle) button.removeAttribute("aria-pressed");
}

export function hideConnection() {
  shown = why = "";
  since = null;
  button.hidden = true;
  writeTrouble();
}

const isAway = () => /^(lost|connecting|$)/.test(shown);

// explain says why the page is not live, until it is.
export function explain(reason) {
  why = reason;
  writeTrouble();
}

export function setService({ reasons: now = [] }) {
  if (now.length > 0 && reasons.length === 0) announce("The service is degraded");
  reasons = now;
  writeTrouble();
}

function writeTrouble() {
  const sentences = [
    why && isAway() && `${since ? `Not live since ${when(since)}` : "Not live"}. ${why}. The page keeps trying.`,
    ...reasons.map((reason) => `The service is degraded, and what is shown may be out of date. ${reason}`),
  ].filter(Boolean);
  document.body.classList.toggle("stale", since !== null);
  if (line.said === sentences.join()) return;
  line.said = sentences.join();
  line.hidden = sentences.length === 0;
  line.replaceChildren(...sentences.map((sentence) => h("p", {}, icon("warn"), text(sentence))));
}
