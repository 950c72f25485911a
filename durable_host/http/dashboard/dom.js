// Builds elements and keeps lists of them up to date. All text goes in as text; nothing here reads markup.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes */

/** @param {string} id @returns {any} An element that index.html has. */
export const $ = (id) => document.getElementById(id);

/**
 * An element. An attribute that is a function listens to the event of its name; false and null leave one out.
 * @param {string} tag @param {Attributes} attributes @param {...Child} children @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  return fill(element, ...children);
}

/** @template {Element} T @param {T} parent @param {...Child} children @returns {T} */
export function fill(parent, ...children) {
  parent.replaceChildren(
    ...children
      .filter((child) => child != null && child !== false)
      .map((child) => (child instanceof Node ? child : String(child))),
  );
  return parent;
}

/** Set a text only when it differs, so that a selection in it survives. @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Make a parent's children those of `items`, in order. What stays keeps its element, and with it its focus.
 * @template T
 * @param {Element} parent @param {T[]} items @param {(item: T) => string} keyOf @param {() => Element} create
 * @param {(element: any, item: T) => void} update called when the item's JSON differs from the last one
 */
export function keep(parent, items, keyOf, create, update) {
  const focused = document.activeElement;
  const old = new Map([...parent.children].map((child) => [/** @type {any} */ (child).key, child]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    const element = /** @type {any} */ (old.get(key) ?? create());
    old.delete(key);
    element.key = key;
    const text = JSON.stringify(item);
    if (element.shown !== text) update(element, item);
    element.shown = text;
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  for (const element of old.values()) element.remove();
  if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) {
    focused.focus({ preventScroll: true });
  }
}

/** Say of a link whether it leads to where one is. @param {Element} anchor @param {boolean} isCurrent */
export function markCurrent(anchor, isCurrent) {
  if (isCurrent) anchor.setAttribute("aria-current", "page");
  else anchor.removeAttribute("aria-current");
}

/** What went wrong, in words. @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/** Have a screen reader say it, once the user pauses. @param {string} text */
export function announce(text) {
  $("live").textContent = text;
}

/** A button that copies a text, and says so. @param {() => string} text @param {string} label */
export function copyButton(text, label) {
  const button = h("button", { type: "button", class: "small", click: copy }, "Copy");
  button.setAttribute("aria-label", label);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      // Only pages of a secure origin have a clipboard.
      button.textContent = "Not allowed here";
    }
    announce(`${label}: ${button.textContent}`);
    setTimeout(() => setText(button, "Copy"), 2000);
  }
  return button;
}
