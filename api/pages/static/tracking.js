// Loads the page again in the background and shows what changed; without this script the browser reloads it whole.
"use strict";

const live = () => document.getElementById("live");

async function refresh() {
  try {
    const answer = await fetch(window.location.pathname, { cache: "no-store", credentials: "same-origin" });
    if (answer.status === 404) {
      window.location.reload();
      return;
    }
    if (answer.ok) {
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // TypeError: offline; the next turn tries again
  }
  again();
}

function show(fresh) {
  const next = fresh.getElementById("live");
  if (fresh.querySelector("form")) {
    window.location.reload(); // the visit is over and can be rated
  } else if (next && next.innerHTML !== live().innerHTML) {
    document.title = fresh.title;
    const said = live().querySelector("[role=status]");
    const news = next.querySelector("[role=status]");
    if (said.innerHTML !== news.innerHTML) said.innerHTML = news.innerHTML;
    news.replaceWith(said);
    live().replaceWith(next);
  }
}

function again() {
  const seconds = Number(live().dataset.refreshS);
  if (seconds) setTimeout(refresh, seconds * 1000);
}

again();
