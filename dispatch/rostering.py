"""When technicians work, where that touches what is planned: no change of hours may leave a visit outside every shift.

Hours are the technician's own; an organization may change them while it engages the technician actively.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from dispatch import shift as shifts
from dispatch.appointment import ENDED, Appointment
from dispatch.calendar import BlockKind, CalendarBlock, claim, epoch
from dispatch.errors import Conflict, Invalid, InvalidState
from dispatch.profiles import Profile
from dispatch.shift import Availability, Shift, WorkingTime, local_day, working_times
from dispatch.technician import EngagementStatus, Technician, require_approved

MOST_DAYS = 92
"""How long a range of shifts may be: a quarter of a year."""


def require_right(session: Session, profile: Profile, *, change: bool = False) -> None:
    """Raises `Forbidden` (`not_approved`, `suspended`) for a technician that no organization lets work, `InvalidState`
    for an organization that would change the hours of one whom it does not let work."""
    if profile.is_own:
        require_approved(session, profile.technician)
    elif change and profile.engagement.status is not EngagementStatus.ACTIVE:
        raise InvalidState(profile.engagement.status.value, [EngagementStatus.ACTIVE.value])


def require_range(first: date, last: date) -> None:
    """Raises `Invalid` for a range of dates that is reversed or longer than 92 days, both ends included."""
    if last < first:
        raise Invalid(errors=[("to", "must not be before from")])
    if (last - first).days >= MOST_DAYS:
        raise Invalid(errors=[("to", f"{MOST_DAYS} days at most, both ends included")])


def shifts_between(session: Session, technician: Technician, first: date, last: date) -> list[WorkingTime]:
    """The shifts that begin on the local days from first to last, both included, in order of time. Raises `Invalid` for
    more than 92 days."""
    require_range(first, last)
    zone = ZoneInfo(technician.time_zone)
    begin, end = local_day(first, zone)[0], local_day(last, zone)[1]
    assert technician.no is not None
    touching = working_times(session, [technician], begin, end)[technician.no]
    return [shift for shift in touching if begin <= shift.starts_at]


def add_shift(session: Session, profile: Profile, shift: Shift, now: datetime) -> Shift:
    """Raises as `shift.add_shift`, and `Conflict` (`shift_has_visits`) where it takes the place of weekly hours and
    leaves visits of theirs outside."""
    with visits_kept(session, profile.technician, profile.organization_id, now):
        return shifts.add_shift(session, profile.technician, shift)


def remove_shift(session: Session, profile: Profile, shift_id: str, now: datetime) -> WorkingTime:
    """Raises `NotFound`, and `Conflict` (`shift_has_visits`) while visits that have not ended lie in it."""
    with visits_kept(session, profile.technician, profile.organization_id, now):
        return shifts.remove_shift(session, profile.technician, shift_id, now)


def set_availability(
    session: Session,
    profile: Profile,
    weekly: list[dict[str, Any]],
    exceptions: list[dict[str, Any]],
    now: datetime,
) -> Availability:
    """Raises as `shift.set_availability`, and `Conflict` (`shift_has_visits`) where visits would lie outside."""
    with visits_kept(session, profile.technician, profile.organization_id, now):
        return shifts.set_availability(session, profile.technician, weekly, exceptions, now)


@contextmanager
def visits_kept(
    session: Session, technician: Technician, reader_id: str | None, now: datetime
) -> Iterator[None]:
    """Around a change of hours: what lay in a shift and has not ended still has to lie in one afterwards, else
    `Conflict` (`shift_has_visits`). It names the visits in `appointment_ids`, to the organization `reader_id` only its
    own (None: the technician, all), and counts all in `visits`. The calendar is claimed, so that what is booked
    meanwhile looks again."""
    claim(session, technician, technician.calendar_version)
    blocks = _ahead(session, technician, now)
    held = _held(session, technician, blocks)
    yield
    still = {block.id for block in _held(session, technician, held)}
    lost = [block for block in held if block.id not in still]
    if lost:
        named = [
            block.appointment_id
            for block in lost
            if block.appointment_id is not None and reader_id in (None, block.organization_id)
        ]
        raise Conflict(
            "shift_has_visits",
            "Visits are planned in these hours; move them, or give them back, first.",
            appointment_ids=named,
            visits=len(lost),
        )


def _ahead(session: Session, technician: Technician, now: datetime) -> list[CalendarBlock]:
    """Visits, offers and holds that end after now, without visits that have ended early."""
    ended = select(Appointment.id).where(
        Appointment.technician_no == technician.no, col(Appointment.status).in_(ENDED)
    )
    query = select(CalendarBlock).where(
        CalendarBlock.technician_no == technician.no,
        CalendarBlock.kind != BlockKind.ABSENCE,
        col(CalendarBlock.busy_to) > epoch(now),
        col(CalendarBlock.appointment_id).is_(None) | col(CalendarBlock.appointment_id).not_in(ended),
    )
    return list(session.exec(query.order_by(col(CalendarBlock.work_from))))


def _held(session: Session, technician: Technician, blocks: list[CalendarBlock]) -> list[CalendarBlock]:
    """Those that lie in a shift."""
    if not blocks:
        return []
    begin = datetime.fromtimestamp(min(block.busy_from for block in blocks), UTC)
    end = datetime.fromtimestamp(max(block.busy_to for block in blocks), UTC) + timedelta(seconds=1)
    assert technician.no is not None
    times = working_times(session, [technician], begin, end)[technician.no]
    hours = [(epoch(time.starts_at), epoch(time.ends_at)) for time in times]
    return [b for b in blocks if any(begin <= b.busy_from and b.busy_to <= end for begin, end in hours)]
