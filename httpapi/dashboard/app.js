import * as api from "./api.js";
import * as search from "./search.js";
import * as keys from "./keys.js";
import { go, nameOf, read } from "./router.js";
import { h } from "./dom.js";
import { announce, explain, hideConnection, onPause, setService } from "./notify.js";

const main = document.getElementById("main");
// What is not shown first is loaded when it is needed, or after 2 s.
const later = {
  __proto__: null,
  overview: () => import("./overview.js"), executions: () => import("./executions.js"), execution: () => import("./execution.js"),
  health: () => import("./health.js"), signin: () => import("./signin.js"),
};
const healthEvery = 10_000; // ms
let shown = null; // {key, page}

const ask = (reason, detail) => later.signin().then((dialog) => dialog.ask(reason, detail), cannotLoad);

function cannotLoad() {
  shown?.page.unmount();
  shown = null;
  hideConnection();
  main.replaceChildren(h("div", { class: "page", role: "alert" }, h("h1", {}, "A part of this page could not be loaded"), h("p", {}, h("button", { type: "button", onclick: () => location.reload() }, "Load it again"))));
}

// head also serves a view that cannot be loaded.
function head(title, page) {
  document.title = `${title} · Status cache`;
  for (const link of document.querySelectorAll("nav a[data-page]")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function show() {
  if (api.current() === "") return;
  const view = read(location.hash);
  const page = ["executions", "health"].includes(view.page) ? view.page : "overview";
  const isExecution = page === "executions" && view.argument !== "";
  const name = isExecution ? "execution" : page;
  const key = isExecution ? location.hash : page;
  const title = (isExecution ? nameOf(view.argument) : view.parameters.get("q")) || page[0].toUpperCase() + page.slice(1);
  head(title, page);
  if (shown?.key === key && shown.page.update) {
    shown.page.update(view);
    return;
  }
  const fragment = location.hash;
  const module = await later[name]().catch(cannotLoad);
  await api.ready;
  if (!module || fragment !== location.hash || api.current() === "") return; // or the user has moved on meanwhile
  const first = shown === null;
  shown?.page.unmount();
  hideConnection();
  onPause(null);
  if (name !== "executions") search.show("");
  document.body.dataset.page = name;
  const mounted = module.mount(main, { ...view, first });
  shown = { key, page: mounted };
  keys.bindPage(mounted.keys);
  if (first) return;
  scrollTo(0, 0);
  announce(title);
  // The focus stays in the search box, and on a row that a list has chosen.
  if (!document.activeElement?.closest("#find, main *")) main.querySelector("h1")?.focus({ preventScroll: true });
}

function bindKeys() {
  keys.bind("/", "Search (also Ctrl-K)", () => search.focus());
  const leads = (to) => () => !api.isLink() && go(to);
  keys.bind("g o", "Overview", leads("#/"));
  keys.bind("g e", "Executions", leads("#/executions"));
  keys.bind("g h", "Health", leads("#/health"));
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

function restart() {
  shown?.page.unmount();
  shown = null;
  hideConnection();
  main.replaceChildren();
  signedInOrOut();
}

function signedInOrOut() {
  document.getElementById("signout").hidden = api.current() === "";
  document.body.classList.toggle("by-link", api.isLink());
  if (api.current() !== "") {
    if (shown === null) show(); // else what was waiting for the token continues
    return;
  }
  head("Sign in");
  ask("first");
}

// readHealth reads whether the service is degraded. This is public.
function readHealth() {
  if (!document.hidden) api.get("v1/health").then(setService, () => {}); // where it fails, the view says more
}

async function start() {
  keys.applyTheme();
  search.mount(document.getElementById("search"));
  bindKeys();
  document.getElementById("signout").addEventListener("click", () => {
    api.signOut();
    restart();
  });
  addEventListener("hashchange", () => {
    // A link that is opened in a tab that already shows the page.
    if (/^#(token|link)=/.test(location.hash) && api.start()) restart();
    else show();
  });
  api.onTrouble(explain);
  setTimeout(readHealth, 2000);
  setInterval(readHealth, healthEvery);
  setTimeout(() => Object.values(later).forEach((load) => load().catch(() => {})), 2000); // what fails is loaded when it is needed
  addEventListener("searched", () => main.querySelector("h1")?.focus({ preventScroll: true }));
  api.onNeeded(ask);
  api.onChanged(signedInOrOut);
  if (!api.signedIn) await comeBack();
  signedInOrOut();
}

async function comeBack() {
  const answer = new URLSearchParams(location.search);
  if (!document.documentElement.dataset.client || !answer.has("state")) return;
  try {
    await (await later.signin()).finish();
  } catch (error) {
    ask("issuer", error.message);
  }
}

start();
