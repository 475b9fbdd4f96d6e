// The dispatcher's board, made live: what the server drew becomes usable by pointer and by keys.

import { $ } from "./dom.js";
import { offerRepair } from "./alerts.js";
import { confirmMove } from "./confirm.js";
import { follow, onChange, onNew } from "./live.js";
import { drawMap } from "./map.js";
import { followPointer, isMoving } from "./move.js";
import { carry, openPanel } from "./panel.js";
import { openPlan } from "./plan.js";
import { openRequest } from "./request.js";
import { drawn, lanes, nameIn } from "./visits.js";

// What the server wrote is plain; by script its visits can be reached and opened.
function enliven(part) {
  for (const day of matching(part, ".day")) {
    day.removeAttribute("aria-hidden");
    day.setAttribute("role", "group");
    day.setAttribute("aria-label", `Visits of ${nameIn(day.closest(".lane"))}`);
  }
  for (const visit of matching(part, ".visit[data-visit]")) {
    visit.setAttribute("role", "button");
    visit.setAttribute("tabindex", "-1");
    visit.setAttribute("aria-label", visit.querySelector("title").textContent);
  }
  for (const opens of matching(part, ".opens")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "opens";
    button.append(...opens.childNodes);
    opens.replaceWith(button);
  }
  for (const item of matching(part, ".waiting > [data-visit]")) item.classList.add("carried");
  for (const repair of matching(part, "[data-repair]")) repair.hidden = false;
}

const matching = (part, selector) => [...(part.matches?.(selector) ? [part] : []), ...part.querySelectorAll(selector)];

// One of the drawn visits is in the order of Tab: where one was last.

let current = null;

function keepOneInOrder() {
  const shown = (current && drawn(current)) || document.querySelector(".visit[data-visit]");
  for (const each of document.querySelectorAll('.visit[tabindex="0"]')) each.setAttribute("tabindex", "-1");
  shown?.setAttribute("tabindex", "0");
}

function goTo(visit) {
  if (!visit) return;
  current = visit.dataset.visit;
  keepOneInOrder();
  visit.focus({ preventScroll: true });
  showWhole(visit);
}

// Clear of the names and the hours, which stay in place while the rest scrolls.
function showWhole(visit) {
  const scroller = $("timeline");
  const [box, frame] = [visit.querySelector(".bar")?.getBoundingClientRect(), scroller.getBoundingClientRect()];
  if (!box) return;
  const names = visit.closest(".lane").querySelector(".who").getBoundingClientRect().width;
  const hours = $("axis").getBoundingClientRect().height;
  const left = frame.left + names;
  if (box.left < left) scroller.scrollLeft -= left - box.left + 16;
  else if (box.right > frame.right) scroller.scrollLeft += Math.min(box.right - frame.right + 16, box.left - left - 16);
  if (box.top < frame.top + hours) scroller.scrollTop -= frame.top + hours - box.top + 12;
  else if (box.bottom > frame.bottom) scroller.scrollTop += box.bottom - frame.bottom + 24;
  visit.closest(".lane").scrollIntoView({ block: "nearest", inline: "nearest" });
}

const inLane = (lane) => [...lane.querySelectorAll(".visit[data-visit]")];

// Along the lane, or to the visit of the next lane that lies nearest in time.
function neighbour(visit, key) {
  const mine = inLane(visit.closest(".lane"));
  const at = mine.indexOf(visit);
  if (key === "ArrowLeft") return mine[at - 1];
  if (key === "ArrowRight") return mine[at + 1];
  if (key === "Home") return mine[0];
  if (key === "End") return mine.at(-1);
  const all = lanes();
  const from = all.indexOf(visit.closest(".lane"));
  const beyond = key === "ArrowDown" ? all.slice(from + 1) : all.slice(0, from).reverse();
  const next = beyond.map(inLane).find((visits) => visits.length);
  const off = (each) => Math.abs(each.dataset.starts - visit.dataset.starts);
  return next?.reduce((best, each) => (off(each) < off(best) ? each : best));
}

const WAYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

function keyed(event) {
  if (isMoving() || event.ctrlKey || event.metaKey || event.altKey) return;
  const visit = event.target.closest(".visit[data-visit]");
  const waiting = event.target.closest(".waiting .opens")?.closest("[data-visit]");
  if (visit && WAYS.includes(event.key)) goTo(neighbour(visit, event.key));
  else if (visit && (event.key === "Enter" || event.key === " ")) openPanel(visit.dataset.visit, visit);
  else if ((visit || waiting) && event.key.toLowerCase() === "m") carry((visit || waiting).dataset.visit);
  else return;
  event.preventDefault();
}

function clicked(event) {
  const opens = event.target.closest(".visit[data-visit], .opens");
  const repair = event.target.closest("[data-repair]");
  if (repair) offerRepair(repair);
  else if (opens) openPanel(opens.closest("[data-visit]").dataset.visit, opens);
}

const ZOOMS = [1, 1.5, 2, 3, 4];
let zoom = 0;

// The hours in the middle stay there.
function zoomed(event) {
  const way = event.target.closest("[data-zoom]")?.dataset.zoom;
  const scroller = $("timeline");
  if (!way) return;
  const middle = (scroller.scrollLeft + scroller.clientWidth / 2) / scroller.scrollWidth;
  zoom = Math.max(0, Math.min(ZOOMS.length - 1, zoom + (way === "in" ? 1 : -1)));
  scroller.style.setProperty("--zoom", ZOOMS[zoom]);
  scroller.classList.toggle("zoomed", zoom > 0);
  scroller.scrollLeft = middle * scroller.scrollWidth - scroller.clientWidth / 2;
}

function showNow() {
  const scroller = $("timeline");
  const now = document.querySelector(".axis .now");
  if (!now || scroller.scrollWidth <= scroller.clientWidth) return;
  const ahead = now.getBoundingClientRect().left - scroller.getBoundingClientRect().left;
  scroller.scrollLeft = Math.max(0, ahead - scroller.clientWidth / 2);
}

onNew(enliven);
onChange(keepOneInOrder);
follow();
if ($("lanes")) {
  keepOneInOrder();
  showNow();
  $("zoom").hidden = false;
  $("zoom").addEventListener("click", zoomed);
}
$("board").addEventListener("keydown", keyed);
$("board").addEventListener("click", clicked);
$("board").addEventListener("focusin", (event) => {
  const visit = event.target.closest(".visit[data-visit]");
  if (!visit) return;
  current = visit.dataset.visit;
  keepOneInOrder();
});
followPointer((move) => confirmMove(move.visit, { technician: move.technician, start: move.start }));
$("tools").hidden = false;
$("new-request").addEventListener("click", openRequest);
$("plan-day").addEventListener("click", openPlan);
drawMap(openPanel);
