"""Travel matrices, ours beside what else a Python program has: `python -m benchmarks.matrices [--osm FILE]`.

Random places in the middle of New York, on one thread. The error of each is the worst over sampled pairs against
geopy's geodesic (Karney's algorithm, exact to nanometres). geopy measures one pair at a call: some thousand pairs are
timed and the matrix is extrapolated, which the table says. `roads` draws its places from the extract's own roads.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from geopy.distance import geodesic, great_circle
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from optimizer.problem import UNREACHABLE
from optimizer.travel import MEAN_RADIUS_M, Geodesic, Place, between, warm

SAMPLED_PAIRS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One way to a matrix: the median, the fastest and the slowest run in milliseconds; error: the worst relative one,
    None where the straight line is not what is asked for."""

    name: str
    size: int
    runs_ms: list[float]
    error: float | None
    remark: str


def timed_ms(call: Callable[[], object], runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return times


def places_in_city(size: int, rng: np.random.Generator) -> list[Place]:
    """In a square of about 27 km in New York."""
    lat, lon = rng.uniform(40.60, 40.85, size), rng.uniform(-74.10, -73.78, size)
    return [Place(float(a), float(b)) for a, b in zip(lat, lon, strict=True)]


def haversine_m(places: list[Place]) -> NDArray[np.float64]:
    """The great circle of all pairs, as a careful user of numpy writes it."""
    lat, lon = np.radians([(place.lat, place.lon) for place in places]).T
    half = np.sin((lat[:, None] - lat) / 2) ** 2
    half += np.cos(lat)[:, None] * np.cos(lat) * np.sin((lon[:, None] - lon) / 2) ** 2
    metres: NDArray[np.float64] = 2 * MEAN_RADIUS_M * np.arcsin(np.sqrt(half))
    return metres


class Reference:
    """geopy's geodesic for sampled pairs of places at least 500 m apart, where rounding to the metre counts little."""

    def __init__(self, places: list[Place], rng: np.random.Generator) -> None:
        size = len(places)
        rows, columns = rng.integers(0, size, SAMPLED_PAIRS), rng.integers(0, size, SAMPLED_PAIRS)
        measured = [self.measure(places[i], places[j]) for i, j in zip(rows, columns, strict=True)]
        far = np.array(measured) > 500
        self.pairs = rows[far], columns[far]
        self.metres = np.array(measured)[far]

    @staticmethod
    def measure(a: Place, b: Place) -> float:
        return float(geodesic((a.lat, a.lon), (b.lat, b.lon)).m)

    def error(self, metres: NDArray[np.float64]) -> float:
        """The worst relative one of the sampled pairs' metres."""
        return float((np.abs(metres - self.metres) / self.metres).max())


def straight_lines(size: int, runs: int, rng: np.random.Generator) -> list[Row]:
    places = places_in_city(size, rng)
    reference = Reference(places, rng)
    rows, columns = reference.pairs
    pairs = [(places[i], places[j]) for i, j in zip(rows, columns, strict=True)]
    whole = size * size / len(pairs)
    remark = f"{len(pairs)} pairs timed, extrapolated"

    def geopy_great_circle() -> list[float]:
        return [float(great_circle((a.lat, a.lon), (b.lat, b.lon)).m) for a, b in pairs]

    def geopy_geodesic() -> list[float]:
        return [reference.measure(a, b) for a, b in pairs]

    def ours_m() -> list[float]:
        return [between(a, b) for a, b in pairs]

    few = min(runs, 3)
    circle_error = reference.error(np.array(geopy_great_circle()))
    haversine_error = reference.error(haversine_m(places)[reference.pairs])
    ours_error = reference.error(np.array(ours_m()))
    geodesic_ms = [whole * ms for ms in timed_ms(geopy_geodesic, few)]
    circle_ms = [whole * ms for ms in timed_ms(geopy_great_circle, few)]
    haversine_ms = timed_ms(lambda: haversine_m(places), runs)
    ours_ms = timed_ms(lambda: Geodesic().matrix(places), runs)
    return [
        Row("geopy geodesic", size, geodesic_ms, 0.0, remark),
        Row("geopy great_circle", size, circle_ms, circle_error, remark),
        Row("numpy haversine", size, haversine_ms, haversine_error, "metres only"),
        Row("ours, geodesic", size, ours_ms, ours_error, "seconds and metres; error before rounding to 1 m"),
    ]


def on_roads(extract: Path, size: int, runs: int, rng: np.random.Generator) -> list[Row]:
    from optimizer.roads import Roads

    with tempfile.TemporaryDirectory() as cache:
        cold_ms = timed_ms(lambda: Roads.from_file(extract, Path(cache)), 1)
        kept_ms = timed_ms(lambda: Roads.from_file(extract, Path(cache)), runs)
        provider = Roads.from_file(extract, Path(cache))
    network = provider.network
    points = rng.integers(0, len(network.lat_e7), size)
    off = rng.normal(0, 0.0003, (2, size))
    lat, lon = network.lat_e7[points] / 1e7 + off[0], network.lon_e7[points] / 1e7 + off[1]
    places = [Place(float(a), float(b)) for a, b in zip(lat, lon, strict=True)]
    matrix = provider.matrix(places)
    left_out = len(provider.unreachable(places))
    pairs = int((matrix.duration_s == UNREACHABLE).sum())
    ways = f"{len(network.tail):,} stretches, {network.vertices:,} junctions"
    return [
        Row("ours, roads: read the extract", 0, cold_ms, None, ways),
        Row("ours, roads: read the cache", 0, kept_ms, None, ways),
        Row(
            "ours, roads",
            size,
            timed_ms(lambda: provider.matrix(places), runs),
            None,
            f"{left_out} places and {pairs:,} pairs unreachable",
        ),
    ]


def drawn(rows: list[Row], runs: int) -> Table:
    table = Table(
        title=f"Travel matrices, median of {runs} runs (geopy: of at most 3), {os.cpu_count()} cores, one used"
    )
    for heading in ("how", "places", "median ms", "fastest", "slowest", "worst error", "remark"):
        table.add_column(heading, justify="left" if heading in ("how", "remark") else "right")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.size:,}" if row.size else "",
            *(f"{figure(row.runs_ms):,.1f}" for figure in (statistics.median, min, max)),
            "" if row.error is None else f"{100 * row.error:.2g} %",
            row.remark,
        )
    return table


@click.command()
@click.option(
    "--osm", "extract", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="An extract."
)
@click.option("--size", default=1_000, show_default=True, help="Places of the straight lines.")
@click.option("--road-size", default=400, show_default=True, help="Places on the roads.")
@click.option("--runs", default=15, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True)
def main(extract: Path | None, size: int, road_size: int, runs: int, seed: int) -> None:
    """Time and error of travel matrices."""
    rng = np.random.default_rng(seed)
    warm()
    rows = straight_lines(size, runs, rng)
    if extract is not None:
        rows += on_roads(extract, road_size, runs, rng)
    Console(width=160).print(drawn(rows, runs))


if __name__ == "__main__":
    main()
