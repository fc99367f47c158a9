import { h, openDialog } from "./dom.js";
import * as api from "./api.js";

const { issuer, client } = document.documentElement.dataset;
const reasons = {
  first: "",
  expired: "The token is no longer valid: it has expired or was revoked. Sign in again to continue where you were.",
  issuer: "The issuer did not sign you in.",
};
let dialog = null;

export function ask(reason = "first", detail = "") {
  if (dialog) return;
  const status = h("p", { class: "error", role: "alert" }, [reasons[reason], detail].filter(Boolean).join(" "));
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
    submit(token.value.trim(), keep.checked, status, button);
  });
  dialog = openDialog("signin-title", "signin", "Sign in", status, form, byIssuer());
  dialog.addEventListener("close", () => {
    if (!dialog) return;
    document.body.append(dialog); // there is nothing to see without a token
    dialog.showModal();
  });
  token.focus();
}

api.onChanged(() => {
  dialog?.close();
  dialog = null;
});

function byIssuer() {
  if (!client) return null;
  const start = () =>
    signIn().catch((error) => {
      dialog.querySelector("[role=alert]").textContent = `The issuer cannot be reached: ${error.message}`;
    });
  return h("div", { class: "or" }, h("span", {}, "or"), h("button", { type: "button", onclick: start }, `Sign in with ${new URL(issuer).host}`));
}

async function submit(token, keep, status, button) {
  status.textContent = "";
  button.disabled = true;
  try {
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Error("A key or token has only ASCII characters, and no spaces.");
    await api.check(token);
    api.signIn(token, keep);
  } catch (error) {
    status.textContent = explain(error);
  } finally {
    button.disabled = false;
  }
}

function explain(error) {
  if (error.status === 401) return "This key or token is not valid. It may have expired or been revoked.";
  if (error.status === 403) return "This key may register executions, but not read them.";
  return error.message;
}

// Signing in at the issuer: authorization code with PKCE (RFC 7636). Tokens are in memory only.
// What finish needs is in sessionStorage until then.

const name = "status-cache.oidc";
const here = () => location.origin + location.pathname;

let refreshing = 0;

async function signIn() {
  const found = await discover();
  const verifier = random();
  const state = random();
  sessionStorage.setItem(name, JSON.stringify({ verifier, state, view: location.hash }));
  const offline = found.scopes_supported?.includes("offline_access");
  const url = new URL(found.authorization_endpoint);
  const parameters = {
    response_type: "code", client_id: client, redirect_uri: here(), state,
    scope: offline ? "openid offline_access" : "openid",
    code_challenge: await challengeOf(verifier), code_challenge_method: "S256",
    ...(offline && { prompt: "consent" }), // without it an issuer may give no refresh token
  };
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
  location.assign(url);
}

// finish takes the answer of the issuer after a sign-in, and restores the view.
export async function finish() {
  const answer = new URLSearchParams(location.search);
  const { verifier, state, view } = JSON.parse(sessionStorage.getItem(name) ?? "{}");
  sessionStorage.removeItem(name);
  history.replaceState(null, "", location.pathname + (view ?? ""));
  if (!state || answer.get("state") !== state) throw new Error("The answer does not belong to this tab.");
  if (answer.has("error")) throw new Error(answer.get("error_description") ?? answer.get("error"));
  const found = await discover();
  const tokens = await fetchTokens(found, { grant_type: "authorization_code", code: answer.get("code"), redirect_uri: here(), client_id: client, code_verifier: verifier });
  take(found, tokens);
}

async function discover() {
  const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, { credentials: "omit" });
  const found = await response.json();
  if (found.issuer !== issuer) throw new Error(`It calls itself ${found.issuer}.`);
  return found;
}

async function fetchTokens(found, parameters) {
  const response = await fetch(found.token_endpoint, { method: "POST", credentials: "omit", body: new URLSearchParams(parameters) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error_description ?? answer.error ?? String(response.status));
  return answer;
}

// take uses a token, and gets the next one when four fifths of its life are over.
function take(found, { access_token, expires_in, refresh_token }, last = "") {
  api.signIn(access_token);
  const refresh = refresh_token ?? last;
  if (!refresh) return;
  const again = async () => {
    if (api.current() !== access_token) return; // the user has signed out, or in with a key
    try {
      take(found, await fetchTokens(found, { grant_type: "refresh_token", refresh_token: refresh, client_id: client }), refresh);
    } catch (error) {
      // If refused, the token is used until it expires. If not reached, once more.
      if (error instanceof TypeError) refreshing = setTimeout(again, 5000);
    }
  };
  clearTimeout(refreshing);
  refreshing = setTimeout(again, (expires_in || 300) * 800);
}

function random() {
  return encode(crypto.getRandomValues(new Uint8Array(32)));
}

async function challengeOf(verifier) {
  return encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

const encode = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
