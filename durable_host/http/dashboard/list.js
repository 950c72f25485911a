// The list of instances: filters, pages, and one line for each that says what it waits for or how it ended.

import { HOST, instanceLink, link, replace } from "./address.js";
import * as api from "./api.js";
import { announce, copyButton, fill, h, keep, setText } from "./dom.js";
import { loadApp, sampleCall } from "./functions.js";
import { chip, line, STATUSES, summary } from "./status.js";
import { instant, live, now, still } from "./times.js";
import { masked } from "./values.js";

/** @typedef {import("./api.js").Instance} Instance */

const PAGE = 50;
const TYPING_MS = 250;
const SPANS = /** @type {Record<string, [string, number]>} */ ({
  "10m": ["last 10 minutes", 600_000],
  "1h": ["last hour", 3_600_000],
  "1d": ["last day", 86_400_000],
});
const COLUMNS = ["Status", "Orchestrator", "Instance", "In short", "Created", "Updated"];

export class ListView {
  /** @type {URLSearchParams} */ #params = new URLSearchParams();
  /** The token of the page before a token's. */
  #before = /** @type {Map<string, string>} */ (new Map());
  #shown = "";
  /** The statuses that are shown, by id. */ #known = new Map();
  #typing = 0;
  /** @type {string | null | undefined} Not asked for yet while undefined. */ #sampleCall;

