// Live, paused or lost: the light in the header, which is also the button that pauses.
import { announce } from "./announce.js";

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
  button.title = toggle ? `${paused ? "Go on" : "Pause"} (p)` : label;
  if (!toggle) button.removeAttribute("aria-pressed");
}

export function hideConnection() {
  shown = "";
  button.hidden = true;
}
