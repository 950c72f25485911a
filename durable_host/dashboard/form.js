// A field of a form: its label, its input, the rule beside it, and the place for an error about it.

import { h } from "./dom.js";

/** @typedef {{ name: string, label: string, hint: string, kind?: "json" | "number" | "phone" | "flag", placeholder?: string, wide?: boolean, required?: boolean }} Field */

/** @param {Field} field */
export function fieldView({ name, label, hint, kind, placeholder, wide, required }) {
  const input = h(kind === "json" ? "textarea" : "input", {
    id: `field-${name}`, name, placeholder, required, "aria-describedby": `hint-${name} problem-${name}`, autocomplete: "off", spellcheck: "false",
    ...(kind === "json" && { rows: 4 }), ...(kind === "flag" && { type: "checkbox", checked: true }),
    ...(kind === "number" && { inputmode: "numeric" }), ...(kind === "phone" && { inputmode: "tel" }),
  });
  return h("div", { class: `field${wide ? " wide" : ""}${kind === "flag" ? " flag" : ""}` }, h("label", { for: `field-${name}` }, label), input,
    h("p", { class: "hint", id: `hint-${name}` }, hint), h("p", { class: "problem", role: "alert", id: `problem-${name}`, hidden: true }));
}

/** Show an error in its place; no text hides it. @param {HTMLElement} place @param {string} text */
export function complain(place, text) {
  place.textContent = text;
  place.hidden = !text;
}
