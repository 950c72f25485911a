// The form that starts a monitor, with its rules beside its fields, and the one that starts any other orchestrator.
//
// The app judges what it is sent; the page shows its answer at the field that it names.

import { instanceLink, link, SANDBOX } from "./address.js";
import * as api from "./api.js";
import { $, fill, h, markCurrent } from "./dom.js";
import { complain, fieldView } from "./form.js";

/** @typedef {import("./form.js").Field} Field */

const ID = /** @type {Field} */ ({ name: "instanceId", label: "Instance id", hint: "Optional. Up to 100 letters, digits, _ and -, letter or digit first.", placeholder: "made up if empty", wide: true });
const MONITOR = /** @type {Field[]} */ ([
  { name: "repo", label: "Repository", hint: "owner/name, as GitHub has it.", placeholder: "octo/cat", wide: true },
  { name: "phone", label: "Phone to text", hint: "E.164: +, the country code and the number, digits only.", kind: "phone", placeholder: "+14255550100", wide: true },
  { name: "threshold", label: "Open issues that are fine", hint: "A whole number from 0; one more sends the SMS.", kind: "number", placeholder: "3" },
  { name: "interval_seconds", label: "Seconds between checks", hint: "1 to 86,400 (a day).", kind: "number", placeholder: "60" },
  { name: "expiry_seconds", label: "Seconds until it gives up", hint: "1 to 2,592,000 (30 days).", kind: "number", placeholder: "300" },
  ID,
]);
const OTHER = /** @type {Field[]} */ ([
  { name: "functionName", label: "Orchestrator", hint: "The function's name. The host does not check it: a wrong one fails at once.", wide: true },
  { ...ID, hint: "Optional. A live instance of this id is not replaced, a finished one is." },
  { name: "input", label: "Input", hint: "JSON; the SDK reads objects. Empty for none.", kind: "json", wide: true },
]);
const EXAMPLE = { repo: "octo/cat", phone: "+14255550100", interval_seconds: "5", expiry_seconds: "60" };

export class StartView {
  title = "Start";
  /** @type {"monitor" | "other" | ""} */ #shown = "";
  #nudge;
  #form = h("form", { novalidate: true, submit: (event) => this.#submit(event) });
  #tabs = [["", "A GitHub monitor"], ["other", "Another orchestrator"]].map(([what, text]) => h("a", { class: "tab", href: link("start", { what }), "data-what": what }, text));
  element = h("div", { class: "start-view" }, h("h1", { tabindex: -1 }, "Start"), h("nav", { class: "tabs", "aria-label": "What to start" }, ...this.#tabs), this.#form);

  /** @param {() => void} nudge called once something was started */
  constructor(nudge) {
    this.#nudge = nudge;
  }

  /** @param {import("./address.js").Route} route */
  show({ params }) {
    const what = params.get("what") === "other" ? "other" : "monitor";
    for (const tab of this.#tabs) markCurrent(tab, (tab.dataset.what || "monitor") === what);
    if (what !== this.#shown) this.#draw(what);
  }

  /** @param {"monitor" | "other"} what */
  #draw(what) {
    this.#shown = what;
    const isMonitor = what === "monitor";
    const text = isMonitor
      ? "E3_Monitor looks at a repository's open issues again and again, and sends one SMS when there are too many."
      : "Started by the durable HTTP API, past the app's own checks.";
    fill(this.#form, h("p", { class: "soft" }, text),
      h("div", { class: "fields" }, ...(isMonitor ? MONITOR : OTHER).map(fieldView)),
      h("p", { class: "problem", role: "alert", id: "start-problem", hidden: true }),
      h("div", { class: "buttons" }, h("button", { class: "primary" }, isMonitor ? "Start the monitor" : "Start it"),
        isMonitor && SANDBOX && h("button", { type: "button", click: () => this.#fillIn() }, "Fill in an example")));
  }

  #fillIn() {
    for (const [name, value] of Object.entries(EXAMPLE)) this.#form.elements[name].value = value;
    this.#form.elements.repo.focus();
  }

  /** @param {SubmitEvent} event */
  async #submit(event) {
    event.preventDefault();
    const isMonitor = this.#shown === "monitor";
    /** @type {any} */ const given = Object.fromEntries(new FormData(this.#form));
    const button = this.#form.querySelector("button.primary");
    this.#complain(null, "");
    button.disabled = true;
    try {
      const id = isMonitor ? await startMonitor(given) : await api.start(given.functionName, given.instanceId, given.input.trim());
      this.#shown = "";
      location.hash = instanceLink(id);
      this.#nudge();
    } catch (error) {
      const { field, message, status } = error;
      this.#complain(field ?? this.#culprit(status, message), message);
    } finally {
      button.disabled = false;
    }
  }

  /** The field that the durable HTTP API's error is about, which names none. @param {number} status @param {string} message */
  #culprit(status, message) {
    if (this.#shown !== "other") return null;
    if (status === 409) return "instanceId";
    return status === 404 ? "functionName" : /JSON|parsing|Path ''/.test(message) ? "input" : null;
  }

  /** Show an error at its field, or below the form when it has none there. @param {string | null} name @param {string} message */
  #complain(name, message) {
    for (const field of this.#form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    for (const problem of this.#form.querySelectorAll(".problem")) complain(problem, "");
    if (!message) return;
    const input = name && this.#form.elements[name];
    complain($(input ? `problem-${name}` : "start-problem"), message);
    if (!input) return;
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}

/** What was typed, as the JSON that it most likely means; what is left empty is left out. @param {Record<string, string>} given */
function startMonitor({ instanceId, ...given }) {
  const numbers = MONITOR.filter(({ kind }) => kind === "number").map(({ name }) => name);
  const entries = Object.entries(given).map(([name, text]) => [name, text.trim()]).filter(([, text]) => text);
  return api.startMonitor(instanceId.trim(), Object.fromEntries(entries.map(([name, text]) => [
    name, numbers.includes(name) && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text,
  ])));
}
