"""Whom a dispatcher may choose for a visit, and its word against the plan: priced, refused, forced."""

from typing import Any, Self

from flask import Response
from pydantic import ConfigDict, TypeAdapter

from api import context
from api.appointments import AppointmentOut, AppointmentPath, window_of
from api.auth import allow
from api.etag import require_match
from api.openapi import resource
from api.reasons import Why, reasons_out
from api.render import answer
from api.schemas import (
    EXAMPLE_ID,
    Answer,
    Body,
    Change,
    Day,
    Instant,
    Query,
    ReasonOut,
    Reference,
    Window,
    rendered,
)
from dispatch import choosing, overriding
from dispatch.access import actor_of, appointment_of_caller, own_organization
from dispatch.appointment import Appointment
from dispatch.choosing import Considered
from dispatch.overriding import Choice
from dispatch.planning import reason_fields
from dispatch.proposing import Moved, Proposal
from optimizer import Reason

_JSON = TypeAdapter(dict[str, Any])

overrides = resource("overrides", "Whom a dispatcher may choose for a visit, and what its choice costs.")


class CandidatesQuery(Query):
    """date: a local day of the territory to look at, where it is not that of the promised window or, with nothing
    promised, the requested day."""

    date: Day | None = None


class CandidateTechnician(Answer):
    """One of the organization's technicians. scheduled_start: when the work could start at the earliest where it costs
    least; an override that names it has it. extra_travel_s, extra_cost: what the visit adds to that technician's day,
    as slots and plans count; where the visit stands it counts as removed, and beside another organization's visit both
    are rounded. reasons: why it cannot be, and then the rest is null."""

    technician_id: str
    technician_name: str
    feasible: bool
    scheduled_start: Instant | None
    extra_travel_s: int | None
    extra_cost: Change | None
    reasons: list[ReasonOut]


def _candidate(one: Considered, currency: str) -> dict[str, Any]:
    """As `CandidateTechnician` has it: there are hundreds, which models would take longer to make than to find."""
    return {
        "technician_id": one.technician_id,
        "technician_name": one.name,
        "feasible": one.reason is None,
        "scheduled_start": None if one.start is None else rendered(one.start),
        "extra_travel_s": one.extra_travel_s,
        "extra_cost": None if one.extra_cents is None else {"amount": one.extra_cents, "currency": currency},
        "reasons": [] if one.reason is None else [_reason(one.reason, one.technician_id)],
    }


def _reason(reason: Reason, technician_id: str) -> dict[str, Any]:
    return reason_fields(reason) | {"technicians": [technician_id]}


def _money(cents: int | None, currency: str) -> Change | None:
    return None if cents is None else Change(amount=cents, currency=currency)


class CandidateTechnicians(Answer):
    """Who could make it, the cheapest first, then everybody else by name."""

    items: list[CandidateTechnician]


class WindowIn(Body):
    """From `start` to `end`."""

    start: Instant
    end: Instant


