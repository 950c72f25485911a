// The host's time, which may be ahead of this machine's, and texts that move with it: "in 42 s", "5 s ago".

import { h, setText } from "./dom.js";

const SECOND = 1000,
  MINUTE = 60 * SECOND,
  HOUR = 60 * MINUTE,
  DAY = 24 * HOUR;
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
let offset = 0;

/** The host's time in ms since 1970. */
export const now = () => Date.now() + offset;

/** @param {string} stamp what the host's clock shows @param {number} at when, in this machine's ms */
export function setNow(stamp, at) {
  offset = instant(stamp) - at;
}

/**
 * Ms since 1970, with all digits of the stamp's fraction; NaN for what is no ISO 8601 instant.
 * @param {string} stamp
 */
export function instant(stamp) {
  const [, seconds, fraction = "0", zone] = STAMP.exec(stamp) ?? [];
  return Date.parse(seconds + zone) + Number(fraction) * SECOND;
}

/**
 * 14:02:41, with the day if it is another, in this machine's time zone.
 * @param {number} ms @param {boolean} [withMs]
 */
export function clockText(ms, withMs = false) {
  const at = new Date(ms);
  const text = at.toTimeString().slice(0, 8) + (withMs ? `.${String(at.getMilliseconds()).padStart(3, "0")}` : "");
  return at.toDateString() === new Date(now()).toDateString() ? text : `${date.format(at)}, ${text}`;
}

/** A span in its two largest units: 7 ms, 4.9 s, 2 min 3 s, 1 d 4 h. @param {number} ms */
export function duration(ms) {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  const units = /** @type {[string, number][]} */ ([
    ["d", DAY],
    ["h", HOUR],
    ["min", MINUTE],
    ["s", SECOND],
  ]);
  const rounded = Math.round(ms / SECOND) * SECOND;
  const first = units.findIndex(([, size]) => rounded >= size);
  return units
    .slice(first, first + 2)
    .map(([unit, size], index, [[, larger]]) => {
      const count = Math.floor((index ? rounded % larger : rounded) / size);
      return count ? `${count} ${unit}` : "";
    })
    .filter(Boolean)
    .join(" ");
}

/** Whole seconds, as a countdown shows them. @param {number} ms */
const whole = (ms) =>
  ms < SECOND ? "0 s" : duration(Math.floor(ms / SECOND) * SECOND).replace(/(\d)\.0 s/, "$1 s");

const KINDS = {
  until: (/** @type {number} */ ms) => (ms - now() < SECOND ? "now" : `in ${whole(ms - now())}`),
  since: (/** @type {number} */ ms) =>
    now() - ms < SECOND ? "now" : `${whole(now() - ms).replace(/ (min|h|d) .*/, " $1")} ago`,
};

/**
 * A text that `tick` keeps true.
 * @param {keyof typeof KINDS} kind @param {number} ms @returns {HTMLTimeElement}
 */
export function live(kind, ms) {
  return h("time", { datetime: iso(ms), title: iso(ms), "data-live": kind, "data-at": ms }, KINDS[kind](ms));
}

/**
 * An instant as a clock shows it, with the date and UTC at hand.
 * @param {number} ms @param {boolean} [withMs] @returns {HTMLTimeElement}
 */
export function still(ms, withMs = false) {
  return h("time", { datetime: iso(ms), title: iso(ms) }, clockText(ms, withMs));
}

const iso = (/** @type {number} */ ms) => new Date(ms).toISOString();

/** Bring all moving texts up to date. */
export function tick() {
  for (const element of document.querySelectorAll("[data-live]")) {
    const { live: kind, at } = /** @type {HTMLElement} */ (element).dataset;
    setText(element, KINDS[/** @type {keyof typeof KINDS} */ (kind)](Number(at)));
  }
}
