// Draws the technician's day: where it starts, the visits by number, and lines between them, which are no roads.
// Loaded by work.js, with Leaflet, where there are visits.

const MARGIN = [36, 36]; // pixels

function pin(map, point, start) {
  const label = document.createElement("bdi");
  label.textContent = point.name || start;
  const icon = L.divIcon({ className: point.name ? "pin visit" : "pin start", html: label.outerHTML, iconSize: [28, 28] });
  L.marker([point.lat, point.lon], { icon, interactive: false, keyboard: false }).addTo(map);
}

export async function drawn(box) {
  const { begun } = await import(box.dataset.base);
  const map = await begun(box);
  const points = JSON.parse(box.dataset.points);
  const places = points.map((point) => [point.lat, point.lon]);
  map.fitBounds(places, { padding: MARGIN, maxZoom: 15, animate: false });
  L.polyline(places, { className: "way-line", interactive: false }).addTo(map);
  for (const point of points) pin(map, point, box.dataset.start);
}
