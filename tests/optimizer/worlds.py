"""Worlds small enough to hold, and random ones from a seed.

`small_day`: places on a line, 600 s and 5 km from one to the next. Times in seconds from midnight.

    0 Ada's home    1 tap    2 sink    3 lamp    4 oven    5 Ben's home

Ada (plumbing 3) and Ben (plumbing 1, electrics 2) work 8 to 16 h; each visit takes half an hour. The tap may begin from
8 to 10 h, the sink (plumbing 2) from 9 to 12 h, the lamp (electrics 1) from 8 to 12 h, the oven (electrics 2) from
13 to 15 h.
"""

from dataclasses import replace

import numpy as np

from optimizer import Break, Pin, Problem, Shift, TimeWindow, TravelMatrix, Visit, Weights
from optimizer.problem import Crew, Order, Sla

HOUR = 3600
MINUTE = 60


def line(places: int) -> TravelMatrix:
    """Places in a row, 600 s and 5 km apart."""
    steps = np.abs(np.subtract.outer(np.arange(places), np.arange(places))).astype(np.int32)
    return TravelMatrix(steps * np.int32(600), steps * np.int32(5000))


ADA = Shift("ada-day", "ada", TimeWindow(8 * HOUR, 16 * HOUR), 0, 0, skills={"plumbing": 3})
BEN = Shift("ben-day", "ben", TimeWindow(8 * HOUR, 16 * HOUR), 5, 5, skills={"plumbing": 1, "electrics": 2})
TAP = Visit("tap", 1, 30 * MINUTE, (TimeWindow(8 * HOUR, 10 * HOUR),), {"plumbing": 1})
SINK = Visit("sink", 2, 30 * MINUTE, (TimeWindow(9 * HOUR, 12 * HOUR),), {"plumbing": 2})
LAMP = Visit("lamp", 3, 30 * MINUTE, (TimeWindow(8 * HOUR, 12 * HOUR),), {"electrics": 1})
OVEN = Visit("oven", 4, 30 * MINUTE, (TimeWindow(13 * HOUR, 15 * HOUR),), {"electrics": 2})


def small_day(*changed: Visit | Shift, weights: Weights = Weights()) -> Problem:  # noqa: B008
    """The world above, with visits and shifts of the same id replaced and others added."""
    visits = {visit.id: visit for visit in (TAP, SINK, LAMP, OVEN)}
    shifts = {shift.id: shift for shift in (ADA, BEN)}
    for item in changed:
        if isinstance(item, Visit):
            visits[item.id] = item
        else:
            shifts[item.id] = item
    return Problem(tuple(visits.values()), tuple(shifts.values()), line(6), weights)


def random_world(seed: int, visits: int = 7, shifts: int = 3, metric: bool = True) -> Problem:
    """A small world with a bit of every rule: skills and levels, several windows, breaks, radius, caps, pins,
    required, excluded and preferred technicians, open starts and ends. metric: travel keeps the triangle inequality."""
    draw = np.random.default_rng(seed)
    places = visits + shifts
    weights = Weights(travel_cents_per_km=int(draw.choice([0, 40])), move_cents=int(draw.choice([0, 500])))
    names = tuple(f"technician {k}" for k in range(shifts))
    return Problem(
        tuple(_random_visit(draw, k, names) for k in range(visits)),
        tuple(_random_shift(draw, k, visits + k) for k in range(shifts)),
        _random_travel(draw, places, metric),
        weights,
    )


def _random_travel(draw: np.random.Generator, places: int, metric: bool) -> TravelMatrix:
    if not metric:
        seconds = draw.integers(0, 3000, (places, places)).astype(np.int32)
        np.fill_diagonal(seconds, 0)
        return TravelMatrix(seconds, (seconds * 9).astype(np.int32))
    points = draw.uniform(0, 2000, (places, 2))
    steps = np.linalg.norm(points[:, None] - points[None, :], axis=-1)
    return TravelMatrix(np.ceil(steps).astype(np.int32), np.ceil(steps * 9).astype(np.int32))


def _random_visit(draw: np.random.Generator, number: int, names: tuple[str, ...]) -> Visit:
    first = int(draw.integers(7, 14)) * HOUR
    windows = [TimeWindow(first, first + int(draw.integers(0, 3)) * HOUR)]
    if draw.random() < 0.3:
        later = windows[0].end + int(draw.integers(1, 3)) * HOUR
        windows.append(TimeWindow(later, later + HOUR))
    pin = None
    if draw.random() < 0.15:
        start = first + 600 if draw.random() < 0.5 else None
        pin = Pin(str(draw.choice(names)), start)
    return Visit(
        f"visit {number}",
        number,
        int(draw.integers(0, 6)) * 600,
        tuple(windows),
        skills={"wiring": int(draw.integers(1, 4))} if draw.random() < 0.4 else {},
        priority=int(draw.integers(0, 5)),
        prize_cents=int(draw.integers(0, 6000)) if draw.random() < 0.3 else None,
        required=_some(draw, names, 0.1),
        preferred=_some(draw, names, 0.3),
        excluded=_some(draw, names, 0.2),
        pin=pin,
    )


