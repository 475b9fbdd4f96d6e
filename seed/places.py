"""Places for the gazetteer: a reader for files of names and degrees, and the ZIP codes of New York.

A file is CSV in UTF-8, a record a line, or JSON lines with the same members. `name` (or `address`), `lat` and `lon`
must be there; `zip` and `kind` (place, street or area: what lies at the degrees) may be; others are passed over. Every
line is judged for itself.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Engine

from dispatch.addresses import folded
from dispatch.database import transaction
from dispatch.gazetteer import LONGEST_KEY, NewPlace, add_places
from dispatch.places import PlaceKind
from seed.city import facts
from seed.errors import UnreadableFile
from seed.nyc311 import BadRow, Refused, line_fields

PLACES_AT_A_TIME = 5_000
"""In a transaction: others may write in between."""

LONGEST_NAME = 160
"""With what is said of a street or an area it can still be sent back as an address."""

LONGEST_ZIP = 20
DECIMALS = 7
"""Of degrees, about a centimetre: the same place in two files is the same number."""

_NEEDED = ("name", "lat", "lon")
_ZIP_PLUS_4 = re.compile(r"([0-9]{5})-[0-9]{4}")

OnProgress = Callable[[int], None]


@dataclass(slots=True)
class LoadedPlaces:
    """What came of a file: how many are new, how many were there before, and what was refused."""

    created: int = 0
    known: int = 0
    refused: list[Refused] = field(default_factory=list)


def read_places(content: bytes) -> Iterator[NewPlace | Refused]:
    """The rows of a file's bytes, one by one. Raises `UnreadableFile` if it is neither JSON lines nor begins with a
    header that names the columns."""
    text = content.removeprefix(b"\xef\xbb\xbf")
    lines = enumerate(io.BytesIO(text), start=1)
    if text.lstrip().startswith(b"{"):
        return _judged(lines, _json_row)
    header = _header(next(lines, (1, b""))[1])

    def csv_row(raw: bytes) -> Mapping[str, Any]:
        fields = line_fields(raw.rstrip(b"\r\n"))
        if len(fields) != len(header):
            raise BadRow(f"has {len(fields)} columns instead of {len(header)}")
        return dict(zip(header, fields, strict=True))

    return _judged(lines, csv_row)


def _header(first: bytes) -> list[str]:
    try:
        header = [_member(name) for name in line_fields(first.rstrip(b"\r\n"))]
    except BadRow as error:
        raise UnreadableFile(f"the first line {error}") from error
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise UnreadableFile(
            f"the first line must name these columns: name, lat, lon; {missing[0]} is missing"
        )
    return header


def _member(name: str) -> str:
    plain = name.strip().lower()
    return "name" if plain == "address" else plain


def _json_row(raw: bytes) -> Mapping[str, Any]:
    try:
        row = json.loads(raw)
    except ValueError as error:
        raise BadRow(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise BadRow("is not JSON that can be read: it is nested too deeply") from error
    if not isinstance(row, dict):
        raise BadRow("is not a JSON object")
    return {_member(name): value for name, value in row.items()}


def _judged(
    lines: Iterator[tuple[int, bytes]], read: Callable[[bytes], Mapping[str, Any]]
) -> Iterator[NewPlace | Refused]:
    for number, raw in lines:
        if not raw.strip():
            continue
        try:
            yield _place(read(raw))
        except BadRow as error:
            yield Refused(number, str(error))


def _place(row: Mapping[str, Any]) -> NewPlace:
    name = _text(row, "name")
    key = folded(name)
    if not key:
        raise BadRow("name is missing" if not name else "name says nothing that can be looked up")
    if len(name) > LONGEST_NAME or len(key) > LONGEST_KEY:
        raise BadRow(f"name is longer than {LONGEST_NAME} characters")
    return NewPlace(
        name, _degrees(row, "lat", 90), _degrees(row, "lon", 180), _zip_code(row) or None, _kind(row)
    )


def _text(row: Mapping[str, Any], member: str) -> str:
    value = row.get(member)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRow(f"{member} is not text")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise BadRow(f"{member} contains a character that is none")
    return " ".join(value.split())


def _degrees(row: Mapping[str, Any], member: str, most: int) -> float:
    value = row.get(member)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadRow(f"{member} is missing")
    try:
        degrees = float(value) if isinstance(value, str | int | float) and value is not True else None
    except (ValueError, OverflowError):
        degrees = None
    if degrees is None:
        raise BadRow(f"{member} {value!r} is not a number")
    if not -most <= degrees <= most:
        raise BadRow(f"{member} {value} lies outside -{most} to {most}")
    return round(degrees, DECIMALS) + 0.0  # no -0.0


def _zip_code(row: Mapping[str, Any]) -> str:
    value = row.get("zip")
    code = f"{value:05d}" if isinstance(value, int) else _text(row, "zip")
    if len(code) > LONGEST_ZIP:
        raise BadRow(f"zip is longer than {LONGEST_ZIP} characters")
    plus_4 = _ZIP_PLUS_4.fullmatch(code)
    return plus_4[1] if plus_4 else code


def _kind(row: Mapping[str, Any]) -> PlaceKind:
    kind = _text(row, "kind").lower()
    try:
        return PlaceKind(kind) if kind else PlaceKind.PLACE
    except ValueError as error:
        raise BadRow(f"kind {kind!r} is none of {', '.join(PlaceKind)}") from error


def load_places(
    engine: Engine, rows: Iterator[NewPlace | Refused], now: datetime, on_progress: OnProgress | None = None
) -> LoadedPlaces:
    """Puts the rows into the gazetteer; a name that is known at that very place is left alone. on_progress: gets how
    many rows were read so far."""
    loaded = LoadedPlaces()
    read = 0
    while batch := list(islice(rows, PLACES_AT_A_TIME)):
        places = [row for row in batch if isinstance(row, NewPlace)]
        loaded.refused += [row for row in batch if isinstance(row, Refused)]
        with transaction(engine) as session:
            created = add_places(session, places, now)
        loaded.created += created
        loaded.known += len(places) - created
        read += len(batch)
        if on_progress is not None:
            on_progress(read)
    return loaded


def zip_areas() -> list[NewPlace]:
    """The ZIP codes of New York where the real day had calls, each at the mean position of its calls, to some 100 m.

    Source: NYC Open Data, "311 Service Requests from 2010 to Present", dataset erm2-nwe9, calls of 2012-11-20; the
    figures are `seed.derive_facts`'s. They are no survey's centroids, and some rest on a single call.
    """
    return [
        NewPlace(f"{code}, {area['borough']}, New York", area["lat"], area["lon"], code, PlaceKind.AREA)
        for code, area in facts()["neighbourhoods"].items()
    ]
