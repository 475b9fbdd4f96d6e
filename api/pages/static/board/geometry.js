// Where the drawing puts technicians and times, measured once, so that a move asks the page for nothing. Places are
// pixels from the upper left corner of #lanes; instants milliseconds, snapped to `STEP_MS`.

import { $ } from "./dom.js";
import { lanes, nameIn } from "./visits.js";

export const STEP_MS = 5 * 60_000;

export class Geometry {
  constructor() {
    const timeline = $("timeline");
    this.scroller = timeline;
    this.begins = Number(timeline.dataset.begins) * 1000;
    this.ends = Number(timeline.dataset.ends) * 1000;
    this.lanes = lanes().map((element) => ({ id: element.dataset.technician, name: nameIn(element), kind: element.dataset.kind, element, top: element.offsetTop }));
    const origin = $("lanes").getBoundingClientRect();
    const day = this.lanes[0].element.querySelector(".day").getBoundingClientRect();
    this.left = day.left - origin.left;
    this.width = day.width;
    this.height = day.height;
    this.frame = timeline.getBoundingClientRect();
    this.originLeft = origin.left + timeline.scrollLeft;
    this.originTop = origin.top + timeline.scrollTop;
  }

  // Of a place on the screen.
  point(clientX, clientY, scrollLeft, scrollTop) {
    return { x: clientX - this.originLeft + scrollLeft, y: clientY - this.originTop + scrollTop };
  }

  xOf(at) {
    return this.left + ((at - this.begins) / (this.ends - this.begins)) * this.width;
  }

  widthOf(length) {
    return (length / (this.ends - this.begins)) * this.width;
  }

  startAt(x) {
    return snapped(this.begins + ((x - this.left) / this.width) * (this.ends - this.begins));
  }

  // The lane that covers y, the nearest where none does; by halving, as lanes may be open.
  laneAt(y) {
    let [low, high] = [0, this.lanes.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.lanes[middle].top <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  indexOf(technician) {
    return this.lanes.findIndex((lane) => lane.id === technician);
  }
}

export const snapped = (at) => Math.round(at / STEP_MS) * STEP_MS;
