"""Large problems a territory at a time, on small ones cut into tiny territories.

`row_of_towns`: towns on a parallel, 5 km from one to the next, with a technician and some visits in each.
"""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from optimizer import (
    Geodesic,
    InvalidProblem,
    Pin,
    Place,
    Plan,
    Problem,
    Progress,
    Shift,
    TimeWindow,
    TravelMatrix,
    Visit,
    Weights,
    check,
    solve,
)
from optimizer.decomposition import solve_decomposed
from optimizer.objective import objective, technician_by_visit
from optimizer.problem import UNREACHABLE, Crew, Order, Travel
from optimizer.territories import Map, cut, part_of, points_of
from optimizer.travel import PlacesTravel
from tests.optimizer.worlds import HOUR, MINUTE, city_day, line, random_world, rich_world

DAY = TimeWindow(8 * HOUR, 16 * HOUR)
CENTS_ROUNDED = 4 * 9
"""Of four territories and the nine terms of each."""
STEADY_ROADS = Geodesic(speed_kmh=40)


def town(number: int, kilometres: float = 0.0) -> Place:
    return Place(40.7, -74.0 + (5 * number + kilometres) / 84.4)


def row_of_towns(towns: int, visits_each: int = 3, hours: int = 1) -> Problem[PlacesTravel]:
    """Place `t * (visits_each + 1)` is the home in town t, those behind it are of its visits."""
    each = visits_each + 1
    places = tuple(town(t, k) for t in range(towns) for k in range(each))
    visits = tuple(
        Visit(f"v{t}.{k}", t * each + k, hours * HOUR, (DAY,)) for t in range(towns) for k in range(1, each)
    )
    shifts = tuple(Shift(f"s{t}", f"t{t}", DAY, t * each, t * each) for t in range(towns))
    return Problem(visits, shifts, PlacesTravel(places, STEADY_ROADS))


def changed(problem: Problem[PlacesTravel], *items: Visit | Shift) -> Problem[PlacesTravel]:
    """With visits and shifts of the same id replaced and others added."""
    visits, shifts = {v.id: v for v in problem.visits}, {s.id: s for s in problem.shifts}
    for item in items:
        if isinstance(item, Visit):
            visits[item.id] = item
        else:
            shifts[item.id] = item
    return replace(problem, visits=tuple(visits.values()), shifts=tuple(shifts.values()))


def planned(problem: Problem[Travel], work: int = 300, **options: object) -> Plan:
    """In territories of about four visits, found sound."""
    plan = solve_decomposed(problem, max_work=work, territory_visits=4, **options)  # type: ignore[arg-type]
    assert check(problem, plan) == ()
    return plan


def technician_of(plan: Plan, visit: str) -> str:
    return next(route.technician for route in plan.routes for stop in route.stops if stop.visit == visit)


