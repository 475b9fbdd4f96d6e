"""Appointments: visits that are promised, planned and made."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from flask import Response
from pydantic import Field
from sqlmodel import col

from api import context
from api.auth import allow
from api.etag import require_match
from api.messages import MessageOut, MessagePage, NewMessage, answer_said, answer_thread
from api.openapi import resource
from api.pagination import DatedPageQuery, Page, PageQuery, page_of, paginate
from api.reasons import Why
from api.render import answer
from api.schemas import (
    EXAMPLE_ID,
    Answer,
    Body,
    Id,
    Instant,
    Money,
    Note,
    Path,
    Reference,
    Token,
    Window,
    absent,
    example,
)
from dispatch import booking, day, override
from dispatch.access import (
    actor_of,
    appointment_of_caller,
    appointment_of_request,
    events_shown,
    own_organization,
    shows_technician,
    technicians_by_no,
)
from dispatch.appointment import Appointment, Status
from dispatch.events import events_by_subject
from dispatch.links import tracking_token, tracking_url
from dispatch.message import Sender
from dispatch.technician import Technician

appointments = resource("appointments", "Visits that are promised, planned and made.")


class AssignedTechnician(Answer):
    """Who comes: `id` and `name` to the organization, `first_name` to a customer once the technician has committed."""

    id: str | None = Field(None, exclude_if=absent)
    name: str | None = Field(None, exclude_if=absent)
    first_name: str | None = Field(None, exclude_if=absent)


class AppointmentEvent(Answer):
    """What happened. by: the role of whoever did it."""

    type: str
    at: Instant
    by: str
    reason: str | None = Field(None, exclude_if=absent)
    before: dict[str, Any] | None = Field(None, exclude_if=absent)
    after: dict[str, Any] | None = Field(None, exclude_if=absent)


class AppointmentOut(Answer):
    """A visit. arrival_window: what the customer was told; scheduled: what is planned inside it; actual: what was.
    expected_start: when its technician says that work will begin, null where as planned. customer_confirmed_at: when
    the customer said that somebody will be there in the present window."""

    id: str
    service_request_id: str
    status: Status
    arrival_window: Window | None
    scheduled_start: Instant | None
    scheduled_end: Instant | None
    expected_start: Instant | None
    actual_start: Instant | None
    actual_end: Instant | None
    technician: AssignedTechnician | None
    pinned: bool
    pinned_time: bool
    customer_confirmed_at: Instant | None
    version: int
    events: list[AppointmentEvent]

    @classmethod
    def each(cls, rows: Sequence[Appointment]) -> list[Self]:
        """As the caller may see them."""
        session, principal = context.session(), context.principal()
        events = events_by_subject(session, [row.id for row in rows])
        shown = [row.technician_no for row in rows if shows_technician(principal, row)]
        people = technicians_by_no(session, sorted({no for no in shown if no is not None}))
        return [
            cls.model_validate(
                row.model_dump()
                | {
                    "arrival_window": window_of(row),
                    "technician": _assigned(row, people),
                    "events": events_shown(principal, events[row.id]),
                }
            )
            for row in rows
        ]

    @classmethod
    def of(cls, row: Appointment) -> Self:
        """As the caller may see it."""
        return cls.each([row])[0]


def window_of(row: Appointment) -> Window | None:
    """What was promised, if anything was."""
    if row.window_start is None or row.window_end is None:
        return None
    return Window(start=row.window_start, end=row.window_end)


def _assigned(row: Appointment, people: dict[int, Technician]) -> AssignedTechnician | None:
    if row.technician_no is None or not shows_technician(context.principal(), row):
        return None
    technician = people[row.technician_no]
    if context.principal().role == "customer":
        return AssignedTechnician(first_name=technician.first_name)
    return AssignedTechnician(id=technician.id, name=technician.name)


class AppointmentPage(Page[AppointmentOut]):
    """One page of appointments, the newest first."""


class AppointmentPath(Path):
    """Which appointment."""

    appointment_id: Id


class AppointmentQuery(DatedPageQuery):
    """`from` and `to`: local dates of the territory, both included, on which the visit is planned, or else promised, to
    begin."""

    status: Status | None = None
    technician_id: Reference | None = None
    territory_id: Reference | None = None


class NewBooking(Body):
    """Which window to promise. hold_id: where the slot is on hold."""

    model_config = example({"service_request_id": EXAMPLE_ID, "slot_id": "eyJ3Ijo0fQ.Qh-22Cr_qD"})

    service_request_id: Reference
    slot_id: Token
    hold_id: Reference | None = None


class Booked(Answer):
    """The promise, and the link by which anyone who has it may follow the visit."""

    appointment: AppointmentOut
    tracking_token: str
    tracking_url: str


class Rescheduling(Body):
    """The window to promise instead."""

    model_config = example({"slot_id": "eyJ3Ijo0fQ.Qh-22Cr_qD"})

    slot_id: Token
    hold_id: Reference | None = None


class Cancellation(Body):
    """dry_run: only say what it would cost."""

    model_config = example({"reason": "It works again.", "dry_run": True})

    reason: Why | None = None
    dry_run: bool = False


class Cancelled(AppointmentOut):
    """The visit, and what cancelling it costs."""

    fee: Money


class ProgressStep(Body):
    """How far the visit is. A dispatcher says why it speaks for the technician; `cannot_complete` needs a reason too.
    occurred_at: when the phone says it happened, kept in the event; the server's clock is the one that counts."""

    model_config = example({"status": "en_route", "occurred_at": "2027-03-09T14:00:00-04:00"})

    status: Literal["en_route", "on_site", "completed", "cannot_complete", "dispatched"]
    note: Note | None = None
    reason: Why | None = None
    occurred_at: Instant | None = None


