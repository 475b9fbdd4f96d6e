// The sheet beside the board, which stays usable meanwhile, and the question before it, which must be answered first.

import { $, make } from "./dom.js";

let opener = null;
let closing = null;

// Shows this in the sheet. kept: what gets the focus back; onClose: what ends with it.
export function openSheet(title, content, { kept, onClose, label } = {}) {
  const sheet = $("sheet");
  closing?.();
  closing = onClose || null;
  if (!sheet.open) opener = kept || document.activeElement;
  else if (kept) opener = kept;
  const close = make("button", { type: "button", className: "close", ariaLabel: "Close", on: { click: closeSheet } }, make("span", { ariaHidden: "true" }, "×"));
  const heading = make("h2", { id: "sheet-title", tabIndex: -1 }, title);
  sheet.replaceChildren(make("header", {}, label ? make("p", { className: "eyebrow" }, label) : null, heading, close), make("div", { className: "body" }, content));
  if (!sheet.open) sheet.show();
  document.body.classList.add("with-sheet");
  heading.focus({ preventScroll: true });
  sheet.scrollTop = 0;
}

export function closeSheet() {
  const sheet = $("sheet");
  if (!sheet.open) return;
  closing?.();
  closing = null;
  sheet.close();
  sheet.replaceChildren();
  document.body.classList.remove("with-sheet");
  back(opener);
}

// What it was opened from may have been drawn anew.
function back(element) {
  if (element?.isConnected) return element.focus();
  const visit = element?.closest?.("[data-visit]")?.dataset.visit;
  const again = visit && document.querySelector(`.visit[data-visit="${CSS.escape(visit)}"], .waiting > [data-visit="${CSS.escape(visit)}"] .opens`);
  (again || $("new-request")).focus();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && $("sheet").open && !$("question").open && !event.defaultPrevented) {
    event.preventDefault();
    closeSheet();
  }
});

// Asks; settles with what the form's `answered` gives, or null once it is closed without an answer.
export function ask(title, content) {
  const question = $("question");
  const before = document.activeElement;
  const heading = make("h2", { id: "question-title", tabIndex: -1 }, title);
  question.replaceChildren(heading, content);
  question.showModal();
  heading.focus();
  return new Promise((settle) => {
    question.returnValue = "";
    question.addEventListener(
      "close",
      () => {
        question.replaceChildren();
        back(before);
        settle(question.returnValue);
      },
      { once: true },
    );
  });
}

export const answer = (value) => $("question").close(value);
