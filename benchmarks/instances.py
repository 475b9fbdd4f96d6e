"""Engines in turn on a folder of public instances: `python -m benchmarks.instances --instances DIR`.

DIR holds subfolders of `.txt` and `.vrp` files, see `read`, and may hold `best-known.csv` with the columns set (the
subfolder), instance, best_known, vehicles, convention; a `.sol` beside an instance serves as well. Solomon's and
Gehring & Homberger's are at github.com/VROOM-Project/vroom-scripts, the others at github.com/PyVRP/Instances.

Every run is a process of its own, one after the other, ended by force when it does not end itself. Limits are for the
engine's call alone. Engines that can take several threads get `--threads`; PyVRP and OR-Tools' routing library work on
one. VROOM and the routing library know no seed that matters and run once. Costs and rules are recomputed by `evaluator`
from the routes alone.
"""

import itertools
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from benchmarks import report
from benchmarks.instance import Instance
from benchmarks.peers import NAMES, Peer, Task, load
from benchmarks.read import InstanceFile, instance_files, read_best_known
from benchmarks.runner import Row, run, warm
from benchmarks.source import Source

DEFAULT_OUT = Path("var/bench")
RIVALS = ("pyvrp", "vroom")
PIPED_WIDTH = 200


@dataclass(frozen=True, slots=True)
class Case:
    """An instance to run, and where a child finds it."""

    source: Source
    instance: Instance


def cases(folder: Path, only: Sequence[str]) -> Iterator[Case]:
    """In order of path. only: parts of `set/instance`, any of which must occur; all if there are none."""
    known = read_best_known(folder)
    usual = {name: row.convention for (name, _), row in known.items()}
    for path in instance_files(folder):
        label = f"{path.parent.name}/{path.stem}"
        if only and not any(part.lower() in label.lower() for part in only):
            continue
        row = known.get((path.parent.name, path.stem))
        convention = row.convention if row else usual.get(path.parent.name)
        source = InstanceFile(str(path.resolve()), convention, row.best_known if row else None)
        yield Case(source, source.instance())


def make_console() -> Console:
    return Console(width=None if os.isatty(1) else PIPED_WIDTH, highlight=False)


def load_engines(names: Sequence[str], console: Console) -> list[Peer]:
    """Those that are installed, compiled; the others are named."""
    loaded = []
    for name in names:
        try:
            peer = load(name)
        except ModuleNotFoundError as missing:
            console.print(f"{name} is left out: {missing}")
            continue
        if peer.warm is not None:
            console.print(f"compiling {name} ...")
            warm(name)
        loaded.append(peer)
    return loaded


def run_all(
    found: Sequence[Case],
    engines: Sequence[Peer],
    limits: Sequence[float],
    seeds: int,
    threads: int,
    console: Console,
) -> Iterator[Row]:
    """Instance by instance, so that the engines' turns lie close together; each row as soon as it is there."""
    for case, limit_s in itertools.product(found, limits):
        for peer in engines:
            for seed in range(seeds if peer.seeded else 1):
                task = Task(limit_s, seed, threads if peer.threaded else 1)
                row = run(case.source, case.instance, peer.name, task, seeded=peer.seeded)
                console.print(as_line(row))
                yield row


def as_line(row: Row) -> str:
    took = "" if row.took_s is None else f"{row.took_s:6.2f} s"
    gap = ""
    if row.cost is not None and row.best_known:
        gap = f"{100 * (row.cost / row.best_known - 1):7.2f} %"
    cost = f"{row.cost:>13,}" if row.cost is not None else row.status
    seed = "-" if row.seed is None else str(row.seed)
    return f"{row.label:22} {row.engine:8} {row.limit_s:4g} s  seed {seed}  {took:>9} {cost:>13} {gap} {row.reason}"


def conditions(engines: Sequence[Peer], seeds: int, threads: int) -> str:
    """Machine, versions, threads and seeds, in a line."""
    versions = ", ".join(
        f"{peer.name} {peer.version} ({report.counted(threads if peer.threaded else 1, 'thread')}, "
        f"{report.counted(seeds if peer.seeded else 1, 'seed')})"
        for peer in engines
    )
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {versions}"


def write(rows: Sequence[Row], out: Path, title: str, console: Console) -> None:
    """All that the run gives: on the terminal and in `out`."""
    references = report.References.of(rows)
    summary = report.summary_grid(report.summaries(rows, references, RIVALS), title)
    gaps = report.gap_grid(rows, references, "Mean gap in % by instance")
    trouble = report.trouble_grid(rows)
    grids = [gaps, summary, *([trouble] if trouble.rows else [])]
    for grid in grids:
        console.print(grid.rich())
    out.mkdir(parents=True, exist_ok=True)
    report.write_rows(rows, out, references)
    report.anytime_plot(rows, references, out / "anytime.png", "Gap over time")
    (out / "instances.md").write_text("\n".join(grid.markdown() for grid in (summary, gaps, trouble)))
    console.print(f"Rows, points, plot and tables: {out}")


@click.command()
@click.option(
    "--instances", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True
)
@click.option(
    "--limit", "limits", type=click.FloatRange(0.05), multiple=True, default=(10.0, 30.0), show_default=True
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--engine", "names", type=click.Choice(NAMES), multiple=True, default=NAMES, show_default=True)
@click.option("--only", multiple=True, help="Part of set/instance; may be given several times.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_OUT, show_default=True
)
def main(
    folder: Path,
    limits: tuple[float, ...],
    seeds: int,
    names: tuple[str, ...],
    only: tuple[str, ...],
    threads: int,
    out: Path,
) -> None:
    """Run, judge, tell."""
    console = make_console()
    engines = load_engines(names, console)
    found = list(cases(folder, only))
    if not found or not engines:
        raise click.ClickException("no instance or no engine to run")
    rows: list[Row] = []
    try:
        for row in run_all(found, engines, sorted(limits), seeds, threads, console):
            rows.append(row)  # noqa: PERF402 -- an interrupt keeps what was run
    finally:
        if rows:
            write(rows, out, conditions(engines, seeds, threads), console)


if __name__ == "__main__":
    main()
