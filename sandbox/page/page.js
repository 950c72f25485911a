// The sandbox's page: shows what its API holds, once a second, and changes it. All text goes in as text, never as HTML.

const $ = (id) => document.getElementById(id);
const cards = new Map();   // "owner/name" -> { element, state }
let edits = 0;             // An answer that set out before an edit is older than what the page shows.

async function call(path, method = "GET", body = undefined) {
  const response = await fetch(path, { method, body: body && JSON.stringify(body) });
  const text = await response.text();
  const value = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(value.error.message);
  return value;
}

async function edit(problem, path, method, body) {
  edits += 1;
  try {
    const answer = await call(path, method, body);
    show(problem, "");
    return answer;
  } catch (error) {
    show(problem, error.message);
    return null;
  } finally {
    edits += 1;
  }
}

function show(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

const choice = (select) => (/^\d+$/.test(select.value) ? Number(select.value) : select.value || null);

function addCard(state) {
  const element = $("repository").content.firstElementChild.cloneNode(true);
  const card = { element, state };
  const problem = element.querySelector(".problem");
  const change = async (changes) => {
    draw(card, { ...card.state, ...changes });
    await edit(problem, `github/repos/${card.state.repo}`, "PUT", changes);
  };
  element.querySelector("h3").textContent = state.repo;
  for (const count of element.querySelectorAll(".count")) {
    const { field, label } = count.dataset;
    count.append($("stepper").content.cloneNode(true));
    for (const button of count.querySelectorAll("button")) {
      const by = Number(button.dataset.by);
      button.setAttribute("aria-label", `${by > 0 ? "More" : "Fewer"} ${label} in ${state.repo}`);
      button.addEventListener("click", () => change({ [field]: Math.max(0, card.state[field] + by) }));
    }
    const input = count.querySelector("input");
    input.setAttribute("aria-label", `${label} in ${state.repo}`);
    input.addEventListener("change", () => {
      if (/^\d{1,6}$/.test(input.value)) change({ [field]: Number(input.value) });
      else input.value = card.state[field];
    });
  }
  const select = element.querySelector("select");
  select.setAttribute("aria-label", `How GitHub answers for ${state.repo}`);
  select.addEventListener("change", () => change({ status: choice(select) }));
  cards.set(state.repo, card);
  $("repositories").append(element);
  return card;
}

function draw(card, state) {
  card.state = state;
  card.element.classList.toggle("faulty", state.status !== null);
  for (const count of card.element.querySelectorAll(".count")) {
    const input = count.querySelector("input");
    if (document.activeElement !== input) input.value = state[count.dataset.field];
    count.querySelector("button").disabled = state[count.dataset.field] === 0;
  }
  card.element.querySelector("select").value = String(state.status ?? "");
}

function drawSms(messages) {
  const list = $("sms");
  const known = new Set(messages.map((message) => message.sid));
  for (const item of [...list.children]) if (!known.has(item.dataset.sid)) item.remove();
  const shown = new Set([...list.children].map((item) => item.dataset.sid));
  for (const message of [...messages].reverse()) {   // Oldest first, each to the top.
    if (shown.has(message.sid)) continue;
    const [item, bubble, meta] = ["li", "p", "div"].map((name) => document.createElement(name));
    item.dataset.sid = message.sid;
    bubble.textContent = message.body;
    meta.className = "meta";
    meta.textContent = `to ${message.to} · ${new Date(message.sent_at).toLocaleTimeString()}`;
    item.append(bubble, meta);
    list.prepend(item);
  }
  $("no-sms").hidden = messages.length > 0;
  $("clear").hidden = messages.length === 0;
  $("count").textContent = messages.length || "";
}

async function refresh() {
  const before = edits;
  try {
    const [repositories, sms, twilio] = await Promise.all(["github/repos", "sms", "twilio"].map((path) => call(path)));
    if (before !== edits) return;
    const held = new Set(repositories.map((state) => state.repo));
    for (const [repo, card] of cards) if (!held.has(repo)) { card.element.remove(); cards.delete(repo); }
    for (const state of repositories) draw(cards.get(state.repo) ?? addCard(state), state);
    drawSms(sms);
    $("no-repositories").hidden = repositories.length > 0;
    $("twilio").value = String(twilio.status ?? "");
    $("offline").hidden = true;
  } catch {
    $("offline").hidden = false;
  }
}

async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, 1000);
}

$("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = event.target.elements.repo;
  const path = input.value.trim().split("/").map(encodeURIComponent).join("/");
  if (await edit($("add-problem"), `github/repos/${path}`, "PUT", {})) input.value = "";
  await refresh();
});
$("clear").addEventListener("click", async () => {
  await edit($("twilio-problem"), "sms", "DELETE");
  await refresh();
});
$("twilio").addEventListener("change", () => edit($("twilio-problem"), "twilio", "PUT", { status: choice($("twilio")) }));
document.addEventListener("visibilitychange", () => document.hidden || refresh());
keepFresh();
