// The host's clock: what time it is, when the next timer is due, and the buttons that move it.

import { HOST } from "./address.js";
import * as api from "./api.js";
import { $, announce, fill, messageOf, setText } from "./dom.js";
import { complain } from "./form.js";
import { clockText, duration, instant, live, now, setNow } from "./times.js";

/** @typedef {import("./poll.js").Poller} Poller */

const LATE_MS = 2000;
/** How long after a timer is due its effect is looked for. */
const AFTER_MS = 30;

export class TimeBar {
  #poller;
  #shown = "";

  /** @param {Poller} poller */
  constructor(poller) {
    this.#poller = poller;
    poller.set("clock", 5000, () => this.#load());
    $("skip").addEventListener("click", () => this.#move({ skip: "next" }));
    for (const button of document.querySelectorAll("[data-seconds]")) {
      button.addEventListener("click", () =>
        this.#move({ advance_seconds: Number(/** @type {HTMLElement} */ (button).dataset.seconds) }),
      );
    }
  }

  async #load() {
    try {
      return this.#draw(await api.clock());
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      // Another host than durable_host has none. One that is away just now is told of by the view.
      if (error.status || HOST !== location.origin) this.#poller.remove("clock");
      return false;
    }
  }

  /** @param {api.ClockState} state */
  #draw(state) {
    setNow(state.now, Date.now());
    $("time").hidden = false;
    const inMs = state.next ? instant(state.next) - now() : NaN;
    // What is long due and still waits is no reason for haste.
    if (inMs > -LATE_MS) this.#poller.expect(Math.max(0, inMs) + AFTER_MS);
    const text = JSON.stringify([state.next, Math.round(state.skipped_seconds)]);
    if (text === this.#shown) return false;
    this.#shown = text;
    setText($("ahead"), state.skipped_seconds >= 1 ? `${duration(state.skipped_seconds * 1000)} ahead` : "");
    fill($("next"), ...(state.next ? ["next timer ", live("until", instant(state.next))] : ["no timer waits"]));
    $("skip").disabled = !state.next;
    return true;
  }

  /** @param {Parameters<typeof api.moveClock>[0]} wish */
  async #move(wish) {
    const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ ($("time").querySelectorAll("button"));
    const focused = document.activeElement;
    complain($("time-problem"), "");
    $("time").setAttribute("aria-busy", "true");
    for (const button of buttons) button.disabled = true;
    this.#poller.nudge();
    try {
      const state = await api.moveClock(wish);
      this.#shown = "";
      this.#draw(state);
      announce(`It is ${clockText(now())}.`);
    } catch (error) {
      complain($("time-problem"), messageOf(error));
    }
    for (const button of buttons) button.disabled = false;
    this.#shown = "";
    $("time").removeAttribute("aria-busy");
    if (focused instanceof HTMLElement) focused.focus();
    this.#poller.nudge();
  }

  /** Show the time as it is now. */
  tick() {
    setText($("now"), clockText(now()));
  }
}