def _some(draw: np.random.Generator, names: tuple[str, ...], share: float) -> frozenset[str]:
    return frozenset({str(draw.choice(names))}) if draw.random() < share else frozenset()


def _random_shift(draw: np.random.Generator, number: int, home: int) -> Shift:
    begins = int(draw.integers(6, 11)) * HOUR
    ends = begins + int(draw.integers(3, 10)) * HOUR
    breaks = []
    if draw.random() < 0.5:
        noon = TimeWindow(begins + HOUR, begins + 2 * HOUR)
        breaks.append(Break(noon, 1800))
        if draw.random() < 0.3:
            breaks.append(Break(TimeWindow(begins + HOUR, begins + 3 * HOUR), 600))
    open_start, open_end = draw.random() < 0.2, draw.random() < 0.3
    return Shift(
        f"shift {number}",
        f"technician {number}",
        TimeWindow(begins, ends),
        None if open_start else home,
        None if open_end else home,
        skills={"wiring": int(draw.integers(1, 4))} if draw.random() < 0.7 else {},
        breaks=tuple(breaks),
        radius_m=12_000 if not open_start and draw.random() < 0.3 else None,
        max_visits=int(draw.integers(1, 5)) if draw.random() < 0.3 else None,
        max_travel_m=int(draw.integers(10, 40)) * 1000 if draw.random() < 0.3 else None,
        fixed_cents=int(draw.choice([0, 1000])),
        cents_per_h=int(draw.choice([0, 2500, 4001])),
        cents_per_km=int(draw.choice([0, 30])),
        cents_per_visit=int(draw.choice([0, 700])),
    )


def rich_world(seed: int, visits: int = 6, shifts: int = 3, *, links: bool = True) -> Problem:
    """`random_world` with the other rules: work that takes as long as the level says, SLAs, loads and capacities,
    caps on seconds, overtime, hours to be balanced, scarce skills, technicians of two shifts and, with `links`, crews
    and orders."""
    plain = random_world(seed, visits, shifts, metric=seed % 4 > 0)
    draw = np.random.default_rng((seed, 1))
    goods = int(draw.integers(1, 3)) if draw.random() < 0.4 else 0
    work = tuple(_with_more_rules(draw, visit, goods) for visit in plain.visits)
    crews = _random_crews(draw, work) if links else ()
    orders = _random_orders(draw, work, crews) if links else ()
    return replace(
        plain,
        visits=_with_room_for_links(work, crews, orders),
        shifts=_one_technician_twice(
            draw, tuple(_with_more_limits(draw, shift, goods) for shift in plain.shifts)
        ),
        weights=replace(
            plain.weights,
            fairness_cents_per_h2=int(draw.choice([0, 0, 35, 400])),
            spare_skill_cents=int(draw.choice([0, 900])),
        ),
        crews=crews,
        orders=orders,
    )


def _with_more_rules(draw: np.random.Generator, visit: Visit, goods: int) -> Visit:
    skills = dict(visit.skills)
    if draw.random() < 0.2:
        skills["gas"] = 1
    by_level = {}
    if skills and draw.random() < 0.5:
        by_level = {int(level): int(draw.integers(0, 8)) * 600 for level in draw.integers(1, 4, 2)}
    sla = None
    if draw.random() < 0.4:
        due = visit.windows[0].start + int(draw.integers(-2, 3)) * 1800
        sla = Sla(due, int(draw.choice([600, 5_000])))
    load = tuple(int(amount) for amount in draw.integers(0, 4, goods)) if draw.random() < 0.8 else ()
    return replace(visit, skills=skills, service_s_by_level=by_level, sla=sla, load=load)


def _with_more_limits(draw: np.random.Generator, shift: Shift, goods: int) -> Shift:
    skills = dict(shift.skills)
    if draw.random() < 0.4:
        skills["gas"] = 1
    return replace(
        shift,
        skills=skills,
        max_travel_s=int(draw.integers(10, 60)) * 100 if draw.random() < 0.3 else None,
        max_duration_s=int(draw.integers(4, 20)) * 1500 if draw.random() < 0.4 else None,
        capacity=tuple(int(room) for room in draw.integers(1, 9, goods)) if draw.random() < 0.7 else (),
        overtime_s=int(draw.choice([0, 1800, 7200])),
        overtime_cents_per_h=int(draw.choice([0, 2_000, 9_000])),
        given_s=int(draw.choice([0, 20])) * HOUR,
    )


