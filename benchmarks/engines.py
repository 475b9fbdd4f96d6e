"""Both engines and the work of hands on the same generated day, in turn, in one run: `python -m benchmarks.engines`.

Each cell is the median over the seeds; ratios are against the search at the same limit. Every plan is held against the
verifier before it is counted.
"""

import os
import statistics
import time
from dataclasses import dataclass
from datetime import date
from typing import Literal

import click
from rich.console import Console
from rich.table import Table

import optimizer
from optimizer import Plan, Problem
from optimizer.objective import objective
from seed import city
from seed.by_hand import plan_by_hand
from seed.problem import world_of
from seed.report import require_sound

DAY = date(2027, 3, 9)
"""A Tuesday in winter time; the generated day is the same whenever it is run."""

Engine = Literal["search", "routing"]


@dataclass(frozen=True, slots=True)
class Row:
    """One engine at one limit: medians over the seeds. elapsed_s: of the call, building included."""

    name: str
    limit_s: float | None
    elapsed_s: float
    cost: float
    unserved: float
    travel_km: float


def measured(name: str, problem: Problem, limit_s: float | None, plans: list[tuple[Plan, float]]) -> Row:
    for plan, _ in plans:
        require_sound(problem, plan, name)
    return Row(
        name,
        limit_s,
        statistics.median(elapsed_s for _, elapsed_s in plans),
        statistics.median(sum(objective(problem, plan).values()) / 100 for plan, _ in plans),
        statistics.median(len(problem.visits) - plan.served for plan, _ in plans),
        statistics.median(sum(route.travel_m for route in plan.routes) / 1000 for plan, _ in plans),
    )


def timed(problem: Problem, engine: Engine, limit_s: float, seed: int) -> tuple[Plan, float]:
    began = time.perf_counter()
    plan = optimizer.solve(problem, time_limit_s=limit_s, seed=seed, engine=engine)
    return plan, time.perf_counter() - began


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--limit", "limits", type=float, multiple=True, default=(1.0, 5.0, 15.0), show_default=True)
def main(seeds: int, limits: tuple[float, ...]) -> None:
    """Print the table."""
    optimizer.warm()
    problem = world_of(city.generate_day(DAY)).problem
    engines: tuple[Engine, ...] = ("search", "routing")
    began = time.perf_counter()
    by_hand = plan_by_hand(problem)
    rows = [measured("by hand", problem, None, [(by_hand, time.perf_counter() - began)])]
    for limit_s in limits:
        for engine in engines:
            plans = [timed(problem, engine, limit_s, seed) for seed in range(seeds)]
            rows.append(measured(engine, problem, limit_s, plans))
    Console().print(as_table(rows, problem, seeds))


def as_table(rows: list[Row], problem: Problem, seeds: int) -> Table:
    title = (
        f"{len(problem.visits)} visits, {len(problem.shifts)} shifts; medians of {seeds} seeds, one thread, "
        f"{os.cpu_count()} cores"
    )
    table = Table("engine", "limit s", "took s", "cost $", "to search", "left out", "travel km", title=title)
    search = {row.limit_s: row.cost for row in rows if row.name == "search"}
    best = min(search.values())
    for row in rows:
        ratio = row.cost / search.get(row.limit_s, best)
        limit = "" if row.limit_s is None else f"{row.limit_s:g}"
        figures = (
            f"{row.elapsed_s:.1f}",
            f"{row.cost:,.0f}",
            f"{ratio:.2f}",
            f"{row.unserved:g}",
            f"{row.travel_km:,.0f}",
        )
        table.add_row(row.name, limit, *figures)
    return table


if __name__ == "__main__":
    main()