class WithReason(Body):
    """Why."""

    model_config = example({"reason": "The van broke down."})

    reason: Why


class MayHaveReason(Body):
    """Why, if it is worth saying."""

    model_config = example({"reason": "It leaks again."})

    reason: Why | None = None


class Pinning(Body):
    """time: the start is pinned too, not only the technician."""

    model_config = example({"time": True})

    time: bool = False


@appointments.post("/appointments", summary="Book a slot", responses={201: Booked})
@allow("customer", "integration", "dispatcher")
def book(body: NewBooking) -> Response:
    """Promises the window. Where nobody can keep it any more: 409 `slot_taken` with `alternatives`."""
    session, settings, principal = context.session(), context.settings(), context.principal()
    row = appointment_of_request(session, principal, body.service_request_id)
    booking.book(session, settings, row, body.slot_id, actor_of(principal), context.now(), body.hold_id)
    booked = Booked(
        appointment=AppointmentOut.of(row),
        tracking_token=tracking_token(settings, row),
        tracking_url=tracking_url(settings, row),
    )
    return answer(booked, 201, version=row.version, location=f"/v1/appointments/{row.id}")


@appointments.get("/appointments", summary="List appointments", responses={200: AppointmentPage})
@allow("dispatcher")
def read_all(query: AppointmentQuery) -> Response:
    """The newest first."""
    session = context.session()
    organization = own_organization(session, context.principal())
    wish = day.VisitWish(query.status, query.technician_id, query.territory_id, query.from_, query.to)
    wanted = day.appointments_like(session, organization.id, wish)
    by = [col(Appointment.created_at), col(Appointment.id)]
    rows, cursor = paginate(session, wanted, query, by=by, newest_first=True)
    return answer(page_of(AppointmentPage, AppointmentOut.each(rows), cursor))


@appointments.get(
    "/appointments/<appointment_id>", summary="Read an appointment", responses={200: AppointmentOut}
)
@allow("customer", "technician", "integration", "dispatcher")
def read(path: AppointmentPath) -> Response:
    """A technician reads the visits that are planned with it."""
    return _answer(appointment_of_caller(context.session(), context.principal(), path.appointment_id))


@appointments.post(
    "/appointments/<appointment_id>/reschedule", summary="Reschedule", responses={200: AppointmentOut}
)
@allow("customer", "integration", "dispatcher")
def reschedule(path: AppointmentPath, body: Rescheduling) -> Response:
    """Promises another window: same id, same links. A technician who had accepted is asked anew."""
    row = _to_change(path)
    booking.reschedule(
        context.session(),
        context.settings(),
        row,
        body.slot_id,
        actor_of(context.principal()),
        context.now(),
        body.hold_id,
    )
    return _answer(row)


@appointments.post("/appointments/<appointment_id>/cancel", summary="Cancel", responses={200: Cancelled})
@allow("customer", "integration", "dispatcher")
def cancel(path: AppointmentPath, body: Cancellation) -> Response:
    """Until the technician is on the way; a dispatcher also later. `fee` is what it costs, with `dry_run` what it
    would."""
    session, row = context.session(), _to_change(path)
    by, now = actor_of(context.principal()), context.now()
    amount = booking.cancel(session, context.settings(), row, by, now, body.reason, dry_run=body.dry_run)
    fee = Money(amount=amount, currency=own_organization(session, context.principal()).currency)
    shown = Cancelled(**dict(AppointmentOut.of(row)), fee=fee)
    return answer(shown, version=row.version)


