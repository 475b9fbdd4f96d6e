"""What the figures of a run mean."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.report import (
    References,
    anytime_plot,
    gap_grid,
    summaries,
    summary_grid,
    trouble_grid,
    write_rows,
)
from benchmarks.runner import Point, Row


def row(instance: str, engine: str, cost: int | None, seed: int = 0, best_known: int | None = 100) -> Row:
    return Row(
        set="set",
        instance=instance,
        clients=5,
        unit="1",
        engine=engine,
        threads=1,
        seed=seed,
        limit_s=10.0,
        status="ok" if cost is not None else "killed",
        cost=cost,
        unserved=0,
        vehicles=1,
        best_known=best_known,
        best_known_source="best-known.csv" if best_known else "no best known",
        build_s=0.1,
        took_s=10.0,
        first_s=0.5,
        base_mb=50.0,
        peak_mb=60.0,
        cpu_s=11.0,
        reason="" if cost is not None else "killed after 70 s",
        points=(Point(0.5, 150, 0), Point(4.0, 120, 0)) if cost is not None else (),
    )


ROWS = [
    row("a", "search", 102),
    row("a", "search", 104, seed=1),
    row("a", "pyvrp", 106),
    row("b", "search", 120),
    row("b", "pyvrp", 112),
    row("c", "search", 105),
    row("c", "pyvrp", None),
]


def test_a_mean_gap_is_over_seeds_then_over_instances() -> None:
    search, pyvrp = summaries(ROWS, References.of(ROWS), ["pyvrp"])

    assert search.mean_gap == pytest.approx((3 + 20 + 5) / 3)
    assert pyvrp.mean_gap == pytest.approx((6 + 12) / 2)
    assert (pyvrp.solved, pyvrp.modelled, pyvrp.sound_runs, pyvrp.runs) == (2, 3, 2, 3)


def test_a_ratio_is_over_the_instances_that_both_solve() -> None:
    search, _ = summaries(ROWS, References.of(ROWS), ["pyvrp"])

    assert search.ratio["pyvrp"] == pytest.approx((3 + 20) / (6 + 12))


def test_a_rival_without_a_plan_is_worse() -> None:
    search, _ = summaries(ROWS, References.of(ROWS), ["pyvrp"])

    assert search.not_worse["pyvrp"] == (2, 3)


def test_an_instance_that_a_rival_cannot_model_is_not_compared() -> None:
    declined = replace(row("c", "pyvrp", None), status="cannot model")
    rows = [*ROWS[:-1], declined]

    search, pyvrp = summaries(rows, References.of(rows), ["pyvrp"])

    assert search.not_worse["pyvrp"] == (1, 2)
    assert pyvrp.modelled == 2


def test_without_a_best_known_the_best_of_the_run_is_the_measure() -> None:
    rows = [row("d", "search", 50, best_known=None), row("d", "pyvrp", 60, best_known=None)]

    references = References.of(rows)

    assert references.source["set/d"] == "best of the run"
    assert references.gap("set/d", 60) == pytest.approx(20)


def test_the_tables_say_why_a_figure_is_missing() -> None:
    references = References.of(ROWS)

    by_instance = gap_grid(ROWS, references, "gaps").markdown()
    trouble = trouble_grid(ROWS).rows

    assert "| set/a | best-known.csv | 3.00 | 6.00 |" in by_instance
    assert "| set/c | best-known.csv | 5.00 | killed |" in by_instance
    assert trouble == (("pyvrp", "set/c", "killed", "killed after 70 s", "1"),)


def test_the_summary_has_a_row_for_each_engine() -> None:
    references = References.of(ROWS)

    grid = summary_grid(summaries(ROWS, references, ["pyvrp", "vroom"]), "title")

    assert [line[:6] for line in grid.rows] == [
        ("search", "1", "10", "3 of 3", "4 of 4", "9.33"),
        ("pyvrp", "1", "10", "2 of 3", "2 of 3", "9.00"),
    ]
    assert "gap / vroom's" not in grid.columns


def test_raw_rows_keep_every_run_and_point(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path, References.of(ROWS))

    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "anytime.csv").open(newline="") as file:
        points = list(csv.DictReader(file))
    assert [line["gap_percent"] for line in rows[:2]] == ["2.0", "4.0"]
    assert rows[-1]["reason"] == "killed after 70 s"
    assert len(points) == 2 * 6


def test_the_plot_is_a_picture_even_if_nobody_found_a_plan(tmp_path: Path) -> None:
    for name, rows in (("some", ROWS), ("none", ROWS[-1:])):
        path = tmp_path / f"{name}.png"

        anytime_plot(rows, References.of(rows), path, "Gap over time")

        assert path.read_bytes().startswith(b"\x89PNG")
