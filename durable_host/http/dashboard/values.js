// Shows any JSON value so that a person can read it; phone numbers stay masked until they are clicked.

import { h, fill } from "./dom.js";
import { instant, live, now, still } from "./times.js";

const PHONE = /\+[1-9]\d{6,14}(?!\d)/g;
const MOST_ENTRIES = 100,
  MOST_CHARACTERS = 2000,
  DEEPEST = 6;
const revealed = /** @type {Set<string>} */ (new Set());
const buttons = /** @type {Map<string, Set<WeakRef<HTMLElement>>>} */ (new Map());

/** +1425*****67. @param {string} phone */
function mask(phone) {
  const [head, tail] = phone.length >= 10 ? [5, 2] : [2, 0];
  return phone.slice(0, head) + "*".repeat(phone.length - head - tail) + phone.slice(phone.length - tail);
}

/** A text without phone numbers, for where nothing can be clicked. @param {string} text */
export const masked = (text) => text.replace(PHONE, mask);

/**
 * A text as nodes, its phone numbers as buttons that show them.
 * @param {string} text @returns {(string | HTMLElement)[]}
 */
export function withPhones(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(PHONE)) {
    nodes.push(text.slice(end, match.index), phoneButton(match[0]));
    end = match.index + match[0].length;
  }
  return [...nodes, text.slice(end)].filter((node) => node !== "");
}

/** @param {string} phone */
function phoneButton(phone) {
  const shown = revealed.has(phone) ? phone : mask(phone);
  // The number itself is nowhere in the page until it is asked for.
  const button = h(
    "button",
    { type: "button", class: "masked", title: "Show or hide the number", click: toggle },
    shown,
  );
  const same = buttons.get(phone) ?? new Set();
  buttons.set(phone, same.add(new WeakRef(button)));
  function toggle() {
    revealed.has(phone) ? revealed.delete(phone) : revealed.add(phone);
    for (const reference of same) {
      const other = reference.deref();
      if (other) other.textContent = revealed.has(phone) ? phone : mask(phone);
      else same.delete(reference);
    }
  }
  return button;
}

/**
 * JSON with the numbers that somebody wrote: 1.0 and integers past 2^53 stay so, in browsers that can tell.
 * @param {string} text
 */
export function parse(text) {
  const exact = /** @type {any} */ (JSON).rawJSON;
  return JSON.parse(text, (/** @type {any[]} */ ...[, value, context]) =>
    typeof value === "number" && exact && context.source !== String(value) ? exact(context.source) : value,
  );
}

/** A value that the SDK wrapped into a string once more, unwrapped. @param {any} value */
export function unwrap(value) {
  if (typeof value !== "string" || !/^\s*[[{"]/.test(value)) return value;
  try {
    return unwrap(parse(value));
  } catch {
    return value;
  }
}

/**
 * Whether it is a number that JavaScript's own cannot hold as it was written.
 * @param {any} value @returns {boolean}
 */
export const isExact = (value) =>
  value !== null && typeof value === "object" && Boolean(/** @type {any} */ (JSON).isRawJSON?.(value));

/** A text as it is, and what else there is as JSON. @param {any} value @returns {string} */
export const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/**
 * A value in one line of at most so many characters, without phone numbers.
 * @param {any} value @param {number} [most]
 */
export function oneLine(value, most = 160) {
  const text = masked(asText(value).slice(0, 4 * most))
    .replace(/\s+/g, " ")
    .trim();
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** @param {any} value @param {number} [depth] @returns {HTMLElement} */
export function valueView(value, depth = 0) {
  if (value === null || value === undefined) return h("span", { class: "none" }, "none");
  if (isExact(value)) return h("span", { class: "number" }, value.rawJSON);
  if (typeof value === "string") return textView(value);
  if (typeof value !== "object") return h("span", { class: typeof value }, value);
  const entries = Object.entries(value);
  if (!entries.length)
    return h("span", { class: "none" }, Array.isArray(value) ? "an empty list" : "an empty object");
  if (depth >= DEEPEST) return textView(JSON.stringify(value));
  const list = h("dl", { class: "value" });
  for (const [name, each] of entries.slice(0, MOST_ENTRIES))
    list.append(h("dt", {}, ...withPhones(name)), h("dd", {}, valueView(each, depth + 1)));
  if (entries.length > MOST_ENTRIES)
    list.append(
      h("dt", {}, "…"),
      h("dd", { class: "none" }, `${entries.length - MOST_ENTRIES} more; the raw events have them`),
    );
  return list;
}

/** @param {string} text */
function textView(text) {
  const at = instant(text);
  if (at > now()) return h("span", {}, still(at), " (", live("until", at), ")");
  if (at > 0) return still(at);
  if (!text) return h("span", { class: "none" }, "an empty text");
  const element = h("span", { class: "text" });
  if (text.length <= MOST_CHARACTERS) return fill(element, ...withPhones(text));
  const more = h(
    "button",
    { type: "button", class: "small", click: () => fill(element, ...withPhones(text)) },
    `Show all ${text.length} characters`,
  );
  return fill(element, ...withPhones(text.slice(0, MOST_CHARACTERS)), "… ", more);
}
