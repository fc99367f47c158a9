// The sign-in dialog. It stands over the view, which stays as it is, and whatever waits for
// a token goes on when there is one.
import { h } from "./dom.js";
import * as session from "./session.js";
import { check } from "./api.js";

const { issuer, client } = document.documentElement.dataset;
const reasons = {
  first: "",
  expired: "The token is no longer valid: it has expired or was revoked. Sign in again to go on where you were.",
  issuer: "The issuer did not sign you in.",
};
let dialog = null;

export function ask(reason = "first", detail = "") {
  if (dialog) return;
  const said = h("p", { class: "error", role: "alert" }, [reasons[reason], detail].filter(Boolean).join(" "));
  const token = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-help" });
  const keep = h("input", { type: "checkbox" });
  const button = h("button", { class: "primary" }, "Sign in");
  const form = h(
    "form",
    { method: "dialog" },
    h("label", { for: "token" }, "API key or access token"),
    token,
    h("p", { id: "token-help", class: "soft" }, "It is kept in memory, and only sent to this service. ", h("code", {}, "statusctl keys create"), " makes a key."),
    h("label", { class: "check" }, keep, "Keep it for this tab, so that a reload does not ask again"),
    button,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(token.value.trim(), keep.checked, said, button);
  });
  dialog = h("dialog", { class: "signin", "aria-labelledby": "signin-title" }, h("h2", { id: "signin-title" }, "Sign in"), said, form, byIssuer());
  dialog.addEventListener("cancel", (event) => event.preventDefault()); // there is nothing to see without a token
  document.body.append(dialog);
  dialog.showModal();
  token.focus();
}

function byIssuer() {
  if (!client) return null;
  const start = async () => {
    const { signIn } = await import("./oidc.js");
    await signIn(issuer, client).catch((error) => {
      dialog.querySelector("[role=alert]").textContent = `The issuer cannot be reached: ${error.message}`;
    });
  };
  return h("div", { class: "or" }, h("span", {}, "or"), h("button", { type: "button", class: "wide", onclick: start }, `Sign in with ${new URL(issuer).host}`));
}

async function submit(token, keep, said, button) {
  said.textContent = "";
  button.disabled = true;
  try {
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Error("A key or token has no spaces and no other characters than ASCII.");
    await check(token);
    dialog.close();
    dialog.remove();
    dialog = null;
    session.signIn(token, keep);
  } catch (error) {
    said.textContent = explain(error);
  } finally {
    button.disabled = false;
  }
}

function explain(error) {
  if (error.status === 401) return "This key or token is not valid. It may have expired or been revoked.";
  if (error.status === 403) return "This key may register executions, but not read them.";
  if (error instanceof TypeError) return "The service cannot be reached.";
  return error.message;
}
