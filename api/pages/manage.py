"""`/m/{manage_token}`: a customer's own visit, to book, move, cancel and correct. The token alone opens it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, request

from api import context
from api.auth import PUBLIC, allow
from api.pages.address import Candidates, candidate_choices, candidates_again, place_of_address
from api.pages.languages import Language
from api.pages.site import pages
from api.pages.visitor import (
    Contact,
    Refused,
    body_refusals,
    cancellation_rule,
    contact_refusals,
    link,
    onward,
    refusing,
    spoken,
    switched_code,
    typed,
    visitor_page,
)
from api.service_requests import ServiceRequestChanges
from dispatch import booking, intake, keys
from dispatch.access import actor_of, appointment_of_caller, own_organization, request_of
from dispatch.appointment import ENDED, UNDER_WAY, Appointment, Status, appointment_of
from dispatch.booking import promised_window
from dispatch.catalogue import Service
from dispatch.customer import Customer
from dispatch.errors import (
    AlreadyBooked,
    InvalidSlot,
    InvalidState,
    NotFound,
    SlotExpired,
    SlotTaken,
)
from dispatch.events import Actor
from dispatch.keys import Principal
from dispatch.links import tracking_token
from dispatch.organization import Organization
from dispatch.planning import job_of
from dispatch.proof import code_for_customer
from dispatch.service_request import ServiceRequest
from dispatch.slots import Slots, slots_for, window_of_slot
from dispatch.territory import Territory
from dispatch.tracking import tracked_appointment
from optimizer import Reason

WEEK = timedelta(days=7)
MOST_WEEKS = 12
TOLD = ("saved", "moved", "already_booked", "already_sent")
"""What a page may say of the form that led to it."""

_REASONS = {
    "skill_missing": "skill",
    "level_too_low": "skill",
    "skill_expired": "skill",
    "excluded": "nobody",
    "suspended": "nobody",
    "no_shift": "nobody",
    "outside_radius": "far",
    "notice": "soon",
}
"""By code, what a customer is told; of every other, that all are taken."""
_REMEDIES = {
    "window": "window",
    "outside_radius": "far",
    "travel_cap": "far",
    "no_time": "people",
    "skill_missing": "people",
}
"""By code; of others there is nothing that a customer could do or ask for."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A customer's request and what belongs to it. by: the customer."""

    token: str
    principal: Principal
    by: Actor
    request: ServiceRequest
    appointment: Appointment
    service: Service
    customer: Customer
    organization: Organization
    zone: ZoneInfo
    language: Language

    @property
    def is_ahead(self) -> bool:
        """Neither under way nor over."""
        return self.appointment.status not in (*UNDER_WAY, *ENDED)

    def link(self, view: str, **values: Any) -> str:
        """The address of one of its pages."""
        return link(view, token=self.token, **values)


@dataclass(frozen=True, slots=True)
class Choice:
    """A window that can be chosen. is_next_best: where another was taken."""

    slot_id: str
    start: datetime
    label: str
    is_near: bool
    is_next_best: bool
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ChoiceDay:
    label: str
    choices: tuple[Choice, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Hurdle:
    """Why the times are shown again. next_best: starts of the windows that stand, best first."""

    status: int
    key: str
    next_best: tuple[datetime, ...] = ()


@pages.get("/m/<token>")
@allow(PUBLIC)
def manage(token: str) -> Response:
    """The visit as it stands; as long as nothing is promised, the times to choose from."""
    visit = _visit(token)
    if visit.is_ahead and not visit.appointment.is_promised:
        return _times(visit)
    return _overview(visit)


@pages.post("/m/<token>")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="30/minute")
def promise(token: str) -> Response:
    """Books the window that was chosen. Sent again, it changes nothing."""
    return _promised(_visit(token, change=True), booking.book, None)


@pages.get("/m/<token>/move")
@allow(PUBLIC)
def move(token: str) -> Response:
    """The times to which the visit can be moved."""
    visit = _visit(token)
    if not visit.is_ahead or not visit.appointment.is_promised:
        return onward(visit.link("manage"))
    return _times(visit)


