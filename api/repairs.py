"""Repairs of the running day."""

from typing import Any, Self

from flask import Response
from pydantic import Field

from api import context
from api.auth import allow
from api.openapi import resource
from api.plans import PlannedVisit, UnplannedVisit
from api.reasons import Why
from api.render import answer
from api.schemas import EXAMPLE_ID, Answer, Body, Change, Instant, Reference, absent, example
from dispatch import repairing
from dispatch.access import actor_of, appointment_named, own_organization, technician_named
from dispatch.repair_change import Repair, RepairKind

repairs = resource("repairs", "Changes of the running day that move the fewest visits.")

LONGEST_OVERRUN_S = 8 * 3_600


class NewRepair(Body):
    """What happened. absent: a technician is away, from now or `from` on, until the end of that day's work or `to`.
    overrun: a visit ends later than planned, by `by_s` or as late as can be foreseen. emergency: an unassigned visit of
    priority high or emergency has to be served as soon as somebody can."""

    model_config = example({"kind": "absent", "technician_id": EXAMPLE_ID, "dry_run": True})

    kind: RepairKind
    technician_id: Reference | None = None
    appointment_id: Reference | None = None
    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None
    by_s: int | None = Field(None, ge=60, le=LONGEST_OVERRUN_S)
    reason: Why | None = None
    dry_run: bool = False

    @property
    def given(self) -> set[str]:
        """The fields that say something, by their names in the body."""
        return set(self.model_dump(by_alias=True, exclude_none=True)) - {"kind", "reason", "dry_run"}


class RepairOut(Answer):
    """What came of it, or with `dry_run` would come. id: of the event `repair.applied`. status: applied, or proposed.
    moved: visits that stood in a calendar and have another technician or start; assigned: that stood in none.
    unassigned: what nobody can take. kept: how many others stand in the hours looked at. promises_broken: of the moved,
    what begins after its window. skipped_stale: nothing, a repair is whole or looked for anew; it is here for the form
    of plans. extra_travel_s is rounded to 5 minutes beside another organization's visit."""

    id: str | None = Field(None, exclude_if=absent)
    kind: RepairKind
    status: str = Field(examples=["applied", "proposed"])
    moved: list[PlannedVisit]
    assigned: list[PlannedVisit]
    unassigned: list[UnplannedVisit]
    kept: int
    extra_travel_s: int
    extra_cost: Change
    promises_broken: list[PlannedVisit]
    skipped_stale: list[PlannedVisit]
    kpis: dict[str, int]

    @classmethod
    def of(cls, repair: Repair, currency: str) -> Self:
        """Built from what was found."""
        fields: dict[str, Any] = {
            name: getattr(repair, name) for name in cls.model_fields if hasattr(repair, name)
        }
        return cls.model_validate(
            fields
            | {
                "status": "proposed" if repair.id is None else "applied",
                "extra_cost": Change(amount=repair.extra_cents, currency=currency),
                "skipped_stale": [],
            }
        )


@repairs.post("/repairs", summary="Repair the day", responses={200: RepairOut})
@allow("dispatcher")
def create(body: NewRepair) -> Response:
    """Moves the fewest visits, of equal changes the cheapest, within what was promised. What is dispatched, pinned or
    offered stays with its technician, unless that one is absent."""
    repairing.require_fields(body.kind, body.given)
    currency = own_organization(context.session(), context.principal()).currency
    return answer(RepairOut.of(_repaired(body), currency))


def _repaired(body: NewRepair) -> Repair:
    session, settings, principal = context.session(), context.settings(), context.principal()
    by, now = actor_of(principal), context.now()
    asked: dict[str, Any] = {"reason": body.reason, "dry_run": body.dry_run}
    if body.kind is RepairKind.ABSENT:
        technician = technician_named(session, principal, body.technician_id or "")
        organization_id = own_organization(session, principal).id
        return repairing.report_absent(
            session, settings, organization_id, technician, by, now, from_=body.from_, to=body.to, **asked
        )
    appointment = appointment_named(session, principal, body.appointment_id or "")
    if body.kind is RepairKind.OVERRUN:
        return repairing.report_overrun(session, settings, appointment, by, now, by_s=body.by_s, **asked)
    return repairing.place_emergency(session, settings, appointment, by, now, **asked)