  #statuses = STATUSES.map((status) => {
    const click = () => this.#toggle(status);
    return h(
      "button",
      { type: "button", class: "filter", "aria-pressed": "false", value: status, click },
      chip(status),
    );
  });
  #prefix = h("input", {
    type: "search",
    "aria-label": "Id begins with",
    placeholder: "Id begins with…",
    autocomplete: "off",
    spellcheck: "false",
    input: () => this.#type(),
  });
  #since = h(
    "select",
    { "aria-label": "Created", change: () => this.#filter({ since: this.#since.value }) },
    h("option", { value: "" }, "created any time"),
    ...Object.entries(SPANS).map(([value, [text]]) => h("option", { value }, text)),
  );
  #body = h("tbody", { role: "rowgroup" });
  #table = h(
    "table",
    { role: "table", "aria-label": "Instances" },
    h(
      "thead",
      { role: "rowgroup" },
      h("tr", { role: "row" }, ...COLUMNS.map((name) => h("th", { role: "columnheader", scope: "col" }, name))),
    ),
    this.#body,
  );
  #empty = h("div", { class: "empty", hidden: true });
  #count = h("p", { class: "soft" });
  #pages = h("nav", { class: "pages", "aria-label": "Pages" });
  element = h(
    "div",
    { class: "list-view" },
    h("h1", { tabindex: -1 }, "Instances"),
    h(
      "div",
      { class: "filters", role: "group", "aria-label": "Filters" },
      h("div", { class: "statuses" }, ...this.#statuses),
      this.#prefix,
      this.#since,
    ),
    this.#table,
    this.#empty,
    h("div", { class: "foot" }, this.#count, this.#pages),
  );
  everyMs = 2000;
  title = "Instances";

  /** @param {import("./address.js").Route} route */
  show({ params }) {
    this.#params = params;
    this.#shown = "";
    this.#table.setAttribute("aria-busy", "true");
    const chosen = params.get("status")?.split(",") ?? [];
    for (const button of this.#statuses)
      button.setAttribute("aria-pressed", String(chosen.includes(button.value)));
    if (document.activeElement !== this.#prefix) this.#prefix.value = params.get("prefix") ?? "";
    this.#since.value = params.get("since") ?? "";
  }

  async load() {
    const asked = this.#params;
    const [, span] = SPANS[asked.get("since") ?? ""] ?? [];
    const page = await api.instances(
      {
        top: String(PAGE),
        runtimeStatus: asked.get("status"),
        instanceIdPrefix: asked.get("prefix"),
        createdTimeFrom: span ? new Date(now() - span).toISOString() : null,
      },
      asked.get("token"),
    );
    if (!page.rows.length && !asked.size && this.#sampleCall === undefined)
      this.#sampleCall = sampleCall(await loadApp());
    const text = `${page.next} ${page.text}`;
    if (asked !== this.#params || text === this.#shown) return false;
    const changed = page.rows.filter(
      ({ instanceId, runtimeStatus }) => this.#known.get(instanceId) !== runtimeStatus,
    );
    const words = changed.map(({ instanceId, runtimeStatus }) => `${instanceId} is ${runtimeStatus}.`);
    if (this.#shown && changed.length)
      announce(changed.length > 3 ? `${changed.length} instances have changed.` : words.join(" "));
    this.#known = new Map(page.rows.map(({ instanceId, runtimeStatus }) => [instanceId, runtimeStatus]));
    this.#shown = text;
    this.#draw(page.rows, page.next);
    return true;
  }

  /** @param {Instance[]} rows @param {string | null} next */
  #draw(rows, next) {
    const token = this.#params.get("token");
    // The API's order is the id's. What fits on one page can be shown by age.
    const isWhole = !token && !next;
    if (isWhole) rows.sort((a, b) => b.createdTime.localeCompare(a.createdTime));
    keep(this.#body, rows, (row) => row.instanceId, newRow, updateRow);
    this.#table.removeAttribute("aria-busy");
    this.#table.hidden = rows.length === 0;
    this.#empty.hidden = rows.length > 0;
    if (!rows.length) fill(this.#empty, ...this.#nothing());
    const isCut = !next && rows.length === PAGE && HOST !== location.origin;
    const order = isWhole ? "newest first" : "in the order of their ids";
    setText(
      this.#count,
      rows.length
        ? `${rows.length} ${rows.length === 1 ? "instance" : "instances"}, ${order}.${
            isCut
              ? " There may be more, but this host keeps the next page's token to itself: filter by status or id."
              : ""
          }`
        : "",
    );
    this.#drawPages(token, next);
  }

  /** @param {string | null} token @param {string | null} next */
  #drawPages(token, next) {
    const before = token === null ? undefined : this.#before.get(token);
    if (next) this.#before.set(next, token ?? "");
    const steps = /** @type {[string, string | null | undefined][]} */ ([
      ["First", token && ""],
      ["Previous", before],
      ["Next", next],
    ]);
    const links = steps.map(([text, to]) => ({
      text,
      to: to === null || to === undefined ? null : this.#link({ token: to }),
    }));
    keep(
      this.#pages,
      links.filter(({ to }) => to !== null),
      ({ text }) => text,
      () => h("a", { class: "button" }),
      (element, { text, to }) => {
        element.href = to;
        setText(element, text);
      },
    );
  }

  #nothing() {
    if (this.#params.size) {
      return [
        h("p", {}, "No instance is like that."),
        h("a", { class: "button", href: link("") }, "Show all instances"),
      ];
    }
    const call = this.#sampleCall;
    return [
      h("p", {}, "Nothing has been started yet."),
      h("a", { class: "button primary", href: link("start") }, "Start an instance"),
      ...(call
        ? [
            h("p", { class: "soft" }, "or, in a terminal:"),
            h(
              "div",
              { class: "curl" },
              h("code", {}, call),
              copyButton(() => call, "Copy the command"),
            ),
          ]
        : []),
    ];
  }

  /** @param {Record<string, string>} changes */
  #link(changes) {
    return link("", { ...Object.fromEntries(this.#params), ...changes });
  }

  /** @param {Record<string, string>} changes */
  #filter(changes) {
    location.hash = this.#link({ ...changes, token: "" });
  }

  /** @param {string} status */
  #toggle(status) {
    const chosen = new Set(this.#params.get("status")?.split(","));
    if (!chosen.delete(status)) chosen.add(status);
    this.#filter({ status: STATUSES.filter((each) => chosen.has(each)).join(",") });
  }

  #type() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => replace(this.#link({ prefix: this.#prefix.value, token: "" })), TYPING_MS);
  }
}

function newRow() {
  const cells = ["status", "name", "id", "says", "created", "updated"].map((name) =>
    h("td", { role: "cell", class: name }),
  );
  cells[2].append(h("a", {}));
  return h("tr", { role: "row" }, ...cells);
}

/** @param {HTMLTableRowElement} row @param {Instance} instance */
function updateRow(row, instance) {
  const [status, name, id, says, created, updated] = row.cells;
  const anchor = /** @type {HTMLAnchorElement} */ (id.firstElementChild);
  fill(status, chip(instance.runtimeStatus));
  setText(name, masked(instance.name));
  anchor.href = instanceLink(instance.instanceId);
  anchor.title = instance.instanceId;
  setText(anchor, instance.instanceId);
  fill(says, h("div", {}, ...summary(instance)), h("div", { class: "soft input" }, ...line(instance.input)));
  fill(created, still(instant(instance.createdTime)));
  fill(updated, live("since", instant(instance.lastUpdatedTime)));
}
