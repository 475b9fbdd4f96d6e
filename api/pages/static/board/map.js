// The map: routes, visits, positions, and what nobody visits, by Leaflet on plain ground or the tiles of a configured
// server. Until it is there, and without scripts, the drawing stands in its place.

import { $ } from "./dom.js";
import { onChange } from "./live.js";
import { technicianName } from "./visits.js";
import { clock, counted } from "./words.js";

const MARGIN = [24, 24]; // pixels

let map;
let layer;
let fitted = null;

export async function drawMap(openVisit) {
  const box = $("map");
  try {
    const { begun } = await import("../map.js");
    box.hidden = false;
    map = await begun(box);
  } catch (error) {
    box.hidden = true; // the drawing says the same
    console.warn(error);
    return;
  }
  document.body.classList.add("with-map");
  layer = L.featureGroup().addTo(map);
  map.createPane("positions").style.zIndex = 620;
  const draw = () => show(JSON.parse(document.querySelector("#routes [data-routes]")?.dataset.routes || "null"), openVisit);
  onChange(draw);
  draw();
  $("board").addEventListener("focusin", (event) => highlight(event.target.closest(".lane")?.dataset.technician));
  $("board").addEventListener("focusout", (event) => event.relatedTarget || highlight(undefined));
}

function show(day, openVisit) {
  layer.clearLayers();
  if (!day) return;
  for (const route of day.routes) drawRoute(route, openVisit);
  for (const { visit, place } of day.waiting) lost(place).on("click", () => openVisit(visit)).addTo(layer);
  for (const position of day.positions) drawPosition(position);
  const size = day.routes.length + day.waiting.length;
  if (fitted === null && size) {
    fitted = size;
    map.fitBounds(layer.getBounds(), { padding: MARGIN, maxZoom: 15, animate: false });
  }
}

function drawRoute({ technician, hue, places, visits }, openVisit) {
  const name = document.createElement("bdi");
  name.textContent = `${technicianName(technician)}: ${counted(visits.length, "visit")}`;
  const className = `route hue-${hue} of-${technician}`;
  L.polyline(places, { className, weight: 2.5, smoothFactor: 1.5 }).bindTooltip(name, { sticky: true }).addTo(layer);
  places.slice(1).forEach((place, number) => {
    L.circleMarker(place, { className: `stop hue-${hue} of-${technician}`, radius: 4.5 }).on("click", () => openVisit(visits[number])).addTo(layer);
  });
}

const lost = (place) => L.marker(place, { icon: L.divIcon({ className: "lost-pin", iconSize: [14, 14] }), keyboard: false });

function drawPosition({ technician, place, seen, hue }) {
  const label = document.createElement("bdi");
  label.textContent = `${technicianName(technician)}, seen at ${clock(seen * 1000)}`;
  const icon = L.divIcon({ className: `position-pin hue-${hue}`, iconSize: [18, 18] });
  L.marker(place, { icon, keyboard: false, pane: "positions" }).bindTooltip(label).addTo(layer);
}

let strong = null;

// The route of the lane that has the focus stands out.
function highlight(technician) {
  if (technician === strong) return;
  for (const each of document.querySelectorAll("#map .strong")) each.classList.remove("strong");
  strong = technician;
  $("map").classList.toggle("one-route", Boolean(technician));
  if (!technician) return;
  for (const each of document.querySelectorAll(`#map .of-${CSS.escape(technician)}`)) each.classList.add("strong");
}
