"""Tables, raw rows and the anytime plot of a run of the benchmark."""

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.runner import Row

Cell = tuple[str, str, float]
"""Instance, engine, limit."""

COLORS = {"search": "#0b5fa5", "pyvrp": "#d1495b", "vroom": "#3d8b5f", "routing": "#8a6fb0"}
GRID_POINTS = 200
FIRST_MOMENT_S = 0.05
SMALLEST_GAP = 0.01
"""Percent: where the plot's axis of gaps ends below."""


@dataclass(frozen=True, slots=True)
class References:
    """What gaps are measured against, by instance: the best known cost, or the best of the run where there is none."""

    cost: Mapping[str, int]
    source: Mapping[str, str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "References":
        best: dict[str, int] = {}
        for row in rows:
            if row.cost is not None:
                best[row.label] = min(row.cost, best.get(row.label, row.cost))
        source = dict.fromkeys(best, "best of the run")
        for row in rows:
            if row.best_known is not None:
                best[row.label], source[row.label] = row.best_known, row.best_known_source
        return cls(best, source)

    def gap(self, label: str, cost: int | None) -> float | None:
        """Percent above the reference; None without a cost."""
        if cost is None:
            return None
        return 100 * (cost - self.cost[label]) / self.cost[label]


def mean_gaps(rows: Iterable[Row], references: References) -> dict[Cell, float]:
    """Percent: the mean over the seeds, of the runs that gave a sound plan."""
    gaps: dict[Cell, list[float]] = defaultdict(list)
    for row in rows:
        gap = references.gap(row.label, row.cost)
        if gap is not None:
            gaps[row.label, row.engine, row.limit_s].append(gap)
    return {cell: statistics.mean(values) for cell, values in gaps.items()}


@dataclass(frozen=True, slots=True)
class Summary:
    """One engine at one limit. solved: instances with a sound plan on some seed, of those tried that it can model; runs
    and sound_runs count the same by run. mean_gap: percent, over the solved. ratio and not_worse: to each rival, over
    the instances that both solve, and over those that at least one of the two solves and both can model."""

    engine: str
    threads: int
    limit_s: float
    solved: int
    modelled: int
    sound_runs: int
    runs: int
    mean_gap: float | None
    ratio: Mapping[str, float | None]
    not_worse: Mapping[str, tuple[int, int]]
    first_s: float | None
    longest_s: float | None
    peak_mb: float
    cpu_s: float


def summaries(rows: Sequence[Row], references: References, rivals: Sequence[str]) -> list[Summary]:
    """By limit, then in the order in which the engines ran."""
    gaps = mean_gaps(rows, references)
    engines = list(dict.fromkeys(row.engine for row in rows))
    limits = sorted({row.limit_s for row in rows})
    return [
        _summary(rows, gaps, engine, limit_s, [rival for rival in rivals if rival in engines])
        for limit_s in limits
        for engine in engines
        if any(row.engine == engine and row.limit_s == limit_s for row in rows)
    ]


def _summary(
    rows: Sequence[Row], gaps: Mapping[Cell, float], engine: str, limit_s: float, rivals: Sequence[str]
) -> Summary:
    runs = _runs(rows, engine, limit_s)
    modelled = {row.label for row in runs}
    mine = {label: gap for (label, name, at), gap in gaps.items() if name == engine and at == limit_s}
    ratio: dict[str, float | None] = {}
    not_worse = {}
    for rival in rivals:
        theirs = {label: gap for (label, name, at), gap in gaps.items() if name == rival and at == limit_s}
        theirs_modelled = {row.label for row in _runs(rows, rival, limit_s)}
        ratio[rival] = _ratio(mine, theirs)
        compared = (modelled & theirs_modelled) & (set(mine) | set(theirs))
        wins = sum(mine.get(label, math.inf) <= theirs.get(label, math.inf) for label in compared)
        not_worse[rival] = (wins, len(compared))
    return Summary(
        engine=engine,
        threads=max((row.threads for row in runs), default=0),
        limit_s=limit_s,
        solved=len(mine),
        modelled=len(modelled),
        sound_runs=sum(row.status == "ok" for row in runs),
        runs=len(runs),
        mean_gap=statistics.mean(mine.values()) if mine else None,
        ratio=ratio,
        not_worse=not_worse,
        first_s=_of(statistics.median, (row.first_s for row in runs)),
        longest_s=_of(max, (row.took_s for row in runs)),
        peak_mb=max((row.peak_mb for row in runs), default=0.0),
        cpu_s=statistics.mean([row.cpu_s for row in runs]) if runs else 0.0,
    )


def _runs(rows: Iterable[Row], engine: str, limit_s: float) -> list[Row]:
    return [
        row
        for row in rows
        if row.engine == engine and row.limit_s == limit_s and row.status != "cannot model"
    ]


def _ratio(mine: Mapping[str, float], theirs: Mapping[str, float]) -> float | None:
    both = set(mine) & set(theirs)
    if not both:
        return None
    theirs_mean = statistics.mean(theirs[label] for label in both)
    return statistics.mean(mine[label] for label in both) / theirs_mean if theirs_mean > 0 else None


def _of(summarize: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return summarize(known) if known else None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of words, printed or written as markdown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def rich(self) -> Table:
        table = Table(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        rule = ["---"] + ["---:"] * (len(self.columns) - 1)
        lines = [self.columns, rule, *self.rows]
        return f"{self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def summary_grid(found: Sequence[Summary], title: str) -> Grid:
    rivals = list(found[0].ratio) if found else []
    columns = ["engine", "threads", "limit s", "instances", "runs sound", "mean gap %"]
    for rival in rivals:
        columns += [f"gap / {rival}'s", f"not worse than {rival}"]
    columns += ["first plan s", "longest s", "peak MB", "CPU s"]
    return Grid(title, tuple(columns), tuple(_summary_row(summary, rivals) for summary in found))


def _summary_row(summary: Summary, rivals: Sequence[str]) -> tuple[str, ...]:
    row = [
        summary.engine,
        str(summary.threads) if summary.runs else "",
        f"{summary.limit_s:g}",
        f"{summary.solved} of {summary.modelled}",
        f"{summary.sound_runs} of {summary.runs}",
        _figure(summary.mean_gap),
    ]
    for rival in rivals:
        wins, of = summary.not_worse[rival]
        itself = rival == summary.engine
        row += ["", ""] if itself else [_figure(summary.ratio[rival]), f"{wins} of {of}"]
    row += [_figure(summary.first_s), _figure(summary.longest_s)]
    return (*row, f"{summary.peak_mb:,.0f}", f"{summary.cpu_s:.1f}")


def gap_grid(rows: Sequence[Row], references: References, title: str) -> Grid:
    """The mean gap of each engine at each limit, by instance; where there is none, why."""
    gaps = mean_gaps(rows, references)
    cells = list(
        dict.fromkeys((row.limit_s, row.engine) for row in sorted(rows, key=lambda row: row.limit_s))
    )
    columns = ("instance", "reference", *(f"{engine} {limit_s:g} s" for limit_s, engine in cells))
    failures: dict[Cell, str] = {}
    for row in rows:
        if row.cost is None:
            failures[row.label, row.engine, row.limit_s] = row.status
    lines = []
    for label in dict.fromkeys(row.label for row in rows):
        line = [label, references.source.get(label, "none")]
        for limit_s, engine in cells:
            cell = (label, engine, limit_s)
            line.append(_figure(gaps[cell]) if cell in gaps else failures.get(cell, ""))
        lines.append(tuple(line))
    return Grid(title, columns, tuple(lines))


def trouble_grid(rows: Sequence[Row]) -> Grid:
    """Every run that gave no sound plan, the same reason once."""
    counts: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for row in rows:
        if row.status != "ok":
            counts[row.engine, row.label, row.status, row.reason] += 1
    lines = tuple((*key, str(count)) for key, count in counts.items())
    return Grid("Runs without a sound plan", ("engine", "instance", "status", "reason", "runs"), lines)


def counted(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{round(value, 2) + 0.0:.2f}"


def write_rows(rows: Sequence[Row], folder: Path, references: References) -> None:
    """`rows.csv`: a line a run, with its gap in percent; `anytime.csv`: a line for each point that an engine told."""
    names = [member.name for member in fields(Row) if member.name != "points"]
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "reference", "gap_percent"])
        for row in rows:
            known = references.cost.get(row.label)
            writer.writerow(
                [*(getattr(row, name) for name in names), known, references.gap(row.label, row.cost)]
            )
    with (folder / "anytime.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "instance", "engine", "limit_s", "seed", "elapsed_s", "cost", "unserved"])
        for row in rows:
            key = (row.set, row.instance, row.engine, row.limit_s, row.seed)
            writer.writerows(
                [*key, f"{point.elapsed_s:.3f}", point.cost, point.unserved] for point in row.points
            )


def anytime_plot(rows: Sequence[Row], references: References, path: Path, title: str) -> None:
    """The median gap over time of each engine's runs at the longest limit, and its quartiles shaded. A run without a
    plan yet counts as infinitely far; an engine's line begins when half of its runs have one. An engine that tells
    only its end is a dot."""
    limit_s = max(row.limit_s for row in rows)
    chosen = [row for row in rows if row.limit_s == limit_s and row.status != "cannot model"]
    moments = np.geomspace(FIRST_MOMENT_S, limit_s, GRID_POINTS)
    figure = Figure(figsize=(9, 5.5), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    for engine in dict.fromkeys(row.engine for row in chosen):
        runs = [row for row in chosen if row.engine == engine]
        color = COLORS.get(engine, "#555555")
        name = f"{engine}, {counted(max(row.threads for row in runs), 'thread')}, {counted(len(runs), 'run')}"
        if any(row.points for row in runs):
            lower, middle, upper = np.percentile(
                [_gaps_over_time(row, references, moments) for row in runs],
                (25, 50, 75),
                axis=0,
                method="inverted_cdf",
            )
            finite = np.isfinite(middle)
            axes.plot(
                moments[finite], _shown(middle[finite]), color=color, lw=2, label=name, drawstyle="steps-post"
            )
            band = (_shown(lower[finite]), _shown(upper[finite]))
            axes.fill_between(moments[finite], *band, color=color, alpha=0.13, lw=0, step="post")
        else:
            gaps = [references.gap(row.label, row.cost) for row in runs]
            end = _of(statistics.median, gaps)
            took = _of(statistics.median, (row.took_s for row in runs if row.cost is not None))
            if end is not None and took is not None:
                axes.plot([took], _shown(np.array([end])), "o", color=color, ms=8, label=name)
    axes.set(
        xscale="log", yscale="log", title=title, xlabel="seconds since the call", ylabel="gap in %, median"
    )
    axes.set_xlim(FIRST_MOMENT_S, None)
    axes.grid(which="major", alpha=0.35)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.savefig(path)


def _shown(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(gaps, SMALLEST_GAP)


def _gaps_over_time(row: Row, references: References, moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Percent at each moment; infinite before the first plan."""
    told = sorted(row.points, key=lambda point: point.elapsed_s)
    times = [point.elapsed_s for point in told]
    costs = [point.cost for point in told]
    if row.cost is not None and row.took_s is not None:
        times.append(row.took_s)
        costs.append(row.cost)
    if not costs or row.label not in references.cost:
        return np.full(len(moments), np.inf)
    gaps = 100 * (np.minimum.accumulate(np.array(costs, np.float64)) / references.cost[row.label] - 1)
    rank = np.searchsorted(times, moments, side="right") - 1
    return np.where(rank >= 0, gaps[np.maximum(rank, 0)], np.inf)
