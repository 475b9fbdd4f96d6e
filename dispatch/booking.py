"""Booking: a promise is made, moved or taken back, with the calendar that keeps it, in one transaction."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from dispatch.appointment import NEXT, Appointment, Status
from dispatch.calendar import BlockKind, CalendarBlock, mark_block
from dispatch.errors import AlreadyBooked, InvalidState
from dispatch.events import Actor, record
from dispatch.holds import chosen_window, release_all
from dispatch.instants import instant_told
from dispatch.links import open_tracking
from dispatch.offer import OPEN, Offer, OfferStatus
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.placing import Placed, keep, note_placed, take_out
from dispatch.planning import Job, Window, job_of, window_to_promise
from dispatch.promise import PromiseKind, enter
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.territory import Territory


def book(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    slot_id: str,
    by: Actor,
    now: datetime,
    hold_id: str | None = None,
) -> Appointment:
    """Promises the slot's window and plans the visit with whom it costs least; a hold gives its time to it.

    Raises `AlreadyBooked`, `InvalidState`, `InvalidSlot`, `SlotExpired`, for the hold `UnknownReference` and
    `HoldExpired`, and `SlotTaken` with the next best slots where nobody can keep the window any more."""
    if appointment.is_promised and appointment.status is not Status.CANCELLED:
        raise AlreadyBooked()
    appointment.require(Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
    window = chosen_window(session, settings, appointment, slot_id, hold_id, now)
    placed = _keep_anew(session, settings, appointment, window, by, now)
    promise(session, settings, appointment, window, PromiseKind.GIVEN, by, now)
    session.add(appointment)
    record(
        session,
        appointment.organization_id,
        appointment.id,
        "appointment.booked",
        now,
        by,
        after=window_fields(window),
    )
    session.flush()
    note_placed(session, settings, job_of(session, appointment), placed)
    return appointment


def reschedule(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    slot_id: str,
    by: Actor,
    now: datetime,
    hold_id: str | None = None,
) -> Appointment:
    """Moves a promise to another window: same id, same links. What was dispatched is scheduled again and needs a new
    acceptance. Raises as `book`; `InvalidState` where nothing is promised or the visit is under way."""
    if not appointment.is_promised:
        raise InvalidState(
            appointment.status.value, ["scheduled", "dispatched"], "Nothing is promised yet; book a slot."
        )
    appointment.require(Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
    window = chosen_window(session, settings, appointment, slot_id, hold_id, now)
    before = window_fields(promised_window(appointment))
    _keep_anew(session, settings, appointment, window, by, now)
    promise(session, settings, appointment, window, PromiseKind.CHANGED, by, now)
    session.add(appointment)
    record(
        session,
        appointment.organization_id,
        appointment.id,
        "appointment.rescheduled",
        now,
        by,
        before=before,
        after=window_fields(window),
    )
    session.flush()
    return appointment


def plan_anew(
    session: Session, settings: Settings, appointment: Appointment, by: Actor, now: datetime
) -> None:
    """Plans a visit that was taken out of its calendar: for its promise, or for later where nothing is promised. Raises
    `SlotTaken` where nobody can keep the promise."""
    if appointment.is_promised:
        _keep_anew(session, settings, appointment, promised_window(appointment), by, now)
    else:
        supersede_offers(session, appointment, by, now)
        appointment.move(Status.UNASSIGNED)
    session.add(appointment)
    session.flush()


def _keep_anew(
    session: Session, settings: Settings, appointment: Appointment, window: Window, by: Actor, now: datetime
) -> Placed:
    """Plans the visit for a window, whatever was agreed, asked or pinned before. Raises `SlotTaken`."""
    supersede_offers(session, appointment, by, now)
    appointment.pinned = appointment.pinned_time = False
    appointment.agreed_start = None
    placed = keep(session, settings, job_of(session, appointment), window, now)
    if appointment.status is not Status.SCHEDULED:
        appointment.move(Status.SCHEDULED)
    return placed


def cancel(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    by: Actor,
    now: datetime,
    reason: str | None = None,
    *,
    dry_run: bool = False,
) -> int:
    """Cancels the visit and gives its time back at once. A customer may until the technician is on the way, a
    dispatcher until the visit has ended. Gives back what it costs the customer, in minor units; a dry run does no more
    than that. Raises `InvalidState`."""
    if by.role != "dispatcher":
        appointment.require(Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
    fee_cents = cancellation_fee_cents(job_of(session, appointment), now)
    if dry_run:
        appointment.require(*(state for state, allowed in NEXT.items() if Status.CANCELLED in allowed))
        return fee_cents
    before = {"status": appointment.status.value}
    appointment.move(Status.CANCELLED)
    give_back(session, settings, appointment)
    release_all(session, settings, appointment.service_request_id, now)
    supersede_offers(session, appointment, by, now)
    request = session.get_one(ServiceRequest, appointment.service_request_id)
    request.cancelled_at = now
    request.version += 1
    if appointment.is_promised:
        enter(
            session,
            appointment.organization_id,
            appointment.id,
            PromiseKind.WITHDRAWN,
            promised_window(appointment),
            now,
            by,
        )
    session.add_all([appointment, request])
    after = {"status": appointment.status.value}
    record(
        session,
        appointment.organization_id,
        appointment.id,
        "appointment.cancelled",
        now,
        by,
        reason,
        before,
        after,
    )
    session.flush()
    return fee_cents


def cancellation_fee_cents(job: Job, now: datetime) -> int:
    """What cancelling now costs the customer by the catalogue's rule."""
    start = job.appointment.window_start
    if start is None or now <= start - timedelta(seconds=job.service.cancel_free_before_s):
        return 0
    return job.service.cancel_fee_cents


