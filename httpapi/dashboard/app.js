// Puts the page together: signs in, shows the view of the address, and listens to keys.
import * as session from "./session.js";
import * as search from "./search.js";
import * as keys from "./keys.js";
import * as overview from "./overview.js";
import * as executions from "./executions.js";
import * as execution from "./execution.js";
import * as health from "./health.js";
import { ask } from "./signin.js";
import { go, read } from "./router.js";
import { announce, hideConnection, onPause } from "./notify.js";

const main = document.getElementById("main");
const pages = { overview, executions, health };
let shown = null; // {key, page}

function show() {
  if (session.current() === "") return;
  const view = read(location.hash);
  const isExecution = view.page === "executions" && view.argument !== "";
  const page = isExecution ? execution : (pages[view.page] ?? overview);
  const key = isExecution ? location.hash : view.page;
  if (shown?.key === key && shown.page.update) {
    shown.page.update(view);
    return;
  }
  const first = shown === null;
  shown?.page.unmount();
  hideConnection();
  onPause(null);
  if (!isExecution && page !== executions) search.show("");
  document.body.dataset.page = isExecution ? "execution" : view.page;
  const mounted = page.mount(main, view);
  shown = { key, page: mounted };
  keys.bindPage(mounted.keys);
  const name = mounted.title ?? page.title;
  document.title = `${name} · Status cache`;
  for (const link of document.querySelectorAll("nav a[data-page]")) {
    if (link.dataset.page === view.page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  if (first) return;
  announce(name);
  // The search box keeps the focus of who is still searching.
  if (document.activeElement?.id !== "find") main.querySelector("h1")?.focus({ preventScroll: true });
}

function bindKeys() {
  keys.bind("/", "Search (also Ctrl-K)", () => search.focus());
  keys.bind("g o", "Overview", () => go("#/"));
  keys.bind("g e", "Executions", () => go("#/executions"));
  keys.bind("g h", "Health", () => go("#/health"));
  keys.bind("t", "Theme: system, light, dark", () => announce(`Theme: ${keys.nextTheme()}`));
  keys.bind("?", "This help", () => keys.showHelp());
  keys.listen();
  document.getElementById("theme").addEventListener("click", () => announce(`Theme: ${keys.nextTheme()}`));
  document.getElementById("help").addEventListener("click", () => keys.showHelp());
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment is the address of the view
    main.focus();
  });
}

// restart shows the view anew, for who has signed in or out.
function restart() {
  shown?.page.unmount();
  shown = null;
  hideConnection();
  main.replaceChildren();
  signedInOrOut();
}

function signedInOrOut() {
  document.getElementById("signout").hidden = session.current() === "";
  document.body.classList.toggle("by-link", session.isLink());
  if (session.current() !== "") {
    if (shown === null) show(); // else what was waiting for the token goes on
    return;
  }
  ask("first");
}

async function start() {
  keys.applyTheme();
  search.mount(document.getElementById("search"));
  bindKeys();
  document.getElementById("signout").addEventListener("click", () => {
    session.signOut();
    restart();
  });
  addEventListener("hashchange", () => {
    // A link that is opened in a tab that already shows the page.
    if (/^#(token|link)=/.test(location.hash) && session.start()) restart();
    else show();
  });
  addEventListener("searched", () => main.querySelector("h1")?.focus({ preventScroll: true }));
  session.onNeeded((reason) => ask(reason));
  session.onChanged(signedInOrOut);
  if (!session.start()) await comeBack();
  signedInOrOut();
}

// comeBack takes who was at the issuer to where they were.
async function comeBack() {
  const { issuer, client } = document.documentElement.dataset;
  const answer = new URLSearchParams(location.search);
  if (!client || !answer.has("state")) return;
  try {
    const { finish } = await import("./oidc.js");
    await finish(issuer, client);
  } catch (error) {
    ask("issuer", error.message);
  }
}

start();
