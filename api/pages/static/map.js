// Draws the way to the customer, on plain ground or the tiles of a configured server: the two places, the line between them, a ring of distance, a scale.
// Loaded by tracking.js, with Leaflet, once there is a position to show. The empty map serves work_map.js too.

function loaded(element, place) {
  return new Promise((done, failed) => {
    element.addEventListener("load", done);
    element.addEventListener("error", failed);
    place(element);
  });
}

function load(box) {
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: box.dataset.style });
  const script = Object.assign(document.createElement("script"), { src: box.dataset.script });
  return Promise.all([
    loaded(style, (element) => document.head.prepend(element)), // our own rules come after it
    loaded(script, (element) => document.head.append(element)),
  ]);
}

function pin(map, words, kind) {
  const label = document.createElement("bdi");
  label.textContent = words;
  return L.marker([0, 0], { icon: L.divIcon({ className: `pin ${kind}`, iconSize: [18, 18] }), interactive: false, keyboard: false })
    .bindTooltip(label, { permanent: true, direction: "top", offset: [0, -8] })
    .addTo(map);
}

const CONTROLS = [68, 44]; // pixels that they take at the right and below
const METRES_PER_DEGREE = 111_195; // of latitude

// Its name stands where the line to the technician does not run.
function ring(centre, here, radius, words) {
  const label = document.createElement("bdi");
  label.textContent = words;
  const narrowing = Math.cos((centre[0] * Math.PI) / 180);
  const isAbove = Math.abs(here[0] - centre[0]) > Math.abs(here[1] - centre[1]) * narrowing;
  const off = radius / METRES_PER_DEGREE;
  const place = isAbove ? [centre[0], centre[1] + off / narrowing] : [centre[0] - off, centre[1]];
  const circle = L.circle(centre, { radius, className: "ring", interactive: false });
  const name = L.tooltip({ permanent: true, direction: "center", className: "ring-name" }).setLatLng(place).setContent(label);
  return L.layerGroup([circle, name]);
}

const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Leaflet, and a map with nothing on it yet.
export async function begun(box) {
  await load(box);
  const still = isStill();
  const motion = { zoomSnap: 0.25, zoomAnimation: !still, fadeAnimation: !still, markerZoomAnimation: !still };
  const hands = { scrollWheelZoom: false, dragging: !L.Browser.mobile }; // a finger or a wheel moves the page
  const map = L.map(box, { attributionControl: false, zoomControl: false, ...hands, ...motion });
  L.control.zoom({ position: "topright", zoomInTitle: box.dataset.zoomIn, zoomOutTitle: box.dataset.zoomOut }).addTo(map);
  L.control.scale({ imperial: false }).addTo(map);
  if (box.dataset.tiles) L.tileLayer(box.dataset.tiles, { maxZoom: 19 }).addTo(map);
  return map;
}

// Gives back what shows another position.
export async function drawn(box) {
  const map = await begun(box);
  const still = isStill();
  const line = L.polyline([], { className: "way-line", interactive: false });
  let technician;
  let circle;
  let ringed;

  return (way) => {
    const here = [Number(way.dataset.lat), Number(way.dataset.lon)];
    const there = [Number(way.dataset.toLat), Number(way.dataset.toLon)];
    const isFirst = !technician;
    if (isFirst || ringed !== way.dataset.ringM || !map.getBounds().contains(here)) {
      map.fitBounds([here, there], { paddingTopLeft: [40, 48], paddingBottomRight: CONTROLS, maxZoom: 16, animate: !still });
    }
    if (isFirst) {
      line.addTo(map);
      pin(map, box.dataset.you, "customer").setLatLng(there);
      technician = pin(map, way.dataset.name, "technician");
    }
    if (ringed !== way.dataset.ringM) {
      ringed = way.dataset.ringM;
      circle?.remove();
      circle = ring(there, here, Number(ringed), way.dataset.ring).addTo(map);
    }
    technician.setLatLng(here);
    line.setLatLngs([here, there]);
  };
}