def give_back(session: Session, settings: Settings, appointment: Appointment) -> None:
    """Takes a visit out of its technician's calendar."""
    block = session.exec(select(CalendarBlock).where(CalendarBlock.appointment_id == appointment.id)).first()
    if block is not None:
        take_out(session, settings, appointment.organization_id, block)
    if appointment.technician_no is not None:
        appointment.unplan()


_STANDING_ROUNDS = (
    select(OfferRound)
    .where(OfferRound.appointment_id == bindparam("appointment_id"))
    .where(col(OfferRound.status).not_in((RoundStatus.UNFILLED, RoundStatus.STOPPED)))
    .with_for_update()
)


def supersede_offers(session: Session, appointment: Appointment, by: Actor, now: datetime) -> None:
    """Closes what is still being asked about the visit, and what was accepted for it and holds no more; what time it
    takes, it takes as a visit."""
    for row in session.exec(_STANDING_ROUNDS, params={"appointment_id": appointment.id}).all():
        row.end(RoundStatus.STOPPED, now)
        session.add(row)
        _supersede_round(session, row, by, now)
        mark_block(session, appointment.id, BlockKind.VISIT)


def _supersede_round(session: Session, row: OfferRound, by: Actor, now: datetime) -> None:
    standing = (*OPEN, OfferStatus.ACCEPTED)
    offers = select(Offer).where(Offer.round_id == row.id, col(Offer.status).in_(standing))
    for offer in session.exec(offers.order_by(col(Offer.id)).with_for_update()).all():
        supersede(session, offer, by, now)


def supersede(session: Session, offer: Offer, by: Actor, now: datetime) -> None:
    """Something else came of it."""
    offer.close(OfferStatus.SUPERSEDED, now)
    session.add(offer)
    after = {"offer_id": offer.id}
    record(session, offer.organization_id, offer.appointment_id, "offer.superseded", now, by, after=after)


def promise(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    window: Window,
    kind: PromiseKind,
    by: Actor,
    now: datetime,
) -> None:
    """Puts the window on the appointment and on the ledger, and opens the tracking link."""
    appointment.promise(window)
    open_tracking(settings, appointment)
    enter(session, appointment.organization_id, appointment.id, kind, window, now, by)


def promise_as_planned(
    session: Session, settings: Settings, appointment: Appointment, by: Actor, now: datetime
) -> None:
    """Where nothing is promised, the window around the planned start; the customer is told."""
    if appointment.is_promised:
        return
    assert appointment.scheduled_start is not None
    zone = ZoneInfo(session.get_one(Territory, appointment.territory_id).time_zone)
    window = window_to_promise(job_of(session, appointment), zone, appointment.scheduled_start)
    promise_first(session, settings, appointment, window, by, now)


def promise_first(
    session: Session, settings: Settings, appointment: Appointment, window: Window, by: Actor, now: datetime
) -> None:
    """Promises a window for which the visit is planned, where nothing was promised; the customer is told."""
    promise(session, settings, appointment, window, PromiseKind.GIVEN, by, now)
    session.add(appointment)
    after = {"arrival_window": window_fields(window)}
    record(
        session, appointment.organization_id, appointment.id, "appointment.scheduled", now, by, after=after
    )


def promised_window(appointment: Appointment) -> Window:
    assert appointment.window_start is not None
    assert appointment.window_end is not None
    return appointment.window_start, appointment.window_end


def window_fields(window: Window) -> dict[str, str]:
    """A window as events keep it."""
    return {"start": instant_told(window[0]), "end": instant_told(window[1])}
