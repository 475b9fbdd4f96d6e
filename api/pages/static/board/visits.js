// What stands on the page about visits and technicians.

import { $ } from "./dom.js";

const quoted = (id) => CSS.escape(id);

export const drawn = (id) => document.querySelector(`.visit[data-visit="${quoted(id)}"]`);
export const waiting = (id) => document.querySelector(`.waiting > [data-visit="${quoted(id)}"]`);
export const lanes = () => [...document.querySelectorAll(".lane")];
export const lane = (technicianId) => $(`lane-${technicianId}`);

// start: milliseconds; technician: null of one that nobody has. None of what is not on this board.
export function visit(id) {
  const bar = drawn(id);
  if (bar) {
    const [starts, ends] = [Number(bar.dataset.starts), Number(bar.dataset.ends)];
    return { id, name: bar.dataset.name, starts, length: ends - starts, technician: bar.closest(".lane").dataset.technician };
  }
  const item = waiting(id);
  return item && { id, name: item.dataset.name, starts: null, length: Number(item.dataset.length), technician: null };
}

export const nameOf = (id) => visit(id)?.name || "a visit of another day";
export const nameIn = (part) => part.querySelector(".name").textContent;
export const technicianName = (id) => (lane(id) ? nameIn(lane(id)) : "a technician who is not on this board");
export const isEmployee = (technicianId) => lane(technicianId)?.dataset.kind === "employee";
