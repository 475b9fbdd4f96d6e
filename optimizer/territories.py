"""Territories: parts of a problem that are near together, each a problem of its own.

The visits are cut in two across the wider side of where they lie, each half again, and so on (recursive bisection).
What belongs together stays together: all shifts of a technician, a route with its visits, and visits that crews or
orders tie. Each round of cuts runs at another angle, so that its borders lie elsewhere.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import Ints
from optimizer.eligibility import Fleet, Mask, is_excluded, is_not_the_pinned, lacks_level
from optimizer.plan import Route
from optimizer.problem import UNREACHABLE, InvalidProblem, Problem, Travel, TravelMatrix, Visit
from optimizer.travel import PlacesTravel, ground_points

Points = NDArray[np.float64]
"""[rows, 2], in a plane, in any unit; not a number where there is no place."""

TURN = (np.sqrt(5) - 1) / 2 * np.pi / 2
"""From one round to the next the cuts turn by so much, the golden section of a right angle: no angle comes again."""
LEAST_SHARE = 1 / 3
"""A cut leaves at least this share on either side, in rounds after the first, which halves."""
SLACK = 0.1
"""How far a cut may be moved, as a share of the smaller side, to where skills fall to both sides as they are needed."""
CUTS_TRIED = 21
MOST_LEVELS = 32
"""Levels of skills that a cut looks at, the most wanted."""
LEAST_GAIN = 0.1
"""What it takes to send somebody across a cut, in visits that would be left to others: see `_uneven`."""
FAR = 1.0
"""At this many standard deviations from a cut, sending somebody over it counts 1/e of what it does beside it."""
MOST_LINKED_VISITS = 10_000
"""Visits in one piece, by crews and orders, that can still be planned in one territory."""
LANDMARKS = 24


@dataclass(frozen=True, slots=True)
class Territory:
    """Rows of the problem's visits and shifts, ascending."""

    visits: tuple[int, ...]
    shifts: tuple[int, ...]


def points_of(travel: Travel, seed: int) -> Points:
    """Where the places lie. Coordinates on the ground are laid into the plane in which they spread most; a matrix of
    travel times is embedded in a plane by landmarks (de Silva & Tenenbaum, "Sparse multidimensional scaling using
    landmark points", 2004)."""
    if isinstance(travel, PlacesTravel):
        ground = ground_points(travel.points)[:3].T
        ground = ground - ground.mean(axis=0) if len(ground) else ground
        _, axes = np.linalg.eigh(ground.T @ ground)
        return np.asarray(ground @ axes[:, :0:-1], np.float64)
    places = np.arange(travel.places)
    landmarks = np.random.default_rng(seed).permutation(places)[:LANDMARKS]
    return _embedded(travel, landmarks) if len(landmarks) > 2 else np.zeros((len(places), 2))


def _embedded(travel: Travel, landmarks: NDArray[np.int64]) -> Points:
    squared = np.empty((travel.places, len(landmarks)))
    for first in range(0, travel.places, 1_000):
        rows = range(first, min(first + 1_000, travel.places))
        seconds = travel.among([*rows, *landmarks.tolist()]).duration_s.astype(np.float64)
        both_ways = seconds[: len(rows), len(rows) :] + seconds[len(rows) :, : len(rows)].T
        squared[first : first + len(rows)] = both_ways
    reachable = squared < UNREACHABLE
    squared = np.where(reachable, squared, squared[reachable].max(initial=0)) ** 2
    between = squared[landmarks]
    mean = between.mean(axis=0)
    values, axes = np.linalg.eigh(-(between - mean - mean[:, None] + mean.mean()) / 2)
    flat = values[-2:] <= 1e-6 * values[-1]
    scaled = np.where(flat, 0.0, axes[:, -2:] / np.sqrt(np.where(flat, 1.0, values[-2:])))
    return np.asarray(-(squared - mean) @ scaled / 2, np.float64)


