// A field of a form: its label, its input, the rule beside it, and the place for an error about it.

import { h } from "./dom.js";

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} [hint]
 * @property {"json" | "number" | "flag"} [kind] a line of text where it is left out
 * @property {string | boolean} [value] what it holds at first; a flag's is true where it is left out
 * @property {string[]} [choices] what may be chosen, where that is known
 * @property {string} [placeholder]
 * @property {boolean} [wide]
 * @property {boolean} [required]
 */

/** @param {Field} field */
export function fieldView({ name, label, hint, kind, value, choices, placeholder, wide, required }) {
  const id = encodeURIComponent(name);
  const common = { id: `field-${id}`, name, required, "aria-describedby": `hint-${id} problem-${id}` };
  const typed = { ...common, placeholder, autocomplete: "off", spellcheck: "false" };
  const text = String(value ?? "");
  const views = {
    json: () => h("textarea", { ...typed, rows: Math.max(4, text.split("\n").length) }, text),
    flag: () => h("input", { ...common, type: "checkbox", checked: value !== false }),
    number: () => h("input", { ...typed, value: text, inputmode: "decimal" }),
    text: () => h("input", { ...typed, value: text }),
  };
  const input = choices
    ? h("select", common, ...choices.map((each) => h("option", {}, each)))
    : views[kind ?? "text"]();
  const looks = `field${wide ? " wide" : ""}${kind === "flag" ? " flag" : ""}`;
  return h(
    "div",
    { class: looks },
    h("label", { for: common.id }, label),
    input,
    h("p", { class: "hint", id: `hint-${id}` }, hint),
    h("p", { class: "problem", role: "alert", id: `problem-${id}`, hidden: true }),
  );
}

/** Show an error in its place; no text hides it. @param {HTMLElement} place @param {string} text */
export function complain(place, text) {
  place.textContent = text;
  place.hidden = !text;
}