class NewOverride(Body):
    """Who is to make the visit. scheduled_start: when the work is to start, by default where it costs least in the
    window. arrival_window: to promise instead of what is promised. pin: plans leave it with the technician, and at its
    time if scheduled_start is given. reason: why, needed unless it is a dry run. force: do it against the rules.
    accepted_by_phone: the technician has said yes, and need not be asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"technician_id": EXAMPLE_ID, "dry_run": True},
                {
                    "technician_id": EXAMPLE_ID,
                    "scheduled_start": "2027-03-09T14:00:00-04:00",
                    "reason": "She knows the house.",
                    "force": True,
                },
            ]
        }
    )

    technician_id: Reference
    scheduled_start: Instant | None = None
    arrival_window: WindowIn | None = None
    pin: bool = True
    reason: Why | None = None
    force: bool = False
    accepted_by_phone: bool = False
    dry_run: bool = False

    @property
    def choice(self) -> Choice:
        window = self.arrival_window
        return Choice(
            technician_id=self.technician_id,
            start=self.scheduled_start,
            window=None if window is None else (window.start, window.end),
            pin=self.pin,
            force=self.force,
            by_phone=self.accepted_by_phone,
        )


class PlannedOut(Answer):
    """With whom, when, and what was promised."""

    technician_id: str | None
    scheduled_start: Instant | None
    arrival_window: Window | None


class MovedOut(Answer):
    """Another visit that gives way. promise_broken: as things are planned then, what was promised is not kept.
    lost_technician: nobody is left who makes it; the promise stands, and somebody has to be found."""

    appointment_id: str
    before: PlannedOut
    after: PlannedOut
    promise_broken: bool
    lost_technician: bool

    @classmethod
    def of(cls, moved: Moved, technician_id: str) -> Self:
        window = window_of(moved.appointment)
        before = PlannedOut(technician_id=technician_id, scheduled_start=moved.before, arrival_window=window)
        after = PlannedOut(
            technician_id=None if moved.lost_technician else technician_id,
            scheduled_start=moved.start,
            arrival_window=window,
        )
        return cls(
            appointment_id=moved.appointment.id,
            before=before,
            after=after,
            promise_broken=moved.breaks_promise,
            lost_technician=moved.lost_technician,
        )


class BrokenPromise(Answer):
    """A visit that is not planned to be made when it was promised, or by nobody."""

    appointment_id: str
    arrival_window: Window


class Overridden(Answer):
    """appointment: as it is, of a dry run as it would be planned. extra_travel_s, extra_cost: of all days that are
    touched, against how they stand now, with the visit where it stands or unassigned; less than nothing where the plan
    gets cheaper, null where it cannot be at all. violations: what it breaks. promises_broken: by it, as things are
    planned then. moved: the other visits that it touches."""

    appointment: AppointmentOut
    extra_travel_s: int | None
    extra_cost: Change | None
    violations: list[ReasonOut]
    promises_broken: list[BrokenPromise]
    moved: list[MovedOut]

    @classmethod
    def of(cls, proposal: Proposal, row: Appointment) -> Self:
        """row: the visit as it is shown."""
        currency = own_organization(context.session(), context.principal()).currency
        is_possible, price = proposal.plan is not None, proposal.change
        return cls(
            appointment=AppointmentOut.of(row),
            extra_travel_s=price.travel_s if is_possible else None,
            extra_cost=_money(price.cents, currency) if is_possible else None,
            violations=_violations(proposal),
            promises_broken=[
                BrokenPromise(appointment_id=broken.id, arrival_window=Window(start=begins, end=ends))
                for broken, (begins, ends) in proposal.broken()
            ],
            moved=[MovedOut.of(moved, proposal.wish.technician.id) for moved in proposal.moved],
        )


def _violations(proposal: Proposal) -> list[ReasonOut]:
    told = reasons_out(violation.reason for violation in proposal.violations)
    ids = [violation.appointment_id for violation in proposal.violations]
    return [reason.model_copy(update={"appointment_id": id_}) for reason, id_ in zip(told, ids, strict=True)]


@overrides.get(
    "/appointments/<appointment_id>/candidates",
    summary="Who could make it",
    responses={200: CandidateTechnicians},
)
@allow("dispatcher")
def candidates(path: AppointmentPath, query: CandidatesQuery) -> Response:
    """Everybody whom the organization has engaged and not suspended, employees too, in the promised window or, where
    nothing is promised, on the requested day: by the same functions as slots, offers and plans."""
    session, principal = context.session(), context.principal()
    row = appointment_of_caller(session, principal, path.appointment_id)
    found = choosing.candidates_for(session, context.settings(), row, query.date, context.now())
    currency = own_organization(session, principal).currency
    told = _JSON.dump_json({"items": [_candidate(one, currency) for one in found]})
    return Response(told, mimetype="application/json")


@overrides.post(
    "/appointments/<appointment_id>/override", summary="Override the plan", responses={200: Overridden}
)
@allow("dispatcher")
def override(path: AppointmentPath, body: NewOverride) -> Response:
    """Gives the visit to a technician, pinned there. What that breaks is 409 `infeasible_override` with `violations`
    and, with `force`, done: windows, skills, hours and breaks yield, and our own visits in the way are made at another
    time of their promise or lose their technician. Another organization's visit, an absence, a hold, and what is under
    way or pinned in time yield to nothing. An employee's visit is scheduled; a freelancer or partner is asked, unless
    `accepted_by_phone`. Needs If-Match; a dry run does not, changes nothing and is always 200."""
    return _dry_run(path, body.choice) if body.dry_run else _do(path, body.choice, body.reason)


def _dry_run(path: AppointmentPath, choice: Choice) -> Response:
    context.only_read()
    session = context.session()
    row = appointment_of_caller(session, context.principal(), path.appointment_id)
    require_match(row.version, required=False)
    proposal, shown = overriding.preview(session, context.settings(), row, choice, context.now())
    return answer(Overridden.of(proposal, shown), version=row.version)


def _do(path: AppointmentPath, choice: Choice, reason: str | None) -> Response:
    session, principal = context.session(), context.principal()
    own = own_organization(session, principal)
    overriding.lock_calendars(session, own.id, path.appointment_id, choice.technician_id)
    row = appointment_of_caller(session, principal, path.appointment_id, change=True)
    require_match(row.version)
    by, now = actor_of(principal), context.now()
    proposal = overriding.override(session, context.settings(), row, choice, by, now, reason)
    return answer(Overridden.of(proposal, row), version=row.version)
