"""What people read: states, reasons, times and distances as words."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from http import HTTPStatus

from dispatch.appointment import Status
from optimizer import Reason

STATUS: Mapping[Status, str] = {
    Status.UNASSIGNED: "Unassigned",
    Status.SCHEDULED: "Scheduled",
    Status.DISPATCHED: "Dispatched",
    Status.EN_ROUTE: "On the way",
    Status.ON_SITE: "On site",
    Status.COMPLETED: "Completed",
    Status.CANNOT_COMPLETE: "Could not be completed",
    Status.CANCELLED: "Cancelled",
}
"""For dispatchers."""

NAMED = 2
"""So many technicians are named, more are counted."""

_UNIT = re.compile(r"\((seconds|metres)( [^)]*)?\)")
_THAT_MANY = re.compile(r"that many (seconds|metres|visits)")


def clock(at: datetime) -> str:
    """13:05."""
    return f"{at:%H:%M}"


def told_time(at: datetime) -> str:
    """1 pm, 1:05 pm."""
    minutes = f":{at:%M}" if at.minute else ""
    return f"{at.hour % 12 or 12}{minutes} {'am' if at.hour < 12 else 'pm'}"


def told_day(day: date) -> str:
    """Wednesday, 3 March 2027."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def duration(seconds: int) -> str:
    """In minutes, from an hour on in hours too."""
    hours, minutes = divmod((seconds + 30) // 60, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def distance(metres: float) -> str:
    """In kilometres, short ones in metres."""
    if metres < 950:
        return f"{round(metres, -1):.0f} m"
    return f"{metres / 1000:.1f} km" if metres < 9_950 else f"{metres / 1000:,.0f} km"


def reason_words(reason: Reason, names: Mapping[str, str]) -> str:
    """Whom it concerns and why, in a sentence. names: of technicians, by id."""
    detail = _UNIT.sub(lambda found: _by(found, reason.by), reason.detail).replace("_", " ").strip()
    who = _who(reason.technicians, names)
    said = f"{who}: {detail}" if who else detail
    return _sentence(said)


def remedy_words(reason: Reason, names: Mapping[str, str]) -> str:
    """What would make it fit, in a sentence."""
    detail = _THAT_MANY.sub(lambda found: _amount(found[1], reason.by), reason.detail).replace("_", " ")
    who = _who(reason.technicians, names)
    return _sentence(f"Would fit if {detail}" + (f", with {who}" if who else ""))


def _who(technicians: tuple[str, ...], names: Mapping[str, str]) -> str:
    if not technicians:
        return ""
    if len(technicians) > NAMED:
        return f"{len(technicians)} technicians"
    return " and ".join(names.get(technician, "a technician") for technician in technicians)


def _by(found: re.Match[str], by: int | None) -> str:
    return f"({_amount(found[1], by)}{found[2] or ''})" if by is not None else ""


def _amount(unit: str, by: int | None) -> str:
    if by is None:
        return f"some {unit}"
    if unit == "seconds":
        return duration(max(by, 60))
    if unit == "metres":
        return distance(by)
    return f"{by} {unit if by != 1 else unit.removesuffix('s')}"


def _sentence(said: str) -> str:
    said = said[:1].upper() + said[1:]
    return said if said.endswith(".") else f"{said}."


def advice(status: int) -> str:
    """What a person can do about a page that failed."""
    match status:
        case HTTPStatus.NOT_FOUND:
            return "Check the address, or start again from the first page."
        case HTTPStatus.UNAUTHORIZED:
            return "Sign in with a key that is still good."
        case HTTPStatus.FORBIDDEN:
            return "Go back, load the page again and repeat what you did; if it fails again, sign in anew."
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "Wait a minute, then load the page again."
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return "Load the page again in a few seconds."
        case HTTPStatus.INTERNAL_SERVER_ERROR:
            return "Load the page again. If it keeps failing, tell whoever runs this, with the number below."
    return "Go back, correct what was sent, and try again."
