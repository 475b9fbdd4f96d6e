"""A call for repair, as every world in `seed` tells it, and by when it wants to be answered."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dispatch.service_request import Priority
from dispatch.shift import instant
from seed.trades import Service

NEW_YORK = ZoneInfo("America/New_York")

OPENS = time(7)
"""No visit before this hour of the wall clock, and the hour from which deadlines count for calls made in the
night."""

LAST_CALL = time(20)
"""What is called later waits for the next day, emergencies apart: an arrival window of two hours would end
after `CLOSES`."""

CLOSES = time(22)
"""No arrival window ends after this hour, emergencies apart."""

ANSWER_WITHIN = {Priority.EMERGENCY: timedelta(hours=4), Priority.HIGH: timedelta(hours=10)}
"""Arrival windows end this long after the call or the opening hour. The others may last until closing
time."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call. called_at, earliest_start and due are aware instants in UTC: work starts between the last
    two.

    lat, lon: degrees of WGS 84. closed_door: on this visit nobody opens, unless the customer knew when to be
    at home.
    """

    id: str
    called_at: datetime
    earliest_start: datetime
    due: datetime
    service: Service
    lat: float
    lon: float
    address: str
    zip_code: str
    borough: str
    customer_name: str
    customer_phone: str | None
    closed_door: bool


def in_new_york(day: date, wall: time) -> datetime:
    """That hour of the wall clock in New York on that day, as a UTC instant; see `dispatch.shift.instant`
    for the hours that a change of clocks skips or repeats."""
    return instant(day, wall, NEW_YORK)


def times_allowed(called_at: datetime, priority: Priority) -> tuple[datetime, datetime]:
    """(earliest_start, due) of a call whose customer named no time: from the call or the opening hour on,
    until `ANSWER_WITHIN` has passed or the day closes."""
    day = called_at.astimezone(NEW_YORK).date()
    if priority is Priority.EMERGENCY:
        earliest = max(called_at, in_new_york(day, OPENS))
        return earliest, earliest + ANSWER_WITHIN[priority]
    if called_at > in_new_york(day, LAST_CALL):
        day += timedelta(days=1)
    earliest, closes = max(called_at, in_new_york(day, OPENS)), in_new_york(day, CLOSES)
    within = ANSWER_WITHIN.get(priority)
    return earliest, closes if within is None else min(earliest + within, closes)
