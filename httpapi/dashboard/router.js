
const execution = /arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:(?:execution|express):[^\s"'<>?#\\]+/;

// findARN returns the ARN of an execution in a text, such as one that was pasted from a log,
// or a URL of the AWS console; "" if there is none.
export function findARN(text) {
  let plain = text;
  try {
    plain = decodeURIComponent(text);
  } catch {
    // it has a % that begins no escape
  }
  return (execution.exec(plain) ?? execution.exec(text) ?? [""])[0].replace(/[),.;\]}]+$/, "");
}

// nameOf is the last part of an ARN: of an execution, or of a state machine.
export const nameOf = (arn) => arn.split(":").slice(7).join(":") || arn;
export const machineNameOf = (arn) => arn.split(":")[6] ?? arn;

// machineOf is the ARN of the state machine of an execution. A version or an alias is not
// part of it.
export function machineOf(arn) {
  const parts = arn.split(":");
  return [...parts.slice(0, 5), "stateMachine", parts[6]].join(":");
}

const consoles = { aws: "console.aws.amazon.com", "aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com" };

// consoleURL is where the AWS console shows an execution; "" for a partition that is not known.
export function consoleURL(arn) {
  const [, partition, , region] = arn.split(":");
  const host = consoles[partition];
  return host ? `https://${region}.${host}/states/home?region=${region}#/v2/executions/details/${encodeURIComponent(arn)}` : "";
}

export function read(fragment) {
  const [path, query] = fragment.replace(/^#\/?/, "").split("?", 2);
  const [page, ...rest] = path.split("/");
  let argument = rest.join("/");
  try {
    argument = decodeURIComponent(argument);
  } catch {
    // a % in it begins no escape, so it stays unchanged
  }
  return { page: page || "overview", argument, parameters: new URLSearchParams(query ?? "") };
}

export const toExecution = (arn) => `#/executions/${encodeURIComponent(arn)}`;
export const toSearch = (text) => (text ? `#/executions?q=${encodeURIComponent(text)}` : "#/executions");

// go shows another view.
export function go(fragment) {
  location.hash = fragment;
}
