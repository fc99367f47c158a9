// What the page has come across: state machines, labels and errors, for the completion of
// the search box. Bounded, because labels may have any number of values.
import { machineNameOf } from "./arn.js";

const most = 200; // of each kind

export const machines = new Map(); // ARN by name
export const labels = new Map(); // set of values by name
export const errors = new Set();

export function knowMachine(arn) {
  if (arn && machines.size < most) machines.set(machineNameOf(arn), arn);
}

export function knowError(name) {
  if (name && errors.size < most) errors.add(name);
}

export function knowLabels(all) {
  for (const [name, value] of Object.entries(all ?? {})) {
    if (!labels.has(name) && labels.size < most) labels.set(name, new Set());
    const values = labels.get(name);
    if (values && values.size < most) values.add(value);
  }
}
