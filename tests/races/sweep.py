"""Judges the calendars as the database holds them, by its own SQL and arithmetic: nothing here is shared with the code
that wrote them.

What must hold: nobody is in two places; nobody begins work before it can be there, or is home after its shift; every
promised visit stands once, inside its window and for as long as it takes; what was cancelled or given back takes no
time; what is held takes time once, and no request holds more than two windows; nobody has accepted what another has,
who is asked alone has the time in its calendar, and what several are asked at once takes nobody's time.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import asin, cos, hypot, radians, sin, sqrt
from typing import Any

from sqlalchemy import Connection, text

EARTH_M = 6_371_008.8
SHORTEST = 0.99
"""A sphere differs from the ellipsoid by half a percent at most."""
SPEED_M_S, DETOUR, PARKING_S = 25 / 3.6, 1.3, 120
"""Of the default travel times."""
ROUNDED_S = 2
MOST_HOLDS = 2
PLANNED = ("scheduled", "dispatched", "en_route", "on_site")
COMMITTED = ("dispatched", "en_route", "on_site", "completed", "cannot_complete")
OPEN = ("pending", "countered")
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Block:
    """Seconds of the Unix epoch. holder: the id of the visit or the hold that takes the time."""

    technician: int
    kind: str
    busy_from: int
    work_from: int
    busy_to: int
    at: Point
    holder: str


@dataclass(frozen=True, slots=True)
class Visit:
    """window: what was promised, and last: what the ledger of promises says of it."""

    id: str
    organization: str
    status: str
    window: tuple[int, int] | None
    starts: int | None
    technician: int | None
    work_s: int
    before_s: int
    after_s: int
    last: tuple[str, int, int] | None


@dataclass(frozen=True, slots=True)
class Held:
    id: str
    request: str
    window: tuple[int, int]
    before_s: int
    is_released: bool
    is_over: bool


@dataclass(frozen=True, slots=True)
class Shift:
    technician: int
    begins: int
    ends: int
    home: Point


@dataclass(frozen=True, slots=True)
class Asked:
    """An offer. round_status: of the round that sent it."""

    id: str
    visit: str
    technician: int
    strategy: str
    status: str
    round_status: str


@dataclass(frozen=True, slots=True)
class Calendars:
    """All that is in the database, over all organizations."""

    blocks: tuple[Block, ...]
    visits: tuple[Visit, ...]
    holds: tuple[Held, ...]
    shifts: tuple[Shift, ...]
    offers: tuple[Asked, ...] = ()

    @property
    def promised(self) -> dict[str, tuple[int, int]]:
        """The windows that stand, by visit."""
        standing = (visit for visit in self.visits if visit.status in ("unassigned", *PLANNED))
        return {visit.id: visit.window for visit in standing if visit.window is not None}


BLOCKS = """
SELECT technician_no, kind, busy_from, work_from, busy_to, lat, lon, appointment_id, hold_id FROM calendar_block
"""
VISITS = """
SELECT a.id, a.organization_id, a.status, a.window_start, a.window_end, a.scheduled_start, a.technician_no,
       s.duration_s, s.buffer_before_s, s.buffer_after_s
