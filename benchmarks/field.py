"""Engines side by side on a generated day of field service: `python -m benchmarks.field --size 1000x100`.

The cost is seconds of travel and the prizes of visits left out, by the same evaluator for all; see `field_service` for
the day and `instances` for how engines are run. Seed k makes day k and is the engine's seed on it, so that engines
without a seed run on every day as well.
"""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console

from benchmarks import report
from benchmarks.field_service import FieldService
from benchmarks.instances import DEFAULT_OUT, as_line, conditions, load_engines, make_console
from benchmarks.peers import NAMES, Peer, Task
from benchmarks.report import Grid
from benchmarks.runner import Row, run


class Size(click.ParamType[FieldService]):
    """`1000x100`: visits and technicians."""

    name = "VISITSxTECHNICIANS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> FieldService:
        try:
            return value if isinstance(value, FieldService) else FieldService.named(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is no size such as 1000x100: {error}", param, ctx)


def run_all(
    sizes: Sequence[FieldService],
    engines: Sequence[Peer],
    limits: Sequence[float],
    seeds: int,
    threads: int,
    console: Console,
) -> Iterator[Row]:
    """Size by size and day by day, the engines' turns close together; each row as soon as it is there."""
    for size in sizes:
        for seed in range(seeds):
            day = FieldService(size.visits, size.technicians, seed)
            instance = day.instance()
            for limit_s in limits:
                for peer in engines:
                    task = Task(limit_s, seed, threads if peer.threaded else 1)
                    row = run(day, instance, peer.name, task)
                    console.print(as_line(row))
                    yield row


def size_grid(rows: Sequence[Row], size: FieldService) -> Grid:
    """Medians over the days. What the search costs of another engine's cost is taken day by day."""
    columns = (
        "engine",
        "threads",
        "limit s",
        "sound",
        "cost h",
        "unserved",
        "search costs of it",
        "first plan s",
        "took s",
        "build s",
        "peak MB",
        "before MB",
        "CPU s",
    )
    mine = [row for row in rows if row.set == "field" and row.instance.startswith(f"{size.name} ")]
    keys = dict.fromkeys((row.limit_s, row.engine) for row in mine)
    lines = [_size_row([row for row in mine if (row.limit_s, row.engine) == key], mine) for key in keys]
    title = f"Field service, {size.visits:,} visits, {size.technicians:,} technicians, {size.side_km:.0f} km a side"
    return Grid(title, columns, tuple(lines))


def _size_row(runs: Sequence[Row], rows: Sequence[Row]) -> tuple[str, ...]:
    first = runs[0]
    sound = [row for row in runs if row.cost is not None]
    if not sound:
        statuses = ", ".join(dict.fromkeys(row.status for row in runs))
        return (first.engine, str(first.threads), f"{first.limit_s:g}", statuses, *[""] * 9)
    searched = {
        row.instance: row.cost for row in rows if row.engine == "search" and row.limit_s == first.limit_s
    }
    ratios = [
        cost / row.cost
        for row in sound
        if row.cost is not None and (cost := searched.get(row.instance)) is not None
    ]
    ratio = f"{statistics.median(ratios):.3f}" if ratios and first.engine != "search" else ""
    return (
        first.engine,
        str(first.threads),
        f"{first.limit_s:g}",
        f"{len(sound)} of {len(runs)}",
        f"{_median(row.cost for row in sound) / 3600:,.1f}",
        f"{_median(row.unserved for row in sound):,g}",
        ratio,
        f"{_median(row.first_s for row in sound):.2f}",
        f"{_median(row.took_s for row in sound):.2f}",
        f"{_median(row.build_s for row in sound):.2f}",
        f"{_median(row.peak_mb for row in sound):,.0f}",
        f"{_median(row.base_mb for row in sound):,.0f}",
        f"{_median(row.cpu_s for row in sound):.1f}",
    )


def _median(values: Iterator[float | None]) -> float:
    return float(statistics.median(value for value in values if value is not None))


def write(
    rows: Sequence[Row], sizes: Sequence[FieldService], out: Path, title: str, console: Console
) -> None:
    """All that the run gives: on the terminal and in `out`."""
    references = report.References.of(rows)
    grids = [size_grid(rows, size) for size in sizes]
    trouble = report.trouble_grid(rows)
    for grid in [*grids, *([trouble] if trouble.rows else [])]:
        console.print(grid.rich())
    console.print(title)
    out.mkdir(parents=True, exist_ok=True)
    report.write_rows(rows, out, references)
    for size in sizes:
        chosen = [row for row in rows if row.instance.startswith(f"{size.name} ")]
        if chosen:
            heading = f"Field service {size.name}: gap to the best plan of the run"
            report.anytime_plot(chosen, references, out / f"anytime-{size.name}.png", heading)
    (out / "field.md").write_text("\n".join([title + "\n", *(grid.markdown() for grid in (*grids, trouble))]))
    console.print(f"Rows, points, plots and tables: {out}")


@click.command()
@click.option("--size", "sizes", type=Size(), multiple=True, default=("1000x100",), show_default=True)
@click.option(
    "--limit",
    "limits",
    type=click.FloatRange(0.05),
    multiple=True,
    default=(1.0, 5.0, 30.0),
    show_default=True,
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--engine", "names", type=click.Choice(NAMES), multiple=True, default=NAMES, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_OUT / "field",
    show_default=True,
)
def main(
    sizes: tuple[FieldService, ...],
    limits: tuple[float, ...],
    seeds: int,
    names: tuple[str, ...],
    threads: int,
    out: Path,
) -> None:
    """Run, judge, tell."""
    console = make_console()
    engines = load_engines(names, console)
    if not engines:
        raise click.ClickException("no engine to run")
    rows: list[Row] = []
    try:
        for row in run_all(sizes, engines, sorted(limits), seeds, threads, console):
            rows.append(row)  # noqa: PERF402 -- an interrupt keeps what was run
    finally:
        if rows:
            write(rows, sizes, out, conditions(engines, seeds, threads), console)


if __name__ == "__main__":
    main()
