// What to do next where there is nothing to see yet.
import { h } from "./dom.js";
import { address } from "./api.js";
import { copy } from "./copy.js";

export function gettingStarted() {
  const server = address("").href.replace(/\/$/, "");
  const commands = [
    ["With make run, start an execution:", `curl -H "Authorization: Bearer $STATUS_TOKEN" -H 'Content-Type: application/json' -d '{"inputType":"cve"}' ${server}/v1/generate`],
    ["With your own state machines, create the queue and the rule that fill this cache:", "statusctl provision --state-machine ARN"],
    ["Bring in what has run before:", "statusctl backfill --since 24h"],
    ["Find out what is missing:", "statusctl doctor"],
  ];
  return h(
    "section",
    { class: "panel start", "aria-labelledby": "start" },
    h("h2", { id: "start" }, "No executions yet"),
    h("p", {}, "They appear here as soon as Step Functions reports the first one. A key that is not for operators sees only the executions of its owner."),
    commands.map(([what, command]) =>
      h("div", { class: "command" }, h("p", {}, what), h("code", {}, command), h("button", { type: "button", "aria-label": `Copy: ${command}`, onclick: () => copy(command) }, "Copy")),
    ),
  );
}
