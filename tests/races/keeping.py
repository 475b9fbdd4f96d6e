"""Who could keep a window, found by trying every place in every route, by the sweep's own arithmetic."""

from collections.abc import Collection
from dataclasses import dataclass

from tests.races.sweep import SHORTEST, Block, Calendars, Point, Shift, Visit, travel_s

SURELY = 1.02 / SHORTEST
"""What can be kept with a little more travel than the engine reckons can surely be kept with the engine's."""


@dataclass(frozen=True, slots=True)
class Stop:
    """at the place from `opens` to `closes` at the latest, for `takes` seconds."""

    at: Point
    opens: int
    closes: int
    takes: int


def can_be_kept(calendars: Calendars, organization: str, technicians: Collection[int], asked: Stop) -> bool:
    """Whether any of the technicians has room for one more stop between those that stand, each of which may move inside
    what was promised if it is the organization's own."""
    visits = {visit.id: visit for visit in calendars.visits}
    for shift in calendars.shifts:
        if shift.technician not in technicians:
            continue
        route = [
            _stop(block, visits.get(block.holder), organization)
            for block in sorted(calendars.blocks, key=lambda block: block.work_from)
            if block.technician == shift.technician and shift.begins <= block.busy_from < shift.ends
        ]
        if any(_fits([*route[:n], asked, *route[n:]], shift) for n in range(len(route) + 1)):
            return True
    return False


def _stop(block: Block, visit: Visit | None, organization: str) -> Stop:
    opens = closes = block.work_from
    if visit is not None and visit.organization == organization and visit.window is not None:
        opens, closes = (edge - visit.before_s for edge in visit.window)
    return Stop(block.at, opens, closes, block.busy_to - block.work_from)


def _fits(route: list[Stop], shift: Shift) -> bool:
    """Each as early as may be: what does not fit so does not fit at all."""
    at, free_from = shift.home, float(shift.begins)
    for stop in route:
        begins = max(free_from + SURELY * travel_s(at, stop.at), stop.opens)
        if begins > stop.closes:
            return False
        at, free_from = stop.at, begins + stop.takes
    return free_from + SURELY * travel_s(at, shift.home) <= shift.ends
