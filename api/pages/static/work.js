// Counts down what is left to answer an offer, sends forms without leaving the page, and looks for news. Without this
// script every form and link does the same by loading a page.
"use strict";

const SOON_S = 300;
const UNDO_S = 10;
const LONGEST_UNDO_S = 10 * UNDO_S; // for whom a pointer or the keyboard holds it (WCAG 2.2, 2.2.1: ten times the time)
const MARGIN_S = 5; // so long before an offer runs out an answer is on its way
const DOUBLE_TAP_MS = 500;
const work = () => document.getElementById("work");
let ahead = 0; // of the server's clock, in milliseconds, before ours
let busy = false;
let sent = 0; // forms that were answered
let timer;
const declines = new Map(); // by id of the card: what waits to be sent, or for its answer

// Countdowns

function told(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  const text = shown.map((part, place) => (place ? String(part).padStart(2, "0") : String(part))).join(":");
  return text.replace(/\d/g, (digit) => work().dataset.digits[digit]);
}

function count() {
  const now = Date.now() + ahead;
  for (const card of document.querySelectorAll("[data-until]")) {
    const seconds = Math.ceil((Date.parse(card.dataset.until) - now) / 1000);
    const left = card.querySelector(".left");
    left.hidden = false;
    if (seconds > 0) {
      left.textContent = left.dataset.form.replace("{time}", told(seconds));
      card.classList.toggle("soon", seconds <= SOON_S);
    } else if (!card.classList.contains("over")) {
      close(card, left);
    }
  }
}

function close(card, left) {
  card.classList.add("over");
  left.textContent = left.dataset.over;
  for (const each of card.querySelectorAll("button, input:not([type=hidden])")) each.disabled = true;
  say(left.dataset.over);
  refresh();
}

function say(words) {
  document.getElementById("news").textContent = words;
}

// News

// What is being filled in is left alone.
function isWritten() {
  const opened = [...work().querySelectorAll("details.ask[open]")].some((each) => !each.closest(".folded"));
  return Boolean(opened || work().contains(document.activeElement?.closest("input, textarea, select")));
}

async function refresh() {
  clearTimeout(timer);
  if (!busy && !document.hidden && !isWritten()) {
    const page = work().dataset.page;
    const before = sent;
    try {
      const answer = await fetch(page, { cache: "no-store", credentials: "same-origin" });
      const fresh = parsed(await answer.text());
      const isNews = before === sent && page === work().dataset.page;
      if (answer.ok && isNews && !busy && !isWritten()) show(fresh);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // TypeError: offline; the next turn tries again
    }
  }
  wait();
}

function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

const ids = (within) => [...within.querySelectorAll(".offer")].map((each) => each.id);

function show(fresh) {
  const next = fresh.getElementById("work");
  if (!next) return; // signed out meanwhile: the next tap leads to the page where one signs in
  const known = new Set(ids(document));
  const said = work().querySelector("#said"); // what became of the last form stays until the next
  if (said && !next.querySelector("#said")) next.prepend(said.cloneNode(true));
  if (shownAs(next) !== shownAs(work())) swap(fresh, next, openParts());
  else work().dataset.now = next.dataset.now;
  set();
  if (ids(next).some((id) => !known.has(id))) say(document.getElementById("news").dataset.said);
}

// As the server made it, without what this script and Leaflet have done to it.
function shownAs(part) {
  const copy = part.cloneNode(true);
  for (const each of copy.querySelectorAll(".left, .undo-left")) each.replaceChildren();
  for (const each of copy.querySelectorAll(".left, .way-map, .undoing, .undo")) each.hidden = true;
  for (const each of copy.querySelectorAll(".way-map")) each.replaceWith(each.dataset.points);
  for (const each of copy.querySelectorAll("[disabled]")) each.disabled = false;
  for (const each of copy.querySelectorAll("details")) each.open = false;
  for (const each of copy.querySelectorAll(".offer")) each.classList.remove("soon", "over", "folded");
  return copy.innerHTML;
}

const openParts = () => [...work().querySelectorAll("details[open]")].map((each) => each.id);

