// A repair of what wants attention: what it would change and cost first, then, if that is wanted, the repair.

import { Refused, call } from "./api.js";
import { alertBox, busy, button, field, make, say } from "./dom.js";
import { refresh } from "./live.js";
import { changes } from "./plan.js";
import { closeSheet, openSheet } from "./sheet.js";
import { nameIn, nameOf } from "./visits.js";
import { cost, counted, span, travel } from "./words.js";

// offered: the button that offers it, with the repair as the API takes it.
export async function offerRepair(offered) {
  const repair = JSON.parse(offered.dataset.repair);
  const open = (content) => openSheet(titleOf(offered), content, { kept: offered, label: "Repair" });
  open(make("p", { className: "asking" }, "Working out what would help …"));
  try {
    const { data } = await call("POST", "/v1/repairs", { body: { ...repair, dry_run: true } });
    open(proposal(repair, data));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    open(alertBox(error.message));
  }
}

function titleOf(offered) {
  const lane = offered.closest(".lane");
  if (lane) return `Absent: ${nameIn(lane)}`;
  const item = offered.closest("li");
  return [item.querySelector(".kind"), item.querySelector(".opens, .about")].filter(Boolean).map((part) => part.textContent).join(": ");
}

function proposal(repair, data) {
  const { moved, assigned, unassigned, promises_broken: broken } = data;
  const count = moved.length + assigned.length + unassigned.filter((each) => each.before).length;
  const why = make("input", { type: "text", name: "reason", maxLength: 500, autocomplete: "off" });
  const problems = make("div", {});
  const act = (event) => {
    event.preventDefault();
    busy(form, () => apply(repair, why.value.trim(), problems));
  };
  const form = make(
    "form",
    { noValidate: true, on: { submit: act } },
    make("p", { className: "sum" }, count ? `It touches ${counted(count, "visit")}: ${travel(data.extra_travel_s)}, ${cost(data.extra_cost)}.` : "Nothing better than what stands was found."),
    broken.map((each) => make("p", { className: "broken" }, make("span", { className: "mark", ariaHidden: "true" }, "! "), `The promise of ${nameOf(each.appointment_id)}, ${span(each.arrival_window)}, breaks.`)),
    changes(data),
    problems,
    field("Why, if it is worth saying", why),
    make("div", { className: "actions sticky" }, make("button", { type: "submit", className: "button" }, "Do it"), button("Leave it", closeSheet)),
  );
  return form;
}

async function apply(repair, reason, problems) {
  try {
    const { data } = await call("POST", "/v1/repairs", { body: reason ? { ...repair, reason } : repair });
    closeSheet();
    say(`Done: ${counted(data.moved.length + data.assigned.length, "visit")} moved or assigned.`);
    await refresh();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problems.replaceChildren(alertBox(error.message));
    problems.firstChild.focus();
  }
}
