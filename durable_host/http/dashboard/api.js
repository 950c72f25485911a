// Calls the durable HTTP API, the app's functions and the host's clock; an error says in words what they said.

import { CODE, HOST } from "./address.js";
import { parse } from "./values.js";

const API = `${HOST}/runtime/webhooks/durabletask`;
const CLOCK = `${HOST}/durable-host/clock`;
const TIMEOUT_MS = 10_000;
/** An app's function may wait for what it starts. */
const FUNCTION_TIMEOUT_MS = 100_000;
/** The host moves its clock for up to 30 s. */
const CLOCK_TIMEOUT_MS = 40_000;

/**
 * @typedef {"Pending" | "Running" | "Suspended" | "Completed" | "Failed" | "Terminated" | "Canceled"
 *   | "ContinuedAsNew"} Status
 */
/** @typedef {Record<string, any> & { EventType: string, Timestamp: string }} HistoryEvent */
/**
 * @typedef {object} Instance
 * @property {string} name @property {string} instanceId @property {Status} runtimeStatus
 * @property {any} input @property {any} customStatus @property {any} output
 * @property {string} createdTime @property {string} lastUpdatedTime @property {HistoryEvent[]} [historyEvents]
 */
/** @typedef {Record<string, string | null | undefined>} Query Parameters that are empty are left out. */
/**
 * @typedef {object} Options
 * @property {string} [method] @property {Record<string, string>} [headers] @property {string} [body]
 * @property {number} [timeoutMs] @property {Query} [query] @property {boolean} [isAnyText] it need not be JSON
 */
/** @typedef {{ now: string, next: string | null, skipped_seconds: number }} ClockState */
/**
 * @typedef {object} FunctionInfo
 * @property {string} name @property {boolean} isDisabled
 * @property {string | null} invoke_url_template @property {string | null} test_data
 * @property {{ bindings?: { type: string, route?: string, methods?: string[], orchestration?: string }[] }} config
 */

const WORDS = /** @type {Record<number, string>} */ ({
  401: "This host asks for its key: add ?code=KEY to the page's address. The URLs that a start answers hold it.",
  404: "There is no such instance. It may have been purged.",
  410: "The instance is finished, so nothing was done.",
  500: "The host answered 500 without a reason. Its console has one.",
});

/** An answer that is an error, or none at all (status 0). `field` names the culprit in what was sent, if known. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message @param {any} [body] */
  constructor(status, message, body) {
    super(message);
    this.status = status;
    this.body = body;
    /** @type {string | null} */
    this.field = body?.error?.field ?? null;
  }
}

/** @param {string} url @param {Options} options */
async function send(url, { timeoutMs = TIMEOUT_MS, query = {}, isAnyText = false, ...options } = {}) {
  const target = new URL(url);
  for (const [name, value] of Object.entries(query)) if (value) target.searchParams.set(name, value);
  if (CODE && target.origin === HOST) target.searchParams.set("code", CODE);
  let response, text;
  try {
    response = await fetch(target, { ...options, signal: AbortSignal.timeout(timeoutMs) });
    text = await response.text();
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(
      0,
      `${target.origin} ${isLate ? `did not answer within ${timeoutMs / 1000} s` : "does not answer"}.`,
    );
  }
  /** @type {any} */ let value = null;
  try {
    value = text ? (url.startsWith(API) ? parse : JSON.parse)(text) : null;
  } catch {
    if (response.ok && !isAnyText)
      throw new ApiError(response.status, `${target.origin} answered with something that is not JSON.`);
    value = text;
  }
  if (!response.ok) throw new ApiError(response.status, inWords(response.status, value), value);
  return { value, text, headers: response.headers };
}

/** What an error's body says, whichever of the shapes it has. @param {number} status @param {any} body */
function inWords(status, body) {
  const said =
    typeof body === "string"
      ? body
      : (body?.error?.message ?? body?.error ?? body?.ExceptionMessage ?? body?.Message);
  return typeof said === "string" && said
    ? said
    : (WORDS[status] ?? `The host answered ${status} without a reason.`);
}

/** @param {string} url @param {string} [body] @param {Query} [query] */
const post = (url, body, query) =>
  send(url, { method: "POST", headers: body ? { "Content-Type": "application/json" } : {}, body, query });

/** The extension decodes a path's id once more, by the rules of forms. @param {string} text */
const segment = (text) => encodeURIComponent(encodeURIComponent(text));

/** @param {string} id */
const instanceUrl = (id) => `${API}/instances/${segment(id)}`;

/**
 * One page of instances, and the token of the next.
 * @param {Query} query @param {string | null} token
 * @returns {Promise<{ rows: Instance[], text: string, next: string | null }>}
 */
export async function instances(query, token) {
  const answer = await send(`${API}/instances`, {
    query,
    headers: token ? { "x-ms-continuation-token": token } : {},
  });
  return { rows: answer.value, text: answer.text, next: answer.headers.get("x-ms-continuation-token") };
}

/** @param {string} id @param {boolean} withHistory @returns {Promise<{ value: Instance, text: string }>} */
export const instance = (id, withHistory) =>
  send(instanceUrl(id), { query: withHistory ? { showHistory: "true", showHistoryOutput: "true" } : {} });

/** @param {string} id @param {"terminate" | "suspend" | "resume" | "rewind"} verb @param {string} reason */
export const tell = (id, verb, reason) => post(`${instanceUrl(id)}/${verb}`, undefined, { reason });

/** @param {string} id */
export const purge = (id) => send(instanceUrl(id), { method: "DELETE" });

/** @param {string} id @param {boolean} withNewId @returns {Promise<string>} The id. */
export const restart = async (id, withNewId) =>
  (await post(`${instanceUrl(id)}/restart`, undefined, { restartWithNewInstanceId: String(withNewId) })).value.id;

/** @param {string} id @param {string} name @param {string} data JSON text */
export const raiseEvent = (id, name, data) => post(`${instanceUrl(id)}/raiseEvent/${segment(name)}`, data);

/** The app's functions. */
export const functions = () => send(`${HOST}/admin/functions`);

/**
 * Call whatever has this path, with a JSON text or none; what it answers need not be JSON.
 * @param {string} method @param {string} path @param {string} body
 */
export function call(method, path, body) {
  const headers = body ? { "Content-Type": "application/json" } : undefined;
  return send(HOST + path, {
    method,
    headers,
    body: body || undefined,
    timeoutMs: FUNCTION_TIMEOUT_MS,
    isAnyText: true,
  });
}

/** @returns {Promise<ClockState>} */
export const clock = async () => (await send(CLOCK)).value;

/** @param {{ skip: "next" } | { advance_seconds: number }} wish @returns {Promise<ClockState>} */
export const moveClock = async (wish) =>
  (await send(CLOCK, { method: "POST", body: JSON.stringify(wish), timeoutMs: CLOCK_TIMEOUT_MS })).value;

/** The page of the stand-ins that this page's host runs, if any. @returns {Promise<string | null>} */
export const sandboxUrl = async () => (await send(`${location.origin}/durable-host/sandbox`)).value.url;
