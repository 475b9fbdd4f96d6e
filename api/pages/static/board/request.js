// A request by phone: what is needed and where, then the windows that can be kept, then the promise.

import { Refused, board, call, newKey } from "./api.js";
import { $, alertBox, busy, button, field, make, refuse, say } from "./dom.js";
import { refresh } from "./live.js";
import { closeSheet, openSheet } from "./sheet.js";
import { day, money, span, travel } from "./words.js";

const PRIORITIES = { low: "Low", normal: "Normal", high: "High", emergency: "Emergency" };
const ADDRESS = ["address_not_found", "address_ambiguous", "outside_territories"];
// What the API calls a field, and which of ours says it.
const OURS = { service_id: "service_id", "customer.name": "name", "customer.phone": "phone", "customer.language": "language", place: "address", "place.address": "address", notes: "notes", priority: "priority" };

export function openRequest() {
  new RequestForm().open();
}

class RequestForm {
  constructor() {
    this.inputs = {
      service_id: make("select", { name: "service_id", required: true }, $("services").content.cloneNode(true)),
      name: make("input", { type: "text", name: "name", required: true, maxLength: 200, autocomplete: "off" }),
      phone: make("input", { type: "tel", name: "phone", autocomplete: "off" }),
      language: make("select", { name: "language" }, make("option", { value: "" }, "Not known"), $("languages").content.cloneNode(true)),
      address: make("input", { type: "text", name: "address", required: true, autocomplete: "off" }),
      notes: make("textarea", { name: "notes", rows: 2 }),
      priority: make("select", { name: "priority" }, Object.entries(PRIORITIES).map(([value, words]) => make("option", { value, selected: value === "normal" }, words))),
    };
    this.places = make("fieldset", { className: "places", hidden: true });
    this.problems = make("div", {});
    this.inputs.address.addEventListener("input", () => this.forgetPlaces());
  }

  open() {
    const { inputs } = this;
    const form = make(
      "form",
      { noValidate: true, className: "request", on: { submit: (event) => this.submit(event) } },
      this.problems,
      field("Service", inputs.service_id),
      field("Customer’s name", inputs.name),
      make("div", { className: "pair" }, field("Phone", inputs.phone), field("Language", inputs.language)),
      field("Address", inputs.address, "As the customer says it, or a ZIP code."),
      this.places,
      field("Notes", inputs.notes),
      field("Priority", inputs.priority),
      make("div", { className: "actions" }, make("button", { type: "submit", className: "button" }, "Find times"), button("Cancel", closeSheet)),
    );
    this.form = form;
    openSheet("New request by phone", form, { kept: $("new-request"), label: "Request" });
    inputs.service_id.focus();
  }

  forgetPlaces() {
    this.places.replaceChildren();
    this.places.hidden = true;
  }

  get body() {
    const value = (name) => this.inputs[name].value.trim();
    const customer = { name: value("name") };
    for (const name of ["phone", "language"]) if (value(name)) customer[name] = value(name);
    const body = { organization: board().organization, service_id: value("service_id"), customer, place: this.place(), priority: value("priority"), source: "phone" };
    if (value("notes")) body.notes = value("notes");
    return body;
  }

  place() {
    const chosen = this.places.querySelector("input:checked");
    return chosen ? JSON.parse(chosen.value) : { address: this.inputs.address.value.trim() };
  }

  submit(event) {
    event.preventDefault();
    this.clear();
    const missing = ["service_id", "name", "address"].filter((name) => !this.inputs[name].value.trim());
    for (const name of missing) refuse(this.inputs[name], "is needed");
    if (missing.length) return this.inputs[missing[0]].focus();
    const body = this.body;
    const text = JSON.stringify(body);
    if (text !== this.sent) [this.sent, this.key] = [text, newKey()]; // what is sent again unchanged is one request
    busy(this.form, () => this.register(body));
  }

  clear() {
    this.problems.replaceChildren();
    for (const input of Object.values(this.inputs)) refuse(input, "");
  }

  async register(body) {
    try {
      const { data } = await call("POST", "/v1/service-requests", { body, key: this.key });
      refresh();
      await new Times(data).open();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refused(error);
    }
  }

  refused(error) {
    if (error.code === "address_ambiguous") this.offerPlaces(error.problem.candidates);
    const told = ADDRESS.includes(error.code) ? new Map([["place", error.message]]) : error.fields;
    const rest = [];
    for (const [name, message] of told) {
      if (OURS[name]) refuse(this.inputs[OURS[name]], message);
      else rest.push(`${name}: ${message}`);
    }
    if (!told.size) rest.push(error.message);
    if (rest.length) this.problems.replaceChildren(alertBox(...rest));
    const first = this.form.querySelector("[aria-invalid=true]") || this.problems.firstChild;
    (this.places.querySelector("input") || first).focus();
  }

