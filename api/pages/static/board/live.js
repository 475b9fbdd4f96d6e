// Follows the day: whenever an event says that it changed, loads the page again in the background and puts in what is
// new, lane by lane. Focus, places of scrolling, what is open and what is in hand stay. Where no stream is to be had it
// asks now and then.

import { $ } from "./dom.js";
import { board } from "./api.js";
import { drawn, lanes, waiting } from "./visits.js";

const POLL_S = 30;
const SELDOM = 4; // with a stream there is little to ask for: the line of now and what time alone changes
const NOW_EVERY_MS = 20_000;
const LEAST_GAP_MS = 1_000;
const REST = 3; // so many times as long as loading took it waits for the next news, so that a busy day does not load all the time
const PARTS = ["figures", "alerts", "waiting", "absent", "routes"];

let held = 0;
let changed = false;
let loading = null;
let tookMs = 0;
let loadedAt = -Infinity;
let nextLoad = null;
let stream;
let timer;
const sources = new Map(); // of lanes, by id, as the server wrote them
const listeners = [];
let enliven = () => {};

// act: makes what the server wrote usable by script. It is given the part of the page that is new.
export function onNew(act) {
  enliven = act;
}

export const onChange = (act) => listeners.push(act);

// While something is in hand nothing is put in; it is afterwards.
export function hold() {
  held += 1;
}

export function release() {
  held -= 1;
  if (!held && changed) refresh();
}

// Loads the day again; settles once what stands now is shown.
export function refresh() {
  changed = true;
  if (held) return Promise.resolve();
  loading ??= loadAll().finally(() => {
    loading = null;
    wait();
  });
  return loading;
}

// For news: at once, or when it has rested.
function refreshSoon() {
  const left = loadedAt + Math.max(LEAST_GAP_MS, REST * tookMs) - performance.now();
  nextLoad ??= setTimeout(() => {
    nextLoad = null;
    refresh();
  }, Math.max(0, left));
}

async function loadAll() {
  while (changed && !held) {
    changed = false;
    const began = performance.now();
    const fresh = await load();
    loadedAt = performance.now();
    tookMs = loadedAt - began;
    if (!fresh) return;
    if (held) changed = true;
    else show(fresh);
  }
}

async function load() {
  try {
    const answer = await fetch(board().page, { cache: "no-store", credentials: "same-origin" });
    if (answer.redirected) window.location.assign(answer.url); // signed out meanwhile
    if (!answer.ok || answer.redirected) return tellLink(false);
    tellLink(true);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // TypeError: offline; the next turn tries again
    return tellLink(false);
  }
}

function tellLink(isThere) {
  const link = $("link");
  const words = !isThere ? "not connected" : stream?.readyState === EventSource.OPEN ? "live" : "refreshed now and then";
  link.hidden = false;
  link.className = isThere ? "hint link" : "hint link away";
  if (link.textContent !== words) link.textContent = words;
}

function show(fresh) {
  const focused = focusedVisit();
  const openOnes = new Set([...document.querySelectorAll("details[open]")].map(keyOf));
  if (!fresh.getElementById("lanes") !== !$("lanes")) return window.location.reload(); // the day has got, or lost, its first shift
  if ($("lanes")) showLanes(fresh);
  for (const id of PARTS) swap(id, fresh.getElementById(id));
  $("waiting-title").replaceChildren(...fresh.getElementById("waiting-title").childNodes);
  for (const each of document.querySelectorAll("details:not([open])")) if (openOnes.has(keyOf(each))) each.open = true;
  restore(focused);
  for (const act of listeners) act();
}