@pages.post("/m/<token>/move")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="30/minute")
def moved(token: str) -> Response:
    """Moves the visit to the window that was chosen. Sent again, it changes nothing."""
    return _promised(_visit(token, change=True), booking.reschedule, "moved")


@pages.get("/m/<token>/cancel")
@allow(PUBLIC)
def cancel(token: str) -> Response:
    """Asks once, with what it costs."""
    visit = _visit(token)
    fee_cents = _fee_cents(visit)
    return onward(visit.link("manage")) if fee_cents is None else _ask(visit, fee_cents)


@pages.post("/m/<token>/cancel")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="30/minute")
def cancelled(token: str) -> Response:
    """Cancels for the fee that was named; where it is another by now, asks again."""
    visit = _visit(token, change=True)
    fee_cents = _fee_cents(visit)
    if fee_cents is None:
        return onward(visit.link("manage"))
    if request.form.get("fee") != str(fee_cents):
        return _ask(visit, fee_cents, HTTPStatus.CONFLICT)
    booking.cancel(context.session(), context.settings(), visit.appointment, visit.by, context.now())
    return onward(visit.link("manage"))


@pages.get("/m/<token>/details")
@allow(PUBLIC)
def details(token: str) -> Response:
    """The customer's name, how to reach them, and notes, to be corrected."""
    visit = _visit(token)
    known, asked = visit.customer, visit.request
    held = Contact(known.name, known.phone or "", known.email or "", asked.notes or "")
    return _details(visit, held, asked.address or "")


@pages.post("/m/<token>/details")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="30/minute")
def correct(token: str) -> Response:
    """Keeps what was corrected."""
    visit, contact, address = _visit(token, change=True), Contact.typed(), typed("address")
    if switched_code():
        return _details(visit, contact, address, candidates=candidates_again())
    try:
        with context.session().begin_nested():
            _correct(visit, contact, address)
    except Refused as refused:
        return _details(visit, contact, address, refused.fields, refused.candidates)
    except (InvalidSlot, SlotExpired, SlotTaken) as taken:
        return _details_at_another_time(visit, contact, address, taken)
    return onward(visit.link("manage", told="saved"))


def _visit(token: str, *, change: bool = False) -> Visit:
    """Raises the same `NotFound` for every key that is no customer's, or opens no more."""
    session = context.session()
    principal = keys.authenticate(session, token, context.now())
    if principal is None or principal.role != "customer" or principal.service_request_id is None:
        raise NotFound
    asked = request_of(session, principal, principal.service_request_id, change=change)
    appointment_id = appointment_of(session, asked.id).id
    customer = session.get_one(Customer, asked.customer_id)
    return Visit(
        token=token,
        principal=principal,
        by=actor_of(principal),
        request=asked,
        appointment=appointment_of_caller(session, principal, appointment_id, change=change),
        service=session.get_one(Service, asked.service_id),
        customer=customer,
        organization=own_organization(session, principal),
        zone=ZoneInfo(session.get_one(Territory, asked.territory_id).time_zone),
        language=spoken(customer.language),
    )


# Choosing a time


def _promised(visit: Visit, verb: Callable[..., Appointment], told: str | None) -> Response:
    """Gives the window that was chosen to the verb; where that fails, shows the times anew and says so."""
    session, settings, slot_id = context.session(), context.settings(), request.form.get("slot_id", "")
    if switched_code():
        return _times(visit, chosen=_chosen(visit, slot_id))
    if not slot_id:
        return _times(visit, Hurdle(HTTPStatus.UNPROCESSABLE_ENTITY, "error.slot"))
    try:
        window = window_of_slot(settings, visit.appointment, slot_id)
        stands = (visit.appointment.window_start, visit.appointment.window_end) == window
        if not (stands and visit.is_ahead):
            with session.begin_nested():
                verb(session, settings, visit.appointment, slot_id, visit.by, context.now())
    except SlotTaken as taken:
        starts = (each["arrival_window"]["start"] for each in taken.extra["alternatives"])
        next_best = tuple(datetime.fromisoformat(start) for start in starts)
        return _times(visit, Hurdle(HTTPStatus.CONFLICT, "slots.taken", next_best))
    except SlotExpired:
        return _times(visit, Hurdle(HTTPStatus.GONE, "slots.expired"), window[0])
    except InvalidSlot:
        return _times(visit, Hurdle(HTTPStatus.UNPROCESSABLE_ENTITY, "slots.expired"))
    except AlreadyBooked:
        return onward(visit.link("manage", told="already_booked"))
    except InvalidState:
        return onward(visit.link("manage"))
    return onward(visit.link("manage", told=told))


