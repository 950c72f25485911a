// What a runtime status looks like, and what an instance has to say in one line.

import { h } from "./dom.js";
import { cause } from "./failure.js";
import { shape } from "./shapes.js";
import { instant, live } from "./times.js";
import { asText, oneLine, unwrap } from "./values.js";

/** @typedef {import("./api.js").Status} Status */
/** @typedef {import("./api.js").Instance} Instance */

export const STATUSES = /** @type {Status[]} */ (["Running", "Pending", "Suspended", "Completed", "Failed", "Terminated"]);

/** @param {Status} status */
export const isFinished = (status) => ["Completed", "Failed", "Terminated", "Canceled"].includes(status);

/** @param {Status} status @returns {HTMLElement} */
export const chip = (status) => h("span", { class: `chip ${status.toLowerCase()}` }, shape(status), status);

/** Whether a custom status is a monitor's: how often it has checked, and when it does so next. @param {any} status */
export const isMonitorStatus = (status) => typeof status?.checks === "number" && instant(String(status.nextCheck)) > 0;

/** @param {number} count */
export const checksText = (count) => `${count} ${count === 1 ? "check" : "checks"}`;

/** One line about an instance. @param {Instance} instance @returns {(string | Node)[]} */
export function summary({ runtimeStatus, input, customStatus, output }) {
  const given = unwrap(input);
  const repo = (given?.request ?? given)?.repo;   // What continues as new hands itself its request and its progress.
  const subject = typeof repo === "string" ? [h("b", {}, oneLine(repo, 60)), " "] : [];
  if (runtimeStatus === "Failed") return [...subject, h("span", { class: "bad" }, oneLine(cause(asText(output ?? ""))))];
  if (typeof output?.outcome === "string" && typeof output.checks === "number") {
    return [...subject, `${oneLine(output.outcome)} after ${checksText(output.checks)}`];
  }
  if (isFinished(runtimeStatus) || (runtimeStatus === "Suspended" && output !== null)) return [...subject, oneLine(output ?? "")];
  if (isMonitorStatus(customStatus)) return [...subject, ...monitorLine(customStatus, runtimeStatus)];
  return [...subject, oneLine(customStatus ?? "")];
}

/** @param {any} customStatus @param {Status} status */
function monitorLine({ checks, openIssues, nextCheck, expires }, status) {
  const next = instant(nextCheck);
  const isLast = typeof expires === "string" && next >= instant(expires);
  const parts = [checksText(checks), { unknown: ", GitHub cannot say, ", "too many": ", alert not sent yet, " }[openIssues] ?? ", "];
  return status === "Suspended" ? [...parts, "suspended"] : [...parts, isLast ? "expires " : "next ", live("until", next)];
}
