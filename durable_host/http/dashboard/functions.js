// What the host tells of the app's functions: which start an orchestrator, at which address, with which sample.

import { HOST } from "./address.js";
import * as api from "./api.js";

/** @typedef {{ name: string, isOptional: boolean, isOrchestrator: boolean }} Parameter */
/**
 * @typedef {object} Starter
 * @property {string} name
 * @property {string} method
 * @property {string} route the template of its path, such as `start/{name}/{id?}`
 * @property {Parameter[]} parameters
 * @property {string | null} sample the body to test with
 * @property {boolean} isOfTheHost the durable HTTP API itself, which decodes what stands in a path twice
 */
/** @typedef {{ starters: Starter[], orchestrators: string[], text: string }} App */
/** @typedef {{ type: string, route?: string, methods?: string[], orchestration?: string }} Binding */
/** @typedef {import("./api.js").FunctionInfo} FunctionInfo */

const PARAMETER = /\{(\**)([^{}*:=?]+)((?:[^{}]|\{\{|\}\})*)\}/g;
const NAMES_ORCHESTRATOR = /^(function|orchestrat(or|ion)|workflow)_?(name)?$/i;
const CLIENTS = ["durableclient", "orchestrationclient"];

const DURABLE_API = starter(
  "Durable HTTP API",
  "POST",
  "runtime/webhooks/durabletask/orchestrators/{functionName}/{instanceId?}",
);
DURABLE_API.isOfTheHost = true;

/**
 * @returns {Promise<App>} What can be started; where the host tells nothing of functions, by its own API alone.
 */
export async function loadApp() {
  try {
    const { value, text } = await api.functions();
    const functions = /** @type {FunctionInfo[]} */ (value).filter(({ isDisabled }) => !isDisabled);
    return {
      starters: [...functions.map(starterOf).filter((each) => each !== null), DURABLE_API],
      orchestrators: functions.flatMap(orchestratorOf),
      text,
    };
  } catch (error) {
    if (!(error instanceof api.ApiError) || error.status === 0) throw error;
    return { starters: [DURABLE_API], orchestrators: [], text: "none" };
  }
}

/**
 * @param {string} name @param {string} method @param {string} route @param {string | null} sample
 * @returns {Starter}
 */
function starter(name, method, route, sample = null) {
  const parameters = [...route.matchAll(PARAMETER)].map(([, stars, parameter, rest]) => ({
    name: parameter,
    isOptional: Boolean(stars) || /\?$|=[^()]*$/.test(rest),
    isOrchestrator: NAMES_ORCHESTRATOR.test(parameter),
  }));
  return { name, method, route, parameters, sample, isOfTheHost: false };
}

/** @param {FunctionInfo} info @param {...string} types in lower case @returns {Binding | undefined} */
const bindingOf = ({ config }, ...types) =>
  config.bindings?.find(({ type }) => types.includes(type?.toLowerCase()));

/** @param {FunctionInfo} info @returns {Starter | null} */
function starterOf(info) {
  const trigger = bindingOf(info, "httptrigger");
  if (!trigger || !info.invoke_url_template || !bindingOf(info, ...CLIENTS)) return null;
  const methods = trigger.methods?.map((each) => each.toUpperCase()) ?? ["POST"];
  // The host writes it in lower case; the binding has the names as the app spells them.
  const path = info.invoke_url_template.replace(/^\w+:\/\/[^/]*\//, "");
  const route = trigger.route || info.name;
  const isItsEnd = path.endsWith(route.toLowerCase());
  return starter(
    info.name,
    methods.includes("POST") ? "POST" : (methods[0] ?? "POST"),
    isItsEnd ? path.slice(0, path.length - route.length) + route : path,
    info.test_data || null,
  );
}

/** The durable name may differ from the function's. @param {FunctionInfo} info */
function orchestratorOf(info) {
  const trigger = bindingOf(info, "orchestrationtrigger");
  return trigger ? [trigger.orchestration ?? info.name] : [];
}

/**
 * The path of a starter with its parameters filled in; what is left out goes with its slash.
 * @param {Starter} starter @param {(name: string) => string} valueOf
 */
export function pathOf({ route, isOfTheHost }, valueOf) {
  const encode = isOfTheHost
    ? (/** @type {string} */ text) => encodeURIComponent(encodeURIComponent(text))
    : encodeURIComponent;
  const path = route.replace(new RegExp(`(/?)${PARAMETER.source}`, "g"), (_, slash, stars, name) => {
    const value = valueOf(name);
    if (!value) return "";
    return slash + (stars ? value.split("/").map(encode).join("/") : encode(value));
  });
  return `/${path}`;
}

/**
 * A command that starts something, where it needs no more than the app tells.
 * @param {App} app @returns {string | null}
 */
export function sampleCall({ starters, orchestrators }) {
  const [first] = starters;
  const isFilled = first.parameters.every(
    ({ isOptional, isOrchestrator }) => isOptional || (isOrchestrator && orchestrators.length),
  );
  if (!isFilled) return null;
  const optional = first.parameters.filter(({ isOptional }) => isOptional).map(({ name }) => name);
  const path = pathOf(first, (name) => (optional.includes(name) ? "" : orchestrators[0]));
  const body = first.sample && ` -d '${first.sample.trim().replaceAll("'", "'\\''")}'`;
  return `curl -X ${first.method} ${HOST}${path}${body ?? ""}`;
}
