import { h, icon } from "./dom.js";
import { address, statusPath } from "./api.js";
import { machineOf } from "./router.js";
import { copy } from "./notify.js";

const shell = (s) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", "'\\''")}'`);
const server = () => address("").href.replace(/\/$/, "");
const curl = (url) => `curl -H "Authorization: Bearer $STATUS_TOKEN" ${shell(url.href)}`;
const aws = (action, arn, rest = "") => `aws stepfunctions ${action} --region ${arn.split(":")[3]} ${rest}`.trim();

export function ofExecution(arn, running) {
  const about = `--execution-arn ${shell(arn)}`;
  return [
    ["statusctl get", `statusctl get --server ${shell(server())} ${shell(arn)}`],
    ["statusctl watch", `statusctl watch --server ${shell(server())} ${shell(arn)}`],
    ["statusctl explain", `statusctl explain ${shell(arn)}`],
    ["curl", curl(address(statusPath(arn), { view: "full" }))],
    ["aws describe-execution", aws("describe-execution", arn, about)],
    ["aws get-execution-history", aws("get-execution-history", arn, `${about} --reverse-order`)],
    running ? ["aws stop-execution", aws("stop-execution", arn, about)] : ["aws redrive-execution", aws("redrive-execution", arn, about)],
  ];
}

// describe is the command that prints the output of an execution, as Step Functions has it.
export const describe = (arn) => aws("describe-execution", arn, `--execution-arn ${shell(arn)} --query output --output text`);

// The flags of statusctl list by the parameters of the API; one without a value is a switch.
const flags = { status: "status", stateMachineArn: "state-machine", name: "name", error: "error", label: "label", owner: "owner", startedAfter: "started-after", startedBefore: "started-before", overdue: "overdue" };

function statusctlList({ q, ...parameters }) {
  const given = Object.entries(flags).filter(([name]) => parameters[name]?.length > 0);
  const words = given.map(([name, flag]) => (name === "overdue" ? `--${flag}` : `--${flag} ${shell(parameters[name])}`));
  return ["statusctl list --server", shell(server()), ...words, ...(q ? [shell(q)] : [])].join(" ");
}

export function ofList(parameters, rows) {
  const all = [["statusctl list", statusctlList(parameters)], ["curl", curl(address("v1/executions", { ...parameters, limit: 100 }))]];
  const { stateMachineArn } = parameters;
  const machine = stateMachineArn ?? (rows[0] && machineOf(rows[0].arn));
  if (machine) all.push(["aws list-executions", aws("list-executions", machine, `--state-machine-arn ${shell(machine)}`)]);
  const ended = rows.filter((row) => row.status === "FAILED").slice(0, 100);
  if (rows.length > 0) all.push([`ARNs of ${rows.length} rows`, rows.map((row) => row.arn).join("\n")]);
  if (ended.length > 0) {
    const lines = ended.map(({ arn }) => aws("redrive-execution", arn, `--execution-arn ${shell(arn)}`));
    all.push([`aws redrive-execution for ${ended.length} failed`, lines.join("\n")]);
  }
  return all;
}

// menu is a button that opens a list of commands; each is copied when it is chosen.
export function menu(label, commands) {
  const items = h("ul", {});
  const summary = h("summary", { class: "button" }, icon("copy"), label);
  const details = h("details", { class: "menu" }, summary, items);
  const close = () => {
    details.open = false;
  };
  const leave = () => {
    close();
    summary.focus();
  };
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    const button = ([name, command]) =>
      h("li", {}, h("button", { type: "button", title: command.slice(0, 1000), onclick: () => (leave(), copy(command, `Copied: ${name}`)) }, name));
    items.replaceChildren(...commands().map(button));
  });
  details.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !details.contains(event.relatedTarget)) close();
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    event.preventDefault();
    event.stopPropagation();
    leave();
  });
  document.addEventListener("pointerdown", (event) => !details.contains(event.target) && close());
  return details;
}

export const copyable = (what, string) =>
  h("div", { class: "command" }, what && h("p", {}, what), h("code", {}, string), h("button", { type: "button", "aria-label": `Copy: ${what || string}`, onclick: () => copy(string) }, "Copy"));

export function gettingStarted() {
  const commands = [
    ["With make run, start an execution:", `curl -H "Authorization: Bearer $STATUS_TOKEN" -H 'Content-Type: application/json' -d '{"inputType":"cve"}' ${server()}/v1/generate`],
    ["With your own state machines, create the queue and the rule that fill this cache:", "statusctl provision --state-machine ARN"],
    ["Load earlier executions:", "statusctl backfill --since 24h"],
    ["Find out what is missing:", "statusctl doctor"],
  ];
  return h(
    "section",
    { class: "panel start", "aria-labelledby": "start" },
    h("h2", { id: "start" }, "No executions yet"),
    h("p", {}, "They appear here as soon as Step Functions reports the first one. A key that is not for operators sees only the executions of its owner."),
    commands.map((each) => copyable(...each)),
  );
}
