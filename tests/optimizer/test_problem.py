"""Hostile input: nonsense is refused with the field at fault, and what makes sense but is odd gives a sound plan."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from optimizer import (
    UNREACHABLE,
    Break,
    InvalidProblem,
    Pin,
    Problem,
    Shift,
    TimeWindow,
    TravelMatrix,
    Visit,
    Weights,
    check,
    solve,
)
from optimizer.exact import solve_exact
from optimizer.problem import MAX_INSTANT, Crew, Order, Sla
from tests.optimizer.worlds import ADA, BEN, HOUR, LAMP, OVEN, SINK, TAP, line, small_day

DAY = TimeWindow(8 * HOUR, 16 * HOUR)


def matrix(seconds: Any, metres: Any = None) -> TravelMatrix:
    duration_s = np.asarray(seconds)
    return TravelMatrix(duration_s, duration_s if metres is None else np.asarray(metres))


def shares(place: str) -> Callable[[], Problem]:
    """Two shifts of Ada that share an hour, one second, or none but for overtime."""
    evening = Shift("ada-evening", "ada", TimeWindow(15 * HOUR, 20 * HOUR), 0, 0)
    touching = replace(evening, window=TimeWindow(16 * HOUR, 20 * HOUR))
    return {
        "an hour": lambda: small_day(evening),
        "overtime": lambda: small_day(replace(ADA, overtime_s=1), touching),
        "nothing": lambda: small_day(touching),
    }[place]


NONSENSE: dict[str, tuple[Callable[[], object], str]] = {
    "a window that ends before it starts": (lambda: TimeWindow(1, 0), "window"),
    "a window after the end of time": (lambda: TimeWindow(0, MAX_INSTANT + 1), "window"),
    "a window before the beginning of time": (lambda: TimeWindow(-MAX_INSTANT - 1, 0), "window"),
    "no windows": (lambda: replace(TAP, windows=()), "visit tap.windows"),
    "windows out of order": (
        lambda: replace(TAP, windows=(TimeWindow(5, 6), TimeWindow(1, 2))),
        "visit tap.windows",
    ),
    "windows that touch": (
        lambda: replace(TAP, windows=(TimeWindow(1, 2), TimeWindow(2, 3))),
        "visit tap.windows",
    ),
    "work of negative length": (lambda: replace(TAP, service_s=-1), "visit tap.service_s"),
    "work by a level below one": (
        lambda: replace(TAP, service_s_by_level={0: 60}),
        "visit tap.service_s_by_level",
    ),
    "work by level without a skill": (
        lambda: replace(TAP, skills={}, service_s_by_level={1: 60}),
        "visit tap.service_s_by_level",
    ),
    "a required level below one": (lambda: replace(TAP, skills={"plumbing": 0}), "visit tap.skills"),
    "a priority above 100": (lambda: replace(TAP, priority=101), "visit tap.priority"),
    "a negative prize": (lambda: replace(TAP, prize_cents=-1), "visit tap.prize_cents"),
    "a negative load": (lambda: replace(TAP, load=(-1,)), "visit tap.load"),
    "a negative price of lateness": (lambda: Sla(0, -1), "sla.cents_per_h"),
    "a negative break": (lambda: Break(DAY, -1), "break.duration_s"),
    "a radius around nothing": (lambda: replace(ADA, start_place=None, radius_m=1), "shift ada-day.radius_m"),
    "negative capacity": (lambda: replace(ADA, capacity=(-1,)), "shift ada-day.capacity"),
    "negative overtime": (lambda: replace(ADA, overtime_s=-1), "shift ada-day.overtime_s"),
    "a negative weight": (lambda: Weights(move_cents=-1), "weights.move_cents"),
    "a crew of one": (lambda: Crew(("tap",)), "crew"),
    "a crew of one twice": (lambda: Crew(("tap", "tap")), "crew"),
    "an order of one visit": (lambda: Order("tap", "tap"), "order"),
    "a negative delay": (lambda: Order("tap", "sink", -1), "order.min_delay_s"),
    "a longest delay below the shortest": (lambda: Order("tap", "sink", 2, 1), "order.max_delay_s"),
    "two visits of one id": (
        lambda: Problem((TAP, replace(SINK, id="tap")), (ADA,), line(6)),
        "visits",
    ),
    "two shifts of one id": (
        lambda: Problem((TAP,), (ADA, replace(BEN, id="ada-day")), line(6)),
        "shifts",
    ),
    "a visit outside the matrix": (lambda: small_day(replace(TAP, place=6)), "visit tap.place"),
    "a visit before the matrix": (lambda: small_day(replace(TAP, place=-1)), "visit tap.place"),
    "a home outside the matrix": (lambda: small_day(replace(ADA, end_place=6)), "shift ada-day"),
    "a technician twice at once": (shares("an hour"), "shift ada-evening.window"),
    "a technician whose overtime runs into the next shift": (shares("overtime"), "shift ada-evening.window"),
    "loads of different kinds": (
        lambda: small_day(replace(TAP, load=(1,)), replace(ADA, capacity=(1, 2))),
        "visits.load",
    ),
    "a crew with a stranger": (lambda: replace(small_day(), crews=(Crew(("tap", "roof")),)), "crews"),
    "a visit in two crews": (
        lambda: replace(small_day(), crews=(Crew(("tap", "sink")), Crew(("sink", "lamp")))),
        "crews",
    ),
    "an order with a stranger": (lambda: replace(small_day(), orders=(Order("roof", "tap"),)), "orders"),
    "orders in a circle": (
        lambda: replace(
            small_day(), orders=(Order("tap", "sink"), Order("sink", "lamp"), Order("lamp", "tap"))
        ),
        "orders",
    ),
    "an order inside a crew": (
        lambda: replace(small_day(), crews=(Crew(("tap", "sink")),), orders=(Order("tap", "sink"),)),
        "orders",
    ),
    "orders in a circle through a crew": (
        lambda: replace(
            small_day(),
            crews=(Crew(("tap", "sink")),),
            orders=(Order("tap", "lamp"), Order("lamp", "sink")),
        ),
        "orders",
    ),
    "a matrix that is not square": (lambda: matrix(np.zeros((2, 3), np.int32)), "travel.duration_s"),
    "a matrix of one dimension": (lambda: matrix(np.zeros(4, np.int32)), "travel.duration_s"),
    "a matrix of fractions": (lambda: matrix(np.zeros((2, 2))), "travel.duration_s"),
    "a matrix of what is no number": (lambda: matrix(np.full((2, 2), math.nan)), "travel.duration_s"),
    "a matrix of negative ways": (lambda: matrix(np.full((2, 2), -1, np.int32)), "travel.duration_s"),
    "a matrix of ways too long": (
        lambda: matrix(np.full((2, 2), UNREACHABLE + 1, np.int32)),
        "travel.duration_s",
    ),
    "matrices of different size": (
        lambda: matrix(np.zeros((2, 2), np.int32), np.zeros((3, 3), np.int32)),
        "travel",
    ),
}


@pytest.mark.parametrize(("make", "field"), NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_cannot_be_born(make: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidProblem) as refused:
        make()

    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")


def test_shifts_of_one_technician_may_touch() -> None:
    assert len(shares("nothing")().shifts) == 3


# Figures at and beyond the bounds

CENTS = ("fixed_cents", "cents_per_h", "cents_per_km", "cents_per_visit", "overtime_cents_per_h")
CAPS = ("radius_m", "max_visits", "max_travel_m", "max_travel_s", "max_duration_s")
FIGURES: dict[str, Callable[[Any], Problem]] = {
    "visit.service_s": lambda figure: small_day(replace(TAP, service_s=figure)),
    "visit.service_s_by_level": lambda figure: small_day(replace(TAP, service_s_by_level={1: figure})),
    "visit.service_s_by_level's level": lambda figure: small_day(
        replace(TAP, service_s_by_level={figure: 60})
    ),
    "visit.place": lambda figure: small_day(replace(TAP, place=figure)),
    "visit.priority": lambda figure: small_day(replace(TAP, priority=figure)),
    "visit.prize_cents": lambda figure: small_day(replace(TAP, prize_cents=figure)),
    "visit.skills": lambda figure: small_day(replace(TAP, skills={"plumbing": figure})),
    "visit.load": lambda figure: small_day(replace(TAP, load=(figure,)), replace(ADA, capacity=(5,))),
    "visit.pin.start": lambda figure: small_day(replace(TAP, pin=Pin("ada", figure))),
    "window.start": lambda figure: small_day(replace(TAP, windows=(TimeWindow(figure, 10 * HOUR),))),
    "window.end": lambda figure: small_day(replace(TAP, windows=(TimeWindow(0, figure),))),
    "sla.due": lambda figure: small_day(replace(TAP, sla=Sla(figure, 100))),
    "sla.cents_per_h": lambda figure: small_day(replace(TAP, sla=Sla(0, figure))),
    "break.window": lambda figure: small_day(replace(ADA, breaks=(Break(TimeWindow(0, figure), 60),))),
    "break.duration_s": lambda figure: small_day(replace(ADA, breaks=(Break(DAY, figure),))),
    "shift.window": lambda figure: small_day(replace(ADA, window=TimeWindow(0, figure))),
    "shift.skills": lambda figure: small_day(replace(ADA, skills={"plumbing": figure})),
    "shift.capacity": lambda figure: small_day(replace(TAP, load=(1,)), replace(ADA, capacity=(figure,))),
    "order.min_delay_s": lambda figure: replace(small_day(), orders=(Order("tap", "sink", figure),)),
    "order.max_delay_s": lambda figure: replace(small_day(), orders=(Order("tap", "sink", 0, figure),)),
}


def _changed(name: str) -> Callable[[Any], Problem]:
    return lambda figure: small_day(replace(ADA, **{name: figure}))


def _weighed(name: str) -> Callable[[Any], Problem]:
    return lambda figure: small_day(weights=Weights(**{name: figure}))


FIGURES |= {
    f"shift.{name}": _changed(name)
    for name in (*CENTS, *CAPS, "overtime_s", "given_s", "start_place", "end_place")
}
FIGURES |= {f"weights.{field.name}": _weighed(field.name) for field in fields(Weights)}

LARGE = (2**31, 2**33, 2**40, 2**62, 2**63, 2**64, -1, -(2**31), -(2**63))


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())
@pytest.mark.parametrize("planned", [False, True], ids=["search", "exact"])
def test_any_figure_is_refused_or_planned_soundly(make: Callable[[Any], Problem], planned: bool) -> None:
    for figure in LARGE:
        with suppress(InvalidProblem):
            problem = make(figure)
            plan = solve_exact(problem).plan if planned else solve(problem, max_work=20)
            assert check(problem, plan) == (), figure


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())
@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf, 0.5], ids=str)
def test_what_is_no_whole_number_is_refused_at_birth(make: Callable[[Any], Problem], figure: float) -> None:
    with pytest.raises(InvalidProblem):
        make(figure)


# Odd, but sound


def engines(problem: Problem) -> dict[str, dict[str, str]]:
    """The verdicts on what each engine leaves out; both plans are sound."""
    plans = {"search": solve(problem, max_work=50), "exact": solve_exact(problem).plan}
    for plan in plans.values():
        assert check(problem, plan) == ()
    return {name: {entry.visit: entry.verdict for entry in plan.unserved} for name, plan in plans.items()}


@pytest.mark.parametrize("without", ["visits", "shifts", "both"])
def test_nothing_to_do_and_nobody_to_do_it_make_a_plan(without: str) -> None:
    day = small_day()
    day = replace(
        day,
        visits=() if without != "shifts" else day.visits,
        shifts=() if without != "visits" else day.shifts,
    )

    left_out = dict.fromkeys((visit.id for visit in day.visits), "impossible")
    assert engines(day) == {"search": left_out, "exact": left_out}


def test_a_window_outside_every_shift_makes_a_visit_impossible() -> None:
    for window in (TimeWindow(0, HOUR), TimeWindow(20 * HOUR, 21 * HOUR), TimeWindow(-MAX_INSTANT, 0)):
        left_out = engines(small_day(replace(TAP, windows=(window,))))

        assert left_out == {"search": {"tap": "impossible"}, "exact": {"tap": "impossible"}}


@pytest.mark.parametrize(
    "wish",
    [
        {"required": frozenset({"nobody"})},
        {"pin": Pin("nobody")},
        {"pin": Pin("ada", 3 * HOUR)},
        {"skills": {"alchemy": 1}},
        {"excluded": frozenset({"ada", "ben"})},
    ],
    ids=["required stranger", "pinned to a stranger", "pinned to the night", "unknown skill", "all excluded"],
)
def test_what_nobody_may_do_is_left_out_as_impossible(wish: dict[str, Any]) -> None:
    left_out = engines(small_day(replace(TAP, **wish)))

    assert left_out == {"search": {"tap": "impossible"}, "exact": {"tap": "impossible"}}


def test_names_may_be_empty_or_strange() -> None:
    tap = Visit("", 1, 60, (DAY,), {"": 1})
    ada = replace(ADA, id="Ω'\n", technician="", skills={"": 1})

    left_out = engines(Problem((tap,), (ada,), line(2)))

    assert left_out == {"search": {}, "exact": {}}


def test_a_shift_that_cannot_take_its_break_serves_nothing() -> None:
    night = Break(TimeWindow(2 * HOUR, 3 * HOUR), 600)

    left_out = engines(Problem((TAP,), (replace(ADA, breaks=(night,)),), line(2)))

    assert left_out == {"search": {"tap": "impossible"}, "exact": {"tap": "impossible"}}


def test_places_without_a_way_between_them_are_not_served() -> None:
    apart = np.full((6, 6), UNREACHABLE, np.int32)
    np.fill_diagonal(apart, 0)

    left_out = engines(Problem((TAP, SINK, LAMP, OVEN), (ADA, BEN), TravelMatrix(apart, apart)))

    everything = dict.fromkeys(("tap", "sink", "lamp", "oven"), "impossible")
    assert left_out == {"search": everything, "exact": everything}


def test_work_that_takes_no_time_at_places_no_way_apart_is_all_done_at_once() -> None:
    instant = TimeWindow(9 * HOUR, 9 * HOUR)
    visits = tuple(Visit(str(k), 0, 0, (instant,)) for k in range(5))
    nowhere = TravelMatrix(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32))

    left_out = engines(Problem(visits, (Shift("s", "t", instant, 0, 0),), nowhere))

    assert left_out == {"search": {}, "exact": {}}


def test_the_figures_at_their_bounds_are_planned() -> None:
    """As high as the contract lets them be, one by one."""
    rate, load = 10**8, 2**40
    for changed in (
        replace(ADA, overtime_s=7 * 86_400, overtime_cents_per_h=rate),
        replace(ADA, given_s=366 * 86_400),
        replace(ADA, capacity=(load,)),
        replace(TAP, load=(load,)),
        replace(TAP, sla=Sla(-MAX_INSTANT, 0)),
        replace(TAP, sla=Sla(MAX_INSTANT, rate)),
    ):
        assert set(engines(small_day(changed))) == {"search", "exact"}
