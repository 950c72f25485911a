// Asks for what may have changed: at most once a second while nothing moves, never in a hidden tab.

const IDLE_MS = 1000;
const MOVING_MS = 250;
/** How long after the last change it still counts as moving. */
const SETTLE_MS = 1500;

/**
 * @typedef {object} Source
 * @property {() => Promise<boolean>} run asks once; true when it saw something new
 * @property {number} everyMs how often while nothing moves
 * @property {number} dueAt
 */

export class Poller {
  #sources = /** @type {Map<string, Source>} */ (new Map());
  #movingUntil = 0;
  #wakeAt = Infinity;
  #wake = () => {};

  constructor() {
    document.addEventListener("visibilitychange", () => document.hidden || this.nudge());
    this.#loop();
  }

  /**
   * Ask `run` from now on, first at once; a source of the same name goes.
   * @param {string} name @param {number} everyMs @param {() => Promise<boolean>} run
   */
  set(name, everyMs, run) {
    this.#sources.set(name, { run, everyMs, dueAt: 0 });
    this.#wake();
  }

  /** @param {string} name */
  remove(name) {
    this.#sources.delete(name);
  }

  /** Something is about to change: look at all of it, quickly. */
  nudge() {
    this.#movingUntil = performance.now() + SETTLE_MS;
    this.#wake();
  }

  /** Something will change in `delayMs`, such as when a timer is due. @param {number} delayMs */
  expect(delayMs) {
    this.#wakeAt = performance.now() + delayMs;
  }

  async #loop() {
    for (;;) {
      if (document.hidden) {
        await this.#sleep(Infinity);
        continue;
      }
      const startedAt = performance.now();
      if (startedAt >= this.#wakeAt) {
        this.#wakeAt = Infinity;
        this.nudge();
      }
      const isMoving = startedAt < this.#movingUntil;
      const due = this.#due(isMoving, startedAt);
      const news = await Promise.all(due.map((source) => this.#ask(source)));
      if (news.includes(true)) this.#movingUntil = performance.now() + SETTLE_MS;
      const again = startedAt + (performance.now() < this.#movingUntil ? MOVING_MS : IDLE_MS);
      // A view that was opened meanwhile has waited long enough.
      if (![...this.#sources.values()].some((source) => source.dueAt === 0))
        await this.#sleep(Math.min(again, this.#wakeAt));
    }
  }

  /**
   * All of them while something moves; else what was just set, or the one that waits longest.
   * @param {boolean} isMoving @param {number} now
   */
  #due(isMoving, now) {
    const all = [...this.#sources.values()];
    if (isMoving) return all;
    const fresh = all.filter((source) => source.dueAt === 0);
    if (fresh.length) return fresh;
    return all
      .filter((source) => source.dueAt <= now + MOVING_MS)
      .sort((a, b) => a.dueAt - b.dueAt)
      .slice(0, 1);
  }

  /** @param {Source} source */
  async #ask(source) {
    source.dueAt = performance.now() + source.everyMs;
    try {
      return await source.run();
    } catch (error) {
      reportError(error);
      return false;
    }
  }

  /** @param {number} until */
  #sleep(until) {
    return new Promise((resolve) => {
      const delayMs = until - performance.now();
      if (Number.isFinite(delayMs)) setTimeout(resolve, delayMs);
      this.#wake = () => resolve(undefined);
    });
  }
}
