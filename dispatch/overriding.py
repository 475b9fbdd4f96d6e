"""A dispatcher gives a visit to whom it chooses: priced before it is confirmed, refused with all that it would break
unless that is forced, and written in one transaction with what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status
from dispatch.asking import Asking, begin
from dispatch.booking import promise, promise_first, promised_window, supersede_offers, window_fields
from dispatch.calendar import BlockKind, discreet, mark_block
from dispatch.database import writes_alone
from dispatch.decision import Outcome, note
from dispatch.errors import InfeasibleOverride, Invalid, NoLongerFits, UnknownReference
from dispatch.events import Actor, record
from dispatch.instants import instant_told
from dispatch.offer import OfferStrategy
from dispatch.placing import note_retimed
from dispatch.planning import Window, apart, job_of, write_plan
from dispatch.promise import PromiseKind
from dispatch.proposing import Proposal, propose
from dispatch.settings import Settings
from dispatch.technician import Engagement, Technician
from dispatch.wish import Wish, is_in
from optimizer import Stop

GIVEN_AWAY = {"code": "override", "detail": "A dispatcher gave this visit to somebody else."}
PUT_ASIDE = {"code": "override", "detail": "A dispatcher put another visit in the place of this one."}
AGREED = {"code": "override", "detail": "A dispatcher gave you this visit, as was agreed by phone."}
IMPOSSIBLE = "It cannot be done, not even with `force`."


@dataclass(frozen=True, slots=True)
class Choice:
    """What a dispatcher sends: see `wish.Wish`. pin: plans leave the visit with the technician, and at its time if
    `start` is given."""

    technician_id: str
    start: datetime | None = None
    window: Window | None = None
    pin: bool = True
    force: bool = False
    by_phone: bool = False


def lock_calendars(session: Session, organization_id: str, appointment_id: str, technician_id: str) -> None:
    """Locks the calendar of whom the visit goes to together with that in which it stands, in the order of numbers,
    until the transaction ends. Before the visit is: whoever accepts an offer of it waits, or is waited for."""
    if writes_alone(session):
        return
    stands = select(Appointment.technician_no).where(
        Appointment.id == appointment_id, Appointment.organization_id == organization_id
    )
    chosen = select(Technician.no).where(
        Technician.id == technician_id,
        Engagement.technician_no == Technician.no,
        Engagement.organization_id == organization_id,
    )
    numbers = [*session.exec(stands).all(), *session.exec(chosen).all()]
    locked = select(Technician.no).where(col(Technician.no).in_([no for no in numbers if no is not None]))
    session.exec(locked.order_by(col(Technician.no)).with_for_update()).all()


def preview(
    session: Session, settings: Settings, appointment: Appointment, choice: Choice, now: datetime
) -> tuple[Proposal, Appointment]:
    """What would come of it, and the visit as it would be planned and promised; nothing changes. Raises as
    `override`, but for what it would break."""
    proposal = _propose(session, settings, appointment, choice, now, really=False)
    return proposal, _as_proposed(proposal)


def override(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    choice: Choice,
    by: Actor,
    now: datetime,
    reason: str | None,
) -> Proposal:
    """Plans the visit with the technician, pins it there, and takes it from whoever had it. An employee's visit is
    scheduled, and dispatched if its release is past; a freelancer or partner is asked, unless it has said yes by phone.
    Its former acceptance stands where the technician is the same and the start moves no further than a plan might move
    it. What is asked about the visit otherwise is superseded. Locks as `lock_calendars` are the caller's.

    Raises `InvalidState`, `UnknownReference`, `Invalid`, and `InfeasibleOverride` with the violations unless all of
    them yield and are forced."""
    if reason is None:
        raise Invalid(errors=[("reason", "say why, unless it is a dry run")])
    proposal = _propose(session, settings, appointment, choice, now, really=True)
    if not proposal.is_allowed:
        told = [violation.fields() for violation in proposal.violations]
        yields = proposal.plan is not None and all(violation.yields for violation in proposal.violations)
        raise InfeasibleOverride(told, None if yields else IMPOSSIBLE)
    was = _Was.of(session, appointment)
    stays = was.stays(settings, proposal)
    if not stays:
        supersede_offers(session, appointment, by, now)
        appointment.agreed_start = None
    _write(session, proposal, by, now, reason)
    _settle(session, proposal, choice, stays=stays)
    _note_loss(session, was, proposal, now)
    _record(session, proposal, was, by, now, reason)
    _promise(session, settings, proposal, by, now)
    if not stays:
        _commit(session, settings, proposal, by, now, reason)
    elif was.fields["scheduled_start"] != _fields(session, appointment)["scheduled_start"]:
        note_retimed(session, [appointment], by, now)
    session.flush()
    return proposal


def _propose(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    choice: Choice,
    now: datetime,
    *,
    really: bool,
) -> Proposal:
    appointment.require(Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
    if choice.window is not None and choice.window[1] < choice.window[0]:
        raise Invalid(errors=[("arrival_window.end", "must not be before start")])
    inside = choice.window is None or choice.start is None or is_in(choice.start, choice.window)
    if not inside:
        raise Invalid(errors=[("scheduled_start", "must lie in arrival_window")])
    technician, engagement = _engaged(session, appointment.organization_id, choice.technician_id)
    wish = Wish(technician, engagement, choice.start, choice.window, choice.force, choice.by_phone)
    return propose(session, settings, job_of(session, appointment), wish, now, really=really)


def _engaged(session: Session, organization_id: str, technician_id: str) -> tuple[Technician, Engagement]:
    """Raises `UnknownReference`."""
    query = (
        select(Technician, Engagement)
        .where(Technician.id == technician_id, Engagement.technician_no == Technician.no)
        .where(Engagement.organization_id == organization_id)
    )
    found = session.exec(query.execution_options(populate_existing=True)).first()
    if found is None:
        raise UnknownReference("technician_id")
    return found


def _as_proposed(proposal: Proposal) -> Appointment:
    """A copy of the visit's row."""
    shown = apart(proposal.job.appointment)
    if proposal.stop is None or proposal.start is None:
        return shown
    end = proposal.start + timedelta(seconds=proposal.job.service.duration_s)
    shown.technician_no, shown.scheduled_start, shown.scheduled_end = (
        proposal.wish.technician.no, proposal.start, end,
    )  # fmt: skip
    shown.window_start, shown.window_end = proposal.window or (None, None)
    return shown