def _chosen(visit: Visit, slot_id: str) -> datetime | None:
    """The start of the window that is marked in the form, None where none is."""
    try:
        return window_of_slot(context.settings(), visit.appointment, slot_id)[0]
    except InvalidSlot:
        return None


def _times(visit: Visit, hurdle: Hurdle | None = None, chosen: datetime | None = None) -> Response:
    """The times to choose from. chosen: the start of the one that is marked already."""
    if not visit.is_ahead:
        return onward(visit.link("manage"))
    session, settings, now = context.session(), context.settings(), context.now()
    language, appointment = visit.language, visit.appointment
    next_best = hurdle.next_best if hurdle is not None else ()
    week, first, last = _week(visit, next_best)
    found = slots_for(session, settings, job_of(session, appointment), first, last, now, None)
    view = "move" if appointment.is_promised else "manage"
    days = _days(visit, found, next_best, chosen)
    choices = [choice for day in days for choice in day.choices]
    return visitor_page(
        "times.html",
        language,
        visit.organization,
        f"{_plain(visit, view)}?week={week}" if week else _plain(visit, view),
        HTTPStatus.OK if hurdle is None else hurdle.status,
        form_id="times" if days else None,
        visit=visit,
        told=_told(visit),
        hurdle=hurdle,
        days=days,
        next_best=[
            (index, language.told_visit((slot.start, slot.end), visit.zone))
            for start in next_best
            for index, slot in enumerate(sorted(found.items, key=lambda slot: slot.start))
            if slot.start == start
        ],
        soonest=_soonest(visit, found) if not week else None,
        is_any_near=any(choice.is_near for choice in choices),
        zone=language.told_zone(found.items[0].start if found.items else now, visit.zone),
        stands=language.told_visit(promised_window(appointment), visit.zone)
        if appointment.is_promised
        else None,
        price=_price(visit),
        rule=cancellation_rule(language, visit.service, visit.organization.currency),
        first=language.told_day(first),
        last=language.told_day(last),
        reasons=reason_keys(found.reasons),
        remedies=remedy_keys(found.would_fit_if),
        week=week,
        action=visit.link(view),
        earlier=visit.link(view, week=week - 1) if week else None,
        later=visit.link(view, week=week + 1) if week + 1 < MOST_WEEKS else None,
    )


def _plain(visit: Visit, view: str) -> str:
    """Without a chosen language, which the page that links to it adds."""
    return visit.link(view).partition("?")[0]


def _week(visit: Visit, next_best: Sequence[datetime]) -> tuple[int, date, date]:
    """How many weeks from now on the times are asked for, and the first and last day; the week after, where all that is
    next best lies there."""
    said = request.values.get("week", "")
    week = min(int(said), MOST_WEEKS - 1) if said.isascii() and said.isdigit() and len(said) < 4 else 0
    first = (
        context.session().get_one(Territory, visit.request.territory_id).today(context.now()) + week * WEEK
    )
    if next_best and all(_day_of(start, visit.zone) >= first + WEEK for start in next_best):
        week, first = week + 1, first + WEEK
    return week, first, first + WEEK - timedelta(days=1)


def _day_of(instant: datetime, zone: ZoneInfo) -> date:
    return instant.astimezone(zone).date()


def _soonest(visit: Visit, found: Slots) -> str | None:
    if not found.items:
        return None
    first = min(found.items, key=lambda slot: slot.start)
    return visit.language.told_visit((first.start, first.end), visit.zone)


