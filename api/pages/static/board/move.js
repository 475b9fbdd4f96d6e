// A visit in hand: by pointer or by keys it goes to another technician or time, and the price of where it is shows
// beside it before it is dropped. Only transforms change while it moves.

import { $, make, say } from "./dom.js";
import { Geometry, STEP_MS, snapped } from "./geometry.js";
import { hold, release } from "./live.js";
import { Price, shown, spoken } from "./price.js";
import { drawn, visit as visitOf } from "./visits.js";
import { clock } from "./words.js";

const STARTS_AFTER = 5; // pixels
const EDGE = 44; // pixels from a border within which the timeline scrolls by itself
const FASTEST = 18; // pixels a frame
const TIP = { width: 300, below: 32, beside: 8 }; // pixels

let inHand = null;

export const isMoving = () => inHand !== null;

class Move {
  constructor(visit, geometry) {
    this.visit = visit;
    this.geometry = geometry;
    this.announces = false; // with keys: where it is and what that costs is read aloud
    this.price = new Price(visit.id, (told) => this.tell(told));
    this.tip = make("div", { className: "tip" });
    this.label = make("p", { className: "ghost-label" });
    this.bar = make("div", { className: "ghost-bar" }, visit.name);
    this.ghost = make("div", { className: "ghost", ariaHidden: "true" }, this.bar);
    this.box = make("div", { className: "tip-box", ariaHidden: "true" }, this.label, this.tip);
    this.mark = make("div", { className: "lane-mark", ariaHidden: "true" });
    this.bar.style.width = `${Math.max(24, geometry.widthOf(visit.length * 1000))}px`;
    this.mark.style.height = `${geometry.height}px`;
    $("lanes").append(this.mark, this.ghost);
    document.body.append(this.box);
    drawn(visit.id)?.classList.add("lifted");
    hold();
  }

  get isElsewhere() {
    return this.technician !== this.visit.technician || this.start !== this.visit.starts * 1000;
  }

  to(index, start) {
    const { geometry } = this;
    const { id, name, top } = geometry.lanes[index];
    if (id === this.technician && start === this.start) return;
    Object.assign(this, { technician: id, start, index });
    this.place = { x: geometry.xOf(start), y: top };
    this.mark.style.transform = `translate3d(0, ${top}px, 0)`;
    this.ghost.style.transform = `translate3d(${this.place.x}px, ${top}px, 0)`;
    this.label.textContent = `${clock(start)} · ${name}`;
    if (this.isElsewhere) {
      this.price.ask({ technician: id, start });
    } else {
      this.price.stop();
      this.told = null;
      this.showInTip(make("p", { className: "hint" }, "Where it is now"));
      if (this.announces) say(`${name}, ${clock(start)}: where it is now.`);
    }
  }

  scrolled = { left: $("timeline").scrollLeft, top: $("timeline").scrollTop };

  scrolledTo(left, top) {
    if (left === this.scrolled.left && top === this.scrolled.top) return;
    this.scrolled = { left, top };
    if (this.place) this.showTip();
  }

  // Beside the visit, where there is room on the screen.
  showTip() {
    const x = this.place.x + this.geometry.originLeft - this.scrolled.left;
    const y = this.place.y + this.geometry.originTop - this.scrolled.top;
    const room = window.innerHeight - TIP.beside;
    const below = y + TIP.below;
    const top = below + this.tipHeight <= room ? below : y - this.tipHeight;
    const left = Math.max(TIP.beside, Math.min(x, window.innerWidth - TIP.width - TIP.beside));
    this.box.style.transform = `translate3d(${left}px, ${Math.max(TIP.beside, top)}px, 0)`;
  }

  showInTip(content) {
    this.tip.replaceChildren(content);
    this.tipHeight = this.box.offsetHeight;
    this.showTip();
  }

  tell(told) {
    const isSaid = told.state === "asking" && this.told?.state === "asking";
    this.told = told;
    if (isSaid) this.showTip();
    else this.showInTip(shown(told, this.visit.id));
    if (!this.announces || told.state === "asking") return;
    say(`${this.geometry.lanes[this.index].name}, ${clock(this.start)}. ${spoken(told, this.visit.id)}`);
  }

  end() {
    this.price.stop();
    this.ghost.remove();
    this.box.remove();
    this.mark.remove();
    drawn(this.visit.id)?.classList.remove("lifted");
    release();
  }
}

export function cancel() {
  const move = inHand;
  inHand = null;
  move?.stop?.();
  move?.end();
  return move;
}

// With a pointer. done: is given the move once it has ended elsewhere than it began.

export function followPointer(done) {
  document.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch" || inHand) return;
    const source = event.target.closest(".visit[data-visit], .waiting > [data-visit]");
    if (!source || event.target.closest("summary, details")) return;
    const visit = visitOf(source.dataset.visit);
    if (visit && $("lanes")) arm(event, source, visit, done);
  });
}

function arm(down, source, visit, done) {
  const watch = new AbortController();
  const { signal } = watch;
  const begin = (event) => {
    if (Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < STARTS_AFTER) return;
    watch.abort();
    drag(down, event, source, visit, done);
  };
  document.addEventListener("pointermove", begin, { signal });
  for (const ended of ["pointerup", "pointercancel"]) document.addEventListener(ended, () => watch.abort(), { signal });
}