@dataclass(frozen=True, slots=True)
class _Was:
    """How the visit stood."""

    status: Status
    technician_no: int | None
    agreed_start: datetime | None
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, session: Session, appointment: Appointment) -> "_Was":
        return cls(
            appointment.status,
            appointment.technician_no,
            appointment.agreed_start,
            _fields(session, appointment),
        )

    def stays(self, settings: Settings, proposal: Proposal) -> bool:
        """Whether what its technician agreed to holds: the same window, and a start that a plan might give it."""
        appointment, start = proposal.job.appointment, proposal.start
        if self.status is not Status.DISPATCHED or self.technician_no != proposal.wish.technician.no:
            return False
        now_promised = promised_window(appointment) if appointment.is_promised else None
        if self.agreed_start is None or start is None or proposal.window != now_promised:
            return False
        return abs(start - self.agreed_start) <= timedelta(seconds=settings.start_tolerance_s)


def _fields(session: Session, appointment: Appointment) -> dict[str, Any]:
    """As the event has it before and after."""
    query = select(Technician.id).where(Technician.no == appointment.technician_no)
    start = appointment.scheduled_start
    window = promised_window(appointment) if appointment.is_promised else None
    return {
        "status": appointment.status.value,
        "technician_id": session.exec(query).first(),
        "scheduled_start": None if start is None else instant_told(start),
        "arrival_window": None if window is None else window_fields(window),
        "pinned": appointment.pinned,
        "pinned_time": appointment.pinned_time,
    }


def _write(session: Session, proposal: Proposal, by: Actor, now: datetime, reason: str) -> None:
    """The technician's day as proposed; who gave way is told."""
    assert proposal.day is not None
    assert proposal.plan is not None
    technician = proposal.wish.technician
    changed = write_plan(session, proposal.day, proposal.plan, {technician.id})
    own = proposal.job.appointment
    note_retimed(session, [other for other in changed if other is not own], by, now)
    for moved in proposal.moved:
        if moved.lost_technician:
            _take_from(session, moved.appointment, proposal, by, now, reason)


def _take_from(
    session: Session, other: Appointment, proposal: Proposal, by: Actor, now: datetime, reason: str
) -> None:
    """What gave way and found no other time: its promise stands, and somebody has to be found for it."""
    before, technician = {"status": other.status.value}, proposal.wish.technician
    supersede_offers(session, other, by, now)
    other.unplan()
    other.move(Status.UNASSIGNED)
    session.add(other)
    if proposal.wish.engagement.kind.is_asked and technician.no is not None:
        note(session, other.organization_id, other.id, technician.no, Outcome.UNASSIGNED, [PUT_ASIDE], now)
    after = {"status": other.status.value, "displaced_by": proposal.job.appointment.id}
    record(session, other.organization_id, other.id, "appointment.unassigned", now, by, reason, before, after)


