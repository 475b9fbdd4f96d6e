// What a move would cost, asked before it is made: dry runs, one at a time, of what is wanted now.

import { appointment, call, isAborted } from "./api.js";
import { make } from "./dom.js";
import { nameOf } from "./visits.js";
import { clock, cost, counted, iso, reason, span, travel } from "./words.js";

const PAUSE_MS = 140;

// wish: {technician, start, window?}. Given back as the API answers.
export async function override(visitId, wish, { dryRun, match, signal, ...members }) {
  const body = { technician_id: wish.technician, pin: true, dry_run: dryRun, ...members };
  if (wish.start !== undefined) body.scheduled_start = iso(wish.start);
  if (wish.window) body.arrival_window = { start: iso(wish.window.start), end: iso(wish.window.end) };
  return call("POST", appointment(visitId, "/override"), { body, match, signal });
}

export class Price {
  // told: is given {state: "asking" | "known" | "refused", price?, refusal?}.
  constructor(visitId, told) {
    this.visitId = visitId;
    this.told = told;
  }

  ask(wish, pause = PAUSE_MS) {
    this.stop();
    this.told({ state: "asking" });
    this.timer = setTimeout(() => this.fetch(wish), pause);
  }

  async fetch(wish) {
    const asked = new AbortController();
    this.asked = asked;
    try {
      const { data } = await override(this.visitId, wish, { dryRun: true, signal: asked.signal });
      if (!asked.signal.aborted) this.told({ state: "known", price: data });
    } catch (error) {
      if (isAborted(error)) return;
      if (!asked.signal.aborted) this.told({ state: "refused", refusal: error });
    }
  }

  stop() {
    clearTimeout(this.timer);
    this.asked?.abort();
  }
}

// Its parts in words: what it adds, what forbids it, which promises it breaks, who else is touched.
export function parts(price, visitId) {
  return {
    sum: price.extra_cost ? `${capital(travel(price.extra_travel_s))}, ${cost(price.extra_cost)}` : "This cannot be, not even by force",
    violations: price.violations.map(violation),
    broken: price.promises_broken.map((each) => broken(each, visitId)),
    moved: price.moved.map(moved),
  };
}

const capital = (said) => said.charAt(0).toUpperCase() + said.slice(1);

// Of the visit's own technician nobody has to be named again.
function violation(each) {
  return each.appointment_id ? `${nameOf(each.appointment_id)}: ${reason(each)}` : reason(each);
}

function broken(each, visitId) {
  const whose = each.appointment_id === visitId ? "Its own promise" : `The promise of ${nameOf(each.appointment_id)}`;
  return `${whose}, ${span(each.arrival_window)}, breaks.`;
}

function moved({ appointment_id: id, before, after, lost_technician: isLost }) {
  if (isLost) return `${nameOf(id)} loses its technician.`;
  return `${nameOf(id)} moves from ${clock(before.scheduled_start)} to ${clock(after.scheduled_start)}.`;
}

// All of it in a line, to be read aloud.
export function spoken({ state, price, refusal }, visitId) {
  if (state === "asking") return "";
  if (state === "refused") return refusal.message;
  const { sum, violations, broken: promises, moved: others } = parts(price, visitId);
  const said = [`${sum}.`];
  if (violations.length) said.push(`${capital(counted(violations.length, "rule"))} broken: ${violations.join(" ")}`);
  said.push(promises.length ? promises.join(" ") : "No promise breaks.");
  if (others.length) said.push(others.join(" "));
  return said.join(" ");
}

const MOST_LINES = 4;

function lines(kind, mark, all) {
  const shown = all.slice(0, MOST_LINES).map((words) => make("li", { className: kind }, make("span", { className: "mark", ariaHidden: "true" }, mark), words));
  if (all.length > MOST_LINES) shown.push(make("li", { className: kind }, `and ${all.length - MOST_LINES} more`));
  return shown;
}

// The same to be looked at.
export function shown({ state, price, refusal }, visitId) {
  if (state === "asking") return make("p", { className: "asking" }, "Working out the price …");
  if (state === "refused") return make("p", { className: "violation" }, refusal.message);
  const { sum, violations, broken: promises, moved: others } = parts(price, visitId);
  const list = [...lines("violation", "✕", violations), ...lines("broken", "!", promises), ...lines("touched", "→", others)];
  const quiet = promises.length ? [] : [make("p", { className: "hint" }, others.length ? "No promise breaks." : "No promise breaks, nobody else is touched.")];
  return make("div", { className: "price" }, make("p", { className: "sum" }, sum), ...quiet, list.length ? make("ul", {}, list) : null);
}
