// Signing in at the issuer: authorization code with PKCE (RFC 7636), and a new token before
// the last one expires. Tokens are in memory only; what the way back needs is in
// sessionStorage until then.
import * as session from "./session.js";

const name = "status-cache.oidc";
const here = () => location.origin + location.pathname;

let refreshing = 0;

// signIn leaves the page for the issuer.
export async function signIn(issuer, client) {
  const found = await discover(issuer);
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

// finish takes what the issuer has sent back with somebody, and restores the view.
export async function finish(issuer, client) {
  const answer = new URLSearchParams(location.search);
  const { verifier, state, view } = JSON.parse(sessionStorage.getItem(name) ?? "{}");
  sessionStorage.removeItem(name);
  history.replaceState(null, "", location.pathname + (view ?? ""));
  if (!state || answer.get("state") !== state) throw new Error("The answer does not belong to this tab.");
  if (answer.has("error")) throw new Error(answer.get("error_description") ?? answer.get("error"));
  const found = await discover(issuer);
  const tokens = await token(found, { grant_type: "authorization_code", code: answer.get("code"), redirect_uri: here(), client_id: client, code_verifier: verifier });
  take(found, client, tokens);
}

async function discover(issuer) {
  const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, { credentials: "omit" });
  const found = await response.json();
  if (found.issuer !== issuer) throw new Error(`It calls itself ${found.issuer}.`);
  return found;
}

async function token(found, parameters) {
  const response = await fetch(found.token_endpoint, { method: "POST", credentials: "omit", body: new URLSearchParams(parameters) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error_description ?? answer.error ?? String(response.status));
  return answer;
}

// take uses a token, and gets the next one when four fifths of its life are over.
function take(found, client, { access_token, expires_in, refresh_token }, last = "") {
  session.signIn(access_token);
  const refresh = refresh_token ?? last;
  if (!refresh) return;
  const again = async () => {
    if (session.current() !== access_token) return; // somebody has signed out, or in by a key
    try {
      take(found, client, await token(found, { grant_type: "refresh_token", refresh_token: refresh, client_id: client }), refresh);
    } catch {
      // The token is used to its end; then the page asks to sign in.
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