class Rights:
    """Which shifts may serve a visit as far as skills, names and pins say; radius and hours are not looked at."""

    def __init__(self, problem: Problem[Travel]) -> None:
        nothing = np.zeros((0, 0), np.int32)
        self.fleet = Fleet.of(problem.shifts, TravelMatrix(nothing, nothing))

    def of(self, visit: Visit) -> Mask:
        """By shift."""
        if visit.pin is not None:
            return ~is_not_the_pinned(visit, self.fleet)
        mask = ~lacks_level(visit, self.fleet)
        if visit.excluded or visit.required:
            mask &= ~is_excluded(visit, self.fleet)
        return mask


@dataclass
class Map:
    """What the cuts of a problem need to know of it. technician: its number by shift. visit_at: by visit; home_at: by
    technician, where the shifts begin, not a number for whom all are open. need: [visits, levels], have: [technicians,
    levels], of skills at certain levels, the most wanted."""

    problem: Problem[Travel]
    rights: Rights
    technician: Ints
    visit_at: Points
    home_at: Points
    need: NDArray[np.bool_]
    have: NDArray[np.bool_]
    row_of: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem[Travel], seed: int) -> "Map":
        rights = Rights(problem)
        points = points_of(problem.travel, seed)
        technician = rights.fleet.technician
        homes = np.full((len(rights.fleet.code_of_technician), 2), np.nan)
        for shift, number in zip(reversed(problem.shifts), technician[::-1], strict=True):
            if shift.start_place is not None:
                homes[number] = points[shift.start_place]
        levels = _wanted_levels(problem)
        have = np.zeros((len(homes), len(levels)), np.bool_)
        for shift, number in zip(problem.shifts, technician, strict=True):
            have[number] |= [shift.skills.get(skill, 0) >= level for skill, level in levels]
        need = [[visit.skills.get(skill, 0) >= level for skill, level in levels] for visit in problem.visits]
        return cls(
            problem=problem,
            rights=rights,
            technician=technician,
            visit_at=points[[visit.place for visit in problem.visits]].reshape(-1, 2),
            home_at=homes,
            need=np.array(need, np.bool_).reshape(len(problem.visits), len(levels)),
            have=have,
            row_of={visit.id: row for row, visit in enumerate(problem.visits)},
        )


def _wanted_levels(problem: Problem[Travel]) -> list[tuple[str, int]]:
    """Skill and level; the first is had and needed by all."""
    wanted = Counter((skill, level) for visit in problem.visits for skill, level in visit.skills.items())
    return [("", 0), *sorted(wanted, key=lambda pair: (-wanted[pair], pair))[:MOST_LEVELS]]