def _days(
    visit: Visit, found: Slots, next_best: Sequence[datetime], chosen: datetime | None
) -> list[ChoiceDay]:
    """By local day; the first is open, and those with a window that is recommended to the customer."""
    days: list[ChoiceDay] = []
    in_order = sorted(found.items, key=lambda slot: slot.start)
    for day, slots in groupby(in_order, lambda slot: _day_of(slot.start, visit.zone)):
        choices = tuple(
            Choice(
                slot_id=slot.slot_id,
                start=slot.start,
                label=visit.language.told_window((slot.start, slot.end), visit.zone),
                is_near=slot.recommended,
                is_next_best=slot.start in next_best,
                is_chosen=slot.start == chosen,
            )
            for slot in slots
        )
        marked = any(choice.is_near or choice.is_next_best or choice.is_chosen for choice in choices)
        days.append(ChoiceDay(visit.language.told_day(day), choices, marked or not days))
    return days


def reason_keys(reasons: Iterable[Reason]) -> list[str]:
    """Keys of what a customer is told. What is true of some is not said of all: that skills or the distance are
    wanting, only where nobody is merely taken; that it is too soon, only where nothing else is in the way."""
    told = {_REASONS.get(reason.code, "full") for reason in reasons}
    for stronger, weaker in (("full", {"far", "skill", "nobody"}), ("far", {"skill"})):
        if stronger in told:
            told -= weaker
    if len(told) > 1:
        told -= {"soon"}
    return [f"reason.{key}" for key in ("full", "far", "nobody", "skill", "soon") if key in told]


def remedy_keys(remedies: Iterable[Reason]) -> list[str]:
    """Keys of what would help, as a customer can understand it."""
    told = {_REMEDIES.get(reason.code) for reason in remedies}
    return [f"help.{key}" for key in ("window", "far", "people") if key in told]


# The visit as it stands


def _overview(visit: Visit) -> Response:
    language, appointment, now = visit.language, visit.appointment, context.now()
    window = promised_window(appointment) if appointment.is_promised else None
    return visitor_page(
        "manage.html",
        language,
        visit.organization,
        _plain(visit, "manage"),
        visit=visit,
        told=_told(visit),
        state=f"state.{'booked' if visit.is_ahead else appointment.status.value}",
        is_late=visit.is_ahead and window is not None and now > window[1],
        day=language.told_day(window[0].astimezone(visit.zone).date()) if window else None,
        window=language.told_window(window, visit.zone) if window else None,
        zone=language.told_zone(window[0], visit.zone) if window else None,
        is_over=appointment.status in ENDED,
        rule=_rule(visit),
        own_link=f"{context.settings().public_url}{_plain(visit, 'manage')}",
        track=_track(visit),
        proof_code=code_for_customer(context.settings(), appointment),
        price=_price(visit),
        book_another=link("book", slug=visit.organization.slug),
    )


def _price(visit: Visit) -> str | None:
    cents = visit.service.price_cents
    return visit.language.told_money(cents, visit.organization.currency) if cents else None


def _track(visit: Visit) -> str | None:
    """Where the visit can be followed; None where that link answers not yet, or no more."""
    if visit.appointment.status is Status.CANCELLED:
        return None
    token = tracking_token(context.settings(), visit.appointment)
    try:
        tracked_appointment(context.session(), context.settings(), token, context.now())
    except NotFound:
        return None
    return link("track", token=token)


def _told(visit: Visit) -> str | None:
    """What the page says of the form that led to it, where that still holds."""
    said = request.args.get("told")
    holds = visit.is_ahead if said in ("moved", "already_booked") else said in TOLD
    return f"told.{said}" if holds else None


def _fee_cents(visit: Visit) -> int | None:
    """What cancelling costs now; None where it is possible no more."""
    session, settings = context.session(), context.settings()
    try:
        return booking.cancel(session, settings, visit.appointment, visit.by, context.now(), dry_run=True)
    except InvalidState:
        return None


