// Elements, made of text alone: nothing that was typed anywhere is read as markup.

export const $ = (id) => document.getElementById(id);

export function make(tag, { on = {}, data = {}, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  for (const [name, act] of Object.entries(on)) element.addEventListener(name, act);
  Object.assign(element.dataset, data);
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const button = (words, act, properties = {}) => make("button", { type: "button", className: "button second", on: { click: act }, ...properties }, words);

// A label, what it labels, and where its error is told.
export function field(label, input, hint) {
  const id = input.id || (input.id = `field-${input.name}`);
  const refusal = make("p", { className: "refusal", id: `${id}-refusal`, hidden: true });
  const told = hint && make("p", { className: "hint", id: `${id}-hint` }, hint);
  input.setAttribute("aria-describedby", [told?.id, refusal.id].filter(Boolean).join(" "));
  return make("div", { className: "field" }, make("label", { htmlFor: id }, label), told, input, refusal);
}

export function refuse(input, message) {
  const told = $(`${input.id}-refusal`);
  told.hidden = !message;
  told.textContent = message ? sentence(message) : "";
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

const sentence = (said) => `${said.charAt(0).toUpperCase()}${said.slice(1)}${/[.!?]$/.test(said) ? "" : "."}`;

export function check(words, properties) {
  return make("label", { className: "check" }, make("input", { type: "checkbox", ...properties }), make("span", {}, words));
}

export function alertBox(...words) {
  return make("div", { className: "alert", role: "alert", tabIndex: -1 }, words.map((each) => (typeof each === "string" ? make("p", {}, each) : each)));
}

// Read aloud; the same words twice are read twice.
export function say(words, isUrgent = false) {
  const region = $(isUrgent ? "urgent" : "news");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = words));
}

// While it runs, what could start it again does nothing.
export async function busy(within, work) {
  if (within.getAttribute("aria-busy") === "true") return undefined;
  within.setAttribute("aria-busy", "true");
  try {
    return await work();
  } finally {
    within.removeAttribute("aria-busy");
  }
}
