"""Derives the figures from which `seed.city` generates its days: counts and means, no call's own data.

    python -m seed.derive_facts FILE > seed/facts/nyc311_2012_11_20.json

FILE is a day in the format of `seed.nyc311`. The same file gives the same figures, byte for byte.
"""

import csv
import io
import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from seed.nyc311 import read_file

METRES_PER_DEGREE = 111_195
"""Of latitude, on a sphere of the earth's mean radius."""

Row = dict[str, str]


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _kind(rows: Sequence[Row]) -> dict[str, Any]:
    """One complaint type. Calls that bear midnight to the second bear the date alone: the housing department
    records no hour."""
    hours = Counter(
        int(row["created_at"][11:13]) for row in rows if not row["created_at"].endswith("T00:00:00")
    )
    return {
        "calls": len(rows),
        "closed_doors": sum(row["no_access"] == "1" for row in rows),
        "without_hour": len(rows) - hours.total(),
        "by_hour": {str(hour): hours[hour] for hour in sorted(hours)},
        "by_borough": _counts(row["borough"].title() for row in rows),
        "descriptors": _counts(row["descriptor"] for row in rows),
    }


def _neighbourhood(rows: Sequence[Row]) -> dict[str, Any]:
    """One ZIP code: the centre of its calls to three decimals (about 100 m) and their mean distance from it,
    to 100 m."""
    lat = statistics.fmean(float(row["lat"]) for row in rows)
    lon = statistics.fmean(float(row["lon"]) for row in rows)
    spread = statistics.fmean(
        METRES_PER_DEGREE
        * math.hypot(float(row["lat"]) - lat, (float(row["lon"]) - lon) * math.cos(math.radians(lat)))
        for row in rows
    )
    return {
        "borough": rows[0]["borough"].title(),
        "calls": len(rows),
        "lat": round(lat, 3),
        "lon": round(lon, 3),
        "spread_m": round(spread / 100) * 100,
    }


def derive(content: bytes) -> dict[str, Any]:
    """The figures of a day. Raises `ValueError` if a row of the file is refused: figures must not be
    partial."""
    if refused := read_file(content, moved_to=None).refused:
        raise ValueError(f"line {refused[0].line}: {refused[0].reason}")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    kinds: dict[str, list[Row]] = defaultdict(list)
    zips: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[row["complaint_type"]].append(row)
        if row["zip"]:
            zips[row["zip"]].append(row)
    return {
        "source": "NYC Open Data, 311 Service Requests from 2010 to Present, dataset erm2-nwe9",
        "day": Counter(row["created_at"][:10] for row in rows).most_common(1)[0][0],
        "calls": len(rows),
        "closed_doors": sum(row["no_access"] == "1" for row in rows),
        "by_borough": _counts(row["borough"].title() for row in rows),
        "kinds": {kind: _kind(kinds[kind]) for kind in sorted(kinds)},
        "neighbourhoods": {code: _neighbourhood(zips[code]) for code in sorted(zips)},
    }


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(file: Path) -> None:
    """Write the figures of FILE, a day of calls, to standard output as JSON."""
    click.echo(json.dumps(derive(file.read_bytes()), indent=1))


if __name__ == "__main__":
    main()
