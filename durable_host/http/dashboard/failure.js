// Says why an instance failed: the message first, then where it was raised, then all that the API gives.
//
// The engine appends a serialized .NET exception to an activity's error; the Python stack lies inside it.

import { h } from "./dom.js";
import { withPhones } from "./values.js";

/** What failed in the end, without who passed it on. @param {string} text */
export const cause = (text) =>
  text.replace(/ \n \{"\$type".*/s, "").replace(/^(\w+ function '[^']*' failed: +)+/, "");

/**
 * @param {string} text a failed instance's output, or an activity's reason
 * @param {string | null} details the serialized exception, where it stands apart
 */
export function failureView(text, details = null) {
  const [, message, appended] = /^(.*?)(?: \n (\{"\$type".*))?$/s.exec(text) ?? [];
  const stack = stackOf(details ?? appended);
  const rest = details ?? (appended ? text : null);
  return h(
    "div",
    { class: "failure" },
    h("p", { class: "message" }, ...withPhones(message)),
    stack && h("pre", { class: "stack", tabindex: 0, "aria-label": "Where it was raised" }, ...withPhones(stack)),
    rest &&
      h(
        "details",
        {},
        h("summary", {}, details ? "All details" : "The whole text"),
        h("pre", { tabindex: 0 }, ...withPhones(rest)),
      ),
  );
}

/** The stack of the innermost exception that has one. @param {string | undefined | null} json @returns {string} */
function stackOf(json) {
  let stack = "";
  try {
    for (let error = JSON.parse(json ?? "null"); error; error = error.InnerException)
      stack = error.RemoteStackTrace || stack;
  } catch {
    // It is no serialized exception; whoever asked shows the text.
  }
  return stack.trimEnd();
}
