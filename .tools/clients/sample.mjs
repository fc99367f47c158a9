// Runs a sample in TypeScript, of which tsc has removed the types, and prints what it gets as
// JSON lines: sample.mjs FILE, with STATUS_URL, STATUS_TOKEN and ARN as the other samples have
// them.
import { readFile } from "node:fs/promises";

const source = await readFile(process.argv[2], "utf8");
const name = /function\*? (\w+)/.exec(source)[1];
const sample = new Function(`${source}; return ${name};`)();
const { STATUS_URL: server, STATUS_TOKEN: token, ARN: arn } = process.env;
const print = (value) => console.log(JSON.stringify(value));
const run = {
  result: async () => print(await sample(server, token, arn)),
  follow: () => sample(server, token, arn, print),
  statuses: async () => print(await sample(server, token, [arn])),
  decided: async () => print(await sample(server, token, [arn])),
  executions: async () => {
    for await (const execution of sample(server, token)) print(execution);
  },
  failures: async () => print(await sample(server, token)),
  fetchOutput: async () => print(await sample(server, token, arn)),
  link: async () => print(await sample(server, token, arn)),
  register: async () => print(await sample(server, token, arn, "ada")),
};
await run[name]();
