// What the board's scripts say: times on the territory's walls, lengths, money, reasons. Instants are milliseconds.

import { board } from "./api.js";

const MINUTE_MS = 60_000;
const zone = board().zone;
const walls = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const weekday = new Intl.DateTimeFormat("en-GB", { timeZone: zone, weekday: "short", day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat("en-GB", { timeZone: zone, weekday: "long", day: "numeric", month: "long" });
const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short", timeStyle: "medium", hourCycle: "h23" });

export const clock = (at) => walls.format(new Date(at));
export const day = (at) => longDay.format(new Date(at));
export const moment = (at) => `${weekday.format(new Date(at))}, ${clock(at)}`;

export function span(window) {
  const isOneDay = weekday.format(new Date(window.start)) === weekday.format(new Date(window.end));
  return `${clock(window.start)}–${isOneDay ? clock(window.end) : moment(window.end)}`;
}

const isoLocal = (at) => parts.format(new Date(at)).replace(", ", "T").replace("T24", "T00");
const ahead = (at) => Date.parse(`${isoLocal(at)}Z`) - Math.floor(at / 1000) * 1000;

// The instant at which the walls show this time of the board's day; of a time that spring skips, the one after it.
export function instantOf(time, date = board().date) {
  const wall = Date.parse(`${date}T${time}:00Z`);
  return wall - ahead(wall - ahead(wall));
}

export const iso = (at) => new Date(at).toISOString().replace(".000Z", "Z");

export function length(seconds) {
  const minutes = Math.round(Math.abs(seconds) / 60);
  const hours = Math.floor(minutes / 60);
  if (!hours) return `${minutes} min`;
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

export function travel(seconds) {
  if (Math.abs(seconds) * 1000 < MINUTE_MS / 2) return "no more travel";
  return seconds > 0 ? `${length(seconds)} more travel` : `${length(seconds)} less travel`;
}

const form = (currency) => new Intl.NumberFormat("en-US", { style: "currency", currency, trailingZeroDisplay: "stripIfInteger" });

export function money({ amount, currency }) {
  const shape = form(currency);
  return shape.format(amount / 10 ** shape.resolvedOptions().maximumFractionDigits);
}

export function cost(price) {
  if (!price.amount) return "no more cost";
  return `${money({ ...price, amount: Math.abs(price.amount) })} ${price.amount > 0 ? "more" : "less"}`;
}

export const counted = (count, noun) => (count === 1 ? `one ${noun}` : `${count} ${noun}s`);

const km = (metres) => (metres < 950 ? `${Math.round(metres / 10) * 10} m` : `${(metres / 1000).toFixed(1)} km`);

// A reason's sentence, with its figure where it counts one.
export function reason(each) {
  const said = each.detail
    .replace(/\((seconds|metres)( [^)]*)?\)/, (_, unit, rest = "") => (each.by == null ? "" : `(${unit === "seconds" ? length(each.by) : km(each.by)}${rest})`))
    .replaceAll("_", " ")
    .trim();
  const sentence = said.charAt(0).toUpperCase() + said.slice(1);
  return sentence.endsWith(".") ? sentence : `${sentence}.`;
}

export const STATES = {
  unassigned: "Unassigned",
  scheduled: "Scheduled",
  dispatched: "Dispatched",
  en_route: "On the way",
  on_site: "On site",
  completed: "Completed",
  cannot_complete: "Could not be completed",
  cancelled: "Cancelled",
};
