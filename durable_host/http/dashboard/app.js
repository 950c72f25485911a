// The page: shows the view that its address asks for, and keeps it and what surrounds it up to date.

import { HOST, route } from "./address.js";
import { ApiError } from "./api.js";
import { TimeBar } from "./clock.js";
import { $, fill, markCurrent } from "./dom.js";
import { InstanceView } from "./instance.js";
import { ListView } from "./list.js";
import { Poller } from "./poll.js";
import { showSandbox } from "./sandbox.js";
import { StartView } from "./start.js";
import { tick } from "./times.js";

const TICK_MS = 250;
const poller = new Poller();
const nudge = () => poller.nudge();
const views = { list: new ListView(), instance: new InstanceView(nudge), start: new StartView(nudge) };
const timeBar = new TimeBar(poller);
let shown = "";

function show() {
  const to = route();
  const place = `${to.view}/${to.id}`;
  const isOther = place !== shown;
  const isFirst = shown === "";
  shown = place;
  document.body.dataset.view = to.view;
  for (const anchor of document.querySelectorAll("[data-for]"))
    markCurrent(anchor, anchor.getAttribute("data-for") === to.view);
  if (to.view === "sandbox") {
    poller.remove("view");
    document.title = "Sandbox";
  } else {
    const view = views[to.view];
    view.show(to);
    if (isOther) fill($("view"), view.element);
    poller.set("view", view.everyMs, () => load(view));
    document.title = view.title;
  }
  // Where a link leads, the keyboard goes too; the first page is left to the browser.
  if (isOther && !isFirst) {
    scrollTo(0, 0);
    /** @type {HTMLElement} */ ($(to.view === "sandbox" ? "sandbox" : "view").querySelector("h1")).focus();
  }
}

/** @param {ListView | InstanceView | StartView} view */
async function load(view) {
  try {
    const isNew = await view.load();
    $("offline").hidden = true;
    document.title = view.title;
    return isNew;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const isAway = error.status === 0;
    fill($("offline"), error.message, isAway && " Start it again, and this page goes on by itself.");
    $("offline").hidden = false;
    return false;
  }
}

$("skip-link").addEventListener("click", (/** @type {Event} */ event) => {
  // What follows # says which view to show.
  event.preventDefault();
  $("main").focus();
});
// Its own host stands in the browser's address already.
if (HOST !== location.origin) $("host").textContent = new URL(HOST).host;
addEventListener("hashchange", show);
setInterval(() => {
  if (document.hidden) return;
  tick();
  timeBar.tick();
}, TICK_MS);
showSandbox();
show();
