// The form that starts an orchestrator: by one of the app's HTTP functions, or by the durable HTTP API.
//
// Whoever is asked judges what it is sent; the page shows the answer, at the field that it names.

import { instanceLink, link } from "./address.js";
import * as api from "./api.js";
import { Body } from "./body.js";
import { $, announce, fill, h, keep, markCurrent, setText } from "./dom.js";
import { complain, fieldView } from "./form.js";
import { loadApp, pathOf } from "./functions.js";
import { withPhones } from "./values.js";

/** @typedef {import("./form.js").Field} Field */
/** @typedef {import("./functions.js").App} App */
/** @typedef {import("./functions.js").Parameter} Parameter */
/** @typedef {import("./functions.js").Starter} Starter */

const LONGEST_ANSWER = 2000;
const OF_THE_HOST = "It starts any orchestrator, past what the app itself checks.";
const INPUT = "JSON, the orchestrator's input; empty for none.";
const BODY =
  "JSON, as the function reads it; empty for none. A sample.dat in the function's folder is filled in here.";

export class StartView {
  title = "Start an instance";
  everyMs = 10_000;
  #params = new URLSearchParams();
  /** @type {App | null} */ #app = null;
  /** @type {Starter | null} */ #starter = null;
  /** @type {Body | null} */ #body = null;
  #nudge;
  #tabs = h("nav", { class: "tabs", "aria-label": "By what" });
  #form = h("form", { novalidate: true, submit: (event) => this.#submit(event) });
  element = h(
    "div",
    { class: "start-view" },
    h("h1", { tabindex: -1 }, "Start an instance"),
    this.#tabs,
    this.#form,
  );

  /** @param {() => void} nudge called once something was started */
  constructor(nudge) {
    this.#nudge = nudge;
  }

  /** @param {import("./address.js").Route} route */
  show({ params }) {
    this.#params = params;
    this.#choose();
  }

  async load() {
    const app = await loadApp();
    if (app.text === this.#app?.text) return false;
    this.#app = app;
    this.#starter = null;
    this.#choose();
    return true;
  }

  /** Show the form that the address asks for, as it is while it stays the same. */
  #choose() {
    if (!this.#app) return;
    const { starters } = this.#app;
    const starter = starters.find(({ name }) => name === this.#params.get("by")) ?? starters[0];
    const tabs = starters.map((each) => ({ name: each.name, isCurrent: each === starter }));
    const newTab = () => h("a", { class: "tab" });
    keep(
      this.#tabs,
      tabs,
      ({ name }) => name,
      newTab,
      (tab, { name, isCurrent }) => {
        tab.href = link("start", { by: name });
        setText(tab, name);
        markCurrent(tab, isCurrent);
      },
    );
    this.#tabs.hidden = tabs.length < 2;
    if (starter !== this.#starter) this.#draw(starter);
  }

  /** @param {Starter} starter */
  #draw(starter) {
    const { method, route, parameters, sample, isOfTheHost } = starter;
    this.#starter = starter;
    this.#body = ["GET", "HEAD"].includes(method) ? null : new Body(sample ?? "", isOfTheHost ? INPUT : BODY);
    const needed = parameters.filter(({ isOptional }) => !isOptional);
    const optional = parameters.filter(({ isOptional }) => isOptional);
    const view = (/** @type {Parameter[]} */ some) =>
      some.length > 0 && h("div", { class: "fields" }, ...some.map((each) => fieldView(this.#field(each))));
    fill(
      this.#form,
      h("p", { class: "soft" }, h("code", {}, `${method} /${route}`), isOfTheHost && h("div", {}, OF_THE_HOST)),
      view(needed),
      this.#body?.element,
      view(optional),
      h("p", { class: "problem", role: "alert", id: "start-problem", hidden: true }),
      h("div", { class: "buttons" }, h("button", { class: "primary" }, "Start")),
      h("pre", { id: "start-answer", hidden: true }),
    );
  }

  /** @param {Parameter} parameter @returns {Field} */
  #field({ name, isOptional, isOrchestrator }) {
    const orchestrators = this.#app?.orchestrators ?? [];
    const choices = isOrchestrator && orchestrators.length ? orchestrators : undefined;
    const hint = isOptional ? "Optional, in the address." : "In the address.";
    return { name: `route.${name}`, label: name, hint, choices, wide: true };
  }

  /** @param {SubmitEvent} event */
  async #submit(event) {
    event.preventDefault();
    const starter = this.#starter;
    if (!starter) return;
    const button = this.#form.querySelector("button.primary");
    const path = pathOf(starter, (name) => this.#form.elements[`route.${name}`].value.trim());
    this.#complain(null, "");
    $("start-answer").hidden = true;
    button.disabled = true;
    try {
      const { value, text } = await api.call(starter.method, path, this.#body?.read() ?? "");
      if (typeof value?.id === "string") this.#go(value.id);
      else showAnswer(text);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      const isUnknown = error.status === 404 && !error.body && !starter.isOfTheHost;
      this.#complain(
        this.#culprit(error),
        isUnknown ? `The host has no ${starter.method} ${path}.` : error.message,
      );
    } finally {
      button.disabled = false;
    }
  }

  /** @param {string} id */
  #go(id) {
    this.#starter = null;
    location.hash = instanceLink(id);
    this.#nudge();
  }

  /**
   * The input that an error is about: the app may name it, the durable HTTP API does not.
   * @param {api.ApiError} error
   */
  #culprit({ field, status, message }) {
    if (field)
      return this.#form.elements[`route.${field}`] ? `route.${field}` : (this.#body?.inputFor(field) ?? null);
    if (!this.#starter?.isOfTheHost) return null;
    if (status === 409) return "route.instanceId";
    return status === 404 ? "route.functionName" : /JSON|parsing|Path ''/.test(message) ? "body" : null;
  }

  /**
   * Show an error at its field, or below the form when it has none there.
   * @param {string | null} name @param {string} message
   */
  #complain(name, message) {
    for (const field of this.#form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    for (const problem of this.#form.querySelectorAll(".problem")) complain(problem, "");
    if (!message) return;
    const input = name && this.#form.elements[name];
    complain($(input ? `problem-${encodeURIComponent(name)}` : "start-problem"), message);
    if (!input) return;
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}

/** What was answered by a function that tells no instance's id. @param {string} text */
function showAnswer(text) {
  const said = text.length > LONGEST_ANSWER ? `${text.slice(0, LONGEST_ANSWER)}…` : text;
  fill($("start-answer"), ...(said ? withPhones(said) : ["It answered without a text."]));
  $("start-answer").hidden = false;
  announce("It has answered.");
}