@appointments.post(
    "/appointments/<appointment_id>/progress", summary="Say how far it is", responses={200: AppointmentOut}
)
@allow("technician", "dispatcher")
def progress(path: AppointmentPath, body: ProgressStep) -> Response:
    """`dispatched` undoes `en_route`. Saying again what stands changes nothing, nor does a step with the same
    `occurred_at` that was passed since: a phone that was without a network sends its steps in order, each until it is
    answered."""
    row = _to_change(path)
    day.progress(
        context.session(),
        context.settings(),
        row,
        Status(body.status),
        actor_of(context.principal()),
        context.now(),
        note=body.note,
        reason=body.reason,
        occurred_at=body.occurred_at,
    )
    return _answer(row)


@appointments.post(
    "/appointments/<appointment_id>/release", summary="Give it back", responses={200: AppointmentOut}
)
@allow("technician", "dispatcher")
def release(path: AppointmentPath, body: WithReason) -> Response:
    """The technician cannot make it after all; the promise to the customer stands."""
    row, by = _to_change(path), actor_of(context.principal())
    day.release(context.session(), context.settings(), row, by, context.now(), body.reason)
    return _answer(row)


@appointments.post(
    "/appointments/<appointment_id>/reopen", summary="Open it again", responses={200: AppointmentOut}
)
@allow("dispatcher")
def reopen(path: AppointmentPath, body: MayHaveReason) -> Response:
    """What was completed, could not be completed or was cancelled is unassigned again, nothing promised. Needs
    If-Match."""
    row, by = _to_change(path, match=True), actor_of(context.principal())
    override.reopen(context.session(), context.settings(), row, by, context.now(), body.reason)
    return _answer(row)


@appointments.post(
    "/appointments/<appointment_id>/unassign",
    summary="Take it from its technician",
    responses={200: AppointmentOut},
)
@allow("dispatcher")
def unassign(path: AppointmentPath, body: WithReason) -> Response:
    """The promise to the customer stands. Needs If-Match."""
    row, by = _to_change(path, match=True), actor_of(context.principal())
    override.unassign(context.session(), context.settings(), row, by, context.now(), body.reason)
    return _answer(row)


@appointments.post("/appointments/<appointment_id>/pin", summary="Pin", responses={200: AppointmentOut})
@allow("dispatcher")
def pin(path: AppointmentPath, body: Pinning) -> Response:
    """No plan gives it to another technician; with `time` none moves its start. Needs If-Match."""
    row, by = _to_change(path, match=True), actor_of(context.principal())
    override.pin(context.session(), row, by, context.now(), time=body.time)
    return _answer(row)


@appointments.post("/appointments/<appointment_id>/unpin", summary="Unpin", responses={200: AppointmentOut})
@allow("dispatcher")
def unpin(path: AppointmentPath) -> Response:
    """Plans may move it again. Needs If-Match."""
    row, by = _to_change(path, match=True), actor_of(context.principal())
    override.unpin(context.session(), row, by, context.now())
    return _answer(row)


@appointments.delete(
    "/appointments/<appointment_id>/tracking", summary="Revoke the link", responses={200: AppointmentOut}
)
@allow("dispatcher")
def revoke_tracking(path: AppointmentPath) -> Response:
    """The tracking link answers no more; a later promise opens a new one."""
    row = _to_change(path)
    override.close_tracking(context.session(), row, actor_of(context.principal()), context.now())
    return _answer(row)


@appointments.get(
    "/appointments/<appointment_id>/messages", summary="Read the thread", responses={200: MessagePage}
)
@allow("customer", "dispatcher")
def read_messages(path: AppointmentPath, query: PageQuery) -> Response:
    """What the customer and the dispatchers wrote about the visit, the oldest first."""
    row = appointment_of_caller(context.session(), context.principal(), path.appointment_id)
    return answer_thread(row, query)


@appointments.post(
    "/appointments/<appointment_id>/messages", summary="Write about a visit", responses={201: MessageOut}
)
@allow("customer", "dispatcher", limit="60/minute")
def write_message(path: AppointmentPath, body: NewMessage) -> Response:
    """Until the visit is completed or cancelled; what could not be completed may still be spoken about."""
    row = appointment_of_caller(context.session(), context.principal(), path.appointment_id)
    return answer_said(row, Sender(context.principal().role), body)


def _to_change(path: AppointmentPath, *, match: bool = False) -> Appointment:
    row = appointment_of_caller(context.session(), context.principal(), path.appointment_id, change=True)
    if match:
        require_match(row.version)
    return row


def _answer(row: Appointment) -> Response:
    return answer(AppointmentOut.of(row), version=row.version)
