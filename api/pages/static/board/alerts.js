// A repair of what needs attention: its price first, then, if it is wanted, the repair.

import { Refused, call } from "./api.js";
import { alertBox, busy, button, make, say } from "./dom.js";
import { refresh } from "./live.js";
import { closeSheet, openSheet } from "./sheet.js";

// repair: as the board names it. item: what it is about.
export async function offerRepair(repair, item) {
  const title = item.querySelector(".kind").textContent;
  openSheet(title, make("p", { className: "asking" }, "Working out what would help …"), { kept: item.querySelector("button"), label: "Repair" });
  try {
    const { data } = await call("POST", "/v1/repairs", { body: { ...repair, dry_run: true } });
    show(repair, title, data, item);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    openSheet(title, alertBox(error.message), { label: "Repair" });
  }
}
