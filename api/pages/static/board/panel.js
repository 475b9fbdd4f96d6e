// A visit's panel: what is known of it, who else could take it and for what price, and what a dispatcher may do.

import { Refused, appointment, call, isStale } from "./api.js";
import { confirmMove } from "./confirm.js";
import { $, alertBox, busy, button, field, make, refuse, say } from "./dom.js";
import { onChange, refresh } from "./live.js";
import { takeUp } from "./move.js";
import { offersSection, readOffers } from "./offers.js";
import { closeSheet, openSheet } from "./sheet.js";
import { lanes, nameIn, visit as visitOf } from "./visits.js";
import { STATES, clock, cost, day, instantOf, moment, reason, span, travel } from "./words.js";

const MOVABLE = ["unassigned", "scheduled", "dispatched"];
const PINNABLE = ["scheduled", "dispatched"];
const HELD = ["scheduled", "dispatched", "en_route"];
const TALKED_ABOUT = Object.keys(STATES).filter((status) => !["completed", "cancelled"].includes(status));

let open = null;

export async function openPanel(id, kept) {
  const visit = visitOf(id);
  if (!visit) return;
  open = { id, kept: kept || document.activeElement, version: null, turn: 0 };
  openSheet(visit.name, make("p", { className: "asking" }, "Loading …"), { kept: open.kept, label: "Visit", onClose: () => (open = null) });
  await load(id);
}

// Of two that run at once, the later one counts.
async function load(id) {
  const mine = open;
  mine.turn += 1;
  const { turn } = mine;
  const isOver = () => open !== mine || mine.turn !== turn;
  try {
    const found = await read(id);
    if (isOver()) return;
    mine.version = found.visit.version;
    const isInside = $("sheet").contains(document.activeElement);
    $("sheet").querySelector(".body").replaceChildren(...show(id, found));
    if (isInside && !$("sheet").contains(document.activeElement)) $("sheet-title").focus();
    if (MOVABLE.includes(found.visit.status)) await offerCandidates(id, isOver);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (!isOver()) $("sheet").querySelector(".body").replaceChildren(alertBox(error.message));
  }
}

async function read(id) {
  const [{ data: visit, etag }, { data: messages }, { data: promises }, offers] = await Promise.all([
    call("GET", appointment(id)),
    call("GET", appointment(id, "/messages?limit=200")),
    call("GET", `/v1/promises?appointment_id=${id}`),
    readOffers(appointment(id)),
  ]);
  const { data: request } = await call("GET", `/v1/service-requests/${visit.service_request_id}`);
  return { visit, etag, messages: messages.items, promises: promises.items, offers, request };
}

// What others change shows, unless something is being written here.
onChange(async () => {
  if (!open || open.version === null || isWritten()) return;
  const mine = open;
  try {
    const { data } = await call("GET", appointment(mine.id));
    if (open === mine && data.version !== mine.version && !isWritten()) await load(mine.id);
  } catch (error) {
    if (!(error instanceof Refused) || error.status) throw error; // not reached: the next news tries again
  }
});

const isWritten = () => [...$("sheet").querySelectorAll("input[type=text], textarea")].some((input) => input.value) || $("sheet").contains(document.activeElement?.closest("input, textarea, select"));

// Its parts

function show(id, found) {
  const { visit } = found;
  return [
    facts(found),
    make("div", { id: "visit-problem" }),
    offersSection(found.offers, (path, done) => change(id, { path, done })),
    MOVABLE.includes(visit.status) ? make("section", { id: "candidates" }, make("h3", {}, visit.technician ? "Who else could take it" : "Who could take it"), make("p", { className: "asking" }, "Asking …")) : null,
    MOVABLE.includes(visit.status) ? byHand(id) : null,
    pins(id, found),
    HELD.includes(visit.status) ? unassign(id, found) : null,
    thread(id, found),
    history(found),
  ].filter(Boolean);
}

