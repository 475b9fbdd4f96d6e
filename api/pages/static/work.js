// Counts down what is left to answer an offer, sends forms without leaving the page, and looks for news. Without this
// script every form and link does the same by loading a page.
"use strict";

const SOON_S = 300;
const work = () => document.getElementById("work");
let ahead = 0; // of the server's clock, in milliseconds, before ours
let busy = false;
let timer;

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
  for (const each of card.querySelectorAll("button, input")) each.disabled = true;
  say(left.dataset.over);
  refresh();
}

function say(words) {
  document.getElementById("news").textContent = words;
}

// News

// What is being filled in is left alone.
function isWritten() {
  return Boolean(work().querySelector("details.ask[open]") || work().contains(document.activeElement?.closest("input, textarea, select")));
}

async function refresh() {
  clearTimeout(timer);
  if (!busy && !document.hidden && !isWritten()) {
    const page = work().dataset.page;
    try {
      const answer = await fetch(page, { cache: "no-store", credentials: "same-origin" });
      if (answer.ok && !busy && !isWritten() && page === work().dataset.page) show(parsed(await answer.text()));
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
  for (const each of copy.querySelectorAll(".left")) each.replaceChildren();
  for (const each of copy.querySelectorAll(".left, .way-map")) each.hidden = true;
  for (const each of copy.querySelectorAll(".way-map")) each.replaceWith(each.dataset.points);
  for (const each of copy.querySelectorAll("[disabled]")) each.disabled = false;
  for (const each of copy.querySelectorAll("details")) each.open = false;
  for (const each of copy.querySelectorAll(".offer")) each.classList.remove("soon", "over");
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
    const body = form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
    const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
    const fresh = parsed(await answer.text());
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

// A failure, or the page where one signs in.
function leave(answer, fresh) {
  if (answer.redirected) {
    window.location.assign(answer.url);
    return;
  }
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
  if (form.method !== "post" || !work()?.contains(form)) return;
  event.preventDefault();
  if (!busy) send(form, event.submitter);
});

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
  if (!document.hidden) refresh();
});

set();
setInterval(count, 1000);
wait();
drawMap();
lead(work(), window.location.hash);
