"""Slots: arrival windows that can be kept together with every promise made, graded by what they cost the plan.

A slot is a window, not a person. It is found by the same insertion engine that plans, over the calendars as they stand
(`dispatch.standing`).
"""

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from itsdangerous import BadSignature, Signer
from sqlmodel import Session

from dispatch.appointment import Appointment, Status
from dispatch.calendar import discreet, epoch
from dispatch.errors import Invalid, InvalidSlot, SlotExpired
from dispatch.instants import instant_told
from dispatch.likelihood import Likelihood
from dispatch.organization import Organization
from dispatch.planning import (
    Job,
    Window,
    able_technicians,
    requested_windows,
    slot_windows,
)
from dispatch.settings import Settings
from dispatch.standing import Opening, calendars_of
from dispatch.territory import Territory
from optimizer import Insertion, Obstacles, Reason

MOST_DAYS = 14
USUAL_DAYS = 7
GRADE_STEP_S = 360
"""Extra travel that costs ten points of grade: a tenth of an hour."""
RECOMMENDED_GRADE = 70
MOST_RECOMMENDED = 3
KEPT_FOR_EMERGENCIES = Reason("no_time", "what is left of the day is kept for emergencies")
UNLIKELY = Reason(
    "no_time", "only freelancers could come, and it is not likely enough that one of them accepts"
)


@dataclass(frozen=True, slots=True)
class Slot:
    """grade: 100 costs the plan no travel, each ten less six minutes more. extra_cents: by the plan's objective.
    price: in minor units of the currency."""

    slot_id: str
    start: datetime
    end: datetime
    grade: int
    recommended: bool
    extra_travel_s: int
    extra_cents: int
    price_cents: int
    currency: str

    def told(self) -> dict[str, Any]:
        """As a refusal names it among the alternatives: in the form in which slots are listed to everybody."""
        return {
            "slot_id": self.slot_id,
            "arrival_window": {"start": instant_told(self.start), "end": instant_told(self.end)},
            "grade": self.grade,
            "recommended": self.recommended,
            "price": {"amount": self.price_cents, "currency": self.currency},
        }


@dataclass(frozen=True, slots=True)
class Slots:
    """Best first; where there is none, why, and what would help."""

    items: tuple[Slot, ...]
    reasons: tuple[Reason, ...]
    would_fit_if: tuple[Reason, ...]


def slots_for(
    session: Session,
    settings: Settings,
    job: Job,
    from_: date | None,
    to: date | None,
    now: datetime,
    limit: int | None,
) -> Slots:
    """`find_slots`, by default from today on in the visit's territory, and seven days."""
    first = from_ or session.get_one(Territory, job.appointment.territory_id).today(now)
    last = to or first + timedelta(days=USUAL_DAYS - 1)
    return find_slots(session, settings, job, first, last, now, limit)


