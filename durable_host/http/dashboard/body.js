// A request's body in a form: a field for each value where it is a flat JSON object, else one for its text.

import { fill, h, setText } from "./dom.js";
import { fieldView } from "./form.js";
import { asText, isExact, parse } from "./values.js";

/** @typedef {Record<string, any>} Flat A JSON object whose values are no lists and no objects. */
/** @typedef {import("./form.js").Field} Field */

const NUMBER = /^-?\d+(\.\d+)?$/;

export class Body {
  /** @type {Flat | null} The values that have a field each; null while it is one text. */
  #flat = null;
  #hint;
  #fields = h("div", { class: "fields", input: () => this.#onInput() });
  #turn = h("button", { type: "button", class: "small", click: () => this.#onTurn() });
  element = h("div", { class: "body" }, this.#fields, this.#turn);

  /** @param {string} text what it holds at first @param {string} hint what its text may be */
  constructor(text, hint) {
    this.#hint = hint;
    this.#draw(text, flatObject(text));
  }

  /** The name of the input that holds a field of the body. @param {string} field */
  inputFor(field) {
    return this.#flat && field in this.#flat ? `body.${field}` : "body";
  }

  /** What is typed, as the JSON that it most likely means; what is left empty is left out. @returns {string} */
  read() {
    const inputs = /** @type {HTMLInputElement[]} */ ([...this.#fields.querySelectorAll("[name]")]);
    if (!this.#flat) return inputs[0].value.trim();
    const entries = Object.entries(this.#flat).map(([name, was], index) => [name, typed(inputs[index], was)]);
    return JSON.stringify(Object.fromEntries(entries.filter(([, value]) => value !== undefined)));
  }

  /** @param {string} text @param {Flat | null} flat */
  #draw(text, flat) {
    this.#flat = flat;
    const whole = /** @type {Field} */ ({
      name: "body",
      label: "Body",
      hint: this.#hint,
      kind: "json",
      value: text,
      wide: true,
    });
    fill(this.#fields, ...(flat ? Object.entries(flat).map(fieldOf) : [whole]).map(fieldView));
    setText(this.#turn, flat ? "Edit as JSON" : "Edit as fields");
    this.#onInput();
  }

  #onInput() {
    this.#turn.hidden = !this.#flat && !flatObject(this.read());
  }

  #onTurn() {
    const text = this.read();
    if (this.#flat) this.#draw(JSON.stringify(parse(text), null, 2), null);
    else this.#draw(text, flatObject(text));
    this.#fields.querySelector("[name]").focus();
  }
}

/** @param {string} text @returns {Flat | null} null for what is no such object, and for one that has no value */
function flatObject(text) {
  let value;
  try {
    value = parse(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) return null;
  const values = Object.values(value);
  const isPlain = (/** @type {any} */ each) => each === null || typeof each !== "object" || isExact(each);
  const isShort = (/** @type {any} */ each) => typeof each !== "string" || !each.includes("\n");
  return values.length && values.every((each) => isPlain(each) && isShort(each)) ? value : null;
}

/** @param {[string, any]} entry @returns {Field} */
function fieldOf([name, value]) {
  const field = { name: `body.${name}`, label: name };
  if (typeof value === "boolean") return { ...field, kind: "flag", value };
  if (value === null) return field;
  return {
    ...field,
    kind: typeof value === "string" ? undefined : "number",
    value: isExact(value) ? value.rawJSON : asText(value),
  };
}

/**
 * @param {HTMLInputElement} input @param {any} was what the field held at first, which says of which kind it is
 */
function typed(input, was) {
  if (typeof was === "boolean") return input.checked;
  const text = input.value.trim();
  if (!text) return undefined;
  const isNumber = typeof was !== "string" && NUMBER.test(text);
  return isNumber ? parse(text) : text;
}
