// Who was asked for a visit and what became of it; another pay that somebody asks for is answered here.

import { call } from "./api.js";
import { button, make } from "./dom.js";
import { technicianName } from "./visits.js";
import { clock, money } from "./words.js";

const STATUS = {
  pending: "asked",
  countered: "asks for another pay",
  accepted: "accepted",
  declined: "declined",
  expired: "did not answer in time",
  withdrawn: "withdrawn",
  superseded: "superseded",
};
const OPEN = ["pending", "countered"];

export const readOffers = async (appointmentPath) => (await call("GET", `${appointmentPath}/offers?limit=200`)).data.items;

// act: does what a button says, by the path and the words that tell that it is done.
export function offersSection(offers, act) {
  if (!offers.length) return null;
  return make("section", {}, make("h3", {}, "Offers"), make("ul", { className: "differences" }, offers.map((offer) => make("li", {}, lines(offer), answers(offer, act)))));
}

function lines(offer) {
  const until = OPEN.includes(offer.status) ? `, until ${clock(offer.expires_at)}` : "";
  const said = [make("p", {}, make("strong", {}, technicianName(offer.technician_id)), ` ${STATUS[offer.status]}`, make("span", { className: "hint" }, ` · ${money(offer.pay)}${until}`))];
  if (offer.status === "countered") said.push(make("p", {}, effect(offer.counter)));
  return said;
}

function effect({ pay, note, total_cost: total, next_best_total_cost: next }) {
  const best = next ? `the next best would cost ${money(next)}` : "nobody else could come";
  return `Asks for ${money(pay)}${note ? ` (“${note}”)` : ""}. In all ${money(total)}; ${best}.`;
}

function answers(offer, act) {
  if (!OPEN.includes(offer.status)) return null;
  const path = `/v1/offers/${offer.id}`;
  const withdraw = button("Withdraw", () => act(`${path}/withdraw`, "The offer is withdrawn."));
  if (offer.status === "pending") return make("div", { className: "actions" }, withdraw);
  return make(
    "div",
    { className: "actions" },
    button("Pay that", () => act(`${path}/counter/accept`, "The pay is agreed, and the visit accepted.")),
    button("Keep the first pay", () => act(`${path}/counter/reject`, "The first pay stands, and may still be accepted.")),
    withdraw,
  );
}
