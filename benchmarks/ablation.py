"""What each part of the search gives, on one generated day: `python -m benchmarks.ablation [--out DIR]`.

Each row leaves a part out or adds one, at the same limit, medians over the seeds (seed k is the day and the search's).
The picture shows the median cost over time.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table

import optimizer
from benchmarks.field_service import FieldService
from benchmarks.peers.search import problem_of
from optimizer import Problem, search, zones
from optimizer.annealing import routes_of, ruin_and_recreate, worth
from optimizer.arrays import ProblemArrays
from optimizer.decomposition import solve_decomposed
from optimizer.kernel import kernel
from optimizer.pool import Pool
from optimizer.ruin_recreate import Search


@kernel
def ruin_and_recreate_alone(
    arrays: ProblemArrays, worker: Search, pool: Pool, iterations: int, temperature: float
) -> None:
    """`annealing.iterate` without the exchange of tails."""
    used = routes_of(worker)
    for _ in range(iterations):
        ruin_and_recreate(arrays, worker, pool, used, worth(worker, temperature))


Changes = dict[tuple[ModuleType, str], Any]
"""Other values for what is found in a module by a name."""

NO_TAILS: Changes = {(zones, "iterate"): ruin_and_recreate_alone}
NO_MERGES: Changes = {(search, "MERGE_AT"): ()}
COLD: Changes = {(search, "HOTTEST"): 0.6}
APART: Changes = {(search, "FEWEST_ROUTES_A_ZONE"): 10**9}


@dataclass(frozen=True, slots=True)
class Part:
    """A way to search: threads, what is changed in `optimizer`, and whether by decomposition."""

    name: str
    threads: int
    changed: Changes
    work: int | None = None
    decomposed: bool = False


PARTS = (
    Part("first plan alone", 1, {}, work=0),
    Part("ruin and recreate, one core", 1, NO_TAILS | NO_MERGES),
    Part("and the exchange of tails", 1, NO_MERGES),
    Part("and recombination", 1, {}),
    Part("two cores, a plan each, and recombination", 2, APART),
    Part("two cores, zones of one plan", 2, NO_MERGES),
    Part("two cores, zones, and recombination", 2, {}),
    Part("the same, begun a tenth as hot", 2, COLD),
    Part("two cores, decomposed", 2, {}, decomposed=True),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """cost in hours of travel; curve: seconds and cost so far."""

    cost: float
    unserved: int
    iterations: int
    took_s: float
    curve: list[tuple[float, float]]


@contextmanager
def changed(changes: Changes) -> Iterator[None]:
    """These for a while."""
    before = {(module, name): getattr(module, name) for module, name in changes}
    try:
        _set(changes)
        yield
    finally:
        _set(before)


def _set(changes: Changes) -> None:
    for (module, name), value in changes.items():
        setattr(module, name, value)


def outcome(part: Part, problem: Problem, limit_s: float, seed: int) -> Outcome:
    curve: list[tuple[float, float]] = []

    def note(progress: Any) -> None:
        curve.append((progress.elapsed_s, progress.cost_cents / 3600))

    run = solve_decomposed if part.decomposed else optimizer.solve
    began = time.perf_counter()
    with changed(part.changed):
        plan = run(
            problem,
            time_limit_s=limit_s if part.work is None else None,
            max_work=part.work,
            seed=seed,
            threads=part.threads,
            on_progress=note,
        )
    took_s = time.perf_counter() - began
    return Outcome(plan.cost_cents / 3600, len(plan.unserved), plan.iterations, took_s, curve)


@click.command()
@click.option("--size", default="1000x100", show_default=True)
@click.option("--limit", "limit_s", type=float, default=10.0, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("var/bench"), show_default=True)
def main(size: str, limit_s: float, seeds: int, out: Path) -> None:
    """Print the table and draw the picture."""
    optimizer.warm()
    with changed(NO_TAILS):
        optimizer.warm()
    visits, technicians = (int(number) for number in size.split("x"))
    problems = [problem_of(FieldService(visits, technicians, seed).instance()) for seed in range(seeds)]
    outcomes = {
        part.name: [outcome(part, problem, limit_s, seed) for seed, problem in enumerate(problems)]
        for part in PARTS
    }
    title = f"{size}, {limit_s:g} s, medians of {seeds} days; cost in hours of travel, what is left out at its prize"
    table = Table("what", "cost h", "to one core", "left out", "iterations", "took s", title=title)
    alone = statistics.median(each.cost for each in outcomes[PARTS[1].name])
    for name, each in outcomes.items():
        cost = statistics.median(one.cost for one in each)
        table.add_row(
            name,
            f"{cost:.1f}",
            f"{cost / alone:.3f}",
            f"{statistics.median(one.unserved for one in each):g}",
            f"{statistics.median(one.iterations for one in each):,.0f}",
            f"{statistics.median(one.took_s for one in each):.2f}",
        )
    Console(width=120).print(table)
    out.mkdir(parents=True, exist_ok=True)
    draw(outcomes, limit_s, out / f"ablation-{size}.png")


def draw(outcomes: dict[str, list[Outcome]], limit_s: float, path: Path) -> None:
    """The median over the seeds of the cost so far, from the first half second on."""
    moments = np.linspace(0.5, limit_s, 100)
    figure, axes = plt.subplots(figsize=(9, 5))
    for name, each in outcomes.items():
        if name == PARTS[0].name:
            continue
        points = [np.array(one.curve) for one in each]
        curves = [np.interp(moments, point[:, 0], point[:, 1]) for point in points]
        axes.plot(moments, np.median(curves, axis=0), label=name)
    axes.set_xlabel("seconds")
    axes.set_ylabel("cost, hours of travel")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
