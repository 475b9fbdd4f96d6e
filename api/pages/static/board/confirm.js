// Asks before a visit is moved: what it costs, what it breaks, and why it is done all the same.

import { Refused, appointment, call, isStale } from "./api.js";
import { alertBox, busy, button, check, field, make, refuse, say } from "./dom.js";
import { refresh } from "./live.js";
import { Price, override, shown } from "./price.js";
import { answer, ask } from "./sheet.js";
import { isEmployee, technicianName } from "./visits.js";
import { clock, day, instantOf } from "./words.js";

const CHANGED = "Somebody changed this visit meanwhile. The board shows what stands now; look at the price again.";

// visit: as on the board. wish: {technician, start}. Settles once it is moved, or left.
export async function confirmMove(visit, wish) {
  const form = new MoveForm(visit, wish);
  form.begin();
  await ask(visit.technician ? `Move ${visit.name}?` : `Assign ${visit.name}?`, form.element);
  form.price.stop();
}

class MoveForm {
  constructor(visit, wish) {
    this.visit = visit;
    this.wish = wish;
    this.told = make("div", { className: "told", role: "status" });
    this.problems = make("div", {});
    this.reason = make("input", { type: "text", name: "reason", required: true, maxLength: 500, autocomplete: "off" });
    this.pin = check("Pin it: plans leave it with this technician", { name: "pin", checked: true });
    this.phone = check("Accepted by phone: no offer is sent", { name: "accepted_by_phone" });
    this.force = check("Force it, although it breaks what is said above", { name: "force" });
    this.force.classList.add("force");
    this.force.hidden = true;
    this.send = make("button", { type: "submit", className: "button", disabled: true }, visit.technician ? "Move it" : "Assign it");
    this.price = new Price(visit.id, (told) => this.tell(told));
    this.element = make(
      "form",
      { method: "dialog", noValidate: true, on: { submit: (event) => this.submit(event) } },
      this.summary(),
      this.told,
      this.window(),
      field("Why", this.reason, "It is kept with the visit."),
      this.pin,
      isEmployee(wish.technician) ? null : this.phone,
      this.force,
      this.problems,
      make("div", { className: "actions" }, this.send, button("Leave it", () => answer(""))),
    );
  }

  summary() {
    const when = `${clock(this.wish.start)} on ${day(this.wish.start)}`;
    const before = this.visit.technician ? `now ${clock(this.visit.starts * 1000)} with ${technicianName(this.visit.technician)}` : "unassigned now";
    return make("p", { className: "to" }, make("strong", {}, `${when}, with ${technicianName(this.wish.technician)}`), make("span", { className: "hint" }, ` · ${before}`));
  }

  // Another promise than the one that stands.
  window() {
    const [from, to] = ["from", "to"].map((name) => make("input", { type: "time", name, on: { change: () => this.promise() } }));
    this.from = from;
    this.to = to;
    return make("details", { className: "promise-anew" }, make("summary", {}, "Promise the customer another window"), make("div", { className: "pair" }, field("From", from), field("To", to)));
  }

  promise() {
    const [start, end] = [this.from.value, this.to.value].map((time) => (time ? instantOf(time) : null));
    refuse(this.to, start !== null && end !== null && end <= start ? "must be after the beginning" : "");
    if (start !== null && end !== null && end <= start) return;
    this.wish.window = start !== null && end !== null ? { start, end } : undefined;
    this.ask();
  }

  begin() {
    this.ask();
  }

  async ask() {
    this.send.disabled = true;
    try {
      this.etag = (await call("GET", appointment(this.visit.id))).etag;
      this.price.ask(this.wish, 0);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.tell({ state: "refused", refusal: error });
    }
  }

  tell(told) {
    this.told.replaceChildren(shown(told, this.visit.id));
    if (told.state === "known") this.mustForce(told.price.violations.length > 0);
    this.send.disabled = told.state !== "known" || !told.price.extra_cost;
  }

  mustForce(must) {
    this.force.hidden = !must;
    this.force.querySelector("input").required = must;
  }

  submit(event) {
    event.preventDefault();
    if (!this.isComplete()) return;
    busy(this.element, () => this.apply());
  }

  isComplete() {
    refuse(this.reason, this.reason.value.trim() ? "" : "say why");
    const force = this.force.querySelector("input");
    const mustForce = force.required && !force.checked;
    this.problems.replaceChildren(mustForce ? alertBox("This breaks rules. Tick “Force it” to do it all the same, or leave it.") : "");
    if (!this.reason.value.trim()) this.reason.focus();
    else if (mustForce) force.focus();
    return Boolean(this.reason.value.trim()) && !mustForce;
  }

  async apply() {
    const { checked: force } = this.force.querySelector("input");
    const members = { pin: this.pin.querySelector("input").checked, reason: this.reason.value.trim(), force };
    if (this.phone.isConnected) members.accepted_by_phone = this.phone.querySelector("input").checked;
    try {
      await override(this.visit.id, this.wish, { dryRun: false, match: this.etag, ...members });
      answer("moved");
      say(`${this.visit.name} is now at ${clock(this.wish.start)} with ${technicianName(this.wish.technician)}.`);
      await refresh();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.refused(error);
    }
  }

  async refused(error) {
    const reason = error.fields.get("reason");
    if (reason) refuse(this.reason, reason);
    if (isStale(error)) {
      refresh();
      await this.ask();
    } else if (error.problem.violations) {
      this.mustForce(true);
    }
    if (!reason) this.problems.replaceChildren(alertBox(isStale(error) ? CHANGED : error.message));
    (reason ? this.reason : this.problems.firstChild).focus();
  }
}