  offerPlaces(candidates) {
    const each = ({ address, lat, lon }, place) =>
      make("label", { className: "check" }, make("input", { type: "radio", name: "place", value: JSON.stringify({ lat, lon, address }), checked: place === 0 }), make("span", {}, address));
    this.places.replaceChildren(make("legend", {}, "Which of these?"), ...candidates.map(each));
    this.places.hidden = false;
  }
}

// Of a request that is registered: its windows, by day.
class Times {
  constructor(registered) {
    this.request = registered.service_request;
    this.name = registered.service_request.customer.name;
  }

  async open() {
    openSheet(`Times for ${this.name}`, make("p", { className: "asking" }, "Looking for times …"), { kept: $("new-request"), label: "Request" });
    await this.load();
  }

  async load(problem) {
    try {
      const { data } = await call("GET", `/v1/service-requests/${this.request.id}/slots?${new URLSearchParams({ limit: 60 })}`);
      this.show(data, problem);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      $("sheet").querySelector(".body").replaceChildren(alertBox(error.message), button("Try again", () => this.load()));
    }
  }

  show({ items, reasons = [], would_fit_if: remedies = [] }, problem) {
    const problems = make("div", { id: "times-problem" }, problem ? alertBox(problem) : "");
    const content = items.length ? this.days(items) : this.none(reasons, remedies);
    const later = button("Without a time for now", () => {
      closeSheet();
      say(`${this.name}’s request waits with the unassigned ones.`);
    });
    this.form = make("form", { noValidate: true, className: "times-found", on: { submit: (event) => this.submit(event) } }, problems, content, make("div", { className: "actions" }, items.length ? make("button", { type: "submit", className: "button" }, "Promise this time") : null, later));
    $("sheet").querySelector(".body").replaceChildren(make("p", { className: "hint" }, `It is registered: ${this.request.place.address || "at the place given"}.`), this.form);
    (problems.firstChild?.focus ? problems.firstChild : this.form.querySelector("input, button")).focus();
  }

  days(items) {
    const byDay = Map.groupBy([...items].sort((one, other) => one.arrival_window.start.localeCompare(other.arrival_window.start)), (slot) => day(slot.arrival_window.start));
    const [best] = items;
    return [...byDay].map(([name, slots]) => make("fieldset", { className: "slots" }, make("legend", {}, name), slots.map((slot) => this.slot(slot, slot === best))));
  }

  slot(slot, isBest) {
    const words = [travel(slot.extra_travel_s), slot.price.amount ? money(slot.price) : null].filter(Boolean).join(", ");
    return make(
      "label",
      { className: "check slot" },
      make("input", { type: "radio", name: "slot", value: slot.slot_id, checked: isBest, data: { words: `${day(slot.arrival_window.start)}, ${span(slot.arrival_window)}` } }),
      make("span", {}, make("strong", {}, span(slot.arrival_window)), slot.recommended ? make("span", { className: "tag good" }, "best") : null, make("span", { className: "hint" }, ` ${words}`)),
    );
  }

  none(reasons, remedies) {
    const said = [...reasons, ...remedies].map((each) => make("li", {}, each.detail.replaceAll("_", " ")));
    return [make("p", { className: "note" }, "No window can be kept together with what is promised already. It stays with the unassigned ones."), make("ul", { className: "history" }, said)];
  }

  submit(event) {
    event.preventDefault();
    const chosen = this.form.querySelector("input[name=slot]:checked");
    if (!chosen) {
      $("times-problem").replaceChildren(alertBox("Choose a time first."));
      return $("times-problem").firstChild.focus();
    }
    busy(this.form, () => this.book(chosen));
  }

  async book(chosen) {
    try {
      await call("POST", "/v1/appointments", { body: { service_request_id: this.request.id, slot_id: chosen.value }, key: newKey() });
      closeSheet();
      say(`Promised to ${this.name}: ${chosen.dataset.words}.`);
      await refresh();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (["slot_taken", "slot_expired"].includes(error.code)) await this.load("That time is no longer free. These are.");
      else {
        $("times-problem").replaceChildren(alertBox(error.message));
        $("times-problem").firstChild.focus();
      }
    }
  }
}