def find_slots(
    session: Session,
    settings: Settings,
    job: Job,
    from_: date,
    to: date,
    now: datetime,
    limit: int | None = None,
) -> Slots:
    """Slots that start on the local days `from_` to `to`, both included. Raises `Invalid` for a range that is backwards
    or longer than 14 days, `InvalidState` for a visit that is under way or over."""
    job.appointment.require(Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
    if to < from_:
        raise Invalid(errors=[("to", "must not be before from")])
    if (to - from_).days >= MOST_DAYS:
        raise Invalid(errors=[("to", f"a search covers {MOST_DAYS} days at most")])
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    days = [from_ + timedelta(days=offset) for offset in range((to - from_).days + 1)]
    items = best_slots(session, settings, job, days, zone, now, limit)
    return Slots(items, (), ()) if items else _none(session, settings, job, days, zone, now)


def best_slots(
    session: Session,
    settings: Settings,
    job: Job,
    days: Sequence[date],
    zone: ZoneInfo,
    now: datetime,
    limit: int | None,
) -> tuple[Slot, ...]:
    """The best first, without a word where there is none. days: local, in order of time."""
    windows = [window for day in days for window in _windows(job, day, zone, now)]
    calendars = calendars_of(session, job.appointment.organization_id)
    likelihood = Likelihood.learned(session, settings, job, zone, now)
    found = [
        (windows[opening.window], _discreet(opening))
        for opening in calendars.openings(session, settings, job, windows, zone, likelihood)
    ]
    found.sort(key=lambda item: (item[1].extra_cents, item[0]))
    currency = session.get_one(Organization, job.appointment.organization_id).currency
    best = enumerate(found[:limit])
    items = [
        _slot(settings, job, window, insertion, currency, now, index) for index, (window, insertion) in best
    ]
    return tuple(items)


def _windows(job: Job, day: date, zone: ZoneInfo, now: datetime) -> list[Window]:
    """Those of a day that may be asked for."""
    return requested_windows(job, slot_windows(job.service, day, zone), _earliest(job, now))


def _none(
    session: Session,
    settings: Settings,
    job: Job,
    days: Sequence[date],
    zone: ZoneInfo,
    now: datetime,
) -> Slots:
    """Why nobody can come on any of the days, also of those who are not able, and what would help."""
    asked = [_windows(job, day, zone, now) for day in days]
    calendars = calendars_of(session, job.appointment.organization_id)
    obstacles = iter(
        calendars.obstacles(session, settings, job, [windows for windows in asked if windows], zone)
    )
    every = [window for windows in asked for window in windows]
    openings = calendars.openings(session, settings, job, every, zone)
    unlikely = {every[opening.window][0].astimezone(zone).date() for opening in openings}
    able = able_technicians(session, job)
    reasons: dict[tuple[str, str], Reason] = {}
    would_fit: dict[tuple[str, str], Reason] = {}
    for day, windows in zip(days, asked, strict=True):
        if windows:
            full = UNLIKELY if day in unlikely else KEPT_FOR_EMERGENCIES
            told, helps = _why_not(next(obstacles), able, full)
        else:
            told, helps = [_no_window(slot_windows(job.service, day, zone), _earliest(job, now))], ()
        reasons |= {(reason.code, reason.detail): reason for reason in told}
        would_fit |= {(reason.code, reason.detail): reason for reason in helps}
    return Slots((), tuple(reasons.values()), tuple(would_fit.values()))


def _why_not(
    obstacles: Obstacles, able: Sequence[str], full: Reason
) -> tuple[list[Reason], Sequence[Reason]]:
    """Of a day, and what would help. full: why nothing is offered of it though somebody could come."""
    fitting = obstacles.fitting()
    kept = [full] if fitting else []
    told = [*kept, *obstacles.reasons(fitting), *_idle(obstacles.working, able)]
    return told, () if fitting else obstacles.would_fit_if()


def _idle(working: Set[str], able: Sequence[str]) -> list[Reason]:
    """Those who could and do not work then, where others do."""
    idle = tuple(technician for technician in able if technician not in working)
    return [Reason("no_shift", "do not work then", idle)] if idle and working else []


def _earliest(job: Job, now: datetime) -> datetime:
    return now + timedelta(seconds=job.service.min_notice_s)


def _no_window(all_windows: list[Window], earliest: datetime) -> Reason:
    if all_windows and all_windows[-1][0] < earliest:
        return Reason(
            "notice",
            f"Every window of the day starts before {earliest:%Y-%m-%d %H:%M} UTC, the least notice.",
        )
    return Reason(
        "window", "No window of the day lies between the earliest start and the due time asked for."
    )


def _discreet(opening: Opening) -> Insertion:
    """Rounded beside another organization's visit: see `calendar.ROUNDED_S`."""
    insertion = opening.insertion
    if not opening.beside_others:
        return insertion
    travel_s, travel_m = discreet(insertion.extra_travel_s, insertion.extra_travel_m)
    return replace(insertion, extra_travel_s=travel_s, extra_travel_m=travel_m)


def _slot(
    settings: Settings,
    job: Job,
    window: Window,
    insertion: Insertion,
    currency: str,
    now: datetime,
    better: int,
) -> Slot:
    """better: how many slots are."""
    grade = max(0, 100 - 10 * round(max(0, insertion.extra_travel_s) / GRADE_STEP_S))
    return Slot(
        slot_id=sign_slot(settings, job.appointment, window, now),
        start=window[0],
        end=window[1],
        grade=grade,
        recommended=better < MOST_RECOMMENDED and grade >= RECOMMENDED_GRADE,
        extra_travel_s=insertion.extra_travel_s,
        extra_cents=insertion.extra_cents,
        price_cents=job.service.price_cents,
        currency=currency,
    )


@cache
def _signer(secret: str) -> Signer:
    """The key is derived once: a search signs a hundred slots."""
    return Signer(hashlib.sha256(f"slot {secret}".encode()).digest(), key_derivation="none")


def sign_slot(settings: Settings, appointment: Appointment, window: Window, now: datetime) -> str:
    """An opaque id, bound to the request, good for slot_ttl_s."""
    times = (epoch(window[0]), epoch(window[1]), epoch(now) + settings.slot_ttl_s)
    told = ".".join([appointment.service_request_id, *(f"{at:x}" for at in times)])
    return _signer(settings.secret.get_secret_value()).sign(told).decode()


def _read(settings: Settings, slot_id: str) -> tuple[str, int, int, int]:
    """The request, the window's start and end, and until when the id is good. Raises `InvalidSlot`."""
    try:
        told = _signer(settings.secret.get_secret_value()).unsign(slot_id.encode()).decode()
    except BadSignature as error:
        raise InvalidSlot() from error
    request_id, start, end, expires = told.split(".")
    return request_id, int(start, 16), int(end, 16), int(expires, 16)


def slot_request(settings: Settings, slot_id: str) -> str:
    """The id of the service request that the slot was offered to. Raises `InvalidSlot`."""
    return _read(settings, slot_id)[0]


def read_slot(settings: Settings, appointment: Appointment, slot_id: str, now: datetime) -> Window:
    """The window behind a slot id. Raises `InvalidSlot` where it is forged or another request's, `SlotExpired`."""
    window = window_of_slot(settings, appointment, slot_id)
    if epoch(now) >= _read(settings, slot_id)[3]:
        raise SlotExpired()
    return window


def window_of_slot(settings: Settings, appointment: Appointment, slot_id: str) -> Window:
    """The window behind a slot id, however old. Raises `InvalidSlot`."""
    request_id, start, end, _ = _read(settings, slot_id)
    if request_id != appointment.service_request_id:
        raise InvalidSlot()
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