def crossed_towns(weights: Weights) -> tuple[Problem[PlacesTravel], Plan]:
    """Six towns, and a plan that was made when each visit was in the town next to where it is now."""
    towns = row_of_towns(6)
    other = [v.place + 4 if (v.place // 4) % 2 == 0 else v.place - 4 for v in towns.visits]
    before = changed(towns, *(replace(v, place=p) for v, p in zip(towns.visits, other, strict=True)))
    return replace(towns, weights=weights), planned(before)


def visits_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {route.shift: tuple(stop.visit for stop in route.stops) for route in plan.routes}


@pytest.mark.parametrize("seed", range(12))
def test_a_plan_of_many_territories_keeps_every_rule(seed: int) -> None:
    problem = random_world(seed, visits=16, shifts=8)

    plan = planned(problem)

    assert plan.objective == objective(problem, plan)
    assert plan.served + len(plan.unserved) == 16


@pytest.mark.parametrize("seed", range(12))
def test_a_plan_of_many_territories_keeps_crews_and_orders(seed: int) -> None:
    problem = rich_world(seed, visits=14, shifts=8)

    plan = planned(problem)

    assert plan.objective == objective(problem, plan)


def test_a_matrix_of_the_whole_is_never_asked_for() -> None:
    asked: list[int] = []

    class Counting:
        def matrix(self, places: list[Place], departs_at: object = None) -> TravelMatrix:
            asked.append(len(places))
            return STEADY_ROADS.matrix(places)

    towns = row_of_towns(12)
    problem = replace(towns, travel=PlacesTravel(towns.travel.points, Counting()))

    plan = solve_decomposed(problem, max_work=200, territory_visits=6)

    assert plan.unserved == ()
    assert max(asked) <= 36 / 2


def test_the_same_work_gives_the_same_plan() -> None:
    problem = city_day(60, 8)

    first, again = (
        solve_decomposed(problem, max_work=2_000, seed=5, threads=2, territory_visits=20) for _ in range(2)
    )

    assert replace(first, elapsed_s=0.0) == replace(again, elapsed_s=0.0)


def test_borders_are_mended() -> None:
    """Cut in territories of 20 and searched in three rounds, 80 visits cost little more than searched whole."""
    problem = city_day(80, 12)

    in_parts = solve_decomposed(problem, max_work=12_000, territory_visits=20)

    whole = solve(problem, max_work=12_000)
    assert check(problem, in_parts) == ()
    assert in_parts.cost_cents < 1.15 * whole.cost_cents


def test_nothing_that_fits_is_left_out() -> None:
    """Everybody has an hour to spare, for one visit each; all lie in the first town, ten of them too many for it."""
    towns = row_of_towns(6, visits_each=1, hours=5)
    extra = [Visit(f"extra {n}", 1, HOUR, (DAY,), prize_cents=100_000) for n in range(10)]
    problem = changed(towns, *extra)

    plan = planned(problem, work=0)

    whole = part_of(problem, range(len(problem.visits)), range(len(problem.shifts)))
    fuller = solve(whole, max_work=0, start=plan)
    assert plan.unserved
    assert fuller.served == plan.served


def test_a_visit_left_out_tells_why() -> None:
    problem = changed(
        row_of_towns(6),
        Visit("gas", 1, HOUR, (DAY,), skills={"gas": 1}),
        Visit("night", 1, HOUR, (TimeWindow(0, HOUR),)),
        Visit("cheap", 1, HOUR, (DAY,), prize_cents=0, required=frozenset({"t3"})),
    )

    plan = planned(problem)

    told = {entry.visit: entry for entry in plan.unserved}
    assert {name: entry.verdict for name, entry in told.items()} == {
        "gas": "impossible",
        "night": "impossible",
        "cheap": "dearer",
    }
    assert {reason.code for reason in told["gas"].reasons} == {"skill_missing"}
    assert {reason.code for reason in told["night"].reasons} == {"no_shift"}


def test_two_shifts_of_one_technician_stay_together() -> None:
    """The second begins at the other end of the row."""
    problem = row_of_towns(8)
    evening = TimeWindow(16 * HOUR, 22 * HOUR)
    problem = changed(problem, Shift("s0 late", "t0", evening, 28, 28))
    world = Map.of(problem, seed=0)

    for number in range(4):
        territories = cut(world, 4, {}, number, seed=0)

        assert territories is not None
        together = [{0, 8} & set(territory.shifts) for territory in territories]
        assert {0, 8} in together
        assert sorted(shift for territory in territories for shift in territory.shifts) == list(range(9))


def test_every_visit_is_in_one_territory_and_all_are_of_like_size() -> None:
    problem = city_day(400, 40)
    world = Map.of(problem, seed=0)

    for number in range(5):
        territories = cut(world, 8, {}, number, seed=0)

        assert territories is not None
        assert sorted(row for territory in territories for row in territory.visits) == list(range(400))
        assert all(25 <= len(territory.visits) <= 100 for territory in territories)


def test_each_round_has_other_borders() -> None:
    world = Map.of(city_day(200, 20), seed=0)

    rounds = [cut(world, 4, {}, number, seed=0) for number in range(3)]

    assert len({territories for territories in rounds if territories is not None}) == 3


def test_a_scarce_skill_is_shared_between_the_sides_of_a_cut() -> None:
    """Both who know gas live in the first two of eight towns; half of the gas is in the last four."""
    problem = row_of_towns(8, visits_each=4)
    gas = {f"s{t}": {"gas": 1} for t in (0, 1)}
    problem = changed(
        problem,
        *(replace(shift, skills=gas.get(shift.id, {})) for shift in problem.shifts),
        *(replace(visit, skills={"gas": 1}) for visit in problem.visits if visit.id.endswith(".1")),
    )

    territories = cut(Map.of(problem, seed=0), 2, {}, 0, seed=0)

    assert territories is not None
    assert [len({0, 1} & set(territory.shifts)) for territory in territories] == [1, 1]


def test_a_visit_goes_where_the_only_technicians_are_that_may_serve_it() -> None:
    towns = row_of_towns(8)
    problem = changed(
        towns,
        Visit("required", 1, HOUR, (DAY,), required=frozenset({"t7"})),
        Visit("pinned", 1, HOUR, (DAY,), pin=Pin("t6")),
        Visit("gas", 1, HOUR, (DAY,), skills={"gas": 2}),
        replace(towns.shifts[5], skills={"gas": 3}),
    )

    plan = planned(problem)

    assert technician_of(plan, "required") == "t7"
    assert technician_of(plan, "pinned") == "t6"
    assert technician_of(plan, "gas") == "t5"


def test_linked_visits_stay_together() -> None:
    """One is pinned at either end of the row; the crew starts at once and the order is kept."""
    towns = row_of_towns(8)
    problem = changed(
        towns,
        replace(towns.visits[0], pin=Pin("t0")),
        replace(towns.visits[-1], pin=Pin("t7")),
    )
    first, last, then = towns.visits[0].id, towns.visits[-1].id, towns.visits[9].id
    problem = replace(problem, crews=(Crew((first, last)),), orders=(Order(last, then),))

    plan = planned(problem)

    starts = {stop.visit: stop.start for route in plan.routes for stop in route.stops}
    assert starts[first] == starts[last] <= starts[then] - HOUR


def test_more_links_than_can_be_planned_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimizer.territories.MOST_LINKED_VISITS", 5)
    problem = row_of_towns(8)
    chain = tuple(Order(a.id, b.id) for a, b in pairwise(problem.visits))

    with pytest.raises(InvalidProblem, match="orders: tie 24 visits"):
        solve_decomposed(replace(problem, orders=chain), max_work=0, territory_visits=4)


def test_a_start_plan_that_links_tie_together_is_cut_all_the_same() -> None:
    """Each technician's last visit comes before the next one's first: with their routes all of it is one piece."""
    towns = row_of_towns(8)
    start = planned(towns)
    orders = tuple(Order(f"v{t}.1", f"v{t + 1}.2") for t in range(7))

    plan = planned(replace(towns, orders=orders), start=start)

    assert plan.unserved == ()


def test_shifts_without_a_place_are_used_everywhere() -> None:
    towns = row_of_towns(8, visits_each=4)
    problem = replace(
        towns, shifts=tuple(replace(shift, start_place=None, end_place=None) for shift in towns.shifts)
    )

    plan = planned(problem)

    assert plan.unserved == ()


def test_places_without_a_way_between_them_are_kept_apart() -> None:
    """Two islands of four places, and a visit on a third."""
    seconds = np.full((9, 9), UNREACHABLE, np.int32)
    seconds[:4, :4] = seconds[4:8, 4:8] = 600
    np.fill_diagonal(seconds, 0)
    visits = tuple(Visit(f"v{place}", place, 10 * MINUTE, (DAY,)) for place in (1, 2, 3, 5, 6, 7, 8))
    shifts = tuple(Shift(f"s{n}", f"t{n}", DAY, home, home) for n, home in enumerate((0, 0, 4, 4)))
    problem = Problem(visits, shifts, TravelMatrix(seconds, seconds))

    plan = planned(problem)

    assert [entry.visit for entry in plan.unserved] == ["v8"]
    assert plan.unserved[0].verdict == "impossible"


@pytest.mark.parametrize("missing", ["visits", "shifts", "both"])
def test_a_world_without_visits_or_shifts_has_an_empty_plan(missing: str) -> None:
    problem = row_of_towns(3)
    problem = replace(problem, **{name: () for name in ("visits", "shifts") if missing in (name, "both")})

    plan = planned(problem, threads=2)

    assert plan.routes == ()
    assert {entry.verdict for entry in plan.unserved} <= {"impossible"}
    assert len(plan.unserved) == len(problem.visits)


def test_a_start_plan_is_kept_where_moving_is_dearer() -> None:
    """Everyone works in the next town, and to move a visit costs more than to drive there."""
    problem, start = crossed_towns(Weights(move_cents=20_000))

    plan = planned(problem, start=start)

    assert technician_by_visit(plan) == technician_by_visit(start)
    assert plan.objective["keep_technicians"] == 0


def test_moves_are_counted_against_the_start_plan() -> None:
    problem, start = crossed_towns(Weights(move_cents=1))

    plan = planned(problem, start=start)

    was, now = technician_by_visit(start), technician_by_visit(plan)
    moved = [visit for visit in was if was[visit] != now[visit]]
    assert moved
    assert plan.objective["keep_technicians"] == len(moved)


def test_a_start_plan_may_name_what_is_gone() -> None:
    problem = row_of_towns(6)
    start = planned(problem)
    smaller = replace(problem, visits=problem.visits[3:], shifts=problem.shifts[1:])

    plan = planned(smaller, work=0, start=start)

    assert visits_of(plan) == {shift: stops for shift, stops in visits_of(start).items() if shift != "s0"}


def test_progress_is_told_and_ends_with_the_plan() -> None:
    told: list[Progress] = []

    plan = solve_decomposed(
        city_day(80, 12), time_limit_s=1.5, threads=2, territory_visits=20, on_progress=told.append
    )

    assert (told[-1].cost_cents, told[-1].unserved) == (plan.cost_cents, len(plan.unserved))
    assert told[-1].fraction == 1
    assert all(one.elapsed_s <= other.elapsed_s for one, other in pairwise(told))
    assert all(progress.cost_cents + CENTS_ROUNDED >= plan.cost_cents for progress in told)


def test_a_stop_is_obeyed_with_a_whole_plan() -> None:
    began = time.monotonic()
    problem = city_day(80, 12)

    plan = solve_decomposed(
        problem, time_limit_s=60, territory_visits=20, should_stop=lambda: time.monotonic() > began + 0.5
    )

    assert time.monotonic() - began < 30
    assert check(problem, plan) == ()
    assert plan.served > 70


def test_an_error_in_the_callers_function_ends_the_search() -> None:
    def fail(progress: Progress) -> None:
        raise RuntimeError("nobody listens")

    with pytest.raises(RuntimeError, match="nobody listens"):
        solve_decomposed(city_day(40, 6), time_limit_s=60, territory_visits=20, on_progress=fail)


def test_a_limit_is_required() -> None:
    with pytest.raises(InvalidProblem, match="time_limit_s"):
        solve_decomposed(row_of_towns(2))


def test_places_of_a_matrix_are_laid_out_as_they_are_apart() -> None:
    """A row of 30 places: near ones lie near, and the ends farthest apart."""
    points = points_of(line(30), seed=0)

    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)

    assert steps == pytest.approx(np.full(29, steps[0]), rel=0.05)
    assert np.linalg.norm(points[-1] - points[0]) == pytest.approx(29 * steps[0], rel=0.05)


def test_places_on_the_ground_are_as_far_apart_in_the_plane() -> None:
    places = (town(0), town(1), town(2), Place(41.0, -74.0))

    points = points_of(PlacesTravel(places, STEADY_ROADS), seed=0)

    assert np.linalg.norm(points[1] - points[0]) == pytest.approx(5_000, rel=0.01)
    assert np.linalg.norm(points[2] - points[0]) == pytest.approx(10_000, rel=0.01)
    assert np.linalg.norm(points[3] - points[0]) == pytest.approx(33_300, rel=0.01)


def test_a_part_has_the_ways_of_the_whole() -> None:
    problem = row_of_towns(4)
    whole = problem.travel.among(range(problem.travel.places))

    part = part_of(problem, [4, 7], [1, 3])

    assert [visit.id for visit in part.visits] == ["v1.2", "v2.2"]
    start, place = part.shifts[1].start_place, part.visits[0].place
    assert start is not None
    assert part.travel.leg(start, place) == whole.leg(12, problem.visits[4].place)