function showLanes(fresh) {
  for (const name of ["begins", "ends"]) $("timeline").dataset[name] = fresh.getElementById("timeline").dataset[name];
  $("axis").replaceWith(fresh.getElementById("axis"));
  const next = [...fresh.querySelectorAll(".lane")];
  const kept = new Set(next.map((lane) => lane.id));
  for (const lane of lanes()) if (!kept.has(lane.id)) forget(lane);
  next.forEach((lane, place) => {
    const source = lane.outerHTML;
    const shown = $(lane.id);
    if (shown && sources.get(lane.id) === source) lane = shown;
    else {
      sources.set(lane.id, source);
      shown?.remove();
      enliven(lane);
    }
    const there = $("lanes").children[place];
    if (there !== lane) $("lanes").insertBefore(lane, there || null);
  });
  const line = fresh.getElementById("now");
  if ($("now") && line) $("now").replaceWith(line);
  else if (line) $("lanes").append(line);
  else $("now")?.remove();
}

function forget(lane) {
  sources.delete(lane.id);
  lane.remove();
}

function swap(id, next) {
  const shown = $(id);
  const source = next.outerHTML;
  if (sources.get(id) === source) return;
  sources.set(id, source);
  const scrolled = shown.scrollTop;
  enliven(next);
  shown.replaceWith(next);
  next.scrollTop = scrolled;
}

// What is in focus or open is known by its visit, its technician or its part of the page.

const keyOf = (part) => [part.closest("[id]")?.id, part.closest("[data-visit]")?.dataset.visit].join(" ");

function focusedVisit() {
  const at = document.activeElement;
  if (!at || !document.getElementById("board").contains(at)) return null;
  return { at, visit: at.closest("[data-visit]")?.dataset.visit, lane: at.closest(".lane")?.id, isDrawn: Boolean(at.closest(".day")) };
}

function restore(focused) {
  if (!focused || focused.at.isConnected) return;
  const { visit, lane, isDrawn } = focused;
  const item = visit && (isDrawn ? drawn(visit) : $(lane)?.querySelector(`.stops [data-visit="${CSS.escape(visit)}"] .opens`));
  const target = item || (visit && (waiting(visit)?.querySelector(".opens") || drawn(visit))) || $(lane)?.querySelector("summary") || $("timeline-title");
  if (target === $("timeline-title")) target.tabIndex = -1;
  target.focus({ preventScroll: true });
}

// The line of now moves by the server's clock.

function moveNow() {
  const line = $("now");
  if (!line) return;
  const { begins, ends } = $("timeline").dataset;
  const seconds = (Date.now() + ahead) / 1000;
  const percent = `${((seconds - begins) / (ends - begins)) * 100}%`;
  for (const each of document.querySelectorAll("line.now")) {
    each.setAttribute("x1", percent);
    each.setAttribute("x2", percent);
  }
  document.querySelector(".now-head")?.setAttribute("cx", percent);
}

let ahead = 0; // of the server's clock, in milliseconds, before ours

// Turns

function wait() {
  clearTimeout(timer);
  timer = setTimeout(look, POLL_S * 1000 * (stream.readyState === EventSource.OPEN ? SELDOM : 1));
}

function look() {
  if (stream.readyState === EventSource.CLOSED) connect(); // all places were taken; perhaps one is free by now
  refresh();
}

function connect() {
  const { territory, date } = board();
  stream = new EventSource(`/v1/board/events?${new URLSearchParams({ territory_id: territory, date })}`);
  stream.addEventListener("open", () => tellLink(true));
  stream.addEventListener("update", refreshSoon);
  stream.addEventListener("error", () => (stream.readyState === EventSource.CLOSED ? refresh() : tellLink(false)));
}

export function follow() {
  for (const lane of lanes()) sources.set(lane.id, lane.outerHTML);
  for (const id of PARTS) sources.set(id, $(id).outerHTML);
  enliven($("board"));
  ahead = Number($("board").dataset.now) * 1000 - Date.now();
  connect();
  wait();
  setInterval(moveNow, NOW_EVERY_MS);
  // Whoever does not look leaves the place to others; the first event on coming back tells what was missed.
  document.addEventListener("visibilitychange", () => {
    stream.close();
    if (document.hidden) return;
    connect();
    refresh();
  });
}
