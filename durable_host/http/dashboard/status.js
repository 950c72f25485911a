// What the status of an instance means, and what a line of the list has to say about it.

import { h } from "./dom.js";
import { cause } from "./failure.js";
import { shape } from "./shapes.js";
import { instant, live, now } from "./times.js";
import { asText, isExact, oneLine, unwrap } from "./values.js";

/** @typedef {import("./api.js").Status} Status */
/** @typedef {import("./api.js").Instance} Instance */

const MOST_VALUES = 12,
  DEEPEST = 3,
  LONGEST = 60;

export const STATUSES = /** @type {Status[]} */ ([
  "Running",
  "Pending",
  "Suspended",
  "Completed",
  "Failed",
  "Terminated",
]);

/** @param {Status} status */
export const isFinished = (status) => ["Completed", "Failed", "Terminated", "Canceled"].includes(status);

/** @param {Status} status @returns {HTMLElement} */
export const chip = (status) => h("span", { class: `chip ${status.toLowerCase()}` }, shape(status), status);

/** How an instance ended, or how it is getting on. @param {Instance} instance @returns {(string | Node)[]} */
export function summary({ runtimeStatus, customStatus, output }) {
  if (runtimeStatus === "Failed") return [h("span", { class: "bad" }, oneLine(cause(asText(output ?? ""))))];
  const isOver = isFinished(runtimeStatus) || (runtimeStatus === "Suspended" && output !== null);
  return line(isOver ? output : customStatus);
}

/**
 * Any value in one line: an object's values by their names, instants as what is left until then.
 * @param {any} value @returns {(string | Node)[]}
 */
export function line(value) {
  const all = leaves("", unwrap(value), 0);
  const some = all
    .slice(0, MOST_VALUES)
    .flatMap(([name, each], index) => [
      index > 0 && " · ",
      name && h("span", { class: "soft" }, oneLine(name, LONGEST), " "),
      shown(each, all.length),
    ]);
  return [...some.filter((each) => each !== false && each !== ""), ...(all.length > MOST_VALUES ? [" …"] : [])];
}

/** @param {string} name @param {any} value @param {number} depth @returns {[string, any][]} */
function leaves(name, value, depth) {
  if (value === null || value === undefined) return [];
  if (typeof value !== "object" || Array.isArray(value) || isExact(value) || depth >= DEEPEST)
    return [[name, value]];
  return Object.entries(value)
    .slice(0, MOST_VALUES + 1)
    .flatMap(([inner, each]) => leaves(inner, each, depth + 1));
}

/** @param {any} value @param {number} beside how many there are in the line */
function shown(value, beside) {
  const at = typeof value === "string" ? instant(value) : NaN;
  if (at > 0) return live(at > now() ? "until" : "since", at);
  return oneLine(value, beside > 1 ? LONGEST : undefined);
}