// kept: parts that stay open as far as they still are there, by id.
function swap(fresh, next, kept) {
  const focused = document.activeElement?.id;
  document.title = fresh.title;
  document.querySelector("nav.tabs").replaceWith(fresh.querySelector("nav.tabs"));
  work().replaceWith(next);
  for (const id of kept.filter(Boolean)) document.getElementById(id)?.setAttribute("open", "");
  for (const id of declines.keys()) keepDeclined(id);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  drawMap();
}

// Forms

async function send(form, button) {
  busy = true;
  const data = new FormData(form, button);
  const before = openParts();
  const buttons = [...work().querySelectorAll("button")];
  for (const each of buttons) each.disabled = true;
  work().setAttribute("aria-busy", "true");
  try {
    await allDeclined(); // answers arrive in the order of the taps: a visit may fit only without the one declined
    const [answer, fresh] = await post(form, data);
    const next = fresh.getElementById("work");
    if (!next) return leave(answer, fresh);
    if (answer.redirected) history.replaceState(null, "", answer.url);
    swap(fresh, next, openParts().filter((id) => !before.includes(id))); // what was opened meanwhile
    set();
    lead(next, new URL(answer.url).hash);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    tell(work().dataset.offline); // not sent: what was typed is still there
  } finally {
    busy = false;
    work().removeAttribute("aria-busy");
    for (const each of buttons) each.disabled = each.closest(".over") !== null;
    count();
  }
}

async function post(form, data, keepalive = false) {
  const body = form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
  const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin", keepalive });
  const fresh = parsed(await answer.text());
  sent += 1; // a page that was asked for before does not know of this
  return [answer, fresh];
}

// A failure, or the page where one signs in.
function leave(answer, fresh) {
  if (answer.redirected) {
    window.location.assign(answer.url);
    return;
  }
  deliverAll(); // before the cards are gone
  document.title = fresh.title;
  document.body.replaceWith(fresh.body);
}

function tell(words) {
  const box = Object.assign(document.createElement("div"), { id: "said", className: "alert", tabIndex: -1 });
  box.setAttribute("role", "alert");
  box.append(Object.assign(document.createElement("p"), { textContent: words }));
  work().querySelector("#said")?.remove();
  work().prepend(box);
  lead(work(), "");
}

// To what became of the form.
function lead(part, hash) {
  const target = part.querySelector("#said, [aria-invalid=true]") || (hash && part.querySelector(hash));
  if (!target) return;
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: target.id === "said" ? "center" : "start" });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || !work()) return;
  const stays = work().contains(form);
  if (!stays && !declines.size) return;
  event.preventDefault();
  if (busy || isSecondTap(event)) return;
  if (!stays) goOn(form);
  else if (form.matches(".decline")) decline(form);
  else send(form, event.submitter);
});

// Declines: a tap folds the card; so long as the answer is not sent, it can be undone. It is sent when the time is over,
// before every other form, and at once when the page is hidden or left. Sent twice, it changes nothing.

let folded = -Infinity;

// As the card folds, something else comes to lie under the finger.
const isSecondTap = (event) => event.timeStamp - folded < DOUBLE_TAP_MS;

function decline(form) {
  const card = form.closest(".offer");
  const open = Math.floor((Date.parse(card.dataset.until) - Date.now() - ahead) / 1000) - MARGIN_S;
  if (open <= 0) {
    send(form, null);
    return;
  }
  const timer = setInterval(() => countUndo(card.id), 1000);
  declines.set(card.id, { form, timer, left: Math.min(UNDO_S, open), most: Math.min(LONGEST_UNDO_S, open) });
  fold(card);
  say(card.querySelector(".undoing strong").textContent);
  card.querySelector(".undo").focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
  folded = performance.now();
}

function countUndo(id) {
  const waiting = declines.get(id);
  const card = document.getElementById(id);
  waiting.most -= 1;
  if (!isHeld(card)) waiting.left -= 1;
  if (waiting.left > 0 && waiting.most > 0) fold(card);
  else deliver(id);
}

const isHeld = (card) =>
  (matchMedia("(hover: hover)").matches && card.matches(":hover")) || card.querySelector(".undo:focus-visible") !== null;

// Its text and its button as it stands with the answer.
function fold(card) {
  const { left, reply } = declines.get(card.id);
  const note = card.querySelector(".undoing");
  const undo = note.querySelector(".undo");
  const words = note.querySelector(".undo-left");
  card.classList.add("folded");
  note.hidden = false;
  if (reply && undo === document.activeElement) note.focus({ preventScroll: true });
  undo.hidden = Boolean(reply);
  words.textContent = reply ? "" : words.dataset.form.replace("{time}", told(left));
}

