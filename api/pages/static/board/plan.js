// The day planned anew: a trial run, what it would change, and as much of that as is chosen.

import { Refused, board, call } from "./api.js";
import { $, alertBox, busy, button, check, field, make, say } from "./dom.js";
import { refresh } from "./live.js";
import { closeSheet, openSheet } from "./sheet.js";
import { nameOf, technicianName } from "./visits.js";
import { clock, counted, reason } from "./words.js";

const LOOK_EVERY_MS = 700;
const LIMITS_S = [5, 10, 30, 60];
const USUAL_S = 10;
const MOST_MOVES = [5, 10, 25, 50];
const RUNNING = ["queued", "running"];

let timer;

export function openPlan() {
  const limit = make("select", { name: "limit" }, LIMITS_S.map((seconds) => make("option", { value: seconds, selected: seconds === USUAL_S }, `${seconds} seconds`)));
  const moves = make("select", { name: "moves" }, make("option", { value: "" }, "As many as it takes"), MOST_MOVES.map((count) => make("option", { value: count }, `At most ${count}`)));
  const problems = make("div", {});
  const act = (event) => {
    event.preventDefault();
    busy(form, () => start(Number(limit.value), moves.value ? Number(moves.value) : undefined, problems));
  };
  const form = make(
    "form",
    { on: { submit: act } },
    make("p", {}, "The optimizer looks for a better plan of this day. Nothing changes until you have seen what it would move."),
    problems,
    make("div", { className: "pair" }, field("Think for at most", limit), field("Visits it may move", moves)),
    make("div", { className: "actions" }, make("button", { type: "submit", className: "button" }, "Work it out"), button("Leave it", closeSheet)),
  );
  open("Plan this day", form);
}

function open(title, content, onClose) {
  openSheet(title, content, { kept: $("plan-day"), label: "Plan", onClose });
}

async function start(seconds, mostMoves, problems) {
  try {
    const { territory, date } = board();
    const { data } = await call("POST", "/v1/plans", { body: { territory_id: territory, date, time_limit_s: seconds, max_moves: mostMoves, dry_run: true } });
    watch(data);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problems.replaceChildren(alertBox(error.message));
  }
}

// Closing the sheet ends the run: nobody waits for it any more.
function watch(run) {
  const bar = make("progress", { max: 1, value: 0, ariaLabel: "Progress of the plan" });
  const words = make("p", { className: "hint", role: "status" }, "Waiting for a worker …");
  let isOver = false;
  const abandon = () => {
    clearTimeout(timer);
    if (!isOver) call("DELETE", `/v1/plans/${run.id}`).catch(sayRefusal);
  };
  open("Planning", [bar, words, make("div", { className: "actions" }, button("Cancel", closeSheet))], abandon);
  const look = async () => {
    try {
      const { data } = await call("GET", `/v1/plans/${run.id}`);
      if (data.progress) {
        bar.value = data.progress.fraction;
        words.textContent = `${Math.round(data.progress.fraction * 100)} %, ${counted(data.progress.unserved, "visit")} left without a technician so far.`;
      }
      if (RUNNING.includes(data.status)) {
        timer = setTimeout(look, LOOK_EVERY_MS);
        return;
      }
      isOver = true;
      if (data.status === "done") differences(data);
      else open("Planning", alertBox(data.error || `The run was ${data.status}.`));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      words.textContent = error.message;
      timer = setTimeout(look, LOOK_EVERY_MS * 4);
    }
  };
  timer = setTimeout(look, LOOK_EVERY_MS);
}

const sayRefusal = (error) => {
  if (!(error instanceof Refused)) throw error;
  say(error.message, true);
};

const place = (each) => `${clock(each.scheduled_start)}, ${technicianName(each.technician_id)}`;

const stood = ({ before }) => (before ? ` · now ${place(before)}` : "");

function told(each) {
  const to = each.technician_id ? `to ${place(each)}` : "to nobody";
  return [make("strong", {}, nameOf(each.appointment_id)), make("br"), to, make("span", { className: "hint" }, stood(each))];
}

const ticked = (each) => make("label", { className: "check" }, make("input", { type: "checkbox", name: "visit", value: each.appointment_id, checked: true }), make("span", {}, told(each)));

function list(title, items, line) {
  return items.length ? make("section", {}, make("h3", {}, `${title} (${items.length})`), make("ul", { className: "differences" }, items.map((each) => make("li", {}, line(each))))) : null;
}

// What would be otherwise, visit by visit.
export function changes({ moved = [], assigned = [], unassigned = [] }, line = told) {
  const lost = unassigned.filter((each) => each.before);
  const waiting = unassigned.filter((each) => !each.before);
  return [list("Moved", moved, line), list("Assigned", assigned, line), list("Loses its technician", lost, line), left(waiting)].filter(Boolean);
}

function left(items) {
  if (!items.length) return null;
  const lines = items.map((each) => make("li", {}, make("strong", {}, nameOf(each.appointment_id)), make("br"), make("span", { className: "hint" }, each.reasons.map(reason).join(" "))));
  return make("details", { className: "fold" }, make("summary", {}, `${counted(items.length, "visit")} left without a technician`), make("ul", { className: "differences" }, lines));
}

function differences(run) {
  const { moved = [], assigned = [], kept = [], unassigned = [] } = run;
  const count = moved.length + assigned.length + unassigned.filter((each) => each.before).length;
  const problems = make("div", {});
  const all = check("All of it", { checked: true, on: { change: (event) => boxes().forEach((box) => (box.checked = event.target.checked)) } });
  const boxes = () => [...form.querySelectorAll("input[name=visit]")];
  const act = (event) => {
    event.preventDefault();
    busy(form, () => apply(run, boxes().filter((box) => box.checked).map((box) => box.value), problems));
  };
  const form = make(
    "form",
    { on: { submit: act } },
    make("p", {}, count ? `It would move ${counted(moved.length, "visit")}, assign ${counted(assigned.length, "visit")} and keep ${kept.length}.` : "It found nothing better: the day stays as it is."),
    problems,
    count ? all : null,
    changes(run, ticked),
    make("div", { className: "actions sticky" }, count ? make("button", { type: "submit", className: "button" }, "Apply what is ticked") : null, button(count ? "Apply nothing" : "Close", closeSheet)),
  );
  open("What the plan would change", form);
}

async function apply(run, appointmentIds, problems) {
  if (!appointmentIds.length) return problems.replaceChildren(alertBox("Nothing is ticked."));
  try {
    const { data } = await call("POST", `/v1/plans/${run.id}/apply`, { body: { appointment_ids: appointmentIds } });
    const stale = (data.skipped_stale || []).length;
    const along = (data.went_along || []).length;
    closeSheet();
    const said = [stale ? `Applied, but for ${counted(stale, "visit")} that changed meanwhile.` : "The plan is applied."];
    if (along) said.push(`${counted(along, "visit")} went along, by the same technicians.`);
    say(said.join(" "));
    await refresh();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problems.replaceChildren(alertBox(error.message));
    problems.firstChild.focus();
  }
}