def cut(
    world: Map, parts: int, routes: Mapping[str, Route], round_number: int, seed: int
) -> tuple[Territory, ...] | None:
    """So many territories, with about as many visits each; empty ones are left out. routes: of the plan so far, by
    shift. None where routes and links hold so many visits together that nothing can be cut.

    A visit lies where the technicians are that may serve it: where none is in its territory, it goes to that of the
    nearest. Raises `InvalidProblem` where crews and orders leave no territory for their visits."""
    units = _units(world, routes)
    largest = int(units.visits.max(initial=0))
    if largest > max(1, 2 * len(world.problem.visits) // parts) and (routes or largest > MOST_LINKED_VISITS):
        if routes:
            return None
        raise InvalidProblem(
            "orders", f"tie {largest} visits to each other, too many to plan a part at a time"
        )
    draw = np.random.default_rng([seed, round_number]) if round_number else None
    territory = np.zeros(len(units.visits), np.int64)
    anchored = np.flatnonzero(np.isfinite(units.at[:, 0]))
    turned = units.turned(round_number * TURN)
    for number, rows in enumerate(_bisected(units, turned, anchored, parts, draw)):
        territory[rows] = number
    _deal_floating(units, territory, parts, np.flatnonzero(~np.isfinite(units.at[:, 0])))
    of_visit = territory[units.of_visit]
    of_technician = territory[units.of_technician]
    _move_to_rights(world, units, of_visit, of_technician, parts, bool(routes))
    return tuple(_collected(world, of_visit, of_technician, parts))


@dataclass(frozen=True)
class _Units:
    """What is not cut. at: where each lies. visits: how many. need, have: [units, skills]."""

    of_visit: Ints
    of_technician: Ints
    at: Points
    visits: Ints
    need: Ints
    have: Ints

    def turned(self, angle: float) -> Points:
        axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.asarray(self.at @ axes, np.float64)


def _units(world: Map, routes: Mapping[str, Route]) -> _Units:
    visits, technicians = len(world.visit_at), len(world.home_at)
    unit = _united(world, routes)
    count = int(unit.max(initial=-1)) + 1
    of_visit, of_technician = unit[:visits], unit[visits:]
    at = np.concatenate([world.visit_at, world.home_at])
    weight = np.concatenate([np.ones(visits), np.full(technicians, 1e-9)]) * np.isfinite(at[:, 0])
    total = np.bincount(unit, weight, count)
    with np.errstate(invalid="ignore"):
        middle = [np.bincount(unit, weight * np.nan_to_num(at[:, axis]), count) / total for axis in (0, 1)]
    return _Units(
        of_visit=of_visit,
        of_technician=of_technician,
        at=np.stack(middle, axis=1),
        visits=np.bincount(of_visit, minlength=count),
        need=_added(world.need, of_visit, count),
        have=_added(world.have, of_technician, count),
    )


def _added(rows: NDArray[np.bool_], unit: Ints, count: int) -> Ints:
    added = np.zeros((count, rows.shape[1]), np.int64)
    np.add.at(added, unit, rows)
    return added


def _united(world: Map, routes: Mapping[str, Route]) -> Ints:
    """The unit of each visit and then of each technician."""
    visits = len(world.visit_at)
    parent = list(range(visits + len(world.home_at)))

    def root(atom: int) -> int:
        while parent[atom] != atom:
            parent[atom] = parent[parent[atom]]
            atom = parent[atom]
        return atom

    def unite(one: int, other: int) -> None:
        first, last = sorted((root(one), root(other)))
        parent[last] = first

    codes, row_of = world.rights.fleet.code_of_technician, world.row_of
    for route in routes.values():
        for stop in route.stops:
            unite(row_of[stop.visit], visits + codes[route.technician])
    linked = [*(crew.visits for crew in world.problem.crews)]
    linked += [(order.first, order.then) for order in world.problem.orders]
    for names in linked:
        for name in names:
            unite(row_of[names[0]], row_of[name])
            only = _only_technician(world.problem.visits[row_of[name]])
            if only in codes:
                unite(row_of[name], visits + codes[only])
    roots = np.array([root(atom) for atom in range(len(parent))], np.int64)
    return np.unique(roots, return_inverse=True)[1].reshape(-1)


def _only_technician(visit: Visit) -> str:
    if visit.pin is not None:
        return visit.pin.technician
    return next(iter(visit.required)) if len(visit.required) == 1 else ""


def _bisected(
    units: _Units, turned: Points, rows: Ints, parts: int, draw: np.random.Generator | None
) -> Iterator[Ints]:
    """The rows in so many parts, cut by cut. draw: None cuts in the middle."""
    if parts == 1 or not len(rows):
        yield rows
        return
    left = parts // 2
    if draw is not None:
        least = max(1, int(np.ceil(parts * LEAST_SHARE)))
        left = int(draw.integers(least, max(least, parts - least) + 1))
    here = turned[rows]
    axis = int(np.argmax(here.std(axis=0)))
    ordered = rows[np.argsort(here[:, axis], kind="stable")]
    at = _where_to_cut(units, ordered, left / parts)
    on_left = _balanced(units, ordered, at, turned[ordered, axis])
    yield from _bisected(units, turned, ordered[on_left], left, draw)
    yield from _bisected(units, turned, ordered[~on_left], parts - left, draw)


def _where_to_cut(units: _Units, ordered: Ints, share: float) -> int:
    """How many of these units go to the left, so that it has about this share of the visits and skills are there as
    they are needed."""
    visits = np.cumsum(units.visits[ordered])
    slack = SLACK * min(share, 1 - share)
    shares = np.linspace(share - slack, share + slack, CUTS_TRIED)
    tried = np.unique(np.searchsorted(visits, shares * visits[-1]) + 1)
    tried = tried[tried < len(ordered)]
    if not len(tried):
        return len(ordered) // 2
    short, weight = _shortage(units, ordered)
    uneven = _uneven(np.cumsum(short, axis=0)[tried - 1], weight)
    off = np.abs(visits[tried - 1] - share * visits[-1])
    return int(tried[np.lexsort((off, uneven))[0]])


def _shortage(units: _Units, rows: Ints) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each of these units adds to the shortage of each level where it goes: visits that need it, less those that
    fall to each technician who has it. With it how much a visit too many weighs, by level: as much as those who have
    it are laden, compared to all technicians, over the visits that need it."""
    need, have = units.need[rows], units.have[rows]
    wanted, holders = need.sum(axis=0), have.sum(axis=0)
    load = wanted / np.maximum(holders, 1)
    tight = np.minimum(1.0, load / max(float(load[0]), 1e-9)) * (holders > 0)
    return need - have * load, tight**2 / np.maximum(wanted, 1)


def _uneven(shortage: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Visits that a cut leaves to too few, roughly: squares of shortages (the same on the other side), weighted."""
    return np.asarray((shortage**2 * weight).sum(axis=-1), np.float64)


def _balanced(units: _Units, ordered: Ints, at: int, key: NDArray[np.float64]) -> Mask:
    """Which units go to the left: those before the cut, but for technicians near it, with their routes, that the other
    side needs more."""
    on_left = np.arange(len(ordered)) < at
    movable = np.flatnonzero(units.have[ordered, 0] > 0)
    if not 0 < at < len(ordered) or not len(movable):
        return on_left
    short, weight = _shortage(units, ordered)
    border, spread = (key[at - 1] + key[at]) / 2, max(float(key.std()), 1e-9)
    nearness = np.exp(-np.abs(key[movable] - border) / (FAR * spread))
    for _ in movable:
        left = short[on_left].sum(axis=0)
        moved = left + np.where(on_left[movable], -1, 1)[:, None] * short[movable]
        gain = (_uneven(left, weight) - _uneven(moved, weight)) * nearness
        best = int(np.argmax(gain))
        if gain[best] < LEAST_GAIN:
            break
        on_left[movable[best]] ^= True
    return on_left


def _deal_floating(units: _Units, territory: Ints, parts: int, floating: Ints) -> None:
    """Technicians with neither a home nor a route go where most visits need what they have, for each who has it."""
    skills = units.need.shape[1]
    need, have = np.zeros((parts, skills)), np.zeros((parts, skills))
    rest = np.setdiff1d(np.arange(len(territory)), floating)
    np.add.at(need, territory[rest], units.need[rest])
    np.add.at(have, territory[rest], units.have[rest])
    visits = np.bincount(territory[rest], units.visits[rest], parts)
    technicians = np.bincount(
        territory[rest], np.bincount(units.of_technician, minlength=len(territory))[rest], parts
    )
    for unit in floating:
        wanted = ((units.have[unit] > 0) * need / (1 + have)).sum(axis=1)
        number = int(np.argmax(wanted + visits / (1 + technicians)))
        territory[unit] = number
        have[number] += units.have[unit]
        technicians[number] += 1


def _move_to_rights(
    world: Map, units: _Units, of_visit: Ints, of_technician: Ints, parts: int, planned: bool
) -> None:
    """Visits that nobody of their territory may serve go to the nearest who may, with those that links tie to them. A
    visit that is planned stays."""
    near = _Nearby(world, of_technician, parts)
    lost = [row for row in range(len(of_visit)) if not near.served_in(row)[of_visit[row]]]
    for unit in dict.fromkeys(units.of_visit[lost].tolist()):
        rows, technicians = (
            np.flatnonzero(units.of_visit == unit),
            np.flatnonzero(units.of_technician == unit),
        )
        if planned and len(technicians):
            continue
        goal = near.territory_for([row for row in rows.tolist() if not near.mask(row)[technicians].any()])
        if goal is None:
            names = ", ".join(world.problem.visits[row].id for row in rows[:5])
            raise InvalidProblem(
                "crews", f"no part of the territory has technicians for all of the linked visits {names}"
            )
        of_visit[rows], of_technician[technicians] = goal, goal


class _Nearby:
    """Who may serve a visit, and in which territory they are."""

    def __init__(self, world: Map, of_technician: Ints, parts: int) -> None:
        self.world, self.of_technician = world, of_technician
        self.parts = parts
        self.known: dict[object, tuple[Mask, Mask]] = {}

    def mask(self, row: int) -> Mask:
        """By technician: who may serve this visit in one of their shifts."""
        return self._known(row)[0]

    def served_in(self, row: int) -> Mask:
        """By territory: where somebody may serve it; all where nobody may anywhere."""
        return self._known(row)[1]

    def _known(self, row: int) -> tuple[Mask, Mask]:
        visit = self.world.problem.visits[row]
        if visit.pin or visit.required or visit.excluded:
            return self._found(visit)
        needs = tuple(visit.skills.items())
        if needs not in self.known:
            self.known[needs] = self._found(visit)
        return self.known[needs]

    def _found(self, visit: Visit) -> tuple[Mask, Mask]:
        mask = np.zeros(len(self.of_technician), np.bool_)
        mask[self.world.technician[self.world.rights.of(visit)]] = True
        there = np.zeros(self.parts, np.bool_)
        there[self.of_technician[mask]] = True
        return mask, there if mask.any() else ~there

    def territory_for(self, rows: Sequence[int]) -> int | None:
        """That of the nearest technician, among those where all of these visits may be served."""
        possible = np.ones(self.parts, np.bool_)
        anybody = np.zeros(len(self.of_technician), np.bool_)
        for row in rows:
            possible &= self.served_in(row)
            anybody |= self.mask(row)
        there = np.flatnonzero(anybody & possible[self.of_technician])
        if not len(there):
            return None
        apart = np.linalg.norm(self.world.home_at[there] - self.world.visit_at[rows[0]], axis=1)
        return int(self.of_technician[there[np.argmin(np.nan_to_num(apart, nan=np.inf))]])


def _collected(world: Map, of_visit: Ints, of_technician: Ints, parts: int) -> Iterator[Territory]:
    of_shift = of_technician[world.technician]
    for number in range(parts):
        visits, shifts = np.flatnonzero(of_visit == number), np.flatnonzero(of_shift == number)
        if len(visits):
            yield Territory(tuple(visits.tolist()), tuple(shifts.tolist()))


def part_of(problem: Problem[Travel], visits: Sequence[int], shifts: Sequence[int]) -> Problem:
    """The problem of these visits and shifts alone, by row, with a matrix of their places. Crews and orders are those
    that begin with one of the visits."""
    work, team = [problem.visits[row] for row in visits], [problem.shifts[row] for row in shifts]
    ends = [place for shift in team for place in (shift.start_place, shift.end_place) if place is not None]
    places = sorted({*(visit.place for visit in work), *ends})
    row_of = {place: row for row, place in enumerate(places)}
    names = {visit.id for visit in work}
    return Problem(
        tuple(replace(visit, place=row_of[visit.place]) for visit in work),
        tuple(
            replace(
                shift,
                start_place=None if shift.start_place is None else row_of[shift.start_place],
                end_place=None if shift.end_place is None else row_of[shift.end_place],
            )
            for shift in team
        ),
        problem.travel.among(places),
        problem.weights,
        tuple(crew for crew in problem.crews if crew.visits[0] in names),
        tuple(order for order in problem.orders if order.first in names),
    )
