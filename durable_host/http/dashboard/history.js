// Draws a timeline: a line for each row, a bar for how long it took, and a rule between episodes.

import { instanceLink } from "./address.js";
import { fill, h, keep } from "./dom.js";
import { cause, failureView } from "./failure.js";
import { shape } from "./shapes.js";
import { clockText, duration, live, now, still } from "./times.js";
import { asText, oneLine, unwrap, valueView, withPhones } from "./values.js";

/** @typedef {import("./timeline.js").Row} Row */

const LONGEST_LINE = 70;
const SHAPES = /** @type {Partial<Record<Row["kind"], string>>} */ ({ start: "Running", control: "Suspended" });
const NAMES = {
  start: "",
  activity: "Activity ",
  orchestrator: "Sub-orchestration ",
  timer: "",
  event: "External event ",
  control: "",
  end: "",
};

/**
 * Draw the rows into a list; those that did not change keep their elements, open details too.
 * @param {HTMLElement} list @param {Row[]} rows
 */
export function drawTimeline(list, rows) {
  const from = rows[0]?.from ?? 0;
  const endOf = (/** @type {Row} */ row) =>
    row.state === "void" ? row.from : (row.to ?? (row.state === "open" ? now() : row.from));
  const to = rows.reduce((last, row) => Math.max(last, endOf(row)), from);
  const placed = rows.map((row, index) => ({
    ...row,
    key: `${row.kind} ${row.title} ${row.from} ${index}`,
    isFirst: row.episode !== rows[index - 1]?.episode,
    left: percent(row.from - from, to - from),
    width: percent(endOf(row) - row.from, to - from),
  }));
  keep(
    list,
    placed,
    (row) => row.key,
    () => h("li", {}),
    drawRow,
  );
}

/** @param {number} part @param {number} whole */
const percent = (part, whole) => (whole > 0 ? Math.round((1000 * part) / whole) / 10 : 0);

/** @param {HTMLElement} item @param {Row & { isFirst: boolean, left: number, width: number }} row */
function drawRow(item, row) {
  const wasOpen = item.querySelector("details")?.open ?? false;
  item.className = `row ${row.kind} ${row.state}${row.isFirst ? " first" : ""}`;
  const bar = h("span", { class: "bar" });
  bar.style.left = `min(${row.left}%, 100% - 3px)`;
  bar.style.width = `${row.width}%`;
  fill(
    item,
    h(
      "span",
      { class: "episode", title: `Episode ${row.episode}` },
      row.isFirst ? h("span", { class: "sr" }, "Episode ") : null,
      row.isFirst ? row.episode : null,
    ),
    h("span", { class: "at" }, still(row.from, true)),
    h(
      "span",
      { class: "what" },
      shape(SHAPES[row.kind] ?? row.kind),
      h("span", { class: "sr" }, NAMES[row.kind]),
      h("b", {}, ...withPhones(row.title)),
    ),
    h("span", { class: "lane", "aria-hidden": "true" }, bar),
    h(
      "span",
      { class: "took" },
      row.to !== null && row.state !== "open" && row.state !== "void" && duration(Math.max(0, row.to - row.from)),
    ),
    h("div", { class: "came" }, ...cameOf(row)),
  );
  const details = item.querySelector("details");
  if (details) details.open = wasOpen;
}

/**
 * What became of it, in words, with more at hand where a line is too short.
 * @param {Row} row @returns {(Node | string)[]}
 */
function cameOf({ kind, state, from, to, value, details, child }) {
  if (kind === "timer") return timerWords(state, /** @type {number} */ (to));
  // What it ended with stands above.
  if (kind === "end") return [];
  if (state === "void") return ["no longer waited for"];
  if (state === "open")
    return [
      "running, called ",
      live("since", from),
      ...(child ? [", ", h("a", { href: instanceLink(child) }, "look at it")] : []),
    ];
  if (state === "failed") return [failureWords(value, details)];
  if (value === undefined) return [];
  const shown = kind === "event" ? unwrap(value) : value;
  const text = asText(shown);
  if (text.length <= LONGEST_LINE) return [h("code", {}, ...withPhones(text))];
  return [h("details", {}, h("summary", {}, oneLine(text, LONGEST_LINE)), valueView(shown))];
}

/** @param {Row["state"]} state @param {number} to */
function timerWords(state, to) {
  if (state === "done") return ["fired"];
  if (state === "void") return [`was set for ${clockText(to)}, no longer waited for`];
  return ["waits until ", still(to), ", ", live("until", to)];
}

/** @param {string} reason @param {string | null} details */
function failureWords(reason, details) {
  return h(
    "details",
    {},
    h("summary", { class: "bad" }, oneLine(cause(reason), LONGEST_LINE)),
    failureView(reason, details),
  );
}
