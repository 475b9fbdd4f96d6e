"""Where could one visit go, in a day of 500 routes of 8 stops: `python -m benchmarks.insertion`.

Every technician may serve the visit; half of them have a break. Asked for every two-hour window of the day that begins
on the half hour. Medians over the visits asked about; the kernel alone, and the whole question with its reasons.
"""

import statistics
import time
from dataclasses import replace

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import optimizer
from optimizer import Break, Plan, PreparedRoutes, Problem, Shift, TimeWindow, TravelMatrix, Visit, time_route
from optimizer.insertion import insertions

HOUR = 3600
DAY = TimeWindow(0, 10 * HOUR)
WINDOWS = tuple(TimeWindow(start, start + 2 * HOUR) for start in range(0, 8 * HOUR + 1, HOUR // 2))
STOPS = 8


def day_of(technicians: int, seed: int) -> tuple[Problem, Plan]:
    """Routes of stops near each home, with the visits to ask about at the end."""
    random = np.random.default_rng(seed)
    homes = random.uniform(0, 28_000, (technicians, 2))
    stops = (homes[:, None] + random.normal(0, 3_000, (technicians, STOPS, 2))).reshape(-1, 2)
    places = np.concatenate([homes, stops])
    metres = 1.3 * np.hypot(*(places[:, None] - places[None]).T).T
    travel = TravelMatrix((metres / 11).astype(np.int32), metres.astype(np.int32))
    visits = tuple(
        Visit(f"visit {n}", technicians + n, 30 * 60, (DAY,), {"repair": 1})
        for n in range(technicians * STOPS)
    )
    lunch = Break(TimeWindow(4 * HOUR, 5 * HOUR), HOUR // 2)
    shifts = tuple(
        Shift(f"shift {n}", f"technician {n}", DAY, n, n, {"repair": 2}, (lunch,) * (n % 2), max_visits=12)
        for n in range(technicians)
    )
    problem = Problem(visits, shifts, travel)
    routes = tuple(
        time_route(problem, shift.id, [f"visit {number * STOPS + k}" for k in range(STOPS)])
        for number, shift in enumerate(shifts)
    )
    return problem, Plan(routes, ())


@click.command()
@click.option("--technicians", type=click.IntRange(1), default=500, show_default=True)
@click.option("--questions", type=click.IntRange(1), default=200, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(technicians: int, questions: int, seed: int) -> None:
    """Print the table."""
    optimizer.warm()
    problem, plan = day_of(technicians, seed)
    began = time.perf_counter()
    prepared = PreparedRoutes(problem, plan)
    prepared_ms = 1000 * (time.perf_counter() - began)
    places = np.random.default_rng(seed + 1).integers(0, problem.travel.places, questions).tolist()
    rows: dict[str, list[float]] = {"kernel": [], "question, insertions and reasons": []}
    found = 0
    for place in places:
        asked = replace(problem.visits[0], id="asked", place=place)
        question = prepared.question(asked, WINDOWS)
        shape = (technicians, len(WINDOWS))
        node, start, ticks = np.empty(shape, np.int32), np.empty(shape, np.int64), np.empty(shape, np.int64)
        began = time.perf_counter()
        insertions(
            prepared.arrays, prepared.routes, question.allowed, question.assign, place, question.service_s,
            question.load, question.opens, question.closes, node, start, ticks,
        )  # fmt: skip
        rows["kernel"].append(time.perf_counter() - began)
        began = time.perf_counter()
        found += len(prepared.recommend(asked, WINDOWS).insertions)
        rows["question, insertions and reasons"].append(time.perf_counter() - began)
    title = (
        f"one visit, {technicians} routes of {STOPS} stops, {len(WINDOWS)} windows; {questions} visits asked about, "
        f"{found / questions:,.0f} insertions found each; prepared once in {prepared_ms:.0f} ms"
    )
    table = Table("what", "median ms", "95th percentile ms", title=title)
    for name, seconds in rows.items():
        table.add_row(
            name,
            *(f"{1000 * figure:.3f}" for figure in (statistics.median(seconds), np.percentile(seconds, 95))),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
