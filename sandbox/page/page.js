// The sandbox's page: shows what its API holds, once a second, and changes it. Text never goes in as HTML.

/** @typedef {{ repo: string, open_issues: number, open_pulls: number, status: Fault }} Repository */
/** @typedef {number | string | null} Fault */
/** @typedef {{ sid: string, to: string, body: string, sent_at: string }} Sms */
/** @typedef {{ element: HTMLElement, state: Repository }} Card */
/** @typedef {"open_issues" | "open_pulls"} Count */

const PHONE = /\+[1-9]\d{6,14}(?!\d)/g;
const cards = /** @type {Map<string, Card>} */ (new Map()); // by "owner/name"
let edits = 0; // An answer that set out before an edit is older than what the page shows.

/** @param {string} id @returns {any} An element that index.html has. */
const $ = (id) => document.getElementById(id);

/** @param {string} path @param {string} [method] @param {object} [body] */
async function call(path, method = "GET", body = undefined) {
  const response = await fetch(path, { method, body: body && JSON.stringify(body) });
  const text = await response.text();
  const value = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(value.error.message);
  return value;
}

/**
 * @param {HTMLElement} problem where an error is shown @param {string} path @param {string} method
 * @param {object} [body]
 */
async function edit(problem, path, method, body) {
  edits += 1;
  try {
    await call(path, method, body);
    show(problem, "");
    return true;
  } catch (error) {
    show(problem, error instanceof Error ? error.message : String(error));
    return false;
  } finally {
    edits += 1;
  }
}

/** @param {HTMLElement} element @param {string} text */
function show(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** @param {HTMLSelectElement} select */
const choice = ({ value }) => (/^\d+$/.test(value) ? Number(value) : value || null);

/** @param {Repository} state */
function addCard(state) {
  const element = /** @type {HTMLElement} */ ($("repository").content.firstElementChild.cloneNode(true));
  const find = (/** @type {string} */ selector) => /** @type {any} */ (element.querySelector(selector));
  const card = { element, state };
  const change = async (/** @type {Partial<Repository>} */ changes) => {
    draw(card, { ...card.state, ...changes });
    await edit(find(".problem"), `github/repos/${card.state.repo}`, "PUT", changes);
  };
  find("h3").textContent = state.repo;
  for (const count of element.querySelectorAll(".count"))
    addStepper(/** @type {HTMLElement} */ (count), card, change);
  const select = find("select");
  select.setAttribute("aria-label", `How GitHub answers for ${state.repo}`);
  select.addEventListener("change", () => change({ status: choice(select) }));
  cards.set(state.repo, card);
  $("repositories").append(element);
  return card;
}

/** @param {HTMLElement} count @param {Card} card @param {(changes: Partial<Repository>) => void} change */
function addStepper(count, card, change) {
  const field = /** @type {Count} */ (count.dataset.field);
  const { label } = count.dataset;
  const { repo } = card.state;
  count.append($("stepper").content.cloneNode(true));
  for (const button of count.querySelectorAll("button")) {
    const by = Number(button.dataset.by);
    button.setAttribute("aria-label", `${by > 0 ? "More" : "Fewer"} ${label} in ${repo}`);
    button.addEventListener("click", () => change({ [field]: Math.max(0, card.state[field] + by) }));
  }
  const input = /** @type {HTMLInputElement} */ (count.querySelector("input"));
  input.setAttribute("aria-label", `${label} in ${repo}`);
  input.addEventListener("change", () => {
    if (/^\d{1,6}$/.test(input.value)) change({ [field]: Number(input.value) });
    else input.value = String(card.state[field]);
  });
}

/** @param {Card} card @param {Repository} state */
function draw(card, state) {
  card.state = state;
  card.element.classList.toggle("faulty", state.status !== null);
  for (const count of card.element.querySelectorAll(".count")) {
    const value = state[/** @type {Count} */ (/** @type {HTMLElement} */ (count).dataset.field)];
    const input = /** @type {HTMLInputElement} */ (count.querySelector("input"));
    if (document.activeElement !== input) input.value = String(value);
    /** @type {HTMLButtonElement} */ (count.querySelector("button")).disabled = value === 0;
  }
  /** @type {HTMLSelectElement} */ (card.element.querySelector("select")).value = String(state.status ?? "");
}

/** @param {string} phone */
const masked = (phone) => phone.replace(PHONE, (found) => `${found.slice(0, 5)}*****${found.slice(-2)}`);

/** A number that is masked until it is clicked. @param {string} phone */
function phoneButton(phone) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "masked";
  button.title = "Show or hide the number";
  button.textContent = masked(phone);
  button.addEventListener("click", () => {
    button.textContent = button.textContent === phone ? masked(phone) : phone;
  });
  return button;
}

/** @param {Sms[]} messages newest first */
function drawSms(messages) {
  const items = /** @type {HTMLElement[]} */ ([...$("sms").children]);
  const known = new Set(messages.map(({ sid }) => sid));
  for (const item of items) if (!known.has(item.dataset.sid ?? "")) item.remove();
  const shown = new Set(items.map((item) => item.dataset.sid));
  for (const { sid, to, body, sent_at } of messages.toReversed()) {
    if (shown.has(sid)) continue;
    const [item, bubble, meta] = ["li", "p", "div"].map((name) => document.createElement(name));
    item.dataset.sid = sid;
    bubble.textContent = masked(body);
    meta.className = "meta";
    meta.append("to ", phoneButton(to), ` · ${new Date(sent_at).toTimeString().slice(0, 8)}`);
    item.append(bubble, meta);
    $("sms").prepend(item);
  }
  $("no-sms").hidden = messages.length > 0;
  $("clear").hidden = messages.length === 0;
  $("count").textContent = messages.length || "";
  // A page that has this one in a frame may tell that something came; the number alone says nothing to others.
  if (parent !== window) parent.postMessage({ count: messages.length }, "*");
}

async function refresh() {
  const before = edits;
  try {
    const paths = ["github/repos", "sms", "twilio"];
    const [repositories, sms, twilio] = await Promise.all(paths.map((path) => call(path)));
    if (before !== edits) return;
    drawRepositories(repositories);
    drawSms(sms);
    $("twilio").value = String(twilio.status ?? "");
    $("offline").hidden = true;
  } catch {
    $("offline").hidden = false;
  }
}

/** @param {Repository[]} repositories */
function drawRepositories(repositories) {
  const held = new Set(repositories.map(({ repo }) => repo));
  for (const [repo, { element }] of cards) {
    if (held.has(repo)) continue;
    element.remove();
    cards.delete(repo);
  }
  for (const state of repositories) draw(cards.get(state.repo) ?? addCard(state), state);
  $("no-repositories").hidden = repositories.length > 0;
}

async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, 1000);
}

$("add").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const input = $("add").elements.repo;
  const path = input.value.trim().split("/").map(encodeURIComponent).join("/");
  if (await edit($("add-problem"), `github/repos/${path}`, "PUT", {})) input.value = "";
  await refresh();
});
$("clear").addEventListener("click", async () => {
  await edit($("twilio-problem"), "sms", "DELETE");
  await refresh();
});
$("twilio").addEventListener("change", () =>
  edit($("twilio-problem"), "twilio", "PUT", { status: choice($("twilio")) }),
);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
document.body.classList.toggle("framed", parent !== window);
keepFresh();