function unfold(id) {
  const card = document.getElementById(id);
  if (!card) return;
  const note = card.querySelector(".undoing");
  const isThere = note.contains(document.activeElement);
  card.classList.remove("folded");
  note.hidden = true;
  if (isThere) card.querySelector(".decline button").focus();
}

document.addEventListener("click", (event) => {
  const id = event.target.closest(".undo")?.closest(".offer").id;
  if (!declines.has(id) || declines.get(id).reply || isSecondTap(event)) return;
  clearInterval(declines.get(id).timer);
  declines.delete(id);
  unfold(id);
  say("");
});

// In a page that came meanwhile. Where the offer is gone, the answer tells why.
function keepDeclined(id) {
  const card = document.getElementById(id);
  if (card) fold(card);
  else if (!declines.get(id).reply) deliver(id);
}

async function deliver(id) {
  const { form } = declines.get(id);
  try {
    const [answer, fresh] = await reply(id);
    if (!busy) stand(id, answer, fresh); // else what is being sent shows it
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    if (document.hidden) declines.set(id, { form }); // once more when the page is seen
    else if (!busy) tell(work().dataset.offline);
  }
}

// The answer to a decline, which is sent once however many wait for it.
function reply(id) {
  const waiting = declines.get(id);
  if (!waiting.reply) {
    clearInterval(waiting.timer);
    waiting.reply = answered(id, waiting.form);
    const card = document.getElementById(id);
    if (card) fold(card);
  }
  return waiting.reply;
}

async function answered(id, form) {
  try {
    return await post(form, new FormData(form), true); // true: it arrives although the page is gone
  } catch (error) {
    sessionStorage.removeItem("declines");
    unfold(id);
    throw error;
  } finally {
    declines.delete(id);
  }
}

const allDeclined = () => Promise.all([...declines.keys()].map(reply));

// What stands now. It comes by itself, so nothing scrolls, and what is being written stays.
function stand(id, answer, fresh) {
  const next = fresh.getElementById("work");
  if (!next) {
    leave(answer, fresh);
    return;
  }
  const isThere = document.getElementById(id)?.contains(document.activeElement);
  if (!isWritten()) {
    swap(fresh, next, openParts());
    set();
  } else if (!answer.ok) {
    work().querySelector("#said")?.remove();
    work().prepend(next.querySelector("#said"));
  }
  if (isThere) work().querySelector("#said")?.focus({ preventScroll: true });
}

// A form that leads elsewhere, such as signing out, after which nothing more could be sent.
async function goOn(form) {
  try {
    await allDeclined();
    form.submit();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    tell(work().dataset.offline);
  }
}

function deliverAll() {
  for (const [id, { reply }] of [...declines]) if (!reply) deliver(id);
}

window.addEventListener("pagehide", () => {
  deliverAll();
  sessionStorage.setItem("declines", JSON.stringify([...declines.keys()]));
});

// The page before this one was left with these, and this one may have been asked for before they arrived.
function declineAgain() {
  for (const id of JSON.parse(sessionStorage.getItem("declines") || "[]")) {
    const form = document.getElementById(id)?.querySelector("form.decline");
    if (form) declines.set(id, { form });
  }
  deliverAll();
}

// The map, and Leaflet with it, is asked for where there are visits; without it the list says the same.

async function drawMap() {
  const box = document.getElementById("map");
  if (!box) return;
  box.hidden = false;
  try {
    const { drawn } = await import(box.dataset.module);
    await drawn(box);
  } catch (error) {
    box.hidden = true;
    console.warn(error);
  }
}

// Turns

function set() {
  ahead = Date.parse(work().dataset.now) - Date.now();
  count();
}

function wait() {
  clearTimeout(timer);
  timer = setTimeout(refresh, Number(work().dataset.refreshS) * 1000);
}

document.addEventListener("visibilitychange", () => {
  deliverAll();
  if (!document.hidden) refresh();
});

set();
setInterval(count, 1000);
wait();
drawMap();
lead(work(), window.location.hash);
declineAgain();
