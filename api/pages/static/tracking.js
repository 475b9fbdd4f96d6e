// Follows the visit: whenever an event says that it changed, loads the page again in the background and shows what
// changed. Where no stream is to be had it asks now and then; without this script the browser reloads it whole.
"use strict";

const SELDOM = 4; // a stream leaves little to ask for: messages, of which no event tells
const live = () => document.getElementById("live");
let loading = false;
let changed = false;
let stream;
let timer;
let map;

async function refresh() {
  changed = true;
  if (loading) return;
  loading = true;
  try {
    while (changed) {
      changed = false;
      await load();
    }
  } finally {
    loading = false;
    wait();
  }
}

async function load() {
  try {
    const answer = await fetch(live().dataset.page, { cache: "no-store", credentials: "same-origin" });
    if (answer.status === 404) {
      window.location.reload();
    } else if (answer.ok) {
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // TypeError: offline; the next turn tries again
  }
}

function show(fresh) {
  const next = fresh.getElementById("live");
  if (fresh.getElementById("rating") && !document.getElementById("rating")) {
    window.location.assign(live().dataset.page); // the visit is over and can be rated
    return;
  }
  showMessages(fresh);
  const more = fresh.getElementById("more");
  const shown = document.getElementById("more");
  if (more.innerHTML !== shown.innerHTML) shown.replaceWith(more);
  if (next && next.innerHTML !== live().innerHTML) {
    document.title = fresh.title;
    const said = live().querySelector("[role=status]");
    const news = next.querySelector("[role=status]");
    if (said.innerHTML !== news.innerHTML) said.innerHTML = news.innerHTML;
    news.replaceWith(said);
    live().replaceWith(next);
    showWay();
  }
}

// The map, and Leaflet with it, is asked for once there is a position; without one it is hidden.
async function showWay() {
  const way = document.getElementById("way");
  const box = document.getElementById("map");
  if (box) box.hidden = !way;
  if (!way) return;
  map ??= import(box.dataset.module).then(({ drawn }) => drawn(box));
  try {
    const draw = await map;
    draw(way);
  } catch (error) {
    box.hidden = true; // the words beside it say the same; the next position tries again
    map = undefined;
    console.warn(error);
  }
}

// What is being written stays; only what is new is added, so that only that is read aloud.
function showMessages(fresh) {
  const shown = document.getElementById("messages");
  const news = fresh.getElementById("messages");
  if (shown && news) {
    if (news.children.length > shown.children.length) {
      shown.append(...[...news.children].slice(shown.children.length));
    } else if (news.innerHTML !== shown.innerHTML) {
      shown.innerHTML = news.innerHTML;
    }
  }
  const form = document.getElementById("say");
  if (form && !fresh.getElementById("say")) {
    form.remove();
    document.querySelector("header").replaceWith(fresh.querySelector("header")); // its languages were the form's buttons
  }
}

function wait() {
  clearTimeout(timer);
  const seconds = Number(live().dataset.refreshS);
  if (seconds) {
    timer = setTimeout(refresh, seconds * 1000 * (stream.readyState === EventSource.OPEN ? SELDOM : 1));
  } else {
    stream.close();
  }
}

function follow() {
  stream = new EventSource(live().dataset.events);
  stream.addEventListener("update", refresh);
  stream.addEventListener("error", () => (stream.readyState === EventSource.CLOSED ? refresh() : wait()));
}

// Whoever does not look leaves the place to others; the first event on coming back tells what was missed.
document.addEventListener("visibilitychange", () => {
  stream.close();
  if (!document.hidden && live().dataset.refreshS) follow();
});

follow();
wait();
showWay();