def _one_technician_twice(draw: np.random.Generator, shifts: tuple[Shift, ...]) -> tuple[Shift, ...]:
    """Now and then the first and the last shift are of the same person, one after the other."""
    first, last = shifts[0], shifts[-1]
    apart = first.window.end + first.overtime_s <= last.window.start
    if first is last or not apart or draw.random() < 0.5:
        return shifts
    return (*shifts[:-1], replace(last, technician=first.technician))


def _random_crews(draw: np.random.Generator, visits: tuple[Visit, ...]) -> tuple[Crew, ...]:
    size = 3 if draw.random() < 0.1 else 2
    if draw.random() < 0.4 or len(visits) < size:
        return ()
    return (Crew(tuple(visits[row].id for row in draw.choice(len(visits), size, replace=False))),)


def _random_orders(
    draw: np.random.Generator, visits: tuple[Visit, ...], crews: tuple[Crew, ...]
) -> tuple[Order, ...]:
    """From visits of lower to visits of higher number, a crew counting by its first, so that none leads back."""
    number = {visit.id: row for row, visit in enumerate(visits)}
    number |= {visit: number[crew.visits[0]] for crew in crews for visit in crew.visits}
    if len(visits) < 2:
        return ()
    orders = []
    for _ in range(int(draw.choice([0, 1, 2]))):
        first, then = sorted(
            (str(name) for name in draw.choice(list(number), 2, replace=False)), key=lambda name: number[name]
        )
        least = int(draw.integers(0, 4)) * 1200
        most = least + int(draw.integers(0, 3)) * 1200 if draw.random() < 0.4 else None
        if number[first] < number[then]:
            orders.append(Order(first, then, least, most))
    return tuple(orders)


def _with_room_for_links(
    visits: tuple[Visit, ...], crews: tuple[Crew, ...], orders: tuple[Order, ...]
) -> tuple[Visit, ...]:
    """A crew has the windows of its first visit, and what follows something is open all day: few links could be
    kept otherwise."""
    by_id = {visit.id: visit for visit in visits}
    for order in orders:
        by_id[order.then] = replace(by_id[order.then], windows=(TimeWindow(6 * HOUR, 20 * HOUR),))
    for crew in crews:
        windows = by_id[crew.visits[0]].windows
        by_id |= {visit: replace(by_id[visit], windows=windows) for visit in crew.visits}
    return tuple(by_id.values())


def city_day(visits: int, shifts: int, seed: int = 1) -> Problem:
    """A day of field service to measure with: a clustered city of 40 x 40 km at 40 km/h, eight trades, technicians at
    their homes with two to five of them, two-hour windows for four visits in five, services of 15 to 40 minutes."""
    draw = np.random.default_rng(seed)
    centres = draw.uniform(5, 35, (max(4, shifts // 20), 2))
    points = centres[draw.integers(0, len(centres), visits + shifts)] + draw.normal(
        0, 3, (visits + shifts, 2)
    )
    apart_km = np.linalg.norm(points[:, None] - points[None, :], axis=-1) * 1.3
    seconds = (np.round(apart_km * 90) + 60).astype(np.int32)
    np.fill_diagonal(seconds, 0)
    trades = [f"trade {k}" for k in range(8)]
    crafts = [
        {
            str(trade): int(draw.integers(1, 6))
            for trade in draw.choice(trades, draw.integers(2, 6), replace=False)
        }
        for _ in range(shifts)
    ]
    work = []
    for k in range(visits):
        opens = (8 + 2 * int(draw.integers(0, 4))) * HOUR
        window = (
            TimeWindow(8 * HOUR, 16 * HOUR) if draw.random() < 0.2 else TimeWindow(opens, opens + 2 * HOUR)
        )
        trade = str(draw.choice(trades, p=[0.2, 0.18, 0.16, 0.14, 0.12, 0.08, 0.07, 0.05]))
        priority = int(draw.integers(0, 3))
        level = 1 if draw.random() < 0.7 else 3
        minutes = int(draw.integers(15, 41))
        work.append(Visit(f"v{k}", k, minutes * MINUTE, (window,), {trade: level}, priority))
    day = TimeWindow(8 * HOUR, 16 * HOUR + 1800)
    team = [
        Shift(
            f"s{k}",
            f"t{k}",
            day,
            visits + k,
            visits + k,
            crafts[k],
            cents_per_h=int(draw.integers(20, 50)) * 100,
        )
        for k in range(shifts)
    ]
    return Problem(
        tuple(work), tuple(team), TravelMatrix(seconds, (apart_km * 1000).astype(np.int32)), Weights()
    )