function facts({ visit, request }) {
  const rows = [
    ["State", [STATES[visit.status], visit.pinned && "pinned", visit.pinned_time && "start pinned"].filter(Boolean).join(", ")],
    ["Planned", visit.scheduled_start ? `${day(visit.scheduled_start)}, ${span({ start: visit.scheduled_start, end: visit.scheduled_end })}` : "not yet"],
    visit.expected_start && ["Expected", clock(visit.expected_start)],
    visit.technician && ["Technician", visit.technician.name],
    ["Promised", visit.arrival_window ? `${day(visit.arrival_window.start)}, ${span(visit.arrival_window)}` : "nothing yet"],
    visit.arrival_window && ["Customer", visit.customer_confirmed_at ? `confirmed on ${moment(visit.customer_confirmed_at)}` : "has not confirmed"],
    request.customer.phone && ["Phone", make("a", { href: `tel:${request.customer.phone}` }, request.customer.phone)],
    request.place.address && ["Address", request.place.address],
    request.notes && ["Notes", request.notes],
    request.priority !== "normal" && ["Priority", request.priority],
  ];
  return make("dl", { className: "rows" }, rows.filter(Boolean).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

async function offerCandidates(id, isOver) {
  const found = await call("GET", appointment(id, "/candidates")).catch((error) => {
    if (!(error instanceof Refused)) throw error;
    return error;
  });
  if (isOver()) return;
  const box = $("candidates");
  if (found instanceof Refused) return box.querySelector(".asking").replaceWith(make("p", {}, found.message));
  const { data } = found;
  const { technician } = visitOf(id);
  const rest = data.items.filter((each) => each.technician_id !== technician);
  const able = rest.filter((each) => each.feasible);
  const others = rest.filter((each) => !each.feasible);
  box.querySelector(".asking").replaceWith(
    able.length ? make("ol", { className: "candidates" }, able.map((each) => make("li", {}, choice(id, each)))) : make("p", {}, technician ? "Nobody else, as things stand." : "Nobody, as things stand."),
    others.length ? make("details", {}, make("summary", {}, `${others.length} could take it only by force`), make("ul", { className: "candidates" }, others.map((each) => make("li", {}, choice(id, each), reasons(each))))) : "",
  );
}

const reasons = (each) => make("p", { className: "hint" }, each.reasons.map(reason).join(" "));

// Of whom nothing says when, it is asked for the time that stands, or the beginning of its shift.
function choice(id, each) {
  const visit = visitOf(id);
  const start = each.scheduled_start ? Date.parse(each.scheduled_start) : visit.starts ? visit.starts * 1000 : Number($("timeline").dataset.begins) * 1000;
  const price = each.feasible ? make("span", { className: "hint" }, `${travel(each.extra_travel_s)}, ${cost(each.extra_cost)}`) : null;
  return make("button", { type: "button", className: "choice", on: { click: () => confirmMove(visit, { technician: each.technician_id, start }) } }, make("span", { className: "name" }, each.technician_name), each.scheduled_start ? make("span", { className: "at" }, clock(start)) : null, price);
}

function byHand(id) {
  const visit = visitOf(id);
  const start = visit.starts ? visit.starts * 1000 : Number($("timeline").dataset.begins) * 1000;
  const time = make("input", { type: "time", name: "start", value: clock(start), required: true });
  const who = make("select", { name: "technician" }, lanes().map((lane) => make("option", { value: lane.dataset.technician, selected: lane.dataset.technician === visit.technician }, nameIn(lane))));
  const act = (event) => {
    event.preventDefault();
    refuse(time, time.value ? "" : "is needed");
    if (time.value) confirmMove(visitOf(id), { technician: who.value, start: instantOf(time.value) });
  };
  return make(
    "form",
    { className: "by-hand", on: { submit: act } },
    make("h3", {}, "At a time of your own"),
    make("div", { className: "pair" }, field("Start", time), field("Technician", who)),
    make("div", { className: "actions" }, make("button", { type: "submit", className: "button second" }, "See the price"), button("Pick up (M)", () => carry(id), { className: "button second drawing-only" })),
  );
}

// Unassigned ones begin with whoever takes them best.
export async function carry(id) {
  const visit = visitOf(id);
  closeSheet();
  const first = visit.technician ? { technician: visit.technician, start: visit.starts * 1000 } : await bestPlace(id);
  takeUp(visit, first, (move) => confirmMove(move.visit, { technician: move.technician, start: move.start }));
}

// Where nobody can take it, or nobody knows, the first lane.
async function bestPlace(id) {
  try {
    const { data } = await call("GET", appointment(id, "/candidates"));
    const best = data.items.find((each) => each.feasible);
    return best ? { technician: best.technician_id, start: Date.parse(best.scheduled_start) } : {};
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, true);
    return {};
  }
}

function pins(id, { visit, etag: match }) {
  if (!PINNABLE.includes(visit.status)) return null;
  const act = (action, words, body) => button(words, () => change(id, { path: appointment(id, `/${action}`), body, match, done: DONE[action] }));
  const isPinned = visit.pinned || visit.pinned_time;
  const offered = isPinned ? [act("unpin", "Unpin")] : [act("pin", "Pin to its technician", { time: false }), act("pin", "Pin technician and start", { time: true })];
  return make("section", {}, make("h3", {}, "Plans"), make("p", { className: "hint" }, isPinned ? "Plans leave it as it is." : "Plans may move it inside its promise."), make("div", { className: "actions" }, offered));
}

function unassign(id, { etag: match }) {
  const why = make("input", { type: "text", name: "why", maxLength: 500, autocomplete: "off" });
  const act = (event) => {
    event.preventDefault();
    refuse(why, why.value.trim() ? "" : "say why");
    if (why.value.trim()) change(id, { path: appointment(id, "/unassign"), body: { reason: why.value.trim() }, match, done: DONE.unassign });
    else why.focus();
  };
  return make("details", { className: "fold" }, make("summary", {}, "Take it from its technician"), make("form", { noValidate: true, on: { submit: act } }, field("Why", why, "The promise to the customer stands."), make("button", { type: "submit", className: "button second" }, "Unassign")));
}

const DONE = { pin: "The visit is pinned.", unpin: "The visit is no longer pinned.", unassign: "The visit is unassigned." };

// done: what is said once it is done.
function change(id, { path, body, match, done }) {
  return busy($("sheet"), async () => {
    try {
      await call("POST", path, { body, match });
      say(done);
      await refresh();
      await load(id);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (isStale(error)) {
        await refresh();
        await load(id);
      }
      const told = alertBox(isStale(error) ? "Somebody changed this visit meanwhile; what stands now is shown here." : error.message);
      $("visit-problem").replaceChildren(told);
      told.focus();
    }
  });
}

function thread(id, { visit, messages }) {
  const said = messages.map((each) => make("li", { className: each.from === "dispatcher" ? "own" : "" }, make("p", { className: "text" }, each.text), make("p", { className: "hint" }, `${each.from === "dispatcher" ? "You" : "Customer"}, ${moment(each.at)}`)));
  const list = make("ul", { className: "thread-lines" }, said);
  const parts = [make("h3", {}, "Messages"), messages.length ? list : make("p", { className: "hint" }, "Nothing was written yet.")];
  if (TALKED_ABOUT.includes(visit.status)) parts.push(writing(id));
  return make("section", {}, parts);
}

function writing(id) {
  const text = make("textarea", { name: "text", rows: 2, maxLength: 2000 });
  const act = (event) => {
    event.preventDefault();
    refuse(text, text.value.trim() ? "" : "write something");
    if (!text.value.trim()) return;
    busy($("sheet"), async () => {
      try {
        await call("POST", appointment(id, "/messages"), { body: { text: text.value.trim() } });
        say("Sent to the customer.");
        await load(id);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refuse(text, error.fields.get("text") || error.message);
      }
    });
  };
  return make("form", { noValidate: true, on: { submit: act } }, field("Write to the customer", text), make("button", { type: "submit", className: "button second" }, "Send"));
}

const KINDS = { given: "Promised", changed: "Changed to", kept: "Kept", broken: "Broken", withdrawn: "Withdrawn" };

function history({ visit, promises }) {
  const lines = promises.map((each) => make("li", {}, `${KINDS[each.kind] || each.kind} ${moment(each.arrival_window.start)}–${clock(each.arrival_window.end)}`, make("span", { className: "hint" }, ` · ${moment(each.at)}, ${each.by}`)));
  const events = visit.events.map((each) => make("li", {}, each.type.replace("appointment.", "").replaceAll("_", " "), make("span", { className: "hint" }, ` · ${moment(each.at)}, ${each.by}${each.reason ? `: ${each.reason}` : ""}`)));
  return make(
    "details",
    { className: "fold" },
    make("summary", {}, "Promises and history"),
    lines.length ? make("ul", { className: "history" }, lines) : make("p", { className: "hint" }, "Nothing was promised yet."),
    make("ul", { className: "history" }, events.reverse()),
  );
}