def _rule(visit: Visit) -> str | None:
    """What cancelling costs, and until when it costs nothing."""
    language, currency, fee_cents = visit.language, visit.organization.currency, _fee_cents(visit)
    if fee_cents is None:
        return None
    if fee_cents:
        return language.say("rule.now", fee=language.told_money(fee_cents, currency))
    if not visit.service.cancel_fee_cents or not visit.appointment.is_promised:
        return language.say("rule.free")
    until = promised_window(visit.appointment)[0] - timedelta(seconds=visit.service.cancel_free_before_s)
    fee = language.told_money(visit.service.cancel_fee_cents, currency)
    return language.say("rule.until", moment=language.told_moment(until, visit.zone), fee=fee)


def _ask(visit: Visit, fee_cents: int, status: int = HTTPStatus.OK) -> Response:
    language, appointment = visit.language, visit.appointment
    return visitor_page(
        "cancel.html",
        language,
        visit.organization,
        _plain(visit, "cancel"),
        status,
        visit=visit,
        when=language.told_visit(promised_window(appointment), visit.zone)
        if appointment.is_promised
        else None,
        fee_cents=fee_cents,
        fee=language.told_money(fee_cents, visit.organization.currency) if fee_cents else None,
        rule=_rule(visit),
        has_changed=status == HTTPStatus.CONFLICT,
        back=visit.link("manage"),
        move=visit.link("move"),
    )


# Correcting


def _correct(visit: Visit, contact: Contact, address: str) -> None:
    """Takes over what differs from what is held. Raises `Refused`, and as `intake.move_place`."""
    refused = contact_refusals(contact)
    is_elsewhere = visit.is_ahead and address != (visit.request.address or "")
    members: dict[str, Any] = {"customer": contact.customer(), "notes": contact.notes or None}
    if is_elsewhere:
        members["place"] = {"address": address}
    refused = body_refusals(ServiceRequestChanges, members) | refused
    if refused:
        raise Refused(refused)
    held = visit.customer
    customer: dict[str, Any] = {
        name: value for name, value in contact.customer().items() if value != getattr(held, name)
    }
    if visit.language.code != held.language:
        customer["language"] = visit.language.code
    changes: dict[str, Any] = {"customer": customer} if customer else {}
    if members["notes"] != visit.request.notes:
        changes["notes"] = members["notes"]
    session, settings, slot_id = context.session(), context.settings(), request.form.get("slot_id")
    with refusing():
        if is_elsewhere:
            changes["place"] = place_of_address(address, typed("candidate"))
        if changes:
            intake.correct(session, settings, visit.request, changes, visit.by, context.now(), slot_id)


def _details_at_another_time(
    visit: Visit, contact: Contact, address: str, taken: InvalidSlot | SlotExpired | SlotTaken
) -> Response:
    """Asks for another time, as nobody can keep the promise at the address; nothing was changed."""
    slots = taken.extra.get("alternatives", [])
    windows = ((slot["arrival_window"]["start"], slot["arrival_window"]["end"]) for slot in slots)
    times = [
        (slot["slot_id"], visit.language.told_visit((_instant(start), _instant(end)), visit.zone))
        for slot, (start, end) in zip(slots, windows, strict=True)
    ]
    why = "slots.expired"
    if isinstance(taken, SlotTaken):
        why = "error.promise" if times else "error.nobody"
    return _details(visit, contact, address, {"address": why}, times=times)


def _instant(told: str) -> datetime:
    return datetime.fromisoformat(told)


def _details(
    visit: Visit,
    contact: Contact,
    address: str,
    refused: Mapping[str, str] | None = None,
    candidates: Candidates = (),
    times: Sequence[tuple[str, str]] = (),
) -> Response:
    """The form. times: ids and words of the slots that can be kept at the address."""
    stands = promised_window(visit.appointment) if visit.appointment.is_promised else None
    return visitor_page(
        "details.html",
        visit.language,
        visit.organization,
        _plain(visit, "details"),
        HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK,
        form_id="details",
        action=visit.link("details"),
        visit=visit,
        contact=contact,
        address=address,
        candidate=typed("candidate"),
        candidates=candidate_choices(candidates),
        times=times,
        stands=visit.language.told_visit(stands, visit.zone) if stands else None,
        refused=refused or {},
        back=visit.link("manage"),
    )