FROM appointment a JOIN service_request r ON r.id = a.service_request_id JOIN service s ON s.id = r.service_id
"""
LEDGER = "SELECT appointment_id, kind, window_start, window_end FROM promise ORDER BY id"
HOLDS = """
SELECT h.id, h.service_request_id, h.window_start, h.window_end, h.released_at, h.expires_at, s.buffer_before_s
FROM hold h JOIN service_request r ON r.id = h.service_request_id JOIN service s ON s.id = r.service_id
"""
OFFERS = """
SELECT o.id, o.appointment_id, o.technician_no, o.strategy, o.status, r.status AS round_status
FROM offer o JOIN offer_round r ON r.id = o.round_id
"""
SHIFTS = """
SELECT s.technician_no, s.starts_at, s.ends_at, t.lat, t.lon
FROM shift s JOIN technician t ON t.no = s.technician_no
"""


def read(connection: Connection, now: datetime) -> Calendars:
    """What stands now."""
    last = {
        row.appointment_id: (row.kind, _seconds(row.window_start), _seconds(row.window_end))
        for row in connection.execute(text(LEDGER))
    }
    return Calendars(
        blocks=tuple(_block(row) for row in connection.execute(text(BLOCKS))),
        visits=tuple(_visit(row, last.get(row.id)) for row in connection.execute(text(VISITS))),
        holds=tuple(
            Held(
                row.id,
                row.service_request_id,
                (_seconds(row.window_start), _seconds(row.window_end)),
                row.buffer_before_s,
                row.released_at is not None,
                _seconds(row.expires_at) <= now.timestamp(),
            )
            for row in connection.execute(text(HOLDS))
        ),
        shifts=tuple(
            Shift(row.technician_no, _seconds(row.starts_at), _seconds(row.ends_at), (row.lat, row.lon))
            for row in connection.execute(text(SHIFTS))
        ),
        offers=tuple(Asked(*row) for row in connection.execute(text(OFFERS))),
    )


def _block(row: Any) -> Block:
    holder = row.appointment_id or row.hold_id
    place = (row.lat, row.lon)
    return Block(row.technician_no, row.kind, row.busy_from, row.work_from, row.busy_to, place, holder)


def _visit(row: Any, last: tuple[str, int, int] | None) -> Visit:
    window = None if row.window_start is None else (_seconds(row.window_start), _seconds(row.window_end))
    starts = None if row.scheduled_start is None else _seconds(row.scheduled_start)
    buffers = (row.buffer_before_s, row.buffer_after_s)
    planned = (row.status, window, starts, row.technician_no)
    return Visit(row.id, row.organization_id, *planned, row.duration_s, *buffers, last)


def _seconds(stored: Any) -> int:
    """SQLite keeps instants as text in UTC."""
    at = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def faults(calendars: Calendars, *, waiting: Collection[str] = ()) -> list[str]:
    """What must not be, in words; none where all is well. waiting: promised visits whose technician fell away, for whom
    a dispatcher or the next plan has to find another."""
    return [
        *_in_two_places(calendars.blocks),
        *_out_of_reach(calendars),
        *_promises_astray(calendars, waiting),
        *_holds_astray(calendars),
        *_offers_astray(calendars),
    ]


def _by_technician(blocks: Iterable[Block]) -> dict[int, list[Block]]:
    calendars: dict[int, list[Block]] = {}
    for block in sorted(blocks, key=lambda block: (block.busy_from, block.busy_to)):
        calendars.setdefault(block.technician, []).append(block)
    return calendars


def _in_two_places(blocks: Iterable[Block]) -> Iterator[str]:
    for technician, own in _by_technician(blocks).items():
        for one, other in pairwise(own):
            if other.busy_from < one.busy_to:
                yield f"{technician} is in two places: {one.holder} and {other.holder}"


def _out_of_reach(calendars: Calendars) -> Iterator[str]:
    for technician, own in _by_technician(calendars.blocks).items():
        shifts = [shift for shift in calendars.shifts if shift.technician == technician]
        inside = {block.holder: shift for shift in shifts for block in own if _lies_in(block, shift)}
        yield from (f"{block.holder} lies in no shift" for block in own if block.holder not in inside)
        for shift in shifts:
            yield from _legs([block for block in own if inside.get(block.holder) is shift], shift)


def _lies_in(block: Block, shift: Shift) -> bool:
    return shift.begins <= block.busy_from and block.busy_to <= shift.ends


def _legs(route: list[Block], shift: Shift) -> Iterator[str]:
    at = shift.home
    for block in route:
        if block.work_from - block.busy_from < travel_s(at, block.at) - ROUNDED_S:
            yield f"{block.holder} begins before anybody can be there"
        at = block.at
    if route and route[-1].busy_to + travel_s(at, shift.home) > shift.ends + ROUNDED_S:
        yield f"{route[-1].holder} ends too late to be home in time"


def travel_s(one: Point, other: Point) -> float:
    """At least how long it takes from one place to the other: by the great circle (haversine)."""
    if one == other:
        return 0.0
    north, east = radians(other[0] - one[0]) / 2, radians(other[1] - one[1]) / 2
    chord = hypot(sin(north), sqrt(cos(radians(one[0])) * cos(radians(other[0]))) * sin(east))
    return SHORTEST * DETOUR * 2 * EARTH_M * asin(chord) / SPEED_M_S + PARKING_S


def _promises_astray(calendars: Calendars, waiting: Collection[str]) -> Iterator[str]:
    blocks = {block.holder: block for block in calendars.blocks}
    taken = Counter(block.holder for block in calendars.blocks)
    yield from (f"{holder} takes time {times} times" for holder, times in taken.items() if times > 1)
    for visit in calendars.visits:
        block = blocks.get(visit.id)
        if visit.status in PLANNED:
            yield from _misplaced(visit, block)
        elif block is not None:
            yield f"{visit.id} is {visit.status} and takes time"
        elif visit.id in calendars.promised and visit.id not in waiting:
            yield f"{visit.id} is promised and in nobody's calendar"
    for visit in calendars.visits:
        if visit.window is not None and visit.status != "cancelled":
            if visit.last is None or visit.last[0] not in ("given", "changed"):
                yield f"{visit.id} is promised and the ledger says {visit.last}"
            elif visit.last[1:] != visit.window:
                yield f"{visit.id} is promised another window than the ledger says"


def _misplaced(visit: Visit, block: Block | None) -> Iterator[str]:
    if block is None:
        yield f"{visit.id} is {visit.status} and in nobody's calendar"
        return
    starts = block.work_from + visit.before_s
    if (visit.technician, visit.starts) != (block.technician, starts):
        yield f"{visit.id} stands in the calendar otherwise than it is planned"
    if block.busy_to - block.work_from != visit.before_s + visit.work_s + visit.after_s:
        yield f"{visit.id} does not get the time that it takes"
    if visit.window is not None and not visit.window[0] <= starts <= visit.window[1]:
        yield f"{visit.id} begins outside its window"


def _holds_astray(calendars: Calendars) -> Iterator[str]:
    blocks = {block.holder: block for block in calendars.blocks}
    known = {visit.id for visit in calendars.visits} | {held.id for held in calendars.holds}
    yield from (f"{holder} takes time and is nothing" for holder in blocks if holder not in known)
    standing = [held for held in calendars.holds if not held.is_released]
    for held in calendars.holds:
        block = blocks.get(held.id)
        if held.is_released and block is not None:
            yield f"{held.id} was released and takes time"
        elif not held.is_released and block is None:
            yield f"{held.id} is held and takes no time"
        elif block is not None and not held.window[0] <= block.work_from + held.before_s <= held.window[1]:
            yield f"{held.id} is held outside its window"
    of_request = Counter(held.request for held in standing if not held.is_over)
    yield from (f"{request} holds {n} windows" for request, n in of_request.items() if n > MOST_HOLDS)


def _offers_astray(calendars: Calendars) -> Iterator[str]:
    visits = {visit.id: visit for visit in calendars.visits}
    accepted = Counter(offer.visit for offer in calendars.offers if offer.status == "accepted")
    yield from (f"{visit} is accepted {times} times" for visit, times in accepted.items() if times > 1)
    standing = {offer.visit: offer for offer in calendars.offers if offer.status in OPEN}
    for offer in calendars.offers:
        yield from _misplaced_offer(offer, visits[offer.visit])
    for block in calendars.blocks:
        asked = standing.get(block.holder)
        is_asked_alone = asked is not None and asked.strategy != "broadcast"
        if (block.kind == "offer") != is_asked_alone:
            yield f"{block.holder} stands as {block.kind}, asked alone: {is_asked_alone}"


def _misplaced_offer(offer: Asked, visit: Visit) -> Iterator[str]:
    is_with_it = visit.technician == offer.technician
    if offer.status == "accepted" and not (is_with_it and visit.status in COMMITTED):
        yield f"{visit.id} is accepted by {offer.technician} and {visit.status} with {visit.technician}"
    if offer.status not in OPEN:
        return
    if offer.round_status != "running":
        yield f"{visit.id} is asked of {offer.technician} in a round that is {offer.round_status}"
    if offer.strategy == "broadcast" and visit.status != "unassigned":
        yield f"{visit.id} is asked of several and {visit.status}"
    if offer.strategy != "broadcast" and not (is_with_it and visit.status == "scheduled"):
        yield f"{visit.id} is asked of {offer.technician} alone and {visit.status} with {visit.technician}"
