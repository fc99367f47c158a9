// Copying. The clipboard API exists only where the page came over TLS or from this machine;
// elsewhere a selection is copied as people did before there was one.
import { h } from "./dom.js";
import { announce } from "./announce.js";

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

let timer = 0;

// toast shows a short message, which screen readers get too.
export function toast(message) {
  const element = document.getElementById("toast");
  element.textContent = message;
  element.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => element.classList.remove("shown"), 2500);
  announce(message);
}