function drag(down, first, source, visit, done) {
  const geometry = new Geometry();
  const move = new Move(visit, geometry);
  inHand = move;
  const shield = make("div", { className: "shield" }); // so that nothing beneath is looked for or lit up meanwhile
  document.body.append(shield);
  window.getSelection()?.removeAllRanges();
  const grip = visit.starts === null ? 12 : down.clientX - source.querySelector(".bar").getBoundingClientRect().left;
  const pointer = { x: first.clientX, y: first.clientY };
  const { scroller, frame } = geometry;
  const watch = new AbortController();
  const { signal } = watch;
  let frameId;

  const step = () => {
    scrollNear(scroller, frame, pointer, geometry);
    move.scrolledTo(scroller.scrollLeft, scroller.scrollTop);
    const { x, y } = geometry.point(pointer.x, pointer.y, move.scrolled.left, move.scrolled.top);
    move.to(geometry.laneAt(y), geometry.startAt(x - grip));
    frameId = requestAnimationFrame(step);
  };
  const isOver = () => pointer.x >= frame.left && pointer.x <= frame.right && pointer.y >= frame.top && pointer.y <= frame.bottom;
  move.stop = () => {
    cancelAnimationFrame(frameId);
    watch.abort();
    shield.remove();
  };
  document.addEventListener("pointermove", (event) => Object.assign(pointer, { x: event.clientX, y: event.clientY }), { signal });
  shield.addEventListener("wheel", (event) => scroller.scrollBy(event.deltaX, event.deltaY), { passive: true });
  document.addEventListener("pointercancel", cancel, { signal });
  document.addEventListener("keydown", (event) => event.key === "Escape" && cancel(), { signal });
  document.addEventListener(
    "pointerup",
    () => {
      swallowClick();
      const isDropped = isOver() && move.isElsewhere;
      cancel();
      if (isDropped) done(move);
    },
    { signal },
  );
  step();
}

// The click that follows a drag opens nothing.
function swallowClick() {
  const swallow = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  document.addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => document.removeEventListener("click", swallow, { capture: true }));
}

function scrollNear(scroller, frame, pointer, geometry) {
  const off = (at, low, high) => (at < low + EDGE ? at - low - EDGE : at > high - EDGE ? at - high + EDGE : 0);
  const pace = (pixels) => Math.max(-FASTEST, Math.min(FASTEST, pixels / 3));
  const [x, y] = [off(pointer.x, frame.left + geometry.left, frame.right), off(pointer.y, frame.top, frame.bottom)];
  if (x || y) scroller.scrollBy(pace(x), pace(y));
}

// With keys: arrows move it, Enter drops it, Escape puts it back.

export function takeUp(visit, first, done) {
  if (inHand || !$("lanes")) return;
  const geometry = new Geometry();
  const move = new Move(visit, geometry);
  inHand = move;
  const back = document.activeElement;
  const watch = new AbortController();
  move.stop = () => watch.abort();
  document.addEventListener("keydown", (event) => keyed(event, move, back, done), { capture: true, signal: watch.signal });
  const begins = first.start ?? geometry.begins;
  move.to(Math.max(0, geometry.indexOf(first.technician)), visit.starts === null ? snapped(begins) : begins);
  bringIntoView(move);
  move.announces = true;
  say(`${visit.name} picked up. Left and right move it by five minutes, with Shift by an hour, up and down to another technician. Enter drops it, Escape puts it back.`);
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function keyed(event, move, back, done) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  if (STEPS[event.key]) {
    const [lanes, steps] = STEPS[event.key];
    const index = Math.min(Math.max(move.index + lanes, 0), move.geometry.lanes.length - 1);
    const start = move.start + steps * (event.shiftKey ? 12 : 1) * STEP_MS;
    move.to(index, Math.min(Math.max(steps ? snapped(start) : start, move.geometry.begins), move.geometry.ends - STEP_MS));
    bringIntoView(move);
  } else if (event.key === "Enter") {
    cancel();
    if (move.isElsewhere) done(move);
    else say(`${move.visit.name} stays where it is.`);
  } else if (event.key === "Escape") {
    cancel();
    back?.focus();
    say(`${move.visit.name} stays where it is.`);
  }
}

function bringIntoView(move) {
  const { scroller, frame, height } = move.geometry;
  const { top, element } = move.geometry.lanes[move.index];
  const x = move.geometry.xOf(move.start);
  const room = frame.height - height * 2;
  if (top < scroller.scrollTop + height || top > scroller.scrollTop + room) scroller.scrollTop = top - room / 2;
  const seen = [scroller.scrollLeft + move.geometry.left, scroller.scrollLeft + frame.width - 60];
  if (x < seen[0] || x > seen[1]) scroller.scrollLeft = x - frame.width / 2;
  move.scrolledTo(scroller.scrollLeft, scroller.scrollTop);
  if (frame.bottom > window.innerHeight || frame.top < 0) element.scrollIntoView({ block: "nearest" });
}
