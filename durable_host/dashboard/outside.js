// The world outside the host, as the sandbox plays it: each repository's open issues, and the SMS that were sent.

import { SANDBOX } from "./address.js";
import * as api from "./api.js";
import { $, announce, fill, h, keep, setText } from "./dom.js";
import { complain } from "./form.js";
import { still, instant } from "./times.js";
import { withPhones, masked } from "./values.js";

/** @typedef {import("./api.js").Repository} Repository */
/** @typedef {import("./api.js").Sms} Sms */

/** How long a sandbox that does not answer is left alone. */
const ABSENT_MS = 15_000;

export class Outside {
  title = "GitHub and SMS";
  #absentUntil = 0;
  #repositories = /** @type {Repository[]} */ ([]);
  #edits = 0;
  #repositoriesText = "";
  #smsText = "";
  #known = /** @type {Set<string> | null} */ (null);
  #nudge;

  /** @param {import("./poll.js").Poller} poller */
  constructor(poller) {
    this.#nudge = () => poller.nudge();
    $("sandbox-page").href = SANDBOX ?? "#";
    $("sandbox-url").textContent = SANDBOX && ` at ${SANDBOX}`;
    if (!SANDBOX) return;
    poller.set("sms", 5000, () => this.#present(() => this.#loadSms()));
    poller.set("repositories", 10_000, () => this.#present(() => this.#loadRepositories()));
  }

  /** @param {() => Promise<boolean>} load */
  async #present(load) {
    if (performance.now() < this.#absentUntil) return false;
    try {
      const isNew = await load();
      document.body.classList.add("has-sandbox");
      return isNew;
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      this.#absentUntil = performance.now() + ABSENT_MS;
      document.body.classList.remove("has-sandbox");
      return false;
    }
  }

  async #loadSms() {
    const messages = await api.sms();
    const text = JSON.stringify(messages);
    if (text === this.#smsText) return false;
    this.#smsText = text;
    setText($("sms-count"), messages.length ? String(messages.length) : "");
    $("no-sms").hidden = messages.length > 0;
    for (const { sid, to, body } of messages) if (this.#known && !this.#known.has(sid)) announce(`SMS to ${masked(to)}: ${masked(body)}`);
    this.#known = new Set(messages.map(({ sid }) => sid));
    keep($("sms"), messages, ({ sid }) => sid, () => h("li", {}), (item, { to, body, sent_at }) => {
      fill(item, h("p", {}, ...withPhones(body)), h("div", { class: "meta" }, "to ", ...withPhones(to), " · ", still(instant(sent_at))));
    });
    return true;
  }

  async #loadRepositories() {
    const before = this.#edits;
    const states = await api.repositories();
    const text = JSON.stringify(states);
    // An answer that set out before an edit is older than what the page shows.
    if (before !== this.#edits || text === this.#repositoriesText) return false;
    this.#repositoriesText = text;
    this.#draw(states);
    return true;
  }

  /** @param {Repository[]} states */
  #draw(states) {
    this.#repositories = states;
    $("no-repositories").hidden = states.length > 0;
    keep($("repositories"), states, ({ repo }) => repo, () => this.#newCard(), drawCard);
  }

  #newCard() {
    const step = (by) => (event) => this.#step(/** @type {any} */ (event.currentTarget).closest("li").key, by);
    return h("li", {}, h("span", { class: "repo" }),
      h("span", { class: "stepper" }, h("button", { type: "button", click: step(-1) }, "−"), h("output", {}), h("button", { type: "button", click: step(1) }, "+")));
  }

  /** @param {string} repo @param {number} by */
  async #step(repo, by) {
    const state = this.#repositories.find((each) => each.repo === repo);
    if (!state) return;
    const changed = { ...state, open_issues: Math.max(0, state.open_issues + by) };
    this.#edits += 1;
    this.#draw(this.#repositories.map((each) => (each === state ? changed : each)));
    announce(`${repo} has ${changed.open_issues} open issues.`);
    try {
      await api.setOpenIssues(repo, changed.open_issues);
      complain($("outside-problem"), "");
    } catch (error) {
      complain($("outside-problem"), error.message);
    }
    this.#edits += 1;
    this.#repositoriesText = "";
    this.#nudge();
  }
}

/** @param {HTMLElement} card @param {Repository} state */
function drawCard(card, { repo, open_issues: count, status }) {
  const [fewer, more] = card.querySelectorAll("button");
  setText(/** @type {Node} */ (card.querySelector(".repo")), status === null ? repo : `${repo} (told to fail: ${status})`);
  setText(/** @type {Node} */ (card.querySelector("output")), String(count));
  card.querySelector("output")?.setAttribute("aria-label", `Open issues of ${repo}`);
  fewer.setAttribute("aria-label", `Fewer open issues in ${repo}`);
  more.setAttribute("aria-label", `More open issues in ${repo}`);
  fewer.disabled = count === 0;
}
