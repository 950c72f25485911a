// One instance: why it failed, what it waits for, its values, its timeline, and what one may do to it.

import { instanceLink, link, replace } from "./address.js";
import { actionsFor, ask } from "./actions.js";
import * as api from "./api.js";
import { announce, copyButton, fill, h, keep, setText } from "./dom.js";
import { failureView } from "./failure.js";
import { drawTimeline } from "./history.js";
import { chip, isFinished } from "./status.js";
import { timeline } from "./timeline.js";
import { duration, instant, live, still } from "./times.js";
import { asText, unwrap, valueView, withPhones } from "./values.js";

/** @typedef {import("./api.js").Instance} Instance */

const MOST_ROWS = 200;
/** Timestamps of a status have whole seconds: for so long its history may change and its status not show it. */
const BLIND_MS = 2000;

export class InstanceView {
  #id = "";
  #params = new URLSearchParams();
  /** @type {Instance | null} */ #status = null;
  #statusText = "";
  #historyText = "";
  #changedAt = 0;
  everyMs = 2000;
  #nudge;
  #title = h("h1", { tabindex: -1, class: "id" });
  #facts = h("p", { class: "facts soft" });
  #actions = h("div", { class: "actions", role: "group", "aria-label": "Actions" });
  #why = h("section", { class: "why", hidden: true });
  #values = h("div", { class: "values" });
  #rows = h("ol", { class: "timeline" });
  #note = h("p", { class: "soft" });
  #json = h("pre", { tabindex: 0, "aria-label": "Raw events" });
  #raw = h(
    "details",
    { class: "raw", toggle: () => this.#onRaw() },
    h("summary", {}, "Raw events"),
    h(
      "div",
      { class: "buttons" },
      copyButton(() => this.#json.textContent, "Copy the raw events"),
      h("button", { type: "button", class: "small", click: () => this.#download() }, "Download"),
    ),
    this.#json,
  );
  #body = h(
    "div",
    {},
    this.#why,
    this.#values,
    h(
      "section",
      { "aria-labelledby": "timeline-title" },
      h("h2", { id: "timeline-title" }, "Timeline"),
      this.#rows,
      this.#note,
    ),
    this.#raw,
  );
  #missing = h("div", { class: "empty", hidden: true });
  element = h(
    "div",
    { class: "instance-view" },
    h("p", { class: "back" }, h("a", { href: link("") }, "‹ All instances")),
    h("header", {}, h("div", {}, this.#title, this.#facts), this.#actions),
    this.#missing,
    this.#body,
  );

  /** @param {() => void} nudge called when something is about to change */
  constructor(nudge) {
    this.#nudge = nudge;
  }

  get title() {
    return `${this.#status ? `${this.#status.runtimeStatus}: ` : ""}${this.#id}`;
  }

  /** @param {import("./address.js").Route} route */
  show({ id, params }) {
    const isOther = id !== this.#id;
    this.#id = id;
    this.#params = params;
    this.#historyText = "";
    if (isOther) {
      this.#status = null;
      this.#statusText = "";
      setText(this.#title, id);
      for (const part of [this.#facts, this.#actions, this.#values, this.#rows, this.#json])
        part.replaceChildren();
      for (const part of [this.#why, this.#missing]) part.hidden = true;
      this.#body.hidden = true;
    }
    this.#raw.open = params.has("raw");
  }

  async load() {
    const id = this.#id;
    let status;
    try {
      status = await api.instance(id, false);
    } catch (error) {
      if (!(error instanceof api.ApiError && error.status === 404)) throw error;
      if (id === this.#id) this.#drawMissing(error.message);
      return false;
    }
    if (id !== this.#id) return false;
    const isNew = status.text !== this.#statusText;
    if (isNew) {
      this.#drawStatus(status.value);
      this.#statusText = status.text;
      this.#changedAt = performance.now();
    }
    if (!isNew && this.#historyText && performance.now() - this.#changedAt > BLIND_MS) return false;
    return (await this.#loadHistory(id)) || isNew;
  }

  /** @param {string} id */
  async #loadHistory(id) {
    let full;
    try {
      full = await api.instance(id, true);
    } catch (error) {
      // Some histories the extension cannot show: non-determinism leaves two events of one number.
      if (!(error instanceof api.ApiError && error.status >= 400)) throw error;
      setText(this.#note, `The host cannot show this history: ${error.message}`);
      this.#historyText = "none";
      return false;
    }
    if (id !== this.#id || full.text === this.#historyText) return false;
    this.#historyText = full.text;
    this.#drawHistory(full.value.historyEvents ?? []);
    return true;
  }

  /** @param {string} text */
  #drawMissing(text) {
    this.#body.hidden = true;
    this.#missing.hidden = false;
    this.#statusText = this.#historyText = "";
    fill(this.#actions);
    fill(this.#facts);
    fill(this.#missing, h("p", {}, text), h("a", { class: "button", href: link("") }, "Show all instances"));
  }

  /** @param {Instance} status */
  #drawStatus(status) {
    const before = this.#status;
    this.#status = status;
    this.#missing.hidden = true;
    this.#body.hidden = false;
    if (before && before.runtimeStatus !== status.runtimeStatus)
      announce(`${status.instanceId} is ${status.runtimeStatus}.`);
    const [created, updated] = [instant(status.createdTime), instant(status.lastUpdatedTime)];
    const isOver = isFinished(status.runtimeStatus);
    fill(
      this.#facts,
      chip(status.runtimeStatus),
      h("b", {}, ...withPhones(status.name)),
      h("span", {}, "created ", still(created)),
      isOver
        ? h("span", {}, "ended ", still(updated), updated > created && ` after ${duration(updated - created)}`)
        : h("span", {}, "updated ", live("since", updated)),
    );
    keep(
      this.#actions,
      actionsFor(status).map(({ label }) => label),
      (label) => label,
      () => h("button", { type: "button" }),
      (button, label) => {
        const action = actionsFor(status).find((each) => each.label === label);
        setText(button, label);
        button.classList.toggle("dangerous", action?.isDangerous ?? false);
        button.onclick = () => action && ask(action, this.#id, this.#nudge);
      },
    );
    this.#drawWhy(status);
    fill(
      this.#values,
      ...[
        ["Input", status.input],
        ["Custom status", status.customStatus],
        ["Output", status.output],
      ]
        // A failure's output, and a reason, stand above already.
        .filter(([name, value]) => name === "Input" || (value !== null && (name !== "Output" || this.#why.hidden)))
        .map(([name, value]) => h("section", {}, h("h2", {}, name), valueView(unwrap(value)))),
    );
  }

  /** @param {Instance} status */
  #drawWhy({ runtimeStatus, output }) {
    const words = /** @type {Partial<Record<api.Status, string>>} */ ({
      Failed: "Why it failed",
      Terminated: "Terminated",
      Suspended: "Suspended",
      Canceled: "Canceled",
    });
    const isShown = runtimeStatus in words && output !== null;
    this.#why.hidden = !isShown;
    if (!isShown) return;
    this.#why.className = `why ${runtimeStatus.toLowerCase()}`;
    fill(this.#why, h("h2", {}, words[runtimeStatus]), failureView(asText(output)));
  }

  /** @param {import("./api.js").HistoryEvent[]} events */
  #drawHistory(events) {
    const rows = timeline(events, this.#id);
    const hidden = this.#params.has("all") ? 0 : Math.max(0, rows.length - MOST_ROWS);
    drawTimeline(this.#rows, rows.slice(hidden));
    const isWaiting =
      this.#status &&
      !isFinished(this.#status.runtimeStatus) &&
      rows.length &&
      !rows.some((row) => row.state === "open");
    fill(
      this.#note,
      hidden > 0 && h("a", { href: `${instanceLink(this.#id)}?all=1` }, `Show the ${hidden} earlier ones too`),
      hidden > 0 && ". ",
      isWaiting && "Nothing it called is open and no timer is set: it waits for an external event. ",
      rows.length
        ? "Episodes are worked out from the events; of earlier generations no host keeps any."
        : "Nothing has happened yet.",
    );
    this.#drawRaw(events);
  }

  /** @param {import("./api.js").HistoryEvent[]} events */
  #drawRaw(events) {
    fill(this.#json, ...(this.#raw.open ? withPhones(JSON.stringify(events, null, 2)) : []));
  }

  #onRaw() {
    if (this.#raw.open === this.#params.has("raw")) return;
    replace(
      link(`instances/${encodeURIComponent(this.#id)}`, {
        ...Object.fromEntries(this.#params),
        raw: this.#raw.open ? "1" : "",
      }),
    );
  }

  #download() {
    const url = URL.createObjectURL(new Blob([this.#json.textContent], { type: "application/json" }));
    h("a", { href: url, download: `${this.#id.replace(/[^\w.-]/g, "_")}.history.json` }).click();
    URL.revokeObjectURL(url);
  }
}
