// The page's state is its address: ?api=, ?sandbox= and ?code= say whom to talk to, what follows # what to show.

const DEFAULT_SANDBOX = "http://localhost:7072";
const query = new URLSearchParams(location.search);

/** @typedef {"list" | "instance" | "start" | "outside"} View */
/** @typedef {{ view: View, id: string, params: URLSearchParams }} Route */

/** @param {string | null} text @returns {string | null} An http(s) origin; null when it is none. */
export function origin(text) {
  const url = text && URL.canParse(text) ? new URL(text) : null;
  return url && /^https?:$/.test(url.protocol) ? url.origin : null;
}

const isLoopback = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname);

/** Whose durable HTTP API the page shows. */
export const HOST = origin(query.get("api")) ?? location.origin;
/** The hub's key, which a host that is bound to more than loopback asks for. */
export const CODE = query.get("code");
/** Where the stand-ins for GitHub and Twilio are; null where they cannot be: they answer to their own machine only. */
export const SANDBOX = origin(query.get("sandbox")) ?? (isLoopback ? DEFAULT_SANDBOX : null);

/** @returns {Route} What the address asks for; what it does not know is the list. */
export function route() {
  const [path, text = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, id = ""] = path.split("/");
  const params = new URLSearchParams(text);
  if (view === "instances" && id) return { view: "instance", id: decode(id), params };
  return { view: view === "start" || view === "outside" ? view : "list", id: "", params };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The link to a view; parameters that are empty are left out.
 * @param {string} path @param {Record<string, string | null | undefined>} params
 */
export function link(path, params = {}) {
  const entries = Object.entries(params).filter(([, value]) => value);
  const text = new URLSearchParams(/** @type {[string, string][]} */ (entries)).toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

/** @param {string} id */
export const instanceLink = (id) => link(`instances/${encodeURIComponent(id)}`);

/** Go to a link in place of the present entry of the browser's history. @param {string} to */
export function replace(to) {
  history.replaceState(null, "", to);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