def _settle(session: Session, proposal: Proposal, choice: Choice, *, stays: bool) -> None:
    """Pins the visit as wished; it is scheduled unless what was agreed stays."""
    appointment = proposal.job.appointment
    appointment.pinned, appointment.pinned_time = choice.pin, choice.pin and choice.start is not None
    appointment.agreed_start = appointment.agreed_start or appointment.scheduled_start
    appointment.version += 1
    if not stays:
        mark_block(session, appointment.id, BlockKind.VISIT)
        if appointment.status is not Status.SCHEDULED:
            appointment.move(Status.SCHEDULED)
    session.add(appointment)


def _note_loss(session: Session, was: _Was, proposal: Proposal, now: datetime) -> None:
    """For the freelancer or partner from whom the visit was taken."""
    appointment = proposal.job.appointment
    if was.technician_no is None or was.technician_no == appointment.technician_no:
        return
    query = select(Engagement).where(
        Engagement.technician_no == was.technician_no,
        Engagement.organization_id == appointment.organization_id,
    )
    engagement = session.exec(query).first()
    if engagement is not None and engagement.kind.is_asked:
        outcome, id_ = Outcome.UNASSIGNED, appointment.id
        note(session, appointment.organization_id, id_, was.technician_no, outcome, [GIVEN_AWAY], now)


def _record(session: Session, proposal: Proposal, was: _Was, by: Actor, now: datetime, reason: str) -> None:
    """With its price, from which the key figures add up what overrides cost."""
    appointment = proposal.job.appointment
    after = _fields(session, appointment) | {
        "arrival_window": None if proposal.window is None else window_fields(proposal.window),
        "extra_travel_s": proposal.change.travel_s,
        "extra_cost_cents": proposal.change.cents,
        "violations": [violation.code for violation in proposal.violations],
        "forced": bool(proposal.violations),
        "promises_broken": len(proposal.broken()),
        "moved": [moved.appointment.id for moved in proposal.moved],
    }
    type_, before = "appointment.overridden", dict(was.fields)
    record(session, appointment.organization_id, appointment.id, type_, now, by, reason, before, after)


def _promise(session: Session, settings: Settings, proposal: Proposal, by: Actor, now: datetime) -> None:
    """The customer is told of a window that it did not have."""
    appointment, window = proposal.job.appointment, proposal.window
    before = promised_window(appointment) if appointment.is_promised else None
    if window is None or window == before:
        return
    if before is None:
        promise_first(session, settings, appointment, window, by, now)
        return
    promise(session, settings, appointment, window, PromiseKind.CHANGED, by, now)
    organization_id, id_ = appointment.organization_id, appointment.id
    had, has = window_fields(before), window_fields(window)
    record(session, organization_id, id_, "appointment.rescheduled", now, by, before=had, after=has)


def _commit(
    session: Session, settings: Settings, proposal: Proposal, by: Actor, now: datetime, reason: str
) -> None:
    """scheduled -> dispatched where somebody has said yes or need not be asked; else the technician is asked."""
    appointment, wish = proposal.job.appointment, proposal.wish
    is_asked = wish.engagement.kind.is_asked
    if wish.by_phone or (not is_asked and _is_released(proposal, now)):
        appointment.move(Status.DISPATCHED)
        session.add(appointment)
        organization_id, id_ = appointment.organization_id, appointment.id
        if is_asked and wish.technician.no is not None:
            facts = [AGREED | _way(proposal.stop)]
            note(session, organization_id, id_, wish.technician.no, Outcome.ASSIGNED, facts, now)
        record(session, organization_id, id_, "appointment.dispatched", now, by, reason)
    elif is_asked:
        asking = Asking(OfferStrategy.DIRECT, [wish.technician.no or 0])
        if not begin(session, settings, appointment, asking, by, now):
            raise NoLongerFits(detail="The technician cannot be asked in time any more.")


def _is_released(proposal: Proposal, now: datetime) -> bool:
    """Whether the release of an employee's visit is past (`automatic`)."""
    lead = timedelta(seconds=proposal.job.service.release_before_s)
    return proposal.window is not None and proposal.window[0] - lead <= now


def _way(stop: Stop | None) -> dict[str, object]:
    travel_s, travel_m = discreet(stop.travel_s, stop.travel_m) if stop is not None else (0, 0)
    return {"travel_s": travel_s, "travel_m": travel_m}
