// Reads an instance's historyEvents as what happened, one row each: what was called and what came of it, together.
//
// The API folds a call into its result and leaves the borders of episodes out. Both are worked out here: an
// episode begins with what wakes the orchestrator and ends with what it then decides. No element is made here.

import { instant } from "./times.js";

/** @typedef {import("./api.js").HistoryEvent} HistoryEvent */
/**
 * @typedef {object} Row
 * @property {"start" | "activity" | "orchestrator" | "timer" | "event" | "control" | "end"} kind
 * @property {"done" | "failed" | "open" | "void"} state `open`: runs or waits still; `void`: nobody waits any more
 * @property {string} title
 * @property {number} from ms since 1970
 * @property {number | null} to when it was over, or when a timer is due; null for what is open or takes no time
 * @property {any} value what it came to, or came with
 * @property {string | null} details
 * @property {string | null} child the id of a sub-orchestration, where the history has it
 * @property {number} episode
 */
/** @typedef {{ event: HistoryEvent, at: number, decides: boolean }} Entry */
/** @typedef {{ id: string, isOver: boolean, fired: Set<string>, first: HistoryEvent }} Context */

const CONTROL = /** @type {Record<string, string>} */ ({
  ExecutionSuspended: "Suspended",
  ExecutionResumed: "Resumed",
  ExecutionTerminated: "Told to terminate",
  GenericEvent: "Rewound",
});
const DECISIONS = [
  "TaskScheduled",
  "SubOrchestrationInstanceCreated",
  "TimerCreated",
  "EventSent",
  "ExecutionCompleted",
];
/** Azure Storage lets timers fire up to a second early. */
const EARLY_MS = 1000;
/** Ids that the engine gives to sub-orchestrations. */
const CHILD_ID = /^[0-9a-f-]{32,36}:[0-9a-f]+$/;

/**
 * @param {HistoryEvent[]} events @param {string} id the instance's
 * @returns {Row[]} In the order in which they began.
 */
export function timeline(events, id) {
  const context = {
    id,
    isOver: events.some((event) => event.EventType === "ExecutionCompleted"),
    fired: new Set(events.filter((event) => event.EventType === "TimerFired").map((event) => event.FireAt)),
    first: events[0],
  };
  const rows = [];
  let episode = 0,
    hasDecided = true;
  for (const { event, decides } of entries(events)) {
    if (!decides && hasDecided) episode += 1;
    hasDecided = decides;
    const row = rowOf(event, context);
    if (row) rows.push({ ...row, episode });
  }
  return rows;
}

/**
 * The events in order, each folded call once more where it was made.
 * @param {HistoryEvent[]} events @returns {Entry[]}
 */
function entries(events) {
  const entries = /** @type {Entry[]} */ ([]);
  let last = 0;
  for (const event of events) {
    // A TimerFired bears the time at which its timer was created.
    const at =
      event.EventType === "TimerFired"
        ? Math.max(last, instant(event.FireAt) - EARLY_MS)
        : instant(event.Timestamp);
    if (event.ScheduledTime) insertCall(entries, event);
    entries.push({ event, at, decides: DECISIONS.includes(event.EventType) });
    last = Math.max(last, at);
  }
  return entries;
}

/** @param {Entry[]} entries @param {HistoryEvent} result whose call stood among them */
function insertCall(entries, result) {
  const at = instant(result.ScheduledTime);
  let index = entries.length;
  while (index > 0 && entries[index - 1].at > at) index -= 1;
  entries.splice(index, 0, {
    event: { EventType: "Call", Timestamp: result.ScheduledTime, result },
    at,
    decides: true,
  });
}

/** @param {HistoryEvent} event @param {Context} context @returns {Omit<Row, "episode"> | null} */
function rowOf(event, context) {
  const row = { from: instant(event.Timestamp), to: null, value: undefined, details: null, child: null };
  const [done, open] = /** @type {Row["state"][]} */ (["done", context.isOver ? "void" : "open"]);
  switch (event.EventType) {
    case "ExecutionStarted":
      return { ...row, kind: "start", state: done, title: startTitle(event, context) };
    case "Call":
      return { ...row, ...outcome(event.result) };
    case "TaskScheduled":
      return { ...row, kind: "activity", state: open, title: event.Name };
    case "SubOrchestrationInstanceCreated":
      return { ...row, kind: "orchestrator", state: open, title: event.Name, child: event.InstanceId };
    case "TimerCreated":
      return {
        ...row,
        kind: "timer",
        state: context.fired.has(event.FireAt) ? done : open,
        title: "Timer",
        to: instant(event.FireAt),
      };
    case "EventRaised":
      return { ...row, kind: "event", state: done, title: event.Name, value: event.Input };
    case "EventSent":
      return {
        ...row,
        kind: "event",
        state: done,
        title: `${event.Name} to ${event.InstanceId}`,
        value: event.Input,
      };
    case "ExecutionCompleted": {
      const state = event.OrchestrationStatus === "Failed" ? "failed" : done;
      return { ...row, kind: "end", state, title: event.OrchestrationStatus, value: event.Result };
    }
    default: {
      // A result's row is its call's, and a timer's the one that created it.
      if (event.ScheduledTime || event.EventType === "TimerFired") return null;
      const value = event.Reason ?? event.Input ?? event.Data ?? undefined;
      return { ...row, kind: "control", state: done, title: CONTROL[event.EventType] ?? event.EventType, value };
    }
  }
}

/** What a call came to. @param {HistoryEvent} result */
function outcome(result) {
  const isFailed = result.EventType.endsWith("Failed");
  return {
    title: result.FunctionName,
    kind: /** @type {Row["kind"]} */ (result.EventType.startsWith("Task") ? "activity" : "orchestrator"),
    state: /** @type {Row["state"]} */ (isFailed ? "failed" : "done"),
    to: instant(result.Timestamp),
    value: isFailed ? result.Reason : result.Result,
    details: isFailed ? result.Details : null,
  };
}

/**
 * Only what somebody started bears the number of its generation.
 * @param {HistoryEvent} event @param {Context} context
 */
function startTitle(event, { id, first }) {
  if (event !== first) return "Started once more";
  if (event.Generation !== null) return "Started";
  if (CHILD_ID.test(id)) return "Called by an orchestrator";
  return "Continued as new, or called";
}
