// The page's state is its address: ?api= and ?code= say whom to talk to, what follows # what to show.

const query = new URLSearchParams(location.search);

/** @typedef {"list" | "instance" | "start" | "sandbox"} View */
/** @typedef {{ view: View, id: string, params: URLSearchParams }} Route */

/** @param {string | null} text @returns {string | null} An http(s) origin; null when it is none. */
function origin(text) {
  const url = text && URL.canParse(text) ? new URL(text) : null;
  return url && /^https?:$/.test(url.protocol) ? url.origin : null;
}

/** Whose durable HTTP API the page shows. */
export const HOST = origin(query.get("api")) ?? location.origin;
/** The hub's key, which a host that is bound to more than loopback asks for. */
export const CODE = query.get("code");

/** @returns {Route} What the address asks for; what it does not know is the list. */
export function route() {
  const [path, text = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, id = ""] = path.split("/");
  const params = new URLSearchParams(text);
  if (view === "instances" && id) return { view: "instance", id: decode(id), params };
  return { view: view === "start" || view === "sandbox" ? view : "list", id: "", params };
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
