// What one may do to an instance: each in a dialog that says what happens and shows the API's own error.

import { instanceLink, link } from "./address.js";
import * as api from "./api.js";
import { $, announce, fill, h, messageOf } from "./dom.js";
import { complain, fieldView } from "./form.js";
import { isFinished } from "./status.js";

/** @typedef {import("./api.js").Instance} Instance */
/** @typedef {import("./form.js").Field} Field */
/**
 * @typedef {object} Action
 * @property {string} label
 * @property {string} text what it does, in a sentence
 * @property {boolean} [isDangerous]
 * @property {(instance: Instance) => boolean} isFor
 * @property {Field[]} fields
 * @property {(id: string, values: Record<string, string>) => Promise<string | void>} run the link to go to, if any
 */

const REASON = /** @type {Field} */ ({
  name: "reason",
  label: "Reason",
  hint: "Optional; it is kept with the instance.",
});

/** @param {Instance} instance */
const isLive = ({ runtimeStatus }) => !isFinished(runtimeStatus);

/** @param {"terminate" | "suspend" | "resume" | "rewind"} verb @returns {Action["run"]} */
const tell =
  (verb) =>
  async (id, { reason }) => {
    await api.tell(id, verb, reason);
  };

const ACTIONS = /** @type {Action[]} */ ([
  {
    label: "Raise event",
    text: "Sends the instance an external event. It is kept until the orchestrator waits for one of this name.",
    isFor: isLive,
    fields: [
      { name: "name", label: "Event name", hint: "Exactly as the orchestrator waits for it.", required: true },
      {
        name: "data",
        label: "Data",
        hint: 'JSON, such as true, "text" or {"approved": true}; empty sends null.',
        kind: "json",
      },
    ],
    run: async (id, { name, data }) => {
      await api.raiseEvent(id, name, data.trim() || "null");
    },
  },
  {
    label: "Suspend",
    text: "Holds the orchestrator back. Timers and activities go on; what they bring waits until it is resumed.",
    isFor: (instance) => isLive(instance) && instance.runtimeStatus !== "Suspended",
    fields: [REASON],
    run: tell("suspend"),
  },
  {
    label: "Resume",
    text: "Lets the orchestrator go on with what came meanwhile.",
    isFor: ({ runtimeStatus }) => runtimeStatus === "Suspended",
    fields: [REASON],
    run: tell("resume"),
  },
  {
    label: "Rewind",
    text: "Takes the failures back and runs the failed activities again.",
    isFor: ({ runtimeStatus }) => runtimeStatus === "Failed",
    fields: [REASON],
    run: tell("rewind"),
  },
  {
    label: "Restart",
    text: "Starts the same orchestrator with the same input from the beginning.",
    isFor: () => true,
    fields: [
      {
        name: "isNew",
        label: "As a new instance",
        hint: "Otherwise it takes this one's place, once that is finished.",
        kind: "flag",
      },
    ],
    run: async (id, { isNew }) => instanceLink(await api.restart(id, isNew === "on")),
  },
  {
    label: "Terminate",
    text: "Ends the instance for good. An activity that runs goes on, but its result is dropped.",
    isDangerous: true,
    isFor: isLive,
    fields: [REASON],
    run: tell("terminate"),
  },
  {
    label: "Purge",
    text: "Removes the instance and its history. This cannot be undone.",
    isDangerous: true,
    isFor: (instance) => !isLive(instance),
    fields: [],
    run: async (id) => {
      await api.purge(id);
      return link("");
    },
  },
]);

/** The actions that make sense for an instance as it is. @param {Instance} instance */
export const actionsFor = (instance) => ACTIONS.filter((action) => action.isFor(instance));

/**
 * Ask for what an action needs, and do it.
 * @param {Action} action @param {string} id @param {() => void} onDone
 */
export function ask(action, id, onDone) {
  const dialog = /** @type {HTMLDialogElement} */ ($("dialog"));
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const submit = h("button", { class: action.isDangerous ? "danger" : "primary" }, action.label);
  const form = h(
    "form",
    { submit: onSubmit },
    h("h2", { id: "dialog-title" }, action.label),
    h("p", { class: "soft" }, action.text),
    h("p", { class: "id" }, id),
    ...action.fields.map(fieldView),
    problem,
    h("div", { class: "buttons" }, h("button", { type: "button", click: () => dialog.close() }, "Cancel"), submit),
  );
  fill(dialog, form);
  dialog.showModal();

  /** @param {SubmitEvent} event */
  async function onSubmit(event) {
    event.preventDefault();
    submit.disabled = true;
    complain(problem, "");
    try {
      /** @type {any} */ const values = Object.fromEntries(new FormData(form));
      const to = await action.run(id, values);
      dialog.close();
      announce(`${action.label}: done.`);
      if (to) location.hash = to;
      onDone();
    } catch (error) {
      complain(problem, messageOf(error));
      submit.disabled = false;
    }
  }
}
